#include "src/exec/support.h"

#include <map>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ops/control_flow.h"

namespace lapidary::exec {

namespace {

std::string op_text(const Graph& graph, const Node& node) {
  const std::string name = node.domain.empty() ? node.op : node.domain + "." + node.op;
  const OpDef* def = find_op(node.domain, node.op);
  if (def == nullptr || (def->evaluate == nullptr && !is_control_flow(node)))
    return printable(name, 200);
  return fmt::format("{} of opset {}", printable(name, 200), graph.opset(node.domain));
}

bool executable(const Graph& graph, NodeId id) {
  const ResolvedOp op = resolve_op(graph, id);
  return op && op.def->evaluate != nullptr;
}

void count_missing(const Graph& graph, std::map<std::string, int64_t>& missing) {
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    if (is_control_flow(node)) {
      if (!resolve_op(graph, id)) ++missing[op_text(graph, node)];
      for (const auto& [name, attr] : node.attrs)
        if (const auto* body = std::get_if<std::shared_ptr<const Graph>>(&attr))
          count_missing(**body, missing);
    } else if (!executable(graph, id)) {
      ++missing[op_text(graph, node)];
    }
  }
}

}  // namespace

void check_executable(const Graph& graph) {
  std::map<std::string, int64_t> missing;
  count_missing(graph, missing);
  if (missing.empty()) return;
  std::vector<std::string> items;
  for (const auto& [name, count] : missing) items.push_back(fmt::format("{} ({})", name, count));
  fail_unsupported("cannot execute: {}; 'lapidary list ops' says what can be",
                   fmt::join(items, ", "));
}

}  // namespace lapidary::exec
