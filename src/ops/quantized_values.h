#pragma once

#include <array>
#include <span>
#include <string_view>

#include "lapidary/graph.h"

namespace lapidary {

/// FakeQuantize, QuantizeLinear or DequantizeLinear.
bool is_quantizer(const Node& node);

/// What is read instead of a value that is quantized: the output of its FakeQuantize, or of its
/// QuantizeLinear and DequantizeLinear; else, and of the graph's
/// outputs, the value. A Relu that saturation stands for is gone
/// from such graphs, and its output's name is that of what it read: only behind the quantizer is it
/// what the name says.
ValueId as_quantized(const Graph& graph, ValueId value);

/// What the function reads whose result the value is, quantized perhaps; else the value.
ValueId before_function(const Graph& graph, ValueId value,
                        std::span<const std::string_view> functions);
/// Of scores.
inline constexpr std::array<std::string_view, 2> kSoftmaxes = {"Softmax", "LogSoftmax"};

}  // namespace lapidary
