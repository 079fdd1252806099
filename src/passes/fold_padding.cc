// auto_pad SAME_* or VALID        =>   the pads it means, where the sizes are known (or strides are
// 1) Pad(x, p, 0) -> Conv(pads q)    =>   Conv(x, pads p + q) Pad(x, p, 0) -> AveragePool     =>
// AveragePool(x, pads p + q, count_include_pad), where q is counted too Pad(x, p, v) -> MaxPool =>
// MaxPool(x, pads p + q), where v is never the largest of a window:
//                                      v = -inf, or v = 0 and x >= 0
#include <algorithm>
#include <cmath>
#include <limits>

#include "src/ops/window.h"
#include "src/passes/edit.h"
#include "src/passes/pass.h"
#include "src/passes/qdq/qdq.h"

namespace lapidary {

namespace {

bool has_window(const Graph& graph, NodeId id) {
  return is_op(graph, id, "Conv") || is_op(graph, id, "MaxPool") || is_op(graph, id, "AveragePool");
}

std::optional<WindowAttrs> window_of(const Graph& graph, NodeId id) {
  const ResolvedOp op = resolve_op(graph, id);
  if (!op) return std::nullopt;
  std::vector<int64_t> kernel = ints_attr(graph, id, "kernel_shape");
  if (kernel.empty()) {
    const ValueId weights = input_of(graph, id, 1);
    const auto weight = weights ? static_shape(graph, weights) : std::nullopt;
    if (!weight || weight->size() < 3) return std::nullopt;
    kernel.assign(weight->begin() + 2, weight->end());
  }
  return read_window(AttrView(graph.node(id), op.version), std::move(kernel));
}

bool make_pads_explicit(Graph& graph, NodeId id) {
  const std::string mode = string_attr(graph, id, "auto_pad", "NOTSET");
  const auto& shape = graph.value(graph.node(id).inputs.at(0)).type.shape;
  const auto window = window_of(graph, id);
  if (mode == "NOTSET" || !window || !shape || shape->size() != window->rank() + 2) return false;
  const size_t rank = window->rank();
  std::vector<int64_t> pads(2 * rank);
  for (size_t axis = 0; axis < rank && mode != "VALID"; ++axis) {
    const Dim& in = (*shape)[axis + 2];
    // With stride 1 the output is as large as the input, whatever that is.
    if (!in.known() && window->strides[axis] != 1) return false;
    const WindowAxis resolved =
        resolve_axis(*window, axis, in.known() ? in.value : window->span(axis));
    pads[axis] = resolved.pad_begin;
    pads[axis + rank] = resolved.pad_end;
  }
  graph.erase_attr(id, "auto_pad");
  graph.set_attr(id, "pads", std::move(pads));
  return true;
}

struct Padding {
  std::vector<int64_t> begin, end;  // per axis of the tensor
  float value = 0;
};

std::optional<Padding> padding_of(const Graph& graph, NodeId pad) {
  if (string_attr(graph, pad, "mode", "constant") != "constant") return std::nullopt;
  const ValueId x = graph.node(pad).inputs.at(0);
  const int64_t rank = rank_of(graph, x);
  std::vector<int64_t> pads = ints_attr(graph, pad, "pads");
  Padding padding{{}, {}, float_attr(graph, pad, "value", 0)};
  if (pads.empty()) {
    const auto constant = constant_ints(graph, input_of(graph, pad, 1));
    if (!constant || input_of(graph, pad, 3)) return std::nullopt;
    pads = *constant;
    if (const ValueId value = input_of(graph, pad, 2)) {
      const auto number = constant_scalar(graph, value);
      if (!number) return std::nullopt;
      padding.value = *number;
    }
  }
  if (rank < 0 || static_cast<int64_t>(pads.size()) != 2 * rank) return std::nullopt;
  padding.begin.assign(pads.begin(), pads.begin() + rank);
  padding.end.assign(pads.begin() + rank, pads.end());
  return padding;
}

bool never_negative(const Graph& graph, ValueId x) {
  const NodeId made_by = graph.value(x).producer;
  if (!made_by) return false;
  if (is_op(graph, made_by, "Relu") || is_op(graph, made_by, "Sigmoid")) return true;
  const auto bounds = is_op(graph, made_by, "Clip") ? clip_bounds(graph, made_by) : std::nullopt;
  return bounds && bounds->low >= 0 && bounds->high >= 0;
}

// The pads of the window alone are what its op counts as it counts the new ones.
bool may_absorb(const Graph& graph, NodeId id, const Padding& padding,
                const std::vector<int64_t>& merged, const WindowAttrs& window) {
  if (is_op(graph, id, "Conv")) return padding.value == 0;
  // A window that lies in the padding alone has no largest element, and rounding the count of
  // windows up would add some.
  if (window.ceil_mode) return false;
  const size_t rank = window.rank();
  for (size_t axis = 0; axis < rank; ++axis)
    if (merged[axis] >= window.span(axis) || merged[axis + rank] >= window.span(axis)) return false;
  if (is_op(graph, id, "MaxPool")) {
    const ValueId x = graph.node(producer_of(graph, graph.node(id).inputs[0], "Pad")).inputs[0];
    return graph.node(id).outputs.size() == 1 &&
           (padding.value <= std::numeric_limits<float>::lowest() ||
            (padding.value == 0 && never_negative(graph, x)));
  }
  const bool counted = int_attr(graph, id, "count_include_pad", 0) != 0;
  const bool has_pads =
      std::any_of(window.pads.begin(), window.pads.end(), [](int64_t p) { return p > 0; });
  return padding.value == 0 && graph.opset() >= 7 && (counted || !has_pads);
}

bool absorb_pad(Graph& graph, NodeId id) {
  const ValueId padded = graph.node(id).inputs.at(0);
  const NodeId pad = producer_of(graph, padded, "Pad");
  if (!pad || graph.value(padded).quant || graph.is_output(padded)) return false;
  const auto padding = padding_of(graph, pad);
  const auto window = window_of(graph, id);
  if (!padding || !window || window->auto_pad != WindowAttrs::AutoPad::kNotSet ||
      padding->begin.size() != window->rank() + 2)
    return false;
  const size_t rank = window->rank();
  std::vector<int64_t> merged(2 * rank);
  for (size_t axis = 0; axis < rank + 2; ++axis) {
    const int64_t begin = padding->begin[axis], end = padding->end[axis];
    if (begin < 0 || end < 0 || (axis < 2 && begin + end != 0)) return false;
    if (axis < 2) continue;
    merged[axis - 2] = begin + window->pads[axis - 2];
    merged[axis - 2 + rank] = end + window->pads[axis - 2 + rank];
  }
  if (!may_absorb(graph, id, *padding, merged, *window)) return false;
  graph.set_input(id, 0, graph.node(pad).inputs[0]);
  graph.set_attr(id, "pads", std::move(merged));
  if (is_op(graph, id, "AveragePool")) graph.set_attr(id, "count_include_pad", int64_t{1});
  drop_unused(graph, padded);
  return true;
}

}  // namespace

PassResult fold_padding(Graph& graph, const PassOptions&) {
  return {rewrite(graph,
                  [](Graph& g, NodeId id) {
                    return has_window(g, id) && (make_pads_explicit(g, id) || absorb_pad(g, id));
                  }),
          {}};
}

}  // namespace lapidary
