#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "quantize/qparams.h"

namespace lapidary {

/// How an op runs on integers.
enum class IntegerForm {
  kLinear,       ///< products of inputs and weights: Conv, Gemm, MatMul
  kElementwise,  ///< inputs and outputs have scales of their own: Add, Sigmoid, pools, Concat
  kMover,        ///< moves values: output and input share one scale
};

/// A line of a target's table of integer ops.
struct OpRule {
  std::string_view op;
  IntegerForm form;
  /// The integer form exists only with a quantized output; else the output may be float.
  bool needs_output = true;
  /// Integer only where what makes its input or reads its output is, too.
  bool beside = false;
};

/// A deployment target: data that placement, scales and bias form come from.
struct TargetRecord {
  std::string_view name, help;
  std::string_view engine;  ///< whose kernels its files are for; empty: ONNX Runtime's, and ours
  QuantScheme activation, weight;
  bool per_channel = true;
  /// Outputs of integer ops are quantized, not only their inputs.
  bool outputs = true;
  /// A Relu or Clip behind an integer op goes: the saturation of the output stands for it.
  bool absorb_clamps = true;
  /// Bias as int32 with scale s_x * s_w; else float.
  bool integer_bias = true;
  /// Inputs and output of Concat share one scale.
  bool concat_shares = true;
  /// Add quantizes its skip input only: the convolution's branch stays fused with it.
  bool add_skip_only = false;
  /// MatMul of two activations (attention) is quantized.
  bool activation_products = true;
  /// A convolution with fewer inputs or outputs is integer only where it is not grouped, its kernel
  /// is square, one of the two is a multiple of 8, and one is this many or it reads the graph's
  /// input.
  int64_t least_channels = 0;
  /// A grouped convolution is integer only with a multiple of so many outputs and a kernel at least
  /// so wide.
  int64_t grouped_multiple = 1, grouped_least_kernel = 1;
  /// MatMul with one row or one column is quantized.
  bool vector_products = true;
  std::span<const OpRule> ops;

  const OpRule* rule(std::string_view op) const;
};

/// Throws Error{kUsage} where a target does not take a format: integer operators are ONNX
/// Runtime's.
void check_format(const TargetRecord& target, std::string_view format);

/// Throws Error{kUsage} with the closest names.
const TargetRecord& find_target(std::string_view name);

}  // namespace lapidary
