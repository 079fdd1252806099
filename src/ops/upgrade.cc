#include <algorithm>
#include <array>
#include <vector>

#include "lapidary/ops.h"
#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ops/infer.h"
#include "src/ops/input_constants.h"
#include "src/ops/opdef.h"

namespace lapidary {

namespace {

/// The IR version of the ONNX release that brought each opset (docs/Versioning.md): opset 7 is
/// first.
constexpr std::array<int64_t, 15> kIrOfOpset = {3, 3, 4, 5, 6, 7, 7, 7, 8, 8, 8, 8, 9, 9, 10};
static_assert(kIrOfOpset.size() == kWorkingOpset - kOldestWorkingOpset + 1);

int64_t ir_version_for(int64_t opset) {
  return opset < kOldestWorkingOpset ? 3
                                     : kIrOfOpset[static_cast<size_t>(opset - kOldestWorkingOpset)];
}

/// A rule to 7 understands all versions before it; without one the row must have that very version.
void require_understood_before_7(const OpDef& def, int opset) {
  const auto to_7 = std::ranges::find(def.upgrades, kOldestWorkingOpset, &UpgradeRule::to_version);
  if (to_7 == def.upgrades.end() && op_version(def, opset) == 0)
    fail_unsupported("{} of opset {} is not understood", def.name, opset);
}

/// Brings one node from opset `to` - 1 to `to`.
void upgrade_node(Graph& graph, NodeId id, int to) {
  const Node& node = graph.node(id);
  if (!node.domain.empty()) return;
  const OpDef* def = find_op("", node.op);
  const std::string op = printable(node.op, 100);
  if (def == nullptr)
    fail_unsupported(
        "{} is not in the op table: whether it means the same in opset {} is not known", op, to);
  if (to <= kOldestWorkingOpset) require_understood_before_7(*def, to - 1);
  const auto rule = std::ranges::find(def->upgrades, to, &UpgradeRule::to_version);
  if (rule == def->upgrades.end()) {
    if (std::ranges::count(def->later, to) > 0)
      fail_unsupported("version {} of {} is not understood", to, op);
    return;
  }
  if (rule->apply == nullptr)
    fail_unsupported("{} means something else from opset {} on, and no rule rewrites it", op, to);
  rule->apply(graph, id);
}

void upgrade_graph(Graph& graph, int64_t from, int64_t to);

std::shared_ptr<const Graph> upgraded(const Graph& graph, int64_t from, int64_t to) {
  auto copy = std::make_shared<Graph>(graph);
  upgrade_graph(*copy, from, to);
  return copy;
}

void upgrade_subgraphs(Graph& graph, NodeId id, int64_t from, int64_t to) {
  using One = std::shared_ptr<const Graph>;
  const auto attrs = graph.node(id).attrs;
  for (const auto& [name, attr] : attrs) {
    if (const auto* one = std::get_if<One>(&attr)) {
      graph.set_attr(id, name, upgraded(**one, from, to));
    } else if (const auto* many = std::get_if<std::vector<One>>(&attr)) {
      std::vector<One> out;
      for (const One& each : *many) out.push_back(upgraded(*each, from, to));
      graph.set_attr(id, name, std::move(out));
    }
  }
}

/// Version by version, so that nodes which a rule adds go through the rules of later versions too.
void upgrade_graph(Graph& graph, int64_t from, int64_t to) {
  for (NodeId id : graph.nodes())
    with_context([&] { return node_label(graph, id); },
                 [&] { upgrade_subgraphs(graph, id, from, to); });
  for (auto version = static_cast<int>(from) + 1; version <= to; ++version) {
    for (NodeId id : graph.nodes()) {
      if (!graph.alive(id)) continue;  // a rule of a neighbour took it away
      const std::string label = node_label(graph, id);
      with_context([&] { return label; }, [&] { upgrade_node(graph, id, version); });
    }
    graph.set_opset("", version);
  }
  graph.model.ir_version = std::max(graph.model.ir_version, ir_version_for(to));
}

}  // namespace

void upgrade_opset(Graph& graph, int64_t version) {
  const int64_t from = graph.opset();
  if (version > kWorkingOpset)
    fail_usage("cannot upgrade to opset {}: models are written up to opset {}", version,
               kWorkingOpset);
  if (version < from)
    fail_usage("the model imports opset {}, which cannot be lowered to {}", from, version);
  if (version == from) return;
  if (from == 0) {  // no node is of ai.onnx
    graph.set_opset("", version);
    return;
  }
  Graph out = graph;  // a rule that fails leaves the caller's graph as it was
  if (ir_version_for(version) >= 4) unlist_constants(out);
  upgrade_graph(out, from, version);
  infer_types(out);
  graph = std::move(out);
}

}  // namespace lapidary
