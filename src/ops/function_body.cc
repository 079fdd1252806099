#include "src/ops/function_body.h"

#include <algorithm>
#include <map>

#include "src/base/fail.h"

namespace lapidary {

namespace {

/// AttributeProto.AttributeType, and the attribute of Constant.
struct RefKind {
  int32_t type;
  const char* constant;
};
RefKind ref_kind(AttrKind kind) {
  switch (kind) {
    case AttrKind::kFloat:
      return {1, "value_float"};
    case AttrKind::kInt:
      return {2, "value_int"};
    case AttrKind::kInts:
      return {7, "value_ints"};
    default:
      LAPIDARY_CHECK(false);
      return {};
  }
}

const AttrSpec& spec_of(const OpDef& def, std::string_view name) {
  const auto found = std::ranges::find(def.attrs, name, &AttrSpec::name);
  LAPIDARY_CHECK(found != def.attrs.end());
  return *found;
}

using Found = std::map<std::string_view, const OpDef*>;

void collect(const Graph& graph, Found& found) {
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    const OpDef* def = find_op(node.domain, node.op);
    if (def && def->body) found[def->name] = def;
    for (const auto& [name, attr] : node.attrs) {
      if (const auto* one = std::get_if<std::shared_ptr<const Graph>>(&attr))
        collect(**one, found);
      else if (const auto* many = std::get_if<std::vector<std::shared_ptr<const Graph>>>(&attr))
        for (const auto& each : *many) collect(*each, found);
    }
  }
}

Function function_of(const OpDef& def, int64_t opset) {
  Function out;
  out.domain = def.domain;
  out.name = def.name;
  for (const AttrSpec& spec : def.attrs) out.attributes.emplace_back(spec.name);
  auto body = std::make_shared<Graph>();
  body->set_opset("", opset);
  BodyBuilder builder(*body, def, opset);
  def.body(builder);
  out.body = std::move(body);
  return out;
}

}  // namespace

Attr BodyBuilder::call_attr(std::string_view name) const {
  return AttrRef{std::string(name), ref_kind(spec_of(def_, name).kind).type};
}

ValueId BodyBuilder::attr(std::string_view name) {
  return op("Constant", {}, {{ref_kind(spec_of(def_, name).kind).constant, call_attr(name)}});
}

void BodyBuilder::output(const std::string& name, ValueId value) {
  graph_.rename_value(value, name);
  builder_.output(value);
}

std::vector<Function> own_functions(const Graph& graph) {
  Found found;
  collect(graph, found);
  for (const Function& function : graph.model.functions) collect(*function.body, found);
  for (const Function& function : graph.model.functions)
    std::erase_if(found, [&](const auto& entry) {
      return entry.second->domain == function.domain && entry.first == function.name;
    });
  std::vector<Function> out;
  for (const auto& [name, def] : found) {
    if (graph.opset() < kOldestBodyOpset)
      fail_unsupported(
          "{} in standard ops needs opset {} of ai.onnx, the model imports {}; upgrade it first",
          name, kOldestBodyOpset, graph.opset());
    out.push_back(function_of(*def, graph.opset()));
  }
  return out;
}

bool is_own_function(const Graph& graph, const Function& function) {
  const OpDef* def = find_op(function.domain, function.name);
  return def && def->body && op_version(*def, graph.opset(function.domain)) > 0;
}

}  // namespace lapidary
