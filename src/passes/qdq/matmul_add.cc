// MatMul(a, b) + bias  =>  Gemm(a, b, bias), or
//   a[..., K] -> Reshape [M, K] -> Gemm -> Reshape [..., N] where a has other than two axes, all
//   known.
// ONNX Runtime does this before it looks at Q/DQ, and so decides which integer op there will be.
#include <algorithm>
#include <numeric>

#include "src/base/checked.h"
#include "src/passes/edit.h"
#include "src/passes/qdq/prepare.h"
#include "src/passes/qdq/qdq.h"

namespace lapidary {

namespace {

// A projection behind attention (softmax(..) @ v -> Transpose -> Reshape -> here) is left as it is.
bool projects_attention(const Graph& graph, ValueId a) {
  const NodeId reshape = producer_of(graph, a, "Reshape");
  if (!reshape) return false;
  const NodeId transpose = producer_of(graph, input_of(graph, reshape, 0), "Transpose");
  if (!transpose) return false;
  const NodeId product = producer_of(graph, input_of(graph, transpose, 0), "MatMul");
  return product && producer_of(graph, input_of(graph, product, 0), "Softmax");
}

bool is_size(const Dim& dim, int64_t size) { return dim.known() && dim.value == size; }

// What Gemm may add to [M, N]: [N], and without Reshapes also [1, N], [M, 1], [M, N].
bool fits_as_bias(const TensorType& bias, const Dim& m, const Dim& n, bool reshaped) {
  if (!bias.shape || !n.known()) return false;
  const auto& dims = *bias.shape;
  if (dims.size() == 1) return dims[0] == n;
  if (reshaped || dims.size() != 2) return false;
  if (is_size(dims[0], 1)) return dims[1] == n;
  return m.known() && dims[0] == m && (is_size(dims[1], 1) || dims[1] == n);
}

ValueId add_reshape(Graph& graph, ValueId from, Shape shape, const std::string& name, NodeId before,
                    ValueId to) {
  const auto rank = static_cast<int64_t>(shape.size());
  const ValueId sizes = add_constant(graph, name + "_shape", Tensor::of<int64_t>({rank}, shape));
  if (!to)
    to = graph.add_value(graph.unique_name(name), tensor_type(graph.value(from).type.dtype, shape));
  Node node;
  node.op = "Reshape";
  node.inputs = {from, sizes};
  node.outputs = {to};
  graph.add_node(std::move(node), before);
  return to;
}

bool fuse(Graph& graph, NodeId matmul, std::vector<LoweringNote>& notes) {
  const ValueId product = output_of(graph, matmul);
  const NodeId add = only_user(graph, product);
  if (!add || !is_op(graph, add, "Add")) return false;
  const ValueId a = input_of(graph, matmul, 0), b = input_of(graph, matmul, 1);
  if (!dequantized(graph, b) || graph.value(b).type.dtype != DType::kF32) return false;
  const auto& a_shape = graph.value(a).type.shape;
  const auto& b_shape = graph.value(b).type.shape;
  if (!a_shape || a_shape->empty() || !b_shape || b_shape->size() != 2) return false;
  const bool reshaped = a_shape->size() != 2;
  if (reshaped &&
      (projects_attention(graph, a) || !graph.value(a).type.is_static() || !(*b_shape)[0].known()))
    return false;
  const size_t bias_slot = input_of(graph, add, 0) == product ? 1 : 0;
  const ValueId bias = input_of(graph, add, bias_slot);
  if (bias == product ||
      !fits_as_bias(graph.value(bias).type, a_shape->front(), (*b_shape)[1], reshaped))
    return false;

  Shape rows;
  if (reshaped) rows = graph.value(a).type.static_shape();
  const ValueId sum = output_of(graph, add);
  const TensorType sum_type = graph.value(sum).type;
  const std::string name = graph.value(product).name;
  notes.push_back({node_key(graph, add), "Add", "Gemm",
                   "became the bias of '" + node_key(graph, matmul) + "'"});
  const NodeId before = graph.next(add);
  Node gemm;
  gemm.op = "Gemm";
  gemm.name = graph.node(matmul).name;
  graph.remove_node(add);
  graph.remove_node(matmul);
  if (!reshaped) {
    gemm.inputs = {a, b, bias};
    gemm.outputs = {sum};
    graph.add_node(std::move(gemm), before);
  } else {
    const int64_t k = (*b_shape)[0].value, n = (*b_shape)[1].value;
    int64_t m = 1;
    for (size_t i = 0; i + 1 < rows.size(); ++i) m = checked_mul(m, rows[i]);
    const ValueId flat = add_reshape(graph, a, {m, k}, name + "_rows", before, {});
    const Shape flat_sum{m, n};
    const ValueId made =
        graph.add_value(graph.unique_name(name + "_sum"), tensor_type(sum_type.dtype, flat_sum));
    gemm.inputs = {flat, b, bias};
    gemm.outputs = {made};
    graph.add_node(std::move(gemm), before);
    rows.back() = n;
    add_reshape(graph, made, rows, name + "_back", before, sum);
  }
  drop_unused(graph, product);
  return true;
}

}  // namespace

int64_t matmul_add_to_gemm(Graph& graph, std::vector<LoweringNote>& notes) {
  int64_t changes = 0;
  for (NodeId id : graph.nodes())
    if (graph.alive(id) && is_op(graph, id, "MatMul")) changes += fuse(graph, id, notes);
  return changes;
}

}  // namespace lapidary
