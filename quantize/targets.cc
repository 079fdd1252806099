#include "quantize/targets.h"

#include <string>

#include "lapidary/compress.h"
#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

using enum IntegerForm;

// What ONNX Runtime's CPU provider fuses to integer kernels (its QDQ selectors); Relu and Clip are
// here for those that no op absorbs. Pad has no integer kernel: it moves floats between equal
// scales.
constexpr OpRule kOnnxRuntimeOps[] = {
    {"Conv", kLinear},
    {"Gemm", kLinear, false},
    {"MatMul", kLinear, false},
    {"Add", kElementwise},
    {"Mul", kElementwise},
    {"AveragePool", kElementwise},
    {"GlobalAveragePool", kElementwise},
    {"LeakyRelu", kElementwise},
    {"Sigmoid", kElementwise},
    {"Concat", kElementwise},
    {"Relu", kElementwise},
    {"Clip", kElementwise},
    {"MaxPool", kMover},
    {"Reshape", kMover},
    {"Flatten", kMover},
    {"Squeeze", kMover},
    {"Unsqueeze", kMover},
    {"Transpose", kMover},
    {"Slice", kMover},
    {"Split", kMover},
    {"Gather", kMover},
    {"GatherElements", kMover},
    {"Expand", kMover},
    {"Tile", kMover},
    {"Resize", kMover},
    {"Pad", kMover},
    {"Identity", kMover},
};

// NVIDIA TensorRT starts no quantization at activations, Concat and data movers.
constexpr OpRule kTensorRtOps[] = {
    {"Conv", kLinear, false},
    {"ConvTranspose", kLinear, false},
    {"Gemm", kLinear, false},
    {"MatMul", kLinear, false},
    {"Add", kElementwise, false},
    {"AveragePool", kElementwise, false, true},
    {"GlobalAveragePool", kElementwise, false, true},
    {"MaxPool", kElementwise, false, true},
};

constexpr OpRule kOpenVinoOps[] = {
    {"Conv", kLinear, false},
    {"ConvTranspose", kLinear, false},
    {"Gemm", kLinear, false},
    {"MatMul", kLinear, false},
    {"Add", kElementwise, false},
    {"Mul", kElementwise, false},
    {"Sub", kElementwise, false},
    {"AveragePool", kElementwise, false},
    {"GlobalAveragePool", kElementwise, false},
    {"Concat", kMover},
    {"MaxPool", kMover},
    {"Reshape", kMover},
    {"Flatten", kMover},
    {"Squeeze", kMover},
    {"Unsqueeze", kMover},
    {"Transpose", kMover},
    {"Slice", kMover},
    {"Split", kMover},
    {"Pad", kMover},
};

constexpr OpRule kNcnnOps[] = {
    {"Conv", kLinear, false},
    {"Gemm", kLinear, false},
};

constexpr QuantScheme kU8{.bits = 8};
constexpr QuantScheme kS8{.bits = 8, .is_signed = true, .symmetric = true, .narrow_range = true};
constexpr QuantScheme kS7{.bits = 7, .is_signed = true, .symmetric = true, .narrow_range = true};

constexpr TargetRecord kTargets[] = {
    {.name = "onnxruntime-cpu",
     .help =
         "ONNX Runtime on CPUs with VNNI or Arm dot products: uint8 activations, int8 weights per "
         "channel, int32 bias, every op that has an integer kernel",
     .activation = kU8,
     .weight = kS8,
     .ops = kOnnxRuntimeOps},
    {.name = "onnxruntime-cpu-avx2",
     .help = "the same with 7-bit weights: on CPUs without VNNI 16-bit intermediate sums saturate",
     .activation = kU8,
     .weight = kS7,
     .ops = kOnnxRuntimeOps},
    {.name = "tensorrt",
     .help =
         "NVIDIA TensorRT: symmetric int8 on inputs only, float bias, the skip input of residual "
         "additions",
     .engine = "TensorRT",
     .activation = kS8,
     .weight = kS8,
     .outputs = false,
     .absorb_clamps = false,
     .integer_bias = false,
     .add_skip_only = true,
     .least_channels = 16,
     .grouped_multiple = 8,
     .grouped_least_kernel = 3,
     .vector_products = false,
     .ops = kTensorRtOps},
    {.name = "openvino",
     .help =
         "OpenVINO: uint8 on inputs, int8 weights per channel, float bias, one scale for all that "
         "Concat joins",
     .engine = "OpenVINO",
     .activation = kU8,
     .weight = kS8,
     .outputs = false,
     .absorb_clamps = false,
     .integer_bias = false,
     .ops = kOpenVinoOps},
    {.name = "ncnn",
     .help = "ncnn: symmetric int8 on the inputs of convolutions and inner products, float bias",
     .engine = "ncnn",
     .activation = kS8,
     .weight = kS8,
     .outputs = false,
     .absorb_clamps = false,
     .integer_bias = false,
     .activation_products = false,
     .ops = kNcnnOps},
};

}  // namespace

const OpRule* TargetRecord::rule(std::string_view op) const {
  for (const OpRule& rule : ops)
    if (rule.op == op) return &rule;
  return nullptr;
}

void check_format(const TargetRecord& target, std::string_view format) {
  if (format == "qoperator" && !target.engine.empty())
    fail_usage(
        "'format' is qoperator, but integer operators are for ONNX Runtime: target '{}' ({}) reads "
        "qdq",
        target.name, target.engine);
}

const TargetRecord& find_target(std::string_view name) {
  std::vector<std::string> names;
  for (const TargetRecord& target : kTargets) {
    if (target.name == name) return target;
    names.emplace_back(target.name);
  }
  fail_usage("no target is called '{}'{}", printable(name), did_you_mean(name, names));
}

std::vector<TargetInfo> list_targets() {
  std::vector<TargetInfo> list;
  for (const TargetRecord& target : kTargets)
    list.push_back(
        {std::string(target.name), std::string(target.help), std::string(target.engine)});
  return list;
}

}  // namespace lapidary
