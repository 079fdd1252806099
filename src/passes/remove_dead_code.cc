// A node none of whose outputs is read or asked for, and a constant that nobody reads, go.
#include "src/passes/edit.h"
#include "src/passes/pass.h"

namespace lapidary {

PassResult remove_dead_code(Graph& graph, const PassOptions&) {
  PassResult result;
  const auto nodes = graph.nodes();
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
    if (!graph.alive(*it)) continue;
    bool needed = graph.node(*it).outputs.empty();
    ValueId any;
    for (ValueId out : graph.node(*it).outputs) {
      if (!out) continue;
      any = out;
      needed = needed || graph.use_count(out) != 0;
    }
    if (needed) continue;
    if (any) {
      result.changes += drop_unused(graph, any);
    } else {
      drop_node(graph, *it);
      ++result.changes;
    }
  }
  for (ValueId v : graph.values()) {
    if (!graph.alive(v) || graph.value(v).producer || graph.is_input(v) || graph.use_count(v) != 0)
      continue;
    graph.remove_value(v);
    ++result.changes;
  }
  return result;
}

}  // namespace lapidary
