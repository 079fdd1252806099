// Conv(x[N,C,1,1], W[M,C,1,1], b)   =>   Reshape(Gemm(Flatten(x), W[M,C], b, transB), [0,M,1,1])
// where the result only changes shape before it leaves the graph or enters Softmax: a classifier's
// last layer. Engines run an integer Gemm with float results; a convolution's would be rounded
// again.
#include <algorithm>

#include "src/passes/channel_affine.h"
#include "src/passes/edit.h"
#include "src/passes/pass.h"
#include "src/passes/pointwise.h"

namespace lapidary {

namespace {

bool one_of(const Graph& graph, NodeId id, std::initializer_list<std::string_view> ops) {
  return std::any_of(ops.begin(), ops.end(),
                     [&](std::string_view op) { return is_op(graph, id, op); });
}

/// True where all that reads the value makes scores of it, or nothing does.
bool leaves_graph(const Graph& graph, ValueId id) {
  for (const Use& use : graph.value(id).uses) {
    if (use.capture) return false;
    if (one_of(graph, use.node, {"Softmax", "LogSoftmax", "Sigmoid"})) continue;
    if (!one_of(graph, use.node, {"Reshape", "Flatten", "Squeeze", "Identity"})) return false;
    if (!leaves_graph(graph, output_of(graph, use.node))) return false;
  }
  return true;
}

bool one_position(const Graph& graph, ValueId x) {
  const auto& shape = graph.value(x).type.shape;
  return shape && shape->size() == 4 && (*shape)[2] == Dim(1) && (*shape)[3] == Dim(1);
}

bool make_gemm(Graph& graph, NodeId conv) {
  if (!is_pointwise(graph, conv) || int_attr(graph, conv, "group", 1) != 1) return false;
  const ValueId x = graph.node(conv).inputs[0], y = output_of(graph, conv);
  if (graph.opset() < 11 || !one_position(graph, x) || !leaves_graph(graph, y)) return false;
  if (graph.value(graph.node(conv).inputs[1]).quant || graph.value(y).quant) return false;

  const ValueId kernel = own_constant(graph, conv, 1);
  const int64_t outputs = graph.constant(kernel)->dim(0), inputs = graph.constant(kernel)->dim(1);
  Tensor matrix = graph.constant(kernel)->reshaped({outputs, inputs});
  graph.mutable_value(kernel).type = tensor_type(matrix);
  graph.mutable_value(kernel).constant = std::move(matrix);

  const Dim batch = (*graph.value(x).type.shape)[0];
  const auto made = [&](std::string_view suffix, int64_t columns) {
    return graph.add_value(graph.unique_name(graph.value(y).name + std::string(suffix)),
                           {DType::kF32, std::vector<Dim>{batch, Dim(columns)}});
  };
  Node flatten, gemm, reshape;
  flatten.op = "Flatten";
  flatten.inputs = {x};
  flatten.outputs = {made("_in", inputs)};
  gemm.op = "Gemm";
  gemm.name = graph.node(conv).name;
  gemm.inputs = graph.node(conv).inputs;
  gemm.inputs[0] = flatten.outputs[0];
  gemm.outputs = {made("_flat", outputs)};
  gemm.attrs = {{"transB", int64_t{1}}};
  reshape.op = "Reshape";
  reshape.inputs = {gemm.outputs[0],
                    add_constant(graph, graph.value(y).name + "_shape",
                                 Tensor::of<int64_t>({4}, std::vector<int64_t>{0, outputs, 1, 1}))};
  reshape.outputs = {y};
  const NodeId before = graph.next(conv);
  graph.remove_node(conv);
  graph.add_node(std::move(flatten), before);
  graph.add_node(std::move(gemm), before);
  graph.add_node(std::move(reshape), before);
  return true;
}

}  // namespace

PassResult pointwise_gemm(Graph& graph, const PassOptions&) {
  return {rewrite(graph, make_gemm), {}};
}

}  // namespace lapidary
