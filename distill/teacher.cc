#include <utility>

#include "lapidary/distill.h"
#include "lapidary/passes.h"
#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

ValueId find(const Graph& graph, const std::string& name) {
  if (const ValueId id = graph.find_value(name)) return id;
  fail_usage("the teacher has no value '{}'", printable(name, 200));
}

/// The teacher up to its taps, which are its outputs.
Graph up_to_taps(Graph graph, const std::vector<std::pair<std::string, std::string>>& taps) {
  std::vector<ValueId> outputs;
  for (const auto& [name, input] : taps) outputs.push_back(find(graph, name));
  graph.set_outputs(std::move(outputs));
  run_passes(graph, {"remove_dead_code"});
  return graph;
}

}  // namespace

class Teacher::Impl {
 public:
  Impl(const Graph& teacher, const Distillation& distillation, int threads)
      : taps_(distillation.taps),
        inputs_(distillation.inputs),
        executor_(up_to_taps(teacher, taps_), {.threads = threads}) {}

  void complete(Trainer::Values& batch) {
    Executor::Values given;
    for (const auto& [name, student] : inputs_) {
      const auto found = batch.find(student);
      if (found == batch.end()) fail_invalid("the batch has no '{}'", printable(student, 200));
      check_samples(name, found->second);
      given[name] = found->second;
    }
    Executor::Values values =
        with_context([] { return "teacher"; }, [&] { return executor_.run(given); });
    for (const auto& [name, student] : taps_) batch[student] = values.at(name);
  }

 private:
  void check_samples(const std::string& name, const Tensor& given) const {
    const TensorType& type = executor_.graph().value(find(executor_.graph(), name)).type;
    if (!type.shape || type.shape->empty() || given.rank() == 0) return;
    const Dim& samples = type.shape->front();
    if (samples.known() && samples.value != given.dim(0))
      fail_invalid(
          "the teacher takes {} samples at once (its input '{}' is {}), the batch has {}: train "
          "with batches of {}, or make its first axis free",
          samples.value, printable(name, 200), type.text(), given.dim(0), samples.value);
  }

  std::vector<std::pair<std::string, std::string>> taps_, inputs_;
  Executor executor_;
};

Teacher::Teacher(const Graph& teacher, const Distillation& distillation, int threads)
    : impl_(std::make_shared<Impl>(teacher, distillation, threads)) {}

void Teacher::operator()(Trainer::Values& inputs) { impl_->complete(inputs); }

}  // namespace lapidary
