// GlobalAveragePool(W x + b)   =>   W GlobalAveragePool(x) + b,   W a 1x1 convolution of stride 1
// The mean of a linear map is the map of the mean: one position is computed instead of H W.
#include <algorithm>

#include "src/passes/edit.h"
#include "src/passes/pass.h"
#include "src/passes/pointwise.h"

namespace lapidary {

namespace {

bool pool_before(Graph& graph, NodeId pool) {
  if (!is_op(graph, pool, "GlobalAveragePool")) return false;
  const ValueId mapped = graph.node(pool).inputs[0], y = output_of(graph, pool);
  const NodeId conv = producer_of(graph, mapped, "Conv");
  if (!conv || only_user(graph, mapped) != pool || !is_pointwise(graph, conv)) return false;
  const ValueId x = graph.node(conv).inputs[0];
  const auto& shape = graph.value(x).type.shape;
  if (!shape || graph.value(mapped).quant || graph.value(y).quant) return false;

  std::vector<Dim> dims = *shape;
  std::fill(dims.begin() + 2, dims.end(), Dim(1));
  Node first = graph.node(pool);
  const ValueId mean = graph.add_value(graph.unique_name(graph.value(x).name + "_mean"),
                                       {DType::kF32, std::move(dims)});
  first.inputs = {x};
  first.outputs = {mean};
  graph.remove_node(pool);
  graph.add_node(std::move(first), conv);
  graph.set_input(conv, 0, mean);
  graph.set_output(conv, 0, y);
  graph.remove_value(mapped);
  return true;
}

}  // namespace

PassResult pool_first(Graph& graph, const PassOptions&) {
  return {rewrite(graph, pool_before), {}};
}

}  // namespace lapidary
