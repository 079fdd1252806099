#pragma once

#include <string>

#include "lapidary/graph.h"

namespace lapidary {

/// Reads as: Q/DQ or integer op of the kinds that a quantized model holds. `where`: the first.
bool is_quantized_model(const Graph& graph, std::string* where = nullptr);

/// A constant of more than one float16 or bfloat16. `where`: the first one's name.
bool has_half_weights(const Graph& graph, std::string* where = nullptr);

}  // namespace lapidary
