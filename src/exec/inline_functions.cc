#include "src/exec/inline_functions.h"

#include <unordered_map>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ops/opdef.h"

namespace lapidary::exec {

namespace {

constexpr int kMaxDepth = 64;

using Functions = std::vector<Function>;

const Function* called(const Functions& functions, const Node& node) {
  for (const Function& f : functions)
    if (f.domain == node.domain && f.name == node.op) return &f;
  return nullptr;
}

/// A node of a body with references to the function's attributes resolved against the call.
std::vector<std::pair<std::string, Attr>> bound_attrs(const Node& node, const Node& call);

Graph bound_subgraph(const Graph& body, const Node& call) {
  Graph out = body;
  for (const NodeId id : out.nodes()) {
    const auto attrs = bound_attrs(out.node(id), call);
    for (const auto& [name, attr] : std::vector(out.node(id).attrs)) out.erase_attr(id, name);
    for (const auto& [name, attr] : attrs) out.set_attr(id, name, attr);
  }
  return out;
}

std::vector<std::pair<std::string, Attr>> bound_attrs(const Node& node, const Node& call) {
  std::vector<std::pair<std::string, Attr>> out;
  for (const auto& [name, attr] : node.attrs) {
    if (const auto* reference = std::get_if<AttrRef>(&attr)) {
      if (const Attr* given = call.attr(reference->name)) out.emplace_back(name, *given);
    } else if (const auto* graph = std::get_if<std::shared_ptr<const Graph>>(&attr)) {
      out.emplace_back(name, std::make_shared<const Graph>(bound_subgraph(**graph, call)));
    } else {
      out.emplace_back(name, attr);
    }
  }
  return out;
}

void check_opsets(const Graph& graph, const Function& function) {
  for (const NodeId id : function.body->nodes()) {
    const Node& node = function.body->node(id);
    const OpDef* def = find_op(node.domain, node.op);
    if (def == nullptr) continue;
    const int64_t wanted = function.body->opset(node.domain), given = graph.opset(node.domain);
    if (wanted != 0 && given != 0 && op_version(*def, wanted) != op_version(*def, given))
      fail_unsupported("function '{}' uses {} of opset {}, the model imports {}",
                       printable(function.name, 200), node.op, wanted, given);
  }
}

/// Copies the body before `call_id` and removes the call.
void inline_call(Graph& graph, NodeId call_id, const Function& function) {
  const Node call = graph.node(call_id);
  const Graph& body = *function.body;
  if (call.inputs.size() > body.inputs().size() || call.outputs.size() > body.outputs().size())
    fail_invalid("function '{}' takes {} inputs and has {} outputs, the call has {} and {}",
                 printable(function.name, 200), body.inputs().size(), body.outputs().size(),
                 call.inputs.size(), call.outputs.size());
  check_opsets(graph, function);
  for (const OpsetImport& import : body.opsets)
    if (graph.opset(import.domain) == 0) graph.set_opset(import.domain, import.version);
  const std::string prefix = node_key(graph, call_id) + "/";

  std::unordered_map<uint32_t, ValueId> values;  // of the body -> of the graph
  for (size_t i = 0; i < body.inputs().size(); ++i)
    values[body.inputs()[i].index] = i < call.inputs.size() ? call.inputs[i] : ValueId();
  for (const ValueId id : body.values()) {
    const Value& value = body.value(id);
    if (values.contains(id.index)) continue;
    const std::string name = graph.unique_name(prefix + value.name);
    values[id.index] = value.constant ? graph.add_constant(name, *value.constant) : graph.add_value(name);
  }
  for (const NodeId id : body.nodes()) {
    Node node = body.node(id);
    for (ValueId& v : node.inputs) v = v ? values.at(v.index) : v;
    for (ValueId& v : node.outputs) v = v ? values.at(v.index) : v;
    for (Capture& capture : node.captures) capture.outer = values.at(capture.outer.index);
    node.attrs = bound_attrs(node, call);
    node.name = prefix + node_key(body, id);
    graph.add_node(std::move(node), call_id);
  }
  graph.remove_node(call_id);
  for (size_t i = 0; i < call.outputs.size(); ++i) {
    if (!call.outputs[i]) continue;
    Node identity;
    identity.op = "Identity";
    identity.name = prefix + "output_" + std::to_string(i);
    identity.inputs = {values.at(body.outputs()[i].index)};
    identity.outputs = {call.outputs[i]};
    graph.add_node(std::move(identity));
  }
}

void inline_all(Graph& graph, const Functions& functions, int depth) {
  if (depth > kMaxDepth) fail_invalid("functions of the model call each other without end");
  bool any = false;
  for (const NodeId id : graph.nodes()) {
    for (const auto& [name, attr] : std::vector(graph.node(id).attrs))
      if (const auto* body = std::get_if<std::shared_ptr<const Graph>>(&attr)) {
        Graph copy = **body;
        inline_all(copy, functions, depth + 1);
        graph.set_attr(id, name, std::make_shared<const Graph>(std::move(copy)));
      }
    const Function* function = called(functions, graph.node(id));
    if (function == nullptr) continue;
    inline_call(graph, id, *function);
    any = true;
  }
  if (!any) return;
  graph.sort();
  inline_all(graph, functions, depth + 1);
}

}  // namespace

void inline_functions(Graph& graph) {
  const Functions functions = graph.model.functions;
  if (!functions.empty()) inline_all(graph, functions, 0);
}

}  // namespace lapidary::exec
