#include "lapidary/evaluate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "src/base/parallel.h"
#include "src/base/text.h"
#include "src/pipeline/evaluate_models.h"
#include "src/pipeline/feed.h"
#include "src/pipeline/metric.h"

namespace lapidary {

namespace {

using Clock = std::chrono::steady_clock;

struct Measured {
  const MetricDef* def;
  std::unique_ptr<Metric> metric;
};

/// The metrics asked for, or all whose needs the data meet.
std::vector<Measured> choose_metrics(const std::vector<std::string>& asked, bool labels,
                                     bool reference) {
  std::vector<Measured> out;
  if (asked.empty()) {
    for (const MetricDef* def : all_metrics())
      if ((labels || !def->needs_labels) && (reference || !def->needs_reference))
        out.push_back({def, def->make()});
    return out;
  }
  std::vector<std::string> names;
  for (const MetricDef* def : all_metrics()) names.emplace_back(def->name);
  for (const std::string& name : asked) {
    const MetricDef* def = find_metric(name);
    if (def == nullptr) fail_usage("no metric is called '{}'{}", name, did_you_mean(name, names));
    if (def->needs_labels && !labels) fail_usage("'{}' needs labels; the data have none", name);
    if (def->needs_reference && !reference) continue;  // the float model itself
    out.push_back({def, def->make()});
  }
  return out;
}

/// One model while it runs over the data.
struct Runner {
  const Graph* graph;
  Executor executor;
  std::vector<Measured> metrics;
  std::vector<float> outputs;
  Shape output_shape;
  double seconds = 0;
  int64_t nonfinite_outputs = 0, nonfinite_samples = 0;

  void count_nonfinite(const Tensor& output, int64_t samples) {
    for (int64_t i = 0; i < samples; ++i) {
      const auto values = sample_of(output, i);
      const int64_t found =
          std::count_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
      nonfinite_outputs += found;
      nonfinite_samples += found > 0;
    }
  }
};

bool has_labels(const Batch& batch) {
  for (int64_t label : batch.labels)
    if (label >= 0) return true;
  return false;
}

Tensor run_batch(Runner& runner, const Batch& batch) {
  const auto& outputs = runner.graph->outputs();
  if (outputs.empty()) fail_invalid("the model has no output");
  const Executor::Values inputs = feed(*runner.graph, batch);
  const auto start = Clock::now();
  Executor::Values values = runner.executor.run(inputs);
  runner.seconds += std::chrono::duration<double>(Clock::now() - start).count();
  const Tensor& first = values.at(runner.graph->value(outputs[0]).name);
  if (first.rank() == 0 || first.dim(0) < batch.size())
    fail_invalid("output '{}' is {}; its first axis must be the batch ({} samples)",
                 runner.graph->value(outputs[0]).name, shape_text(first.shape()), batch.size());
  return first_rows_f32(first, batch.size());
}

Validation conclude(Runner& runner, int64_t samples, bool keep_outputs) {
  Validation v;
  v.samples = samples;
  v.nonfinite_outputs = runner.nonfinite_outputs;
  v.nonfinite_samples = runner.nonfinite_samples;
  v.seconds = runner.seconds;
  v.images_per_second = runner.seconds > 0 ? static_cast<double>(samples) / runner.seconds : 0;
  for (const Measured& m : runner.metrics)
    if (const auto value = m.metric->value()) v.metrics[std::string(m.def->name)] = *value;
  const auto figure = [&](const char* name) {
    const auto found = v.metrics.find(name);
    return found == v.metrics.end() ? 0.0 : found->second;
  };
  v.top1 = figure("top1");
  v.top5 = figure("top5");
  v.agreement = figure("agreement_with_fp32");
  v.sqnr_db = figure("sqnr_db");
  if (keep_outputs) {
    Shape shape = runner.output_shape;
    if (shape.empty()) shape = {0};
    shape[0] = samples;
    v.outputs = Tensor::of<float>(std::move(shape), runner.outputs);
  }
  v.steps = runner.executor.steps();
  v.arena_bytes = runner.executor.arena_bytes();
  return v;
}

}  // namespace

std::vector<Validation> evaluate_models(const std::vector<EvaluatedModel>& models, int reference,
                                        const Dataset& data, const EvaluateOptions& options) {
  const ThreadScope scope(options.threads);
  std::vector<Runner> runners;
  for (size_t i = 0; i < models.size(); ++i) {
    const ExecOptions how = {.executor = options.executor,
                             .threads = options.threads,
                             .winograd = static_cast<int>(i) == reference ? 0 : options.winograd,
                             .float_arithmetic = models[i].float_arithmetic};
    runners.push_back({models[i].graph, Executor(*models[i].graph, how), {}, {}, {}});
  }
  int64_t batch = options.batch;
  for (const EvaluatedModel& model : models) batch = batch_size(*model.graph, data, batch);
  int64_t samples = 0;
  int64_t next = 0;
  bool labelled = false;
  while (next < data.size()) {
    const Batch now = data.batch(next, batch);
    next = now.next;
    if (now.size() == 0) continue;
    labelled |= has_labels(now);
    if (samples == 0)
      for (size_t i = 0; i < runners.size(); ++i)
        runners[i].metrics = choose_metrics(options.metrics, has_labels(now),
                                            reference >= 0 && static_cast<int>(i) != reference);
    std::vector<Tensor> outputs;
    for (Runner& runner : runners) outputs.push_back(run_batch(runner, now));
    for (size_t i = 0; i < runners.size(); ++i) {
      const Tensor* against = reference >= 0 ? &outputs[static_cast<size_t>(reference)] : nullptr;
      if (against != nullptr && against->shape() != outputs[i].shape())
        fail_invalid("the models' outputs are {} and {}", shape_text(outputs[i].shape()),
                     shape_text(against->shape()));
      runners[i].count_nonfinite(outputs[i], now.size());
      for (Measured& m : runners[i].metrics) m.metric->see({now, outputs[i], against});
      if (!options.keep_outputs) continue;
      const Shape& before = runners[i].output_shape;
      const Shape& shape = outputs[i].shape();
      if (!before.empty() &&
          !std::equal(before.begin() + 1, before.end(), shape.begin() + 1, shape.end()))
        fail_usage("the outputs of samples of different lengths are no one array: {} and {}",
                   shape_text(before), shape_text(shape));
      const auto values = outputs[i].data<float>();
      runners[i].outputs.insert(runners[i].outputs.end(), values.begin(), values.end());
      runners[i].output_shape = outputs[i].shape();
    }
    samples += now.size();
    options.log.advance("evaluate", next, data.size());
  }
  if (samples == 0) fail_usage("the evaluation data are empty");
  std::vector<Validation> out;
  for (Runner& runner : runners) {
    out.push_back(conclude(runner, samples, options.keep_outputs));
    out.back().labelled = labelled;
  }
  return out;
}

std::string nonfinite_warning(const std::string& model, const Validation& found) {
  if (found.nonfinite_outputs == 0) return {};
  return fmt::format("{}: {} outputs are not finite (NaN or infinite), in {} of {} samples", model,
                     found.nonfinite_outputs, found.nonfinite_samples, found.samples);
}

Validation evaluate(const Graph& model, const Dataset& data, const EvaluateOptions& options) {
  for (const std::string& name : options.metrics)
    if (const MetricDef* def = find_metric(name); def != nullptr && def->needs_reference)
      fail_usage("'{}' needs a float model to compare with", name);
  return std::move(evaluate_models({{&model, options.float_arithmetic}}, -1, data, options)[0]);
}

Validation validate(const Graph& model, const Graph& reference, const Dataset& data,
                    const EvaluateOptions& options) {
  return std::move(
      evaluate_models({{&reference}, {&model, options.float_arithmetic}}, 0, data, options)[1]);
}

}  // namespace lapidary
