#pragma once

#include "lapidary/compress.h"

namespace lapidary {

/// Refuses what post-training quantization cannot start from: a model that is quantized already
/// (Error{kUsage} unless options.requantize), float16/bfloat16/float64 weights (kUnsupported),
/// weights that are not finite (kInvalid with tensor, count and first index; options.nonfinite =
/// "clamp" makes NaN 0 and clamps to +-3.4e38). Warnings go to the log: channels of zeros.
void check_quantizable(Graph& graph, const QuantizeOptions& options, QuantizeLog& log);

/// Reads as: Q/DQ or integer op of the kinds that a quantized model holds.
bool is_quantized_model(const Graph& graph, std::string* where = nullptr);

}  // namespace lapidary
