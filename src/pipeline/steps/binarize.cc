#include "lapidary/binarize.h"

#include "quantize/targets.h"
#include "src/base/fail.h"
#include "src/pipeline/training/rounded_step.h"

namespace lapidary {

namespace {

constexpr int kActivations[] = {1, 8, 32};
constexpr int kFirstLast[] = {8, 32};

struct BinarizeParams {
  /// What short runs were best with: docs/binarization.md.
  TrainingParams training = {
      .epochs = 10, .usual_lr = 0.003, .optimizer = {.kind = "adam", .weight_decay = 0}};
  std::string weights = usual().weights, padding = usual().padding, format = usual().format;
  std::optional<std::string> method, estimator;
  double threshold = usual().threshold;
  int activations = usual().activations, first_last = usual().first_last;
  bool react = usual().react;
  std::vector<std::string> layers, skip;
  std::string target = usual().target, calibrator = usual().calibrator;
  int64_t samples = usual().samples;

  static const FieldTable& fields() {
    static const FieldTable kTable = make_fields();
    return kTable;
  }

  BinarizeOptions options(const StepContext& context) const {
    return {.weights = weights,
            .method = method.value_or(""),
            .threshold = threshold,
            .activations = activations,
            .estimator = estimator.value_or(""),
            .react = react,
            .layers = layers,
            .skip = skip,
            .first_last = first_last,
            .padding = padding,
            .format = format,
            .target = target,
            .calibrator = calibrator,
            .samples = samples,
            .threads = context.threads,
            .log = context.log};
  }
  bool has_integers() const { return activations == 8 || first_last == 8; }

 private:
  static BinarizeOptions usual() { return {}; }
  static FieldTable make_fields() {
    using P = BinarizeParams;
    std::vector<Field> all = {
        field("weights", &P::weights,
              "What the weights of layers become; float: only their inputs change, a later step "
              "`binarize` changes the weights")
            .one_of({"binary", "ternary", "float"}),
        field("method", &P::method,
              "Binary weights: xnor (mean magnitude times sign), irnet (standardized, powers of "
              "two), sign; ternary: twn (one factor per channel), ttq (two learned ones a layer); "
              "null: xnor, twn")
            .one_of({"xnor", "irnet", "sign", "twn", "ttq"}),
        field("threshold", &P::threshold,
              "ttq: weights up to this share of the largest magnitude become 0")
            .range(0, 0.99),
        field("activations", &P::activations, "Bits of what layers read; 32: float")
            .one_of(kActivations),
        field("estimator", &P::estimator,
              "What stands for the sign's derivative: ste, bireal, swish, ede (it sharpens in "
              "training); null: ede with irnet, else ste")
            .one_of({"ste", "bireal", "swish", "ede"}),
        field("react", &P::react,
              "Learned shifts before signs, and a PRelu between learned shifts behind each layer"),
        field("layers", &P::layers,
              "Patterns of the layers that are converted: name, glob, re:REGEX, op:TYPE; none: all "
              "but those before or behind which there is no other"),
        field("skip", &P::skip, "Patterns of nodes that stay float"),
        field("first_last", &P::first_last,
              "Bits of the layers before or behind which there is no other; 32: float")
            .one_of(kFirstLast),
        field("padding", &P::padding, "What lies around a binary input").one_of({"zero", "one"}),
        field("format", &P::format,
              "Of the file: packed (Lapidary's operators, weights of one or two bits) or standard "
              "(ONNX's operators)")
            .one_of({"packed", "standard"}),
        field("target", &P::target, "Whose placement rules integer layers follow")
            .one_of(names_of(list_targets())),
        field("calibrator", &P::calibrator,
              "How the ranges that integer layers start from are chosen")
            .one_of(names_of(list_calibrators())),
        field("samples", &P::samples, "Samples that those ranges are observed on").range(1, 1e12)};
    const std::vector<Field> training = training_fields(&P::training);
    all.insert(all.end(), training.begin(), training.end());
    return {"binarize", std::move(all)};
  }
};

class BinarizeStep : public RoundedStep<BinarizeOptions, BinaryGraph, lower_binary> {
 public:
  explicit BinarizeStep(const Setting& setting) : params_(bind<BinarizeParams>(setting)) {
    params_.training.check(setting);
    if (params_.training.optimizer.kind == "sgd") params_.training.usual_lr = 0.01;
  }

  std::string refuses(Form form) const override {
    if (form == Form::kHalf) return "its weights are float16; only float32 models are trained";
    if (form == Form::kQOperator || form == Form::kQdq)
      return "it is quantized; binary layers are made of a float model";
    return {};
  }

  std::string explain() const override {
    const std::string inputs = params_.activations == 32
                                   ? "float inputs"
                                   : fmt::format("inputs of {} bit{}", params_.activations,
                                                 params_.activations == 1 ? "" : "s");
    return fmt::format("Trains layers of {} weights{} and {}: {}.", params_.weights,
                       params_.method ? " (" + *params_.method + ")" : "", inputs,
                       params_.training.describe());
  }

  StepWork work(const DataSizes& data) const override {
    StepWork out = params_.training.work(data);
    if (params_.has_integers()) out.calibrated = observed_count(params_.samples, data);
    return out;
  }
  std::map<std::string, std::string*> paths() override { return params_.training.paths(); }
  Setting params() const override { return unbind(BinarizeParams::fields(), &params_); }

 protected:
  const TrainingParams& training() const override { return params_.training; }
  BinarizeOptions options(const StepContext& context) const override {
    return params_.options(context);
  }
  bool observes(const StepContext&) const override { return params_.has_integers(); }
  TrainHook before_step(const Graph& graph) const override { return grow_sharpness(graph); }
  BinaryGraph make(StepContext& context, const Dataset* samples,
                   const BinarizeOptions& options) const override {
    if (params_.has_integers()) context.report.engine = find_target(params_.target).engine;
    return make_binary_graph(context.graph, nullptr, samples, options);
  }

 private:
  BinarizeParams params_;
};

}  // namespace

const StepDef& step_binarize() {
  static const StepDef kDef{
      "binarize", "Training with binary or ternary layers", &BinarizeParams::fields,
      [](const Setting& s) -> std::unique_ptr<Step> { return std::make_unique<BinarizeStep>(s); }};
  return kDef;
}

}  // namespace lapidary
