#include <algorithm>

#include "calibrate/observer.h"
#include "calibrate/run.h"
#include "lapidary/compress.h"
#include "lapidary/ranks.h"
#include "quantize/checks.h"
#include "quantize/targets.h"
#include "src/base/text.h"
#include "src/pipeline/histograms.h"
#include "src/pipeline/quantized.h"
#include "src/pipeline/step.h"

namespace lapidary {

namespace {

struct QuantizeParams : QuantizeOptions {
  int64_t samples = 0;
  std::string stats;
  bool allow_nonfinite = false;

  static const FieldTable& fields();

 private:
  static FieldTable make_fields();
};

template <class T>
Field option(std::string name, T QuantizeParams::*member, std::string help) {
  return field<QuantizeParams, T>(std::move(name), member, std::move(help));
}

FieldTable QuantizeParams::make_fields() {
  using P = QuantizeParams;
  std::vector<Field> all = {
      option<std::string>("target", &P::target, "Whose placement rules to follow")
          .one_of(names_of(list_targets())),
      option<std::string>("format", &P::format, "Q/DQ nodes, or integer operators")
          .one_of({"qdq", "qoperator"}),
      option<std::string>("calibrator", &P::calibrator, "How activation ranges are chosen")
          .one_of(names_of(list_calibrators())),
      option<std::string>("weight_calibrator", &P::weight_calibrator,
                          "How weight ranges are chosen")
          .one_of({"minmax", "mse"})};
  const auto add = [&](std::vector<Field> fields) {
    all.insert(all.end(), fields.begin(), fields.end());
  };
  add(observer_fields<P>(&P::percentile, &P::momentum));
  add({option<std::vector<std::string>>(
           "skip", &P::skip, "Patterns of nodes that stay float: name, glob, re:REGEX, op:TYPE"),
       option<bool>("inputs_only", &P::inputs_only,
                    "Quantize only inputs of Conv, Gemm and MatMul: slower, more accurate"),
       option<std::optional<std::string>>("activation_type", &P::activation_type,
                                          "Instead of the target's")
           .one_of({"uint8", "int8"}),
       option<std::optional<bool>>("per_channel", &P::per_channel,
                                   "One weight scale per output channel; null: as the target says"),
       option<std::optional<bool>>(
           "symmetric", &P::symmetric,
           "Activation zero points in the middle; null: as the target says"),
       option<bool>("equalize", &P::equalize,
                    "Bring the channels before depthwise convolutions to one range; needs samples"),
       option<bool>("bias_correction", &P::bias_correction,
                    "Bring the mean of each channel back to that of the float model"),
       option<bool>("check_bias_correction", &P::check_bias_correction,
                    "Leave the correction out where outputs are clearly nearer without it"),
       option<double>("hold_mb", &P::hold_mb, "Memory for the samples that bias correction holds")
           .range(1, 1e6),
       option<bool>("requantize", &P::requantize, "Accept a model that is quantized already"),
       option<std::string>("nonfinite", &P::nonfinite, "Weights that are NaN or infinite")
           .one_of({"error", "clamp"}),
       option<int64_t>("samples", &P::samples, "Calibrate on the first so many samples; 0: all")
           .range(0, 1e12),
       option<bool>("allow_nonfinite", &P::allow_nonfinite,
                    "Leave out calibration samples that make NaN or infinity instead of failing"),
       option<std::string>("stats", &P::stats,
                           "Statistics file to use instead of a calibration run")});
  return {"quantize", std::move(all)};
}

const FieldTable& QuantizeParams::fields() {
  static const FieldTable kTable = make_fields();
  return kTable;
}

class QuantizeStep : public Step {
 public:
  explicit QuantizeStep(const Setting& setting) : params_(bind<QuantizeParams>(setting)) {
    const TargetRecord& target = find_target(params_.target);
    try {
      check_format(target, params_.format);
    } catch (const Error& error) {
      fail_setting(setting, "{}", error.message());
    }
  }

  std::vector<std::string_view> needs() const override {
    if (!params_.stats.empty()) return {};
    return {"calib"};
  }

  Form makes() const override {
    return params_.format == "qoperator" ? Form::kQOperator : Form::kQdq;
  }

  std::string refuses(Form form) const override {
    if (form == Form::kQat) return "training has quantized it already";
    if (form == Form::kHalf) return "its weights are float16; only float32 models are quantized";
    if (form == Form::kQOperator)
      return "it is quantized already; integer operators (QOperator) cannot be made float again";
    if (form != Form::kQdq || params_.requantize) return {};
    return "it is quantized already; `requantize: true` accepts that";
  }

  std::string explain() const override {
    std::string out =
        fmt::format("Quantizes to INT8 for {} ({} format): ", params_.target, params_.format);
    out += params_.stats.empty() ? "calibrates in one pass over the calibration data"
                                 : "takes statistics from " + params_.stats;
    out += fmt::format(", chooses activation ranges with '{}'", params_.calibrator);
    out += params_.bias_correction ? ", corrects biases" : ", leaves biases alone";
    if (!params_.skip.empty())
      out += fmt::format(", keeps {} float", fmt::join(params_.skip, ", "));
    return out + ".";
  }

  void run(StepContext& context) const override {
    QuantizeLog log;
    context.report.engine = find_target(params_.target).engine;
    context.graph = quantization_source(context.graph, params_, log);
    for (const std::string& warning : log.warnings) context.log.warn(warning);
    context.report.warnings.insert(context.report.warnings.end(), log.warnings.begin(),
                                   log.warnings.end());
    plan_quantization(context.graph, params_);  // refusals come before the calibration pass
    const Dataset* samples = context.data("calib");
    if (!params_.stats.empty()) {
      context.statistics = Statistics::load(params_.stats);
    } else {
      const std::shared_ptr<Ranks> ranks = join_ranks(context.rank);
      context.statistics = calibrate_partly(context.graph, *samples,
                                            {.samples = params_.samples,
                                             .threads = context.threads,
                                             .allow_nonfinite = params_.allow_nonfinite,
                                             .log = context.log},
                                            needed(context), ranks.get());
    }
    auto& provenance = context.report.provenance;
    std::erase_if(provenance, [](const auto& entry) { return entry.first == "statistics"; });
    provenance.emplace_back("statistics", context.statistics->sha256());
    QuantizeOptions options = params_;
    options.threads = context.threads;
    options.log = context.log;
    Graph quantized = quantize(context.graph, *context.statistics, samples, options, &log);
    collect_histograms(*context.statistics, log, context.report);
    set_quantized(log, context.report);
    context.graph = std::move(quantized);
  }

  StepWork work(const DataSizes& data) const override {
    const int64_t calib_samples = data.calib;
    StepWork out;
    if (calib_samples == 0) return out;  // statistics from a file, no samples to correct with
    const int64_t seen =
        params_.samples > 0 ? std::min(params_.samples, calib_samples) : calib_samples;
    if (params_.stats.empty()) out.calibrated = seen;
    if (params_.bias_correction) {
      out.held = seen;
      out.hold_bytes = params_.hold_mb * 1e6;
    }
    return out;
  }

  void plan(StepContext& context) const override {
    context.report.engine = find_target(params_.target).engine;
    set_quantized(plan_quantization(context.graph, params_), context.report);
  }

  std::map<std::string, std::string*> paths() override { return {{"stats", &params_.stats}}; }
  Setting params() const override { return unbind(QuantizeParams::fields(), &params_); }

 private:
  /// All there is to see where the recipe's folder keeps the statistics; else what these parameters
  /// ask for.
  Collect needed(const StepContext& context) const {
    if (!context.output.empty()) return {};
    return {.histograms = calibrator_needs(params_.calibrator).reads == Reads::kHistogram,
            .windows = params_.bias_correction};
  }

  QuantizeParams params_;
};

}  // namespace

const StepDef& step_quantize() {
  static const StepDef kDef{
      "quantize", "Post-training quantization to INT8", &QuantizeParams::fields,
      [](const Setting& s) -> std::unique_ptr<Step> { return std::make_unique<QuantizeStep>(s); }};
  return kDef;
}

}  // namespace lapidary
