#include <cmath>
#include <map>

#include "distill/layers.h"
#include "lapidary/ops.h"
#include "src/base/text.h"
#include "src/ops/infer.h"

namespace lapidary {

namespace {

constexpr int64_t kOldestOpset = 13;  // axes of ReduceSum and Unsqueeze as inputs

/// What feeds a graph but its own labels and another teacher's values.
std::vector<ValueId> data_inputs(const Graph& graph) {
  std::vector<ValueId> out;
  for (const ValueId id : graph.inputs())
    if (!graph.value(id).constant && !graph.value(id).name.starts_with("lapidary."))
      out.push_back(id);
  return out;
}

/// Throws Error{kUsage} unless the two can take one tensor; batch sizes are for the Teacher.
void require_same_input(const Value& student, const Value& teacher) {
  const TensorType &s = student.type, &t = teacher.type;
  bool same = s.dtype == t.dtype;
  if (same && s.shape && t.shape) {
    same = s.shape->size() == t.shape->size();
    for (size_t i = 1; same && i < s.shape->size(); ++i)
      same = may_equal((*s.shape)[i], (*t.shape)[i]);
  }
  if (!same)
    fail_usage("the teacher reads other data: its input '{}' is {}, the student's '{}' {}",
               printable(teacher.name, 200), t.text(), printable(student.name, 200), s.text());
}

std::vector<std::pair<std::string, std::string>> match_inputs(const Graph& student,
                                                              const Graph& teacher) {
  const std::vector<ValueId> mine = data_inputs(student), theirs = data_inputs(teacher);
  std::vector<std::pair<std::string, std::string>> out;
  for (const ValueId id : theirs) {
    const std::string& name = teacher.value(id).name;
    ValueId same = student.find_value(name);
    if (!same || !student.is_input(same))
      same = mine.size() == 1 && theirs.size() == 1 ? mine[0] : ValueId{};
    if (!same)
      fail_usage("the teacher reads '{}', which is no input of the student", printable(name, 200));
    require_same_input(student.value(same), teacher.value(id));
    out.emplace_back(name, student.value(same).name);
  }
  return out;
}

class Attacher {
 public:
  Attacher(Graph& student, const Graph& teacher, uint64_t seed)
      : graph_(student), teacher_(teacher), fragment_(student, Rng::of(seed, {kStream})) {}

  /// weight x the sum over layers
  ValueId term(const DistillSpec& spec) {
    if (!std::isfinite(spec.weight) || spec.weight < 0)
      fail_usage("its weight is {}; it must be finite and not negative", spec.weight);
    const DistillDef& def = find_distill_loss(spec.kind);
    const Setting params = to_setting(spec.params);
    ValueId sum;
    for (const NamedLayers& layers : find_layers(graph_, teacher_, spec, def.compared))
      add(sum, def.build(fragment_, pair(layers), params));
    return spec.weight == 1 ? sum : fragment_.scaled(sum, spec.weight);
  }
  void add(ValueId& sum, ValueId more) { sum = sum ? fragment_.add(sum, more) : more; }

  Distillation result(ValueId loss) {
    Distillation out;
    out.loss = graph_.unique_name("lapidary.distill");
    graph_.rename_value(loss, out.loss);
    out.taps = std::move(taps_);
    out.inputs = match_inputs(graph_, teacher_);
    out.parameters = fragment_.parameters();
    return out;
  }

 private:
  static constexpr uint64_t kStream = 0x6469737469;  // "disti": apart from other users of a seed

  LayerPair pair(const NamedLayers& layers) {
    const Value& s = graph_.value(layers.student);
    require(s, "student");
    const Value& t = teacher_.value(layers.teacher);
    require(t, "teacher");
    ValueId& input = inputs_[layers.teacher];
    if (!input) {
      const std::string name = graph_.unique_name("lapidary.teacher/" + t.name);
      input = fragment_.input(name, input_type(s.type, t.type));
      taps_.emplace_back(t.name, name);
    }
    return {layers.student, input};
  }
  static void require(const Value& value, std::string_view whose) {
    if (value.type.dtype != DType::kF32 || !value.type.shape || value.type.shape->empty())
      fail_usage("the {}'s '{}' is {}; float32 of a known rank is expected", whose,
                 printable(value.name, 200), value.type.text());
  }
  /// The teacher's sizes; the student's where those are not known, and for samples.
  static TensorType input_type(const TensorType& student, const TensorType& teacher) {
    std::vector<Dim> dims = *teacher.shape;
    for (size_t i = 0; i < dims.size(); ++i) {
      if (i > 0 && dims[i].known()) continue;
      dims[i] = dims.size() == student.shape->size() ? (*student.shape)[i] : Dim{};
    }
    return {DType::kF32, std::move(dims)};
  }

  Graph& graph_;
  const Graph& teacher_;
  DistillFragment fragment_;
  std::map<ValueId, ValueId> inputs_;  // by the teacher's value
  std::vector<std::pair<std::string, std::string>> taps_;
};

}  // namespace

Distillation attach_distillation(Graph& student, const Graph& teacher,
                                 const std::vector<DistillSpec>& specs, uint64_t seed,
                                 const std::string& task_loss) {
  if (specs.empty()) fail_usage("no loss of distillation is named");
  Graph graph = student, typed_teacher = teacher;
  if (graph.opset() < kOldestOpset) upgrade_opset(graph, kOldestOpset);
  infer_types(graph);
  infer_types(typed_teacher);
  Attacher attacher(graph, typed_teacher, seed);
  ValueId sum;
  for (const DistillSpec& spec : specs)
    with_context([&] { return fmt::format("distillation '{}'", printable(spec.kind, 100)); },
                 [&] { attacher.add(sum, attacher.term(spec)); });
  if (!task_loss.empty()) {
    const ValueId task = graph.find_value(task_loss);
    if (!task) fail_usage("the student has no value '{}'", printable(task_loss, 200));
    attacher.add(sum, task);
  }
  Distillation out = attacher.result(sum);
  infer_types(graph);
  student = std::move(graph);
  return out;
}

}  // namespace lapidary
