// MatMul(a[M,K], b[K,N]) + c          =>   Gemm(a, b, c), for constant b and c, c of N elements
// Gemm(Transpose(a), b)               =>   Gemm(a, b, transA)      (and the same for b)
// Gemm(a, b, transB), b constant      =>   Gemm(a, b^T)            (and the same for a)
// Gemm(a, b, c, alpha, beta)          =>   Gemm(a, alpha b, beta c), for constant b and c
#include <algorithm>

#include "src/passes/channel_affine.h"
#include "src/passes/edit.h"
#include "src/passes/pass.h"

namespace lapidary {

namespace {

bool matmul_add(Graph& graph, NodeId add) {
  if (!is_op(graph, add, "Add")) return false;
  for (size_t slot = 0; slot < 2; ++slot) {
    const ValueId product = graph.node(add).inputs[slot], bias = graph.node(add).inputs[1 - slot];
    const NodeId matmul = producer_of(graph, product, "MatMul");
    if (!matmul || only_user(graph, product) != add || graph.value(product).quant) continue;
    const ValueId a = input_of(graph, matmul, 0), b = input_of(graph, matmul, 1);
    const Tensor *weight = graph.constant(b), *c = graph.constant(bias);
    if (weight == nullptr || c == nullptr || rank_of(graph, a) != 2 || weight->rank() != 2)
      continue;
    const bool row = c->rank() == 1 || (c->rank() == 2 && c->dim(0) == 1);
    if (!is_float(weight->dtype()) || !row || c->dim(-1) != weight->dim(1)) continue;
    Node gemm;
    gemm.op = "Gemm";
    gemm.name = graph.node(matmul).name;
    gemm.inputs = {a, b, bias};
    gemm.outputs = {output_of(graph, add)};
    const NodeId before = graph.next(add);
    graph.remove_node(add);
    graph.add_node(std::move(gemm), before);
    drop_unused(graph, product);
    return true;
  }
  return false;
}

Tensor transposed(const Tensor& matrix) {
  Tensor out(matrix.dtype(), {matrix.dim(1), matrix.dim(0)});
  const size_t bytes = dtype_size(matrix.dtype());
  const auto rows = static_cast<size_t>(matrix.dim(0)),
             columns = static_cast<size_t>(matrix.dim(1));
  const auto* from = static_cast<const char*>(matrix.raw());
  auto* to = static_cast<char*>(out.mutable_raw());
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c)
      std::copy_n(from + (r * columns + c) * bytes, bytes, to + (c * rows + r) * bytes);
  return out;
}

bool fold_transpose(Graph& graph, NodeId gemm, size_t slot, std::string_view flag) {
  const ValueId factor = graph.node(gemm).inputs[slot];
  const bool flipped = int_attr(graph, gemm, flag, 0) != 0;
  if (const Tensor* constant = graph.constant(factor)) {
    if (!flipped || constant->rank() != 2 || constant->dtype() == DType::kString ||
        graph.value(factor).quant)
      return false;
    const ValueId own = own_constant(graph, gemm, slot);
    Tensor turned = transposed(*graph.constant(own));
    graph.mutable_value(own).type = tensor_type(turned);
    graph.mutable_value(own).constant = std::move(turned);
    graph.erase_attr(gemm, flag);
    return true;
  }
  const NodeId transpose = producer_of(graph, factor, "Transpose");
  if (!transpose || graph.value(factor).quant) return false;
  const auto perm = ints_attr(graph, transpose, "perm");
  if (!perm.empty() && perm != std::vector<int64_t>{1, 0}) return false;
  graph.set_input(gemm, slot, graph.node(transpose).inputs[0]);
  if (flipped)
    graph.erase_attr(gemm, flag);
  else
    graph.set_attr(gemm, flag, int64_t{1});
  drop_unused(graph, factor);
  return true;
}

bool fold_factor(Graph& graph, NodeId gemm, size_t slot, std::string_view attr) {
  const float factor = float_attr(graph, gemm, attr, 1.0f);
  const ValueId id = input_of(graph, gemm, slot);
  if (factor == 1.0f || !id) return false;
  const Tensor* constant = graph.constant(id);
  if (constant == nullptr || constant->dtype() != DType::kF32 || graph.value(id).quant)
    return false;
  const ValueId own = own_constant(graph, gemm, slot);
  Tensor scaled = *graph.constant(own);
  for (float& v : scaled.mutable_data<float>()) v *= factor;
  graph.mutable_value(own).constant = std::move(scaled);
  graph.erase_attr(gemm, attr);
  return true;
}

bool canonicalize(Graph& graph, NodeId id) {
  if (!is_op(graph, id, "Gemm")) return matmul_add(graph, id);
  bool changed = fold_transpose(graph, id, 0, "transA");
  changed = fold_transpose(graph, id, 1, "transB") || changed;
  changed = fold_factor(graph, id, 1, "alpha") || changed;
  return fold_factor(graph, id, 2, "beta") || changed;
}

}  // namespace

PassResult canonical_gemm(Graph& graph, const PassOptions&) {
  return {rewrite(graph, canonicalize), {}};
}

}  // namespace lapidary
