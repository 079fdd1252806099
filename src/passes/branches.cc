#include "src/passes/branches.h"

#include <array>
#include <optional>
#include <unordered_map>

#include "src/base/fail.h"
#include "src/ops/control_flow.h"

namespace lapidary {

namespace {

using Body = std::shared_ptr<const Graph>;

constexpr std::array<std::string_view, 2> kBranches{"then_branch", "else_branch"};

/// The elements of an initializer or of what a Constant node makes.
std::optional<Tensor> elements_of(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  if (!value.producer) return value.constant;
  const Node& node = graph.node(value.producer);
  const Attr* made = node.is("Constant") ? node.attr("value") : nullptr;
  const Tensor* tensor = made ? std::get_if<Tensor>(made) : nullptr;
  return tensor ? std::optional(*tensor) : std::nullopt;
}

struct Lifted {
  ValueId inner;
  Tensor elements;
};

/// Constants of `body` that it reads from outside from now on.
std::vector<Lifted> take_constants(Graph& body) {
  lift_branch_constants(body);
  std::vector<Lifted> out;
  for (const ValueId id : body.values()) {
    const std::optional<Tensor> elements = elements_of(body, id);
    if (!elements || elements->dtype() != DType::kF32 || body.is_output(id) || body.is_input(id))
      continue;
    if (const NodeId producer = body.value(id).producer) body.remove_node(producer);
    Value& value = body.mutable_value(id);
    value.constant.reset();
    value.type = tensor_type(*elements);
    out.push_back({id, *elements});
  }
  return out;
}

class TakeIn {
 public:
  explicit TakeIn(Graph& graph) : graph_(graph) {}

  Branches run() {
    for (const NodeId id : graph_.nodes()) visit(id, -1);
    return std::move(out_);
  }

 private:
  void visit(NodeId id, int guard) {
    if (guard >= 0) {
      out_.guard_of[id] = guard;
      check_node(graph_, id);
    }
    if (!graph_.node(id).is("If")) return;
    with_context([&] { return node_label(graph_, id); }, [&] { take_in(id, guard); });
  }

  void take_in(NodeId id, int guard) {
    const Node node = graph_.node(id);
    std::vector<ValueId> results;
    for (const std::string_view branch : kBranches) {
      out_.guards.push_back({node.inputs[0], branch == kBranches[0], guard});
      const auto made = add(id, node, branch, static_cast<int>(out_.guards.size()) - 1);
      if (made.size() != node.outputs.size())
        fail_invalid("{} has {} outputs, the node needs {}", branch, made.size(),
                     node.outputs.size());
      results.insert(results.end(), made.begin(), made.end());
    }
    for (const std::string_view branch : kBranches) graph_.erase_attr(id, branch);
    graph_.set_captures(id, {});
    for (size_t i = 0; i < results.size(); ++i) graph_.set_input(id, i + 1, results[i]);
  }

  /// The nodes of a branch; returns its results.
  std::vector<ValueId> add(NodeId before, const Node& node, std::string_view attr, int guard) {
    const Graph& body = body_of(node, attr);
    std::unordered_map<uint32_t, ValueId> here;
    for (const Capture& capture : node.captures)
      if (capture.attr == attr) here[capture.inner.index] = capture.outer;
    for (const ValueId id : body.values()) {
      if (here.contains(id.index)) continue;
      const Value& value = body.value(id);
      if (body.is_input(id) && !value.constant) fail_invalid("{} has inputs", attr);
      const std::string name = graph_.unique_name(value.name);
      here[id.index] = value.constant ? graph_.add_constant(name, *value.constant)
                                      : graph_.add_value(name, value.type);
    }
    for (const NodeId id : body.nodes()) {
      Node copy = body.node(id);
      for (ValueId& v : copy.inputs) v = v ? here.at(v.index) : v;
      for (ValueId& v : copy.outputs) v = v ? here.at(v.index) : v;
      for (Capture& capture : copy.captures) capture.outer = here.at(capture.outer.index);
      visit(graph_.add_node(std::move(copy), before), guard);
    }
    std::vector<ValueId> results;
    for (const ValueId id : body.outputs()) results.push_back(here.at(id.index));
    return results;
  }

  Graph& graph_;
  Branches out_;
};

}  // namespace

int64_t lift_branch_constants(Graph& graph) {
  int64_t count = 0;
  for (const NodeId id : graph.nodes()) {
    if (!graph.node(id).is("If")) continue;
    std::vector<Capture> captures = graph.node(id).captures;
    for (const std::string_view attr : kBranches) {
      auto body = std::make_shared<Graph>(body_of(graph.node(id), attr));
      const std::vector<Lifted> lifted = take_constants(*body);
      if (lifted.empty()) continue;
      for (const auto& [inner, elements] : lifted) {
        const std::string name = graph.unique_name(body->value(inner).name);
        captures.push_back({graph.add_constant(name, elements), std::string(attr), 0, inner});
      }
      graph.set_attr(id, attr, Body(std::move(body)));
      count += static_cast<int64_t>(lifted.size());
    }
    graph.set_captures(id, std::move(captures));
  }
  return count;
}

Branches take_in_branches(Graph& graph) { return TakeIn(graph).run(); }

}  // namespace lapidary
