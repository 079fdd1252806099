#include "lapidary/evaluate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "calibrate/feeder.h"
#include "src/base/parallel.h"
#include "src/base/text.h"
#include "src/data/batches.h"
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

/// The metrics asked for (check_metrics), or all whose needs the data meet.
std::vector<Measured> choose_metrics(const std::vector<std::string>& asked, bool labels,
                                     bool reference) {
  std::vector<Measured> out;
  if (asked.empty()) {
    for (const MetricDef* def : all_metrics())
      if ((labels || !def->needs_labels) && (reference || !def->needs_reference))
        out.push_back({def, def->make()});
    return out;
  }
  for (const std::string& name : asked) {
    const MetricDef* def = find_metric(name);
    if (def->needs_reference && !reference) continue;  // the float model itself
    out.push_back({def, def->make()});
  }
  return out;
}

/// One model while it runs over the data.
struct Runner {
  const Graph* graph;
  Executor executor;
  Feeder feeder;
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

Outputs run_batch(Runner& runner, const Batch& batch) {
  if (runner.graph->outputs().empty()) fail_invalid("the model has no output");
  const Executor::Values inputs = runner.feeder.inputs(batch);
  const auto start = Clock::now();
  Executor::Values values = runner.executor.run(inputs);
  runner.seconds += std::chrono::duration<double>(Clock::now() - start).count();
  return outputs_of(*runner.graph, values, runner.feeder.rows(batch).ran, batch);
}

/// One batch through all models, in the order of the runners.
void see_batch(std::vector<Runner>& runners, int reference, const Batch& batch, bool keep_outputs) {
  std::vector<Outputs> outputs;
  for (Runner& runner : runners) outputs.push_back(run_batch(runner, batch));
  for (size_t i = 0; i < runners.size(); ++i) {
    const Outputs* against = reference >= 0 ? &outputs[static_cast<size_t>(reference)] : nullptr;
    const Tensor& output = outputs[i].first();
    const Shape& shape = output.shape();
    if (against != nullptr && against->first().shape() != shape)
      fail_invalid("the models' outputs are {} and {}", shape_text(shape),
                   shape_text(against->first().shape()));
    runners[i].count_nonfinite(output, batch.size());
    for (Measured& m : runners[i].metrics) m.metric->see({batch, outputs[i], against});
    if (!keep_outputs) continue;
    const Shape& before = runners[i].output_shape;
    if (!before.empty() &&
        !std::equal(before.begin() + 1, before.end(), shape.begin() + 1, shape.end()))
      fail_usage("the outputs of samples of different lengths are no one array: {} and {}",
                 shape_text(before), shape_text(shape));
    const auto values = output.data<float>();
    runners[i].outputs.insert(runners[i].outputs.end(), values.begin(), values.end());
    runners[i].output_shape = shape;
  }
}

/// The samples to run: all, or some of them. A model that fixes the batch size runs whole batches.
std::vector<std::pair<int64_t, int64_t>> stretches_of(const std::vector<Runner>& runners,
                                                      int64_t size, int64_t samples,
                                                      int64_t batch) {
  constexpr int64_t kLeastStretches = 32;
  if (samples <= 0 || samples >= size) return {{0, size}};
  const bool fixed = std::any_of(runners.begin(), runners.end(),
                                 [](const Runner& r) { return r.feeder.fixed_batch() > 0; });
  if (!fixed) batch = std::clamp<int64_t>(samples / kLeastStretches, 1, batch);
  return spread_stretches(size, samples, batch);
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
  v.top1 = v.metric("top1");
  v.top5 = v.metric("top5");
  v.agreement = v.metric("agreement_with_fp32");
  v.sqnr_db = v.metric("sqnr_db");
  if (keep_outputs) {
    Shape shape = runner.output_shape;
    if (shape.empty()) shape = {0};
    shape[0] = samples;
    v.outputs = Tensor::of<float>(std::move(shape), runner.outputs);
  }
  v.steps = runner.executor.steps();
  v.arena_bytes = runner.executor.arena_bytes();
  v.packed_bytes = runner.executor.packed_bytes();
  v.saturation = runner.executor.saturation();
  return v;
}

EvaluatedModel evaluated(const Graph& model, const EvaluateOptions& options) {
  return {&model, options.float_arithmetic, options.integer_arithmetic};
}

}  // namespace

void check_metrics(const std::vector<std::string>& asked, bool labels) {
  std::vector<std::string> names;
  for (const MetricDef* def : all_metrics()) names.emplace_back(def->name);
  for (const std::string& name : asked) {
    const MetricDef* def = find_metric(name);
    if (def == nullptr)
      fail_usage("no metric is called '{}'{}", printable(name), did_you_mean(name, names));
    if (def->needs_labels && !labels) fail_usage("'{}' needs labels; the data have none", name);
  }
}

Outputs outputs_of(const Graph& graph, const Executor::Values& made, int64_t fed,
                   const Batch& batch) {
  Outputs out;
  for (const ValueId id : graph.outputs()) {
    const std::string& name = graph.value(id).name;
    const Tensor& tensor = made.at(name);
    if (!out.entries.empty()) {
      const bool padded = tensor.rank() > 0 && tensor.dim(0) == fed && fed > batch.size();
      out.entries.emplace_back(name, padded ? first_rows(tensor, batch.size()) : tensor);
      continue;
    }
    if (tensor.rank() == 0 || tensor.dim(0) < batch.size())
      fail_invalid("output '{}' is {}; its first axis must be the batch ({} samples)", name,
                   shape_text(tensor.shape()), batch.size());
    out.entries.emplace_back(name, first_rows_f32(tensor, batch.size()));
  }
  return out;
}

std::vector<Validation> evaluate_models(const std::vector<EvaluatedModel>& models, int reference,
                                        const Dataset& data, const EvaluateOptions& options,
                                        int64_t samples) {
  const ThreadScope scope(options.threads);
  check_metrics(options.metrics, data.labelled());
  if (data.size() == 0) fail_usage("the evaluation data are empty");
  std::vector<Runner> runners;
  std::vector<const Graph*> graphs;
  for (size_t i = 0; i < models.size(); ++i) {
    const ExecOptions how = {.executor = options.executor,
                             .threads = options.threads,
                             .winograd = static_cast<int>(i) == reference ? 0 : options.winograd,
                             .float_arithmetic = models[i].float_arithmetic,
                             .integer_arithmetic = models[i].integer_arithmetic};
    runners.push_back({models[i].graph,
                       Executor(*models[i].graph, how),
                       Feeder(*models[i].graph, data),
                       choose_metrics(options.metrics, data.labelled(),
                                      reference >= 0 && static_cast<int>(i) != reference),
                       {},
                       {}});
    graphs.push_back(models[i].graph);
  }
  const int64_t batch = suitable_batch(graphs, data, options.batch);
  const auto stretches = stretches_of(runners, data.size(), samples, batch);
  int64_t used = 0, done = 0, total = 0;
  for (const auto& [begin, end] : stretches) total += end - begin;
  for (const auto& [begin, end] : stretches) {
    for_batches(data, begin, end, batch, [&, begin = begin](const Batch& now, int64_t at) {
      see_batch(runners, reference, now, options.keep_outputs);
      used += now.size();
      options.log.advance("evaluate", done + at - begin, total);
    });
    done += end - begin;
  }
  if (used == 0) fail_usage("the evaluation data are empty");
  std::vector<Validation> out;
  for (Runner& runner : runners) {
    out.push_back(conclude(runner, used, options.keep_outputs));
    out.back().labelled = data.labelled();
  }
  return out;
}

std::string nonfinite_warning(const std::string& model, const Validation& found) {
  if (found.nonfinite_outputs == 0) return {};
  return fmt::format("{}: {} outputs are not finite (NaN or infinite), in {} of {} samples", model,
                     found.nonfinite_outputs, found.nonfinite_samples, found.samples);
}

std::string saturation_warning(const std::vector<LayerSaturation>& layers) {
  const auto saturates = [](const LayerSaturation& l) { return l.saturated > 0; };
  const auto count = std::count_if(layers.begin(), layers.end(), saturates);
  if (count == 0) return {};
  const auto first = std::find_if(layers.begin(), layers.end(), saturates);
  return fmt::format(
      "{} of {} layers saturate on CPUs without VNNI (the first is '{}'): quantize for the target "
      "onnxruntime-cpu-avx2, whose 7-bit weights cannot",
      count, layers.size(), printable(first->node, 100));
}

Validation evaluate(const Graph& model, const Dataset& data, const EvaluateOptions& options) {
  for (const std::string& name : options.metrics)
    if (const MetricDef* def = find_metric(name); def != nullptr && def->needs_reference)
      fail_usage("'{}' needs a float model to compare with", name);
  return std::move(evaluate_models({evaluated(model, options)}, -1, data, options)[0]);
}

Validation validate(const Graph& model, const Graph& reference, const Dataset& data,
                    const EvaluateOptions& options) {
  return std::move(evaluate_models({{&reference}, evaluated(model, options)}, 0, data, options)[1]);
}

}  // namespace lapidary
