#include <algorithm>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ops/opdef.h"

namespace lapidary {

namespace {

std::string_view kind_name(AttrKind kind) {
  switch (kind) {
    case AttrKind::kInt:
      return "an integer";
    case AttrKind::kFloat:
      return "a float";
    case AttrKind::kString:
      return "a string";
    case AttrKind::kTensor:
      return "a tensor";
    case AttrKind::kGraph:
      return "a graph";
    case AttrKind::kInts:
      return "a list of integers";
    case AttrKind::kFloats:
      return "a list of floats";
    case AttrKind::kStrings:
      return "a list of strings";
    case AttrKind::kGraphs:
      return "a list of graphs";
    case AttrKind::kOpaque:
      break;
  }
  return "of another kind";
}

AttrKind kind_of(const Attr& attr) {
  struct Visitor {
    AttrKind operator()(int64_t) const { return AttrKind::kInt; }
    AttrKind operator()(float) const { return AttrKind::kFloat; }
    AttrKind operator()(const std::string&) const { return AttrKind::kString; }
    AttrKind operator()(const Tensor&) const { return AttrKind::kTensor; }
    AttrKind operator()(const std::shared_ptr<const Graph>&) const { return AttrKind::kGraph; }
    AttrKind operator()(const std::vector<int64_t>&) const { return AttrKind::kInts; }
    AttrKind operator()(const std::vector<float>&) const { return AttrKind::kFloats; }
    AttrKind operator()(const std::vector<std::string>&) const { return AttrKind::kStrings; }
    AttrKind operator()(const std::vector<std::shared_ptr<const Graph>>&) const {
      return AttrKind::kGraphs;
    }
    AttrKind operator()(const std::vector<Tensor>&) const { return AttrKind::kOpaque; }
    AttrKind operator()(const AttrRef&) const { return AttrKind::kOpaque; }
    AttrKind operator()(const OpaqueAttr&) const { return AttrKind::kOpaque; }
  };
  return std::visit(Visitor{}, attr);
}

void check_attr(const OpDef& def, int version, const std::string& name, const Attr& attr) {
  if (const auto* ref = std::get_if<AttrRef>(&attr))
    fail_invalid("attribute '{}' refers to '{}' of a function, but this is no function body",
                 printable(name, 100), printable(ref->name, 100));
  std::vector<std::string> names;
  for (const AttrSpec& spec : def.attrs) {
    if (version < spec.since || version > spec.until) continue;
    names.emplace_back(spec.name);
    if (spec.name != name) continue;
    if (const AttrKind kind = kind_of(attr); kind != spec.kind)
      fail_invalid("attribute '{}' is {}, expected {}", name, kind_name(kind),
                   kind_name(spec.kind));
    return;
  }
  fail_invalid("unknown attribute '{}'{}; version {} has {}", printable(name, 100),
               did_you_mean(name, names), version,
               names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
}

void check_attrs(const OpDef& def, int version, const Node& node) {
  for (size_t i = 0; i < node.attrs.size(); ++i) {
    const auto& [name, attr] = node.attrs[i];
    for (size_t j = 0; j < i; ++j)
      if (node.attrs[j].first == name)
        fail_invalid("attribute '{}' is given twice", printable(name, 100));
    check_attr(def, version, name, attr);
  }
  for (const AttrSpec& spec : def.attrs)
    if (spec.required && version >= spec.since && version <= spec.until && !node.attr(spec.name))
      fail_invalid("attribute '{}' is missing ({})", spec.name, kind_name(spec.kind));
}

void check_arity(std::string_view what, Arity arity, const std::vector<ValueId>& listed) {
  const auto count = static_cast<int64_t>(listed.size());
  if (count < arity.min || (arity.max >= 0 && count > arity.max)) {
    const std::string expected = arity.max < 0 ? fmt::format("at least {}", arity.min)
                                 : arity.min == arity.max
                                     ? fmt::format("{}", arity.min)
                                     : fmt::format("{} to {}", arity.min, arity.max);
    fail_invalid("{} {}{}, expected {}", count, what, count == 1 ? "" : "s", expected);
  }
}

}  // namespace

void check_node(const Graph& graph, NodeId id) {
  const ResolvedOp op = resolve_op(graph, id);
  if (!op) return;
  const Node& node = graph.node(id);
  with_context([&] { return node_label(graph, id); },
               [&] {
                 check_attrs(*op.def, op.version, node);
                 check_arity("input", op.def->inputs, node.inputs);
                 check_arity("output", op.def->outputs, node.outputs);
                 for (int i = 0; i < op.def->inputs.min; ++i)
                   if (!node.inputs[static_cast<size_t>(i)]) fail_invalid("input {} is absent", i);
               });
}

}  // namespace lapidary
