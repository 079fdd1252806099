#include <algorithm>
#include <cmath>

#include "src/ops/axis_flow.h"
#include "src/ops/elements.h"
#include "src/ops/rewrite.h"

// Softmax, LogSoftmax, Hardmax. Since version 13 along one axis (default -1); before it the input
// is seen as a matrix, [axes before `axis`, axes from it on] (default 1), and each row is
// normalised.

namespace lapidary {

namespace {

int64_t read_axis(const AttrView& attrs, int64_t rank) {
  const int64_t axis = attrs.get_int("axis", attrs.version() < 13 ? 1 : -1);
  // A scalar has no axis; as a matrix it is 1 x 1.
  if (attrs.version() < 13 && axis == rank) return axis;
  return InferContext::normalize_axis(axis, rank);
}

void infer_softmax(InferContext& context) {
  infer_same_float(context);
  if (const auto* shape = context.shape(0))
    read_axis(context.attrs(), static_cast<int64_t>(shape->size()));
}

/// y = exp(x - max) / sum exp(x - max), in float64.
void softmax(std::span<double> row) {
  double max = -INFINITY, sum = 0;
  for (double v : row) max = std::max(max, v);
  for (double& v : row) sum += v = std::exp(v - max);
  for (double& v : row) v /= sum;
}

/// y = x - max - log sum exp(x - max)
void log_softmax(std::span<double> row) {
  double max = -INFINITY, sum = 0;
  for (double v : row) max = std::max(max, v);
  for (double v : row) sum += std::exp(v - max);
  for (double& v : row) v = v - max - std::log(sum);
}

/// 1 at the first largest element, 0 elsewhere.
void hardmax(std::span<double> row) {
  const auto best = std::ranges::max_element(row);
  const auto at = best - row.begin();
  std::ranges::fill(row, 0.0);
  if (!row.empty()) row[static_cast<size_t>(at)] = 1;
}

template <void (*F)(std::span<double>)>
void evaluate_rows(EvalContext& context) {
  const Tensor& x = context.input(0);
  const auto axis = static_cast<size_t>(read_axis(context.attrs(), x.rank()));
  const std::span<const int64_t> shape = x.shape();
  const bool one_axis = context.version() >= 13;
  const int64_t length = one_axis ? shape[axis] : element_count(shape.subspan(axis));
  const int64_t inner = one_axis ? element_count(shape.subspan(axis + 1)) : 1;
  std::vector<double> values = read_as<double>(x), row(static_cast<size_t>(length));
  const int64_t rows = x.size() / std::max<int64_t>(1, length);
  for (int64_t r = 0; r < rows; ++r) {
    double* first = values.data() + r / inner * inner * length + r % inner;
    for (int64_t i = 0; i < length; ++i) row[static_cast<size_t>(i)] = first[i * inner];
    F(row);
    for (int64_t i = 0; i < length; ++i) first[i * inner] = row[static_cast<size_t>(i)];
  }
  context.set_output(0, make_from(x.dtype(), x.shape(), values));
}

void softmax_axes(AxisFlow& flow) {
  tie_same(flow, 0, 0);
  const int64_t rank = flow.input_rank(0), axis = read_axis(flow.attrs(), rank);
  for (int64_t i = axis; i < (flow.version() < 13 ? rank : axis + 1); ++i)
    flow.lossy(flow.input(0, i), "a softmax over the axis");
}

/// To version 13: the same where `axis` is the last one; else Flatten -> op -> Reshape to Shape(x).
void upgrade_to_13(Graph& graph, NodeId id) {
  const Node node = graph.node(id);
  const ValueId x = node.inputs[0], y = node.outputs[0];
  const int64_t axis = AttrView(node, 11).get_int("axis", 1);
  const auto shape = graph.value(x).type.shape;
  if (axis == -1 || (shape && axis + 1 == static_cast<int64_t>(shape->size()))) {
    graph.set_attr(id, "axis", int64_t{-1});
    return;
  }
  Rewrite rewrite(graph, id);
  const ValueId flat = rewrite.op("Flatten", {x}, {{"axis", axis}});
  const ValueId sizes = rewrite.op("Shape", {x});
  const ValueId rows = rewrite.op(node.op, {flat}, {{"axis", int64_t{-1}}});
  rewrite.replace("Reshape", {rows, sizes}, {}, y);
}

OpDef softmax_row(std::string_view name, void (*evaluate)(EvalContext&), QuantRole role) {
  return {.name = name,
          .versions = {1, 11, 13},
          .inputs = {1, 1},
          .outputs = {1, 1},
          .attrs = {{"axis", AttrKind::kInt}},
          .infer = infer_softmax,
          .evaluate = evaluate,
          .axes = softmax_axes,
          .role = role,
          .upgrades = {{13, upgrade_to_13}}};
}

}  // namespace

const OpDef& op_Softmax() {
  static const OpDef def = softmax_row("Softmax", evaluate_rows<softmax>, QuantRole::kCompute);
  return def;
}
const OpDef& op_LogSoftmax() {
  static const OpDef def = softmax_row("LogSoftmax", evaluate_rows<log_softmax>, QuantRole::kNone);
  return def;
}
const OpDef& op_Hardmax() {
  static const OpDef def = softmax_row("Hardmax", evaluate_rows<hardmax>, QuantRole::kNone);
  return def;
}

}  // namespace lapidary
