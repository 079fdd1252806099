#include "src/ops/inline_functions.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ops/function_body.h"
#include "src/ops/opdef.h"

namespace lapidary {

namespace {

constexpr int kMostCalls =
    100;  // around one another: each takes some stack, and a part of every name

using Subgraph = std::shared_ptr<const Graph>;
using Attrs = std::vector<std::pair<std::string, Attr>>;

/// What references in a body stand for.
struct Arguments {
  const Node& call;
  const Function& function;

  /// The call's attribute, else the default, else null: the referring attribute is absent too.
  const Attr* find(const std::string& name) const {
    if (const Attr* given = call.attr(name)) return given;
    for (const auto& [key, value] : function.defaults)
      if (key == name) return &value;
    return nullptr;
  }
};

Attrs bound_attrs(const Attrs& attrs, const Arguments& arguments);

Subgraph bound_subgraph(const Graph& graph, const Arguments& arguments) {
  auto out = std::make_shared<Graph>(graph);
  for (NodeId id : out->nodes()) {
    const Attrs before = out->node(id).attrs;
    for (const auto& [name, attr] : before) out->erase_attr(id, name);
    for (auto& [name, attr] : bound_attrs(before, arguments))
      out->set_attr(id, name, std::move(attr));
  }
  return out;
}

Attrs bound_attrs(const Attrs& attrs, const Arguments& arguments) {
  Attrs out;
  for (const auto& [name, attr] : attrs) {
    if (const auto* reference = std::get_if<AttrRef>(&attr)) {
      if (const Attr* value = arguments.find(reference->name)) out.emplace_back(name, *value);
    } else if (const auto* graph = std::get_if<Subgraph>(&attr)) {
      out.emplace_back(name, bound_subgraph(**graph, arguments));
    } else if (const auto* graphs = std::get_if<std::vector<Subgraph>>(&attr)) {
      std::vector<Subgraph> bound;
      for (const Subgraph& each : *graphs) bound.push_back(bound_subgraph(*each, arguments));
      out.emplace_back(name, std::move(bound));
    } else {
      out.emplace_back(name, attr);
    }
  }
  return out;
}

class Inliner {
 public:
  Inliner(std::vector<Function> functions, const InlineOptions& options)
      : functions_(std::move(functions)), options_(options) {
    for (const Function& f : functions_) by_name_[{f.domain, f.name}].push_back(&f);
  }

  /// `depth`: calls around this graph.
  void run(Graph& graph, int depth) {
    nodes_ += static_cast<int64_t>(graph.node_count());
    for (NodeId id : graph.nodes()) visit(graph, id, depth);
  }

 private:
  const Function* called(const Node& node) const {
    const auto found = by_name_.find({node.domain, node.op});
    if (found == by_name_.end()) return nullptr;
    if (found->second.size() > 1)
      fail_unsupported("function '{}' is overloaded, which is not supported",
                       printable(node.op, 100));
    return found->second[0];
  }

  void visit(Graph& graph, NodeId id, int depth) {
    if (depth > kMostCalls)
      fail(ErrorCode::kResource, "functions call each other more than {} deep, or in a circle",
           kMostCalls);
    visit_subgraphs(graph, id, depth);
    const Function* function = called(graph.node(id));
    if (function == nullptr) return;
    const std::string label = node_label(graph, id);
    const std::vector<NodeId> added =
        with_context([&] { return label; }, [&] { return inline_call(graph, id, *function); });
    for (NodeId each : added) visit(graph, each, depth + 1);
  }

  void visit_subgraphs(Graph& graph, NodeId id, int depth) {
    const Attrs attrs = graph.node(id).attrs;
    const auto inlined = [&](const Graph& inner) {
      auto copy = std::make_shared<Graph>(inner);
      run(*copy, depth);
      return copy;
    };
    for (const auto& [name, attr] : attrs) {
      if (const auto* one = std::get_if<Subgraph>(&attr)) {
        graph.set_attr(id, name, Subgraph(inlined(**one)));
      } else if (const auto* many = std::get_if<std::vector<Subgraph>>(&attr)) {
        std::vector<Subgraph> out;
        for (const Subgraph& each : *many) out.push_back(inlined(*each));
        graph.set_attr(id, name, std::move(out));
      }
    }
  }

  /// A body may be written for another opset, as long as its ops are the same ones there.
  static void check_opsets(const Graph& graph, const Graph& body) {
    for (NodeId id : body.nodes()) {
      const Node& node = body.node(id);
      const int64_t wanted = body.opset(node.domain), given = graph.opset(node.domain);
      if (wanted == given || given == 0) continue;
      const OpDef* def = find_op(node.domain, node.op);
      const int version = def ? op_version(*def, wanted) : 0;
      if (version == 0 || version != op_version(*def, given))
        fail_unsupported("the function uses {} of opset {}, the model imports {}",
                         printable(node.op, 100), wanted, given);
    }
  }

  std::vector<NodeId> inline_call(Graph& graph, NodeId call_id, const Function& function) {
    const Node call = graph.node(call_id);
    const Graph& body = *function.body;
    if (call.inputs.size() > body.inputs().size() || call.outputs.size() > body.outputs().size())
      fail_invalid("the call has {} inputs and {} outputs, the function {} and {}",
                   call.inputs.size(), call.outputs.size(), body.inputs().size(),
                   body.outputs().size());
    nodes_ += static_cast<int64_t>(body.node_count()) - 1;
    if (nodes_ > options_.max_nodes)
      fail(ErrorCode::kResource, "inlining the model's functions gives more than {} nodes",
           options_.max_nodes);
    check_opsets(graph, body);
    for (const OpsetImport& import : body.opsets)
      if (graph.opset(import.domain) == 0) graph.set_opset(import.domain, import.version);

    const std::string prefix = node_key(graph, call_id) + "/";
    const NodeId next = graph.next(call_id);
    graph.remove_node(call_id);
    const auto values = map_values(graph, call, body, prefix);
    std::vector<NodeId> added;
    for (NodeId id : body.nodes()) {
      Node node = body.node(id);
      for (ValueId& v : node.inputs) v = v ? values.at(v.index) : v;
      for (ValueId& v : node.outputs) v = v ? values.at(v.index) : v;
      for (Capture& capture : node.captures) {
        capture.outer = values.at(capture.outer.index);
        if (!capture.outer)
          fail_unsupported("a subgraph of the function reads an input that the call leaves out");
      }
      node.attrs = bound_attrs(node.attrs, {call, function});
      node.name = prefix + node_key(body, id);
      added.push_back(graph.add_node(std::move(node), next));
    }
    pass_through(graph, call, body, values, prefix, next);
    return added;
  }

  using ValueMap = std::unordered_map<uint32_t, ValueId>;

  /// Values of the body in the graph: what the call gives, then what it names, then new ones.
  static ValueMap map_values(Graph& graph, const Node& call, const Graph& body,
                             const std::string& prefix) {
    ValueMap values;
    for (size_t i = 0; i < body.inputs().size(); ++i)
      values[body.inputs()[i].index] = i < call.inputs.size() ? call.inputs[i] : ValueId{};
    for (size_t i = 0; i < call.outputs.size(); ++i)
      if (call.outputs[i] && body.value(body.outputs()[i]).producer)
        values.emplace(body.outputs()[i].index, call.outputs[i]);
    for (ValueId id : body.values()) {
      if (values.contains(id.index)) continue;
      const Value& value = body.value(id);
      const std::string name = graph.unique_name(prefix + value.name);
      values[id.index] = value.constant ? graph.add_constant(name, *value.constant)
                                        : graph.add_value(name, value.type);
    }
    return values;
  }

  /// Outputs that no node of the body makes anew: an input handed on, or one value under two names.
  static void pass_through(Graph& graph, const Node& call, const Graph& body,
                           const ValueMap& values, const std::string& prefix, NodeId next) {
    for (size_t i = 0; i < call.outputs.size(); ++i) {
      const ValueId out = call.outputs[i];
      if (!out || graph.value(out).producer) continue;
      const ValueId from = values.at(body.outputs()[i].index);
      if (!from) fail_invalid("output {} is an input that the call leaves out", i);
      Node identity;
      identity.op = "Identity";
      identity.name = fmt::format("{}output_{}", prefix, i);
      identity.inputs = {from};
      identity.outputs = {out};
      graph.add_node(std::move(identity), next);
    }
  }

  const std::vector<Function> functions_;
  const InlineOptions options_;
  std::map<std::pair<std::string, std::string>, std::vector<const Function*>> by_name_;
  int64_t nodes_ = 0;
};

}  // namespace

void inline_functions(Graph& graph, const InlineOptions& options) {
  std::vector<Function> functions = graph.model.functions;
  if (options.own_ops) std::ranges::move(own_functions(graph), std::back_inserter(functions));
  if (functions.empty()) return;
  Graph out = graph;
  Inliner(std::move(functions), options).run(out, 0);
  out.model.functions.clear();
  graph = std::move(out);
}

}  // namespace lapidary
