#include "src/pipeline/measure_stages.h"

#include <algorithm>
#include <map>
#include <set>

#include "lapidary/bench.h"
#include "lapidary/evaluate.h"
#include "lapidary/runtime.h"
#include "quantize/checks.h"
#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/pipeline/evaluate_models.h"
#include "src/pipeline/layer_records.h"
#include "src/pipeline/metric.h"

namespace lapidary {

namespace {

FloatArithmetic execution_arithmetic(const std::string& name) {
  if (name == "bf16") return FloatArithmetic::kBf16;
  return name == "fp16" ? FloatArithmetic::kF16Storage : FloatArithmetic::kF16;
}

class StageMeasurement {
 public:
  StageMeasurement(std::span<const Graph> models, const EvaluateParams& params,
                   const RecipeData& data, const RunOptions& options, Report& report)
      : models_(models),
        reference_(report.reference),
        params_(params),
        data_(data),
        options_(options),
        report_(report) {}

  void run() {
    list_executions();
    evaluate_stages();
    compare_with_reference();
    note_data(data_, report_);
    time_stages();
  }

 private:
  /// A model of a stage to be computed in something else than FP32: report_.executions[i].
  struct Execution {
    size_t stage;
    FloatArithmetic arithmetic;
  };

  void list_executions() {
    std::set<size_t> ends = {0, models_.size() - 1};
    std::erase_if(ends, [&](size_t i) { return is_quantized_model(models_[i]); });
    for (const std::string& name : params_.execution)
      for (const size_t stage : ends) {
        executions_.push_back({stage, execution_arithmetic(name)});
        report_.executions.push_back(
            {.stage = report_.stages[stage].name,
             .precision = std::string(float_arithmetic_name(executions_.back().arithmetic))});
      }
  }

  /// The first, the last, the reference; the others where each step is measured.
  std::vector<size_t> evaluated_stages() const {
    std::vector<size_t> out;
    for (size_t i = 0; i < models_.size(); ++i)
      if (params_.every_step || i == 0 || i + 1 == models_.size() || i == reference_)
        out.push_back(i);
    return out;
  }

  void evaluate_stages() {
    const Dataset* eval = data_.find_opened("eval");
    if (eval == nullptr) return;
    const std::vector<size_t> stages = evaluated_stages();
    std::vector<EvaluatedModel> models;
    for (size_t i : stages) models.push_back({&models_[i]});
    for (const Execution& e : executions_) models.push_back({&models_[e.stage], e.arithmetic});
    for (const std::string& name : params_.isa_semantics)
      models.push_back({.graph = &models_.back(), .integer_arithmetic = integer_arithmetic(name)});
    EvaluateOptions options;
    options.metrics = params_.metrics;
    options.threads = options_.threads;
    options.winograd = params_.winograd;
    options.log = options_.log;
    const auto reference = std::find(stages.begin(), stages.end(), reference_) - stages.begin();
    const auto found = evaluate_models(models, static_cast<int>(reference), *eval, options);
    for (size_t i = 0; i < stages.size(); ++i) record_stage(stages[i], models[i], found[i]);
    for (size_t i = 0; i < executions_.size(); ++i)
      record_execution(i, models[stages.size() + i], found[stages.size() + i]);
    for (size_t i = stages.size() + executions_.size(); i < models.size(); ++i)
      record_cpu_class(models[i], found[i]);
  }

  /// Of what came before weights that began anew nothing is held against them.
  std::map<std::string, double> metrics_of(size_t stage, const Validation& measured) const {
    std::map<std::string, double> out = measured.metrics;
    if (stage < reference_)
      for (const MetricDef* metric : all_metrics())
        if (metric->needs_reference) out.erase(std::string(metric->name));
    return out;
  }

  void record_stage(size_t i, const EvaluatedModel& model, const Validation& measured) {
    StageRecord& stage = report_.stages[i];
    stage.metrics = metrics_of(i, measured);
    stage.samples = measured.samples;
    const ExecutionPlan plan = plan_of(model, i == reference_ ? 0 : params_.winograd, measured);
    stage.activation_bytes = plan.arena_bytes;
    stage.packed_bytes = plan.packed_bytes;
    warn(nonfinite_warning(stage.name, measured));
  }

  void record_execution(size_t i, const EvaluatedModel& model, const Validation& measured) {
    ExecutionRecord& execution = report_.executions[i];
    execution.metrics = metrics_of(executions_[i].stage, measured);
    execution.samples = measured.samples;
    const ExecutionPlan plan = plan_of(model, params_.winograd, measured);
    execution.activation_bytes = plan.arena_bytes;
    execution.packed_bytes = plan.packed_bytes;
    for (const StepInfo& step : plan.steps) execution.layers.push_back(layer_record(step));
    warn(nonfinite_warning(execution.stage + " in " + execution.precision, measured));
  }

  void record_cpu_class(const EvaluatedModel& model, const Validation& measured) {
    report_.cpu_classes.push_back(
        {.stage = report_.stages.back().name,
         .profile = std::string(execution_profile(model.integer_arithmetic)),
         .metrics = measured.metrics,
         .samples = measured.samples,
         .layers = measured.saturation});
    warn(saturation_warning(measured.saturation));
  }

  /// Of one sample; where the model alone leaves sizes open, of the last batch that ran. `winograd`
  /// as it was evaluated: the reference without.
  ExecutionPlan plan_of(const EvaluatedModel& model, int winograd, const Validation& ran) const {
    ExecutionPlan plan = plan_execution(*model.graph, options_.input_shapes,
                                        {.threads = options_.threads,
                                         .winograd = winograd,
                                         .float_arithmetic = model.float_arithmetic});
    return plan.steps.empty() ? ExecutionPlan{ran.steps, ran.arena_bytes, ran.packed_bytes} : plan;
  }

  void warn(const std::string& warning) {
    if (warning.empty()) return;
    report_.warnings.push_back(warning);
    options_.log.warn(warning);
  }

  void compare_with_reference() {
    const int64_t samples = params_.layer_samples;
    const Dataset* data = data_.find_opened("eval");
    if (data == nullptr) data = data_.find_opened("calib");
    if (models_.size() < 2 || samples == 0 || data == nullptr) return;
    const Graph &reference = models_[reference_], &result = models_.back();
    if (is_quantized_model(reference)) return;  // its layers have no float values to compare with
    std::vector<LayerError> errors;
    if (reference_ + 1 < models_.size())
      errors =
          compare_layers(result, reference, *data,
                         {.samples = samples, .threads = options_.threads, .log = options_.log})
              .layers;
    report_.layers = layer_records(
        result, errors, *data, {.threads = options_.threads, .timed = params_.bench.has_value()});
    if (params_.bench)
      report_.peaks = measure_peaks(options_.threads > 0 ? options_.threads : thread_count());
  }

  void time_stages() {
    if (!params_.bench) return;
    const BenchParams& params = *params_.bench;
    const size_t stages = models_.size(), count = stages + executions_.size();
    for (size_t i = 0; i < count; ++i) {
      options_.log.advance("time", static_cast<int64_t>(i), static_cast<int64_t>(count));
      const Execution model =
          i < stages ? Execution{i, FloatArithmetic::kF32} : executions_[i - stages];
      try {
        auto& latency =
            i < stages ? report_.stages[i].latency : report_.executions[i - stages].latency;
        latency = bench(models_[model.stage], {.threads = params.threads,
                                               .batch = params.batch,
                                               .seconds = params.seconds,
                                               .input_shapes = options_.input_shapes,
                                               .winograd = params_.winograd,
                                               .float_arithmetic = model.arithmetic});
      } catch (const Error& error) {
        // A model need not be run to be transformed: its ops may be unknown, its sizes open, and
        // random input may lead where it was never meant to go.
        if (error.code() == ErrorCode::kInternal) throw;
        return warn(fmt::format("latency was not measured: {}", error.what()));
      }
    }
  }

  std::span<const Graph> models_;
  const size_t reference_;
  const EvaluateParams& params_;
  const RecipeData& data_;
  const RunOptions& options_;
  Report& report_;
  std::vector<Execution> executions_;
};

}  // namespace

void measure_stages(std::span<const Graph> models, const EvaluateParams& params,
                    const RecipeData& data, const RunOptions& options, Report& report) {
  StageMeasurement(models, params, data, options, report).run();
}

void note_data(const RecipeData& data, Report& report) {
  for (const auto& [role, set] : data.opened()) {
    for (const std::string& warning : set.warnings())
      report.warnings.push_back(fmt::format("{} data: {}", role_word(role), warning));
    for (const SkippedSample& s : set.skipped())
      report.warnings.push_back(
          fmt::format("{} sample skipped: {}: {}", role_word(role), s.source, s.reason));
  }
}

}  // namespace lapidary
