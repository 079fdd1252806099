#include <algorithm>
#include <tuple>

#include "lapidary/ops.h"
#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ops/fake_quantize.h"
#include "src/ops/opdef.h"

namespace lapidary {

#define LAPIDARY_OP(name) const OpDef& op_##name();
#include "src/ops/ops.def"
#undef LAPIDARY_OP

namespace {

using Key = std::pair<std::string_view, std::string_view>;
Key key_of(const OpDef* def) { return {def->domain, def->name}; }

std::vector<const OpDef*> sorted_rows() {
  std::vector<const OpDef*> rows = {
#define LAPIDARY_OP(name) &op_##name(),
#include "src/ops/ops.def"
#undef LAPIDARY_OP
  };
  std::ranges::sort(rows, {}, key_of);
  return rows;
}

std::string_view canonical_domain(std::string_view domain) {
  return domain == "ai.onnx" ? std::string_view() : domain;
}

/// The newest since-version, understood or not, that is not above `opset`; 0 if none.
int since_version(const OpDef& def, int64_t opset) {
  int since = 0;
  for (const std::vector<int>* list : {&def.versions, &def.later})
    for (int v : *list)
      if (v <= opset) since = std::max(since, v);
  return since;
}

/// Control flow: an executor runs the graphs that it holds.
bool holds_graphs(const OpDef& def) {
  return std::ranges::count(def.attrs, AttrKind::kGraph, &AttrSpec::kind) > 0;
}

}  // namespace

std::span<const OpDef* const> all_ops() {
  static const std::vector<const OpDef*> rows = sorted_rows();
  return rows;
}

const OpDef* find_op(std::string_view domain, std::string_view name) {
  const auto rows = all_ops();
  const Key key{canonical_domain(domain), name};
  const auto found = std::ranges::lower_bound(rows, key, {}, key_of);
  return found != rows.end() && key_of(*found) == key ? *found : nullptr;
}

int op_version(const OpDef& def, int64_t opset) {
  if (def.domain.empty() && opset > kNewestOpset) return 0;
  if (def.domain == kOwnDomain && opset > kNewestOwnOpset) return 0;
  const int since = since_version(def, opset);
  return std::ranges::count(def.versions, since) > 0 ? since : 0;
}

ResolvedOp resolve_op(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const OpDef* def = find_op(node.domain, node.op);
  const int version = def ? op_version(*def, graph.opset(node.domain)) : 0;
  return version > 0 ? ResolvedOp{def, version} : ResolvedOp{};
}

ResolvedOp require_op(const Graph& graph, NodeId id) {
  if (const ResolvedOp op = resolve_op(graph, id)) return op;
  const Node& node = graph.node(id);
  const std::string domain = node.domain.empty() ? "ai.onnx" : printable(node.domain, 100);
  const std::string op = printable(node.op, 100);
  const OpDef* def = find_op(node.domain, node.op);
  if (def == nullptr) fail_unsupported("{} of domain {} is not in the op table", op, domain);
  const int64_t opset = graph.opset(node.domain);
  if (opset == 0) fail_invalid("domain {} is not imported; add an opset_import for it", domain);
  const int since = since_version(*def, opset);
  if (def->domain.empty() && opset > kNewestOpset)
    fail_unsupported("{} of opset {}: opsets are known up to {}", op, opset, kNewestOpset);
  fail_unsupported("{} version {} (opset {} of {}) is not understood; versions {} are", op,
                   since > 0 ? std::to_string(since) : "?", opset, domain,
                   fmt::join(def->versions, ", "));
}

std::vector<OpSupport> list_ops() {
  std::vector<OpSupport> out;
  for (const OpDef* def : all_ops())
    out.push_back({.domain = std::string(def->domain),
                   .name = std::string(def->name),
                   .versions = def->versions,
                   .shape = def->infer != nullptr,
                   .reference = def->evaluate != nullptr || holds_graphs(*def),
                   .quantize = def->role != QuantRole::kNone && def->role != QuantRole::kInteger,
                   .prune = def->axes != nullptr});
  return out;
}

}  // namespace lapidary
