// DQ(a), DQ(b) -> MatMul -> Q   =>   QLinearMatMul: y = sat(rint(float(acc) * ((sa * sb[n]) / sy))
// + zy) DQ(a), DQ(b) -> MatMul        =>   MatMulIntegerToFloat: y = float(acc) * (sa * sb[n])
// DQ(a), DQ(b) [, DQ(c)] -> Gemm [-> Q]   =>   QGemm, the same with c (int32) inside acc
#include "src/passes/edit.h"
#include "src/passes/qdq/rules.h"

namespace lapidary {

namespace {

// Types and scales of the two factors; `columns` is the axis of b that holds the output's columns.
std::string check_factors(const Graph& graph, const NodeGroup& group, int64_t columns, int64_t rank,
                          const LoweringOptions& options) {
  const QdqNode &a = group.input(0), &b = group.input(1);
  if (auto bad = check_types(a, b, options); !bad.empty()) return bad;
  if (!a.one_scale(graph)) return "its first input has more than one scale";
  if (auto bad = check_weight_scales(graph, b, columns, rank); !bad.empty()) return bad;
  if (group.outputs.empty()) return {};
  if (group.outputs[0].storage != a.storage)
    return "its input and output are quantized to different types";
  return group.outputs[0].one_scale(graph) ? "" : "its output has more than one scale";
}

}  // namespace

RuleResult lower_matmul(Graph& graph, const NodeGroup& group, const LoweringOptions& options) {
  if (!group.refusal.empty()) return stays(group.refusal);
  // Without a Q behind it nothing is asked of the readers of the float output.
  if (auto bad = check_group(graph, group, SIZE_MAX, true); !bad.empty()) return stays(bad);
  const int64_t rank = rank_of(graph, group.input(1).data);
  if (auto bad = check_factors(graph, group, rank - 1, rank, options); !bad.empty())
    return stays(bad);
  const QdqNode &a = group.input(0), &b = group.input(1);
  Node node;
  const ValueId za = zero_point_or_zero(graph, a), zb = zero_point_or_zero(graph, b);
  if (group.outputs.empty()) {
    node.domain = "com.microsoft";
    node.op = "MatMulIntegerToFloat";
    node.inputs = {a.data, b.data, a.scale, b.scale, za, zb};
  } else {
    node.op = "QLinearMatMul";
    const ValueId zy = zero_point_or_zero(graph, group.outputs[0]);
    node.inputs = {a.data, a.scale, za, b.data, b.scale, zb, group.outputs[0].scale, zy};
  }
  std::string op = node.op;
  replace_group(graph, group, std::move(node));
  return lowered(std::move(op));
}

RuleResult lower_gemm(Graph& graph, const NodeGroup& group, const LoweringOptions& options) {
  if (auto bad = check_group(graph, group, SIZE_MAX, true); !bad.empty()) return stays(bad);
  const int64_t trans_b = int_attr(graph, group.node, "transB", 0);
  if (auto bad = check_factors(graph, group, trans_b != 0 ? 0 : 1, 2, options); !bad.empty())
    return stays(bad);
  const QdqNode &a = group.input(0), &b = group.input(1);
  std::string remark;
  if (group.has_input(2)) {
    if (float_attr(graph, group.node, "beta", 1.0f) != 1.0f) return stays("its beta is not 1");
    if (group.input(2).storage != DType::kI32) return stays("its bias is not int32");
    remark = bias_remark(a, b, group.input(2));
  }
  Node node;
  node.domain = "com.microsoft";
  node.op = "QGemm";
  for (const auto& [name, value] : graph.node(group.node).attrs)
    if (name != "beta") node.attrs.emplace_back(name, value);
  const ValueId za = zero_point_or_zero(graph, a), zb = zero_point_or_zero(graph, b);
  node.inputs = {a.data, a.scale, za, b.data, b.scale, zb};
  if (group.has_input(2)) node.inputs.push_back(group.input(2).data);
  if (!group.outputs.empty()) {
    if (!group.has_input(2)) node.inputs.push_back({});
    node.inputs.push_back(group.outputs[0].scale);
    node.inputs.push_back(zero_point_or_zero(graph, group.outputs[0]));
  }
  replace_group(graph, group, std::move(node));
  return lowered("QGemm", remark);
}

}  // namespace lapidary
