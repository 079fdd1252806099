#include "src/passes/pointwise.h"

#include <algorithm>

#include "src/passes/edit.h"

namespace lapidary {

bool is_pointwise(const Graph& graph, NodeId conv) {
  if (!is_op(graph, conv, "Conv")) return false;
  const Tensor* kernel = graph.constant(input_of(graph, conv, 1));
  if (kernel == nullptr || kernel->dtype() != DType::kF32 || kernel->rank() < 3) return false;
  const auto all = [](const std::vector<int64_t>& list, int64_t v) {
    return std::all_of(list.begin(), list.end(), [&](int64_t i) { return i == v; });
  };
  for (int64_t axis = 2; axis < kernel->rank(); ++axis)
    if (kernel->dim(axis) != 1) return false;
  // SAME_* and VALID pad a 1x1 kernel of stride 1 by nothing.
  return all(ints_attr(graph, conv, "strides"), 1) && all(ints_attr(graph, conv, "pads"), 0);
}

}  // namespace lapidary
