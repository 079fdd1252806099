#include "src/train/program.h"

#include <algorithm>
#include <map>

namespace lapidary::train {

namespace {

/// Inputs and captures that a node reads, and the conditions of its branch.
std::vector<ValueId> reads(const Graph& graph, const Analysis& analysis, NodeId id) {
  const Node& node = graph.node(id);
  std::vector<ValueId> out;
  for (int guard = analysis.nodes[id.index].guard; guard >= 0;) {
    const Guard& asked = analysis.guards[static_cast<size_t>(guard)];
    out.push_back(asked.condition);
    guard = asked.outer;
  }
  for (const ValueId id : node.inputs)
    if (id) out.push_back(id);
  for (const Capture& capture : node.captures) out.push_back(capture.outer);
  return out;
}

/// Steps that may be computed with the one before them, whose result nobody else reads and whose
/// other inputs are there from the beginning, go there.
template <class Alone>
void join_chains(const Graph& graph, const Analysis& analysis, Program& program,
                 const Alone& read_once) {
  std::map<ValueId, size_t> reader;
  for (size_t i = 0; i < program.steps.size(); ++i)
    for (const ValueId id : reads(graph, analysis, program.steps[i].node)) reader[id] = i;
  const auto result = [&](NodeId id) {
    const std::vector<ValueId>& outputs = graph.node(id).outputs;
    const auto made =
        std::count_if(outputs.begin(), outputs.end(), [](ValueId each) { return each.valid(); });
    return made == 1 ? outputs[0] : ValueId{};
  };
  for (Program::Step& step : program.steps) {
    const Lowering* lowering =
        step.node.valid() ? analysis.nodes[step.node.index].lowering : nullptr;
    if (lowering == nullptr || lowering->follows == nullptr) continue;
    for (std::vector<NodeId> chain{step.node};;) {
      const ValueId between = result(chain.back());
      if (!between || !read_once(between)) break;
      Program::Step& next = program.steps[reader.at(between)];
      const Node& node = graph.node(next.node);
      if (!node.captures.empty() || next.guard != step.guard || node.inputs[0] != between ||
          !result(next.node).valid() ||
          std::any_of(node.inputs.begin() + 1, node.inputs.end(), [&](ValueId id) {
            return id && graph.value(id).producer.valid() &&
                   analysis.values[id.index] != Dependence::kFixed;
          }))
        break;
      chain.push_back(next.node);
      if (!lowering->follows(graph, analysis, chain)) break;
      step.then.push_back(next.node);
      next.node = {};
    }
  }
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
    Program::Step step{.node = *it, .guard = analysis.nodes[it->index].guard};
    for (const ValueId id : reads(graph, analysis, *it)) {
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
  join_chains(graph, analysis, out,
              [&](ValueId id) { return computed(id) && readers[id] == 1 && !kept.contains(id); });
  for (const ValueId id : needed) {
    if (computed(id)) continue;
    (graph.is_input(id) ? out.inputs : out.constants).push_back(id);
  }
  return out;
}

}  // namespace lapidary::train
