// DQ(a), DQ(b) -> Add | Mul -> Q                 =>  com.microsoft QLinearAdd | QLinearMul
// DQ(x) -> AveragePool | GlobalAveragePool | LeakyRelu | Sigmoid | Softmax -> Q
//                                                =>  com.microsoft QLinear<op>
// DQ(x1), DQ(x2), ... -> Concat -> Q             =>  com.microsoft QLinearConcat
#include "src/base/fail.h"
#include "src/passes/edit.h"
#include "src/passes/qdq/rules.h"

namespace lapidary {

namespace {

// All of one 8-bit type with one scale each.
std::string check_uniform(const Graph& graph, const NodeGroup& group) {
  const QdqNode& y = group.outputs[0];
  if (auto bad = check_8bit(y, "its output"); !bad.empty()) return bad;
  if (!y.one_scale(graph)) return "its output has more than one scale";
  for (const auto& in : group.inputs) {
    if (!in) continue;
    if (in->storage != y.storage)
      return fmt::format("an input is {}, its output {}", dtype_name(in->storage),
                         dtype_name(y.storage));
    if (!in->one_scale(graph)) return "an input of it has more than one scale";
  }
  return {};
}

Node qlinear(const Graph& graph, const NodeGroup& group) {
  Node node;
  node.domain = "com.microsoft";
  node.op = "QLinear" + graph.node(group.node).op;
  node.attrs = graph.node(group.node).attrs;
  return node;
}

RuleResult put(Graph& graph, const NodeGroup& group, Node node) {
  std::string op = node.op;
  replace_group(graph, group, std::move(node));
  return lowered(std::move(op));
}

}  // namespace

RuleResult lower_binary(Graph& graph, const NodeGroup& group, const LoweringOptions&) {
  if (auto bad = check_group(graph, group); !bad.empty()) return stays(bad);
  if (auto bad = check_uniform(graph, group); !bad.empty()) return stays(bad);
  const QdqNode &a = group.input(0), &b = group.input(1), &y = group.outputs[0];
  Node node = qlinear(graph, group);
  const ValueId za = zero_point_or_zero(graph, a), zb = zero_point_or_zero(graph, b),
                zy = zero_point_or_zero(graph, y);
  node.inputs = {a.data, a.scale, za, b.data, b.scale, zb, y.scale, zy};
  return put(graph, group, std::move(node));
}

RuleResult lower_unary(Graph& graph, const NodeGroup& group, const LoweringOptions&) {
  if (auto bad = check_group(graph, group, 1); !bad.empty()) return stays(bad);
  if (auto bad = check_uniform(graph, group); !bad.empty()) return stays(bad);
  const QdqNode &x = group.input(0), &y = group.outputs[0];
  Node node = qlinear(graph, group);
  if (node.op == "QLinearSoftmax") {
    // Softmax changed its meaning (2-D coercion) and its default axis at opset 13.
    const int64_t opset = graph.opset();
    node.attrs.emplace_back("opset", opset >= 13   ? int64_t{13}
                                     : opset >= 11 ? int64_t{11}
                                                   : int64_t{1});
    if (graph.node(group.node).attr("axis") == nullptr)
      node.attrs.emplace_back("axis", opset >= 13 ? int64_t{-1} : int64_t{1});
  }
  const ValueId zx = zero_point_or_zero(graph, x), zy = zero_point_or_zero(graph, y);
  node.inputs = {x.data, x.scale, zx, y.scale, zy};
  return put(graph, group, std::move(node));
}

RuleResult lower_concat(Graph& graph, const NodeGroup& group, const LoweringOptions&) {
  if (auto bad = check_group(graph, group); !bad.empty()) return stays(bad);
  if (auto bad = check_uniform(graph, group); !bad.empty()) return stays(bad);
  const QdqNode& y = group.outputs[0];
  Node node = qlinear(graph, group);
  node.inputs = {y.scale, zero_point_or_zero(graph, y)};
  for (const auto& in : group.inputs) {
    const ValueId zero = zero_point_or_zero(graph, *in);
    node.inputs.insert(node.inputs.end(), {in->data, in->scale, zero});
  }
  return put(graph, group, std::move(node));
}

}  // namespace lapidary
