#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "lapidary/ranks.h"
#include "src/pipeline/quantized.h"
#include "src/pipeline/training/train_model.h"

namespace lapidary {

/// A step that trains with rounding simulated: `Made` is what is trained (graph, parameters,
/// kept_float, warnings), by `Options` (samples, ranks, log), with which `Lower` makes the graph
/// that is deployed.
template <class Options, class Made, Graph (*Lower)(const Graph&, const Options&, QuantizeLog*)>
class RoundedStep : public Step {
 public:
  std::vector<std::string_view> needs() const override { return {"train"}; }
  bool trains() const override { return true; }
  std::vector<std::string_view> without_effect() const override { return kWithoutEffect; }
  Form makes() const override { return Form::kQat; }

  void run(StepContext& context) const override {
    Options how = options(context);
    const std::shared_ptr<Ranks> ranks = join_ranks(context.rank);
    how.ranks = ranks.get();
    Made made = make_logged(context, how);
    how.ranks = nullptr;  // lowering asks for no samples
    const std::vector<KeptFloat> kept_float = std::move(made.kept_float);
    train_model(context, training(), task(context, std::move(made), how));
    if (!context.interrupted) set_lowered(context, how, kept_float);
  }

  /// The graph's ranges are those of one sample: what each layer gets does not depend on them. A
  /// checkpoint does.
  void plan(StepContext& context) const override {
    Options how = options(context);
    if (!context.resume) how.samples = 1;
    how.log = {};
    const Made made = make_logged(context, how);
    TrainingTask ready = task(context, made, how);
    context.lower = ready.lower;
    plan_training(context, training(), std::move(ready));
    context.graph = made.graph;
    set_lowered(context, how, made.kept_float);
    context.report.tensors.clear();
  }

 protected:
  virtual const TrainingParams& training() const = 0;
  virtual Options options(const StepContext& context) const = 0;
  /// What is trained; ranges are observed on `samples`, which may be null.
  virtual Made make(StepContext& context, const Dataset* samples, const Options& options) const = 0;
  /// Whether ranges are found on `observed` data.
  virtual bool observes(const StepContext& context) const = 0;
  virtual TrainHook before_step(const Graph&) const { return {}; }

  /// How many of `samples` ranges are observed on.
  static int64_t observed_count(int64_t samples, const DataSizes& data) {
    return std::min(samples, data.calib > 0 ? data.calib : data.train);
  }

 private:
  static const Dataset* observed(const StepContext& context) {
    const Dataset* calib = context.data("calib");
    return calib != nullptr ? calib : context.data("train");
  }
  Made make_logged(StepContext& context, const Options& how) const {
    Made made = make(context, observed(context), how);
    auto& warnings = context.report.warnings;
    warnings.insert(warnings.end(), made.warnings.begin(), made.warnings.end());
    return made;
  }
  TrainingTask task(const StepContext& context, Made made, Options quiet) const {
    quiet.log = {};
    Masks masks = kept_zeros(context, training(), made.graph);
    TrainHook hook = before_step(made.graph);
    return {.graph = std::move(made.graph),
            .parameters = std::move(made.parameters),
            .lower = [quiet](const Graph& trained) { return Lower(trained, quiet, nullptr); },
            .masks = std::move(masks),
            .observed = observes(context) ? observed(context) : nullptr,
            .before_step = std::move(hook)};
  }
  static void set_lowered(StepContext& context, const Options& how,
                          const std::vector<KeptFloat>& kept_float) {
    QuantizeLog log;
    Lower(context.graph, how, &log);
    log.kept_float = kept_float;
    set_quantized(log, context.report);
  }
};

}  // namespace lapidary
