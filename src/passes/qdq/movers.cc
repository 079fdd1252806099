// DQ -> mover -> Q with one scale and zero point   =>   mover on the integers
//   exact, since q(dq(i)) = i; MaxPool, ReduceMax and ReduceMin also need order kept: scale > 0.
// DQ -> ArgMax   =>   ArgMax on the integers
#include "src/base/fail.h"
#include "src/passes/edit.h"
#include "src/passes/qdq/rules.h"

namespace lapidary {

namespace {

std::string check_mover(const Graph& graph, const NodeGroup& group) {
  if (auto bad = check_group(graph, group, 1); !bad.empty()) return bad;
  for (size_t i = 1; i < group.inputs.size(); ++i)
    if (group.inputs[i]) return fmt::format("its input {} is dequantized, input 0 is not", i);
  const auto bits = dtype_bits(group.input(0).storage);
  if (bits != 8 && bits != 16) return "its type is neither of 8 nor of 16 bits";
  for (const QdqNode& y : group.outputs) {
    if (!group.input(0).constant_scalar() || !y.constant_scalar())
      return "a scale or zero point of it is not one constant";
    if (!group.input(0).zero_point || !y.zero_point) return "a zero point of it is not stated";
    if (!same_params(group.input(0), y))
      return "its input and output are quantized with different parameters";
  }
  return {};
}

// The node reads the integers and makes what the Q behind each output made.
RuleResult move_integers(Graph& graph, const NodeGroup& group) {
  const ValueId was_input = graph.node(group.node).inputs[0];
  const DType storage = group.input(0).storage;
  graph.set_input(group.node, 0, group.input(0).data);
  for (const QdqNode& y : group.outputs) {
    const ValueId was = y.data;
    const size_t slot = graph.value(was).producer_slot;
    const Node q = graph.node(y.node);
    graph.remove_node(y.node);
    graph.set_output(group.node, slot, y.output);
    Value& made = graph.mutable_value(y.output);
    if (!made.type.shape) made.type.shape = graph.value(was).type.shape;
    made.type.dtype = storage;
    drop_unused(graph, was);
    for (size_t i = 1; i < q.inputs.size(); ++i) drop_unused(graph, q.inputs[i]);
  }
  drop_unused(graph, was_input);
  return lowered(graph.node(group.node).op + " on " + dtype_name(storage));
}

}  // namespace

RuleResult lower_mover(Graph& graph, const NodeGroup& group, const LoweringOptions&) {
  if (auto bad = check_mover(graph, group); !bad.empty()) return stays(bad);
  return move_integers(graph, group);
}

RuleResult lower_extremum(Graph& graph, const NodeGroup& group, const LoweringOptions&) {
  if (auto bad = check_mover(graph, group); !bad.empty()) return stays(bad);
  if (auto bad = check_8bit(group.input(0), "its input"); !bad.empty()) return stays(bad);
  if (!(group.input(0).scale_value() > 0)) return stays("its scale is not positive");
  return move_integers(graph, group);
}

RuleResult lower_resize(Graph& graph, const NodeGroup& group, const LoweringOptions&) {
  if (string_attr(graph, group.node, "mode", "nearest") != "nearest")
    return stays("it interpolates; on integers that would round once more");
  if (auto bad = check_mover(graph, group); !bad.empty()) return stays(bad);
  if (auto bad = check_8bit(group.input(0), "its input"); !bad.empty()) return stays(bad);
  return move_integers(graph, group);
}

RuleResult lower_split(Graph& graph, const NodeGroup& group, const LoweringOptions&) {
  if (auto bad = check_mover(graph, group); !bad.empty()) return stays(bad);
  return move_integers(graph, group);
}

RuleResult lower_argmax(Graph& graph, const NodeGroup& group, const LoweringOptions&) {
  if (group.dequantized != 1 || !group.has_input(0)) return stays("its input is not dequantized");
  const QdqNode& x = group.input(0);
  if (auto bad = check_8bit(x, "its input"); !bad.empty()) return stays(bad);
  if (!x.constant_scalar() || !x.zero_point)
    return stays("its scale or zero point is not one constant");
  if (!(x.scale_value() > 0)) return stays("its scale is not positive");
  const ValueId was = graph.node(group.node).inputs[0];
  graph.set_input(group.node, 0, x.data);
  drop_unused(graph, was);
  return lowered("ArgMax on " + dtype_name(x.storage));
}

}  // namespace lapidary
