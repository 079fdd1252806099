// Transpose(Transpose(x, p), q)  =>  Transpose(x, r) with r[i] = p[q[i]]; x itself where r is the
// order. Transpose of a constant is computed by fold_constants.
#include <algorithm>

#include "src/passes/edit.h"
#include "src/passes/pass.h"

namespace lapidary {

namespace {

bool merge(Graph& graph, NodeId second) {
  if (!is_op(graph, second, "Transpose")) return false;
  const ValueId between = graph.node(second).inputs[0];
  const NodeId first = producer_of(graph, between, "Transpose");
  if (!first || graph.value(between).quant) return false;
  const auto p = transposed_axes(graph, first), q = transposed_axes(graph, second);
  if (p.empty() || p.size() != q.size()) return false;
  std::vector<int64_t> r;
  for (int64_t i : q) r.push_back(p.at(static_cast<size_t>(i)));
  const ValueId x = graph.node(first).inputs[0];
  if (std::is_sorted(r.begin(), r.end()) && can_replace(graph, output_of(graph, second), x)) {
    bypass(graph, second, x);
    return true;
  }
  graph.set_input(second, 0, x);
  graph.set_attr(second, "perm", r);
  drop_unused(graph, between);
  return true;
}

}  // namespace

PassResult merge_transposes(Graph& graph, const PassOptions&) {
  return {rewrite(graph, merge), {}};
}

}  // namespace lapidary
