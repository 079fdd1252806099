#include "src/train/program.h"

#include <algorithm>
#include <map>

namespace lapidary::train {

namespace {

/// Inputs and captures that a node reads.
std::vector<ValueId> reads(const Node& node) {
  std::vector<ValueId> out;
  for (const ValueId id : node.inputs)
    if (id) out.push_back(id);
  for (const Capture& capture : node.captures) out.push_back(capture.outer);
  return out;
}

}  // namespace

Program plan(const Graph& graph, const Analysis& analysis, const std::vector<ValueId>& wanted) {
  Program out;
  const std::set<ValueId> kept(wanted.begin(), wanted.end());
  std::set<ValueId> needed = kept;
  std::map<ValueId, int> readers;
  const auto computed = [&](ValueId id) {
    return graph.value(id).producer.valid() && analysis.values[id.index] != Dependence::kFixed;
  };
  const std::vector<NodeId> nodes = graph.nodes();
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
    const Node& node = graph.node(*it);
    if (std::none_of(node.outputs.begin(), node.outputs.end(),
                     [&](ValueId id) { return id && needed.contains(id) && computed(id); }))
      continue;
    Program::Step step{.node = *it};
    for (const ValueId id : reads(node)) {
      if (readers[id]++ == 0 && !kept.contains(id)) step.release.push_back(id);
      needed.insert(id);
    }
    for (const ValueId id : node.outputs)  // made, and read by nobody
      if (id && !needed.contains(id)) step.release.push_back(id);
    out.steps.push_back(std::move(step));
  }
  std::reverse(out.steps.begin(), out.steps.end());
  for (Program::Step& step : out.steps) {
    const Node& node = graph.node(step.node);
    for (size_t i = 0; i < std::min<size_t>(node.inputs.size(), 64); ++i) {
      const ValueId id = node.inputs[i];
      if (!id || readers[id] != 1 || kept.contains(id) || !computed(id)) continue;
      const Lowering* maker = analysis.nodes[graph.value(id).producer.index].lowering;
      if (maker && maker->fresh) step.overwritable |= uint64_t{1} << i;
    }
  }
  for (const ValueId id : needed) {
    if (computed(id)) continue;
    (graph.is_input(id) ? out.inputs : out.constants).push_back(id);
  }
  return out;
}

}  // namespace lapidary::train
