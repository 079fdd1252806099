#include "distill/layers.h"

#include "src/base/text.h"
#include "src/ops/quantized_values.h"

namespace lapidary {

namespace {

bool is_glob(const std::string& pattern) {
  return pattern.find_first_of("*?[") != std::string::npos;
}

/// Float values that are a layer's, in the order of nodes.
std::vector<ValueId> layer_values(const Graph& graph) {
  std::vector<ValueId> out;
  for (const NodeId id : graph.nodes()) {
    if (is_quantizer(graph.node(id))) continue;
    for (const ValueId v : graph.node(id).outputs)
      if (v && graph.value(v).type.dtype == DType::kF32 &&
          !graph.value(v).name.starts_with("lapidary."))
        out.push_back(v);
  }
  return out;
}

[[noreturn]] void fail_name(const Graph& graph, std::string_view whose, const std::string& name) {
  std::vector<std::string> names;
  for (const ValueId v : layer_values(graph)) names.push_back(graph.value(v).name);
  fail_usage("the {} has no {} '{}'{}", whose,
             is_glob(name) ? "computed float value that fits" : "computed value",
             printable(name, 200), did_you_mean(name, names));
}

/// None where there is no such value, or nothing makes it.
ValueId find_made(const Graph& graph, const std::string& name) {
  const ValueId id = graph.find_value(name);
  return id && (graph.value(id).producer || graph.is_input(id)) ? id : ValueId{};
}

/// The values that a name or glob stands for, at least one.
std::vector<ValueId> expand(const Graph& graph, std::string_view whose, const std::string& name) {
  if (const ValueId exact = find_made(graph, name)) return {exact};
  std::vector<ValueId> out;
  if (is_glob(name))
    for (const ValueId v : layer_values(graph))
      if (glob_match(name, graph.value(v).name)) out.push_back(v);
  if (out.empty()) fail_name(graph, whose, name);
  return out;
}

void append_same_names(const Graph& student, const Graph& teacher, const std::string& pattern,
                       std::vector<NamedLayers>& out) {
  const size_t before = out.size();
  for (const ValueId s : expand(student, "student", pattern))
    if (const ValueId t = find_made(teacher, student.value(s).name)) out.push_back({s, t});
  if (out.size() == before) fail_name(teacher, "teacher", pattern);
}

void append_pairs(const Graph& student, const Graph& teacher, const std::string& pattern,
                  const std::string& of_teacher, std::vector<NamedLayers>& out) {
  const std::vector<ValueId> s = expand(student, "student", pattern),
                             t = expand(teacher, "teacher", of_teacher);
  if (s.size() != t.size())
    fail_usage("'{}' stands for {} values of the student, '{}' for {} of the teacher",
               printable(pattern, 200), s.size(), printable(of_teacher, 200), t.size());
  for (size_t i = 0; i < s.size(); ++i) out.push_back({s[i], t[i]});
}

std::vector<NamedLayers> outputs_of(const Graph& student, const Graph& teacher,
                                    const DistillSpec& spec, Compared compared) {
  if (compared == Compared::kFeatures) fail_usage("it compares features: name its 'layers'");
  if (!spec.teacher_layers.empty()) fail_usage("'teacher_layers' are named, but no 'layers'");
  const auto &s = student.outputs(), &t = teacher.outputs();
  if (s.size() != t.size() || s.empty())
    fail_usage("the student has {} outputs, the teacher {}: name 'layers' and 'teacher_layers'",
               s.size(), t.size());
  std::vector<NamedLayers> out;
  for (size_t i = 0; i < s.size(); ++i) out.push_back({s[i], t[i]});
  return out;
}

}  // namespace

std::vector<NamedLayers> find_layers(const Graph& student, const Graph& teacher,
                                     const DistillSpec& spec, Compared compared) {
  std::vector<NamedLayers> out;
  if (spec.layers.empty()) out = outputs_of(student, teacher, spec, compared);
  if (!spec.teacher_layers.empty() && spec.teacher_layers.size() != spec.layers.size())
    fail_usage("{} 'layers', but {} 'teacher_layers'", spec.layers.size(),
               spec.teacher_layers.size());
  for (size_t i = 0; i < spec.layers.size(); ++i) {
    if (spec.teacher_layers.empty())
      append_same_names(student, teacher, spec.layers[i], out);
    else
      append_pairs(student, teacher, spec.layers[i], spec.teacher_layers[i], out);
  }
  for (NamedLayers& layers : out) {
    if (compared == Compared::kScores)
      layers = {before_function(student, layers.student, kSoftmaxes),
                before_function(teacher, layers.teacher, kSoftmaxes)};
    layers = {as_quantized(student, layers.student), as_quantized(teacher, layers.teacher)};
  }
  return out;
}

}  // namespace lapidary
