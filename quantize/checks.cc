#include "quantize/checks.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ops/opdef.h"

namespace lapidary {

namespace {

constexpr std::string_view kIntegerOps[] = {
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv",
    "QLinearMatMul",  "ConvInteger",      "MatMulInteger",         "QGemm",
    "QLinearAdd",     "QLinearMul",       "MatMulIntegerToFloat",  "MatMulNBits"};

/// Clamps in place; how many elements were not finite, and the first.
std::pair<int64_t, int64_t> count_nonfinite(std::span<const float> x) {
  int64_t count = 0, first = -1;
  for (size_t i = 0; i < x.size(); ++i) {
    if (std::isfinite(x[i])) continue;
    if (first < 0) first = static_cast<int64_t>(i);
    ++count;
  }
  return {count, first};
}

void clamp_all(Tensor& tensor) {
  constexpr float kMost = std::numeric_limits<float>::max();
  for (float& x : tensor.mutable_data<float>())
    x = std::isnan(x) ? 0 : std::clamp(x, -kMost, kMost);
}

void check_finite(Graph& graph, ValueId id, const QuantizeOptions& options, QuantizeLog& log) {
  const auto [count, first] = count_nonfinite(graph.constant(id)->data<float>());
  if (count == 0) return;
  const std::string name = printable(graph.value(id).name);
  if (options.nonfinite != "clamp")
    fail_invalid(
        "weights '{}': {} of {} values are NaN or infinite, the first at index {}; "
        "nonfinite = clamp accepts them",
        name, count, graph.constant(id)->size(), first);
  clamp_all(*graph.mutable_value(id).constant);
  log.warnings.push_back(
      fmt::format("weights '{}': {} values that are not finite were clamped", name, count));
}

}  // namespace

bool is_quantized_model(const Graph& graph, std::string* where) {
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    if (std::find(std::begin(kIntegerOps), std::end(kIntegerOps), node.op) == std::end(kIntegerOps))
      continue;
    if (where) *where = node_label(graph, id);
    return true;
  }
  return false;
}

void check_quantizable(Graph& graph, const QuantizeOptions& options, QuantizeLog& log) {
  if (options.nonfinite != "error" && options.nonfinite != "clamp")
    fail_usage("nonfinite: '{}'; there are error and clamp", printable(options.nonfinite));
  std::string where;
  if (is_quantized_model(graph, &where) && !options.requantize)
    fail_usage("the model is quantized already ({}); requantize accepts it", where);
  for (const NodeId id : graph.nodes()) {
    const ResolvedOp op = resolve_op(graph, id);
    if (!op || op.def->role != QuantRole::kCompute) continue;
    for (const ValueId input : std::vector<ValueId>(graph.node(id).inputs)) {
      const Tensor* constant = input.valid() ? graph.constant(input) : nullptr;
      if (!constant) continue;
      if (is_float(constant->dtype()) && constant->dtype() != DType::kF32)
        fail_unsupported("{}: weights '{}' are {}; only float32 models are quantized",
                         node_label(graph, id), printable(graph.value(input).name),
                         dtype_name(constant->dtype()));
      if (constant->dtype() == DType::kF32) check_finite(graph, input, options, log);
    }
  }
}

}  // namespace lapidary
