#pragma once

#include "lapidary/compress.h"
#include "src/passes/precision.h"

namespace lapidary {

/// Refuses what post-training quantization cannot start from: a model that is quantized already
/// (Error{kUsage} unless options.requantize), float16/bfloat16/float64 weights (kUnsupported),
/// weights that are not finite (kInvalid with tensor, count and first index; options.nonfinite =
/// "clamp" makes NaN 0 and clamps to the largest usable weight; beyond 1e30 none is). Warnings go
/// to the log: channels of zeros.
void check_quantizable(Graph& graph, const QuantizeOptions& options, QuantizeLog& log);

/// The float graph that calibration and quantization start from: with options.requantize, Q/DQ of
/// an earlier quantization are taken out (constants are dequantized; Q -> DQ becomes the Clip to
/// the range that its integers cover, in which an absorbed Relu lives on, under the name of the
/// tensor that was quantized); weights are checked and clamped as in check_quantizable. Throws
/// Error{kUnsupported} for integer operators.
Graph quantization_source(const Graph& graph, const QuantizeOptions& options, QuantizeLog& log);

/// Throws Error{kInvalid} that names the channel of a BatchNormalization whose variance is NaN,
/// infinite or negative, or leaves nothing to divide by.
void check_batchnorms(const Graph& graph);

}  // namespace lapidary
