#include "lapidary/qat.h"

#include <algorithm>

#include "quantize/checks.h"
#include "quantize/targets.h"
#include "src/base/fail.h"
#include "src/pipeline/training/rounded_step.h"

namespace lapidary {

namespace {

constexpr int kFirstLast[] = {0, 2, 3, 4, 5, 6, 7, 8};

/// QatBits as a record.
struct BitsParams {
  int weights = 8, activations = 8, first_last = 8;
  std::map<std::string, int> layers;

  bool eight() const {
    return weights == 8 && activations == 8 &&
           std::all_of(layers.begin(), layers.end(), [](const auto& at) { return at.second == 8; });
  }

  static const FieldTable& fields() {
    using P = BitsParams;
    static const FieldTable kTable{
        "bits",
        {field("weights", &P::weights, "Of the weights").range(2, 8),
         field("activations", &P::activations, "Of what layers read").range(2, 8),
         field("first_last", &P::first_last,
               "Of weights and inputs of layers before or behind which there is no other; 0: as of "
               "all others")
             .one_of(kFirstLast),
         field("layers", &P::layers,
               "By pattern of nodes (name, glob, re:REGEX, op:TYPE): bits of their weights and "
               "inputs; over first_last")
             .range(2, 8)}};
    return kTable;
  }
};

struct QatParams {
  TrainingParams training = {.epochs = 3, .usual_lr = 0.01, .freeze_statistics = 0.67};
  std::string target = "onnxruntime-cpu", method = "lsq", calibrator = kDefaultCalibrator;
  BitsParams bits;
  std::vector<std::string> skip;
  std::optional<bool> per_channel;
  bool int4 = false;
  int64_t samples = 256;

  static const FieldTable& fields() {
    static const FieldTable kTable = make_fields();
    return kTable;
  }

  QatOptions options(const StepContext& context) const {
    return {.target = target,
            .method = method,
            .bits = {.weights = bits.weights,
                     .activations = bits.activations,
                     .first_last = bits.first_last,
                     .layers = {bits.layers.begin(), bits.layers.end()}},
            .skip = skip,
            .per_channel = per_channel,
            .int4 = int4,
            .calibrator = calibrator,
            .samples = samples,
            .threads = context.threads,
            .log = context.log};
  }

 private:
  static FieldTable make_fields() {
    using P = QatParams;
    std::vector<Field> all = {
        field("target", &P::target, "Whose placement rules to follow")
            .one_of(names_of(list_targets())),
        field("method", &P::method,
              "lsq: scales learned; lsq+: zero points too; pact: ends of activations learned; "
              "dorefa: weights through tanh, ranges fixed; fixed: ranges as observed")
            .one_of({"lsq", "lsq+", "pact", "dorefa", "fixed"}),
        field("bits", &P::bits, "How many bits"),
        field("calibrator", &P::calibrator, "How the ranges that training starts from are chosen")
            .one_of(names_of(list_calibrators())),
        field("samples", &P::samples, "Samples that those ranges are observed on").range(1, 1e12),
        field("skip", &P::skip, "Patterns of nodes that stay float: name, glob, re:REGEX, op:TYPE"),
        field("per_channel", &P::per_channel,
              "One weight scale per output channel; null: as the target says"),
        field(
            "int4", &P::int4,
            "Weights of at most 4 bits are stored as int4 (opset 21): half the file; ONNX Runtime "
            "computes such layers in floats")};
    const std::vector<Field> training = training_fields(&P::training);
    all.insert(all.end(), training.begin(), training.end());
    return {"qat", std::move(all)};
  }
};

class QatStep : public RoundedStep<QatOptions, QatGraph, lower_qat> {
 public:
  explicit QatStep(const Setting& setting) : params_(bind<QatParams>(setting)) {
    params_.training.check(setting);
    // Eight bits cost next to nothing: what training has to mend is less than a larger rate spoils.
    if (params_.bits.eight()) params_.training.usual_lr = 0.001;
  }

  std::string refuses(Form form) const override {
    if (form == Form::kHalf) return "its weights are float16; only float32 models are trained";
    if (form == Form::kQOperator) return "integer operators (QOperator) cannot be trained";
    if (form == Form::kQat)
      return "training has quantized it already; `finetune` and `distill` train on with its bits";
    return form == Form::kQdq && asks_for_levels() ? fmt::format("it {}", kKeepsLevels)
                                                   : std::string();
  }

  std::string explain() const override {
    return fmt::format(
        "Trains with quantization simulated ({}, weights of {} bits, activations of "
        "{}, for {}): {}.",
        params_.method, params_.bits.weights, params_.bits.activations, params_.target,
        params_.training.describe());
  }

  StepWork work(const DataSizes& data) const override {
    StepWork out = params_.training.work(data);
    out.calibrated = observed_count(params_.samples, data);
    return out;
  }
  std::map<std::string, std::string*> paths() override { return params_.training.paths(); }
  Setting params() const override { return unbind(QatParams::fields(), &params_); }

 protected:
  const TrainingParams& training() const override { return params_.training; }
  QatOptions options(const StepContext& context) const override { return params_.options(context); }
  bool observes(const StepContext& context) const override {
    return !is_quantized_model(context.graph);
  }
  QatGraph make(StepContext& context, const Dataset* samples,
                const QatOptions& options) const override {
    if (is_quantized_model(context.graph) && asks_for_levels())
      fail_usage("the model {}", kKeepsLevels);
    context.report.engine = find_target(params_.target).engine;
    return make_qat_graph(context.graph, nullptr, samples, options);
  }

 private:
  static constexpr std::string_view kKeepsLevels =
      "is quantized already: training keeps its bits and ranges; `bits`, `skip` and `per_channel` "
      "are for float models";
  bool asks_for_levels() const {
    return !params_.bits.eight() || !params_.bits.layers.empty() || !params_.skip.empty() ||
           params_.per_channel;
  }

  QatParams params_;
};

}  // namespace

const StepDef& step_qat() {
  static const StepDef kDef{
      "qat", "Quantization-aware training: 2 to 8 bits, scales learned", &QatParams::fields,
      [](const Setting& s) -> std::unique_ptr<Step> { return std::make_unique<QatStep>(s); }};
  return kDef;
}

}  // namespace lapidary
