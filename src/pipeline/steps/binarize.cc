#include "lapidary/binarize.h"

#include "lapidary/qat.h"
#include "quantize/checks.h"
#include "quantize/targets.h"
#include "src/base/fail.h"
#include "src/pipeline/quantized.h"
#include "src/pipeline/training/train_model.h"

namespace lapidary {

namespace {

constexpr int kActivations[] = {1, 8, 32};
constexpr int kFirstLast[] = {8, 32};

struct BinarizeParams {
  /// What short runs were best with: docs/binarization.md.
  TrainingParams training = {
      .epochs = 10, .usual_lr = 0.003, .optimizer = {.kind = "adam", .weight_decay = 0}};
  std::string weights = "binary", padding = "zero", format = "packed";
  std::optional<std::string> method, estimator;
  double threshold = 0.05;
  int activations = 1, first_last = 8;
  bool react = false;
  std::vector<std::string> layers, skip;
  std::string target = "onnxruntime-cpu", calibrator = kDefaultCalibrator;
  int64_t samples = 256;

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

class BinarizeStep : public Step {
 public:
  explicit BinarizeStep(const Setting& setting) : params_(bind<BinarizeParams>(setting)) {
    params_.training.check(setting);
    if (params_.training.optimizer.kind == "sgd") params_.training.usual_lr = 0.01;
  }

  std::vector<std::string_view> needs() const override { return {"train"}; }
  bool trains() const override { return true; }
  std::vector<std::string_view> without_effect() const override { return kWithoutEffect; }
  Form makes() const override { return Form::kQat; }

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

  void run(StepContext& context) const override {
    BinarizeOptions options = params_.options(context);
    const std::shared_ptr<Ranks> ranks = join_ranks(context.rank);
    options.ranks = ranks.get();
    BinaryGraph made = make(context, options);
    options.ranks = nullptr;  // lowering asks for no samples
    const std::vector<KeptFloat> kept_float = std::move(made.kept_float);
    train_model(context, params_.training, task(context, std::move(made), options));
    if (!context.interrupted) set_lowered(context, options, kept_float);
  }

  /// The graph's ranges are those of one sample: what each layer gets does not depend on them. A
  /// checkpoint does.
  void plan(StepContext& context) const override {
    BinarizeOptions options = params_.options(context);
    if (!context.resume) options.samples = 1;
    options.log = {};
    const BinaryGraph made = make(context, options);
    TrainingTask ready = task(context, made, options);
    context.lower = ready.lower;
    plan_training(context, params_.training, std::move(ready));
    context.graph = made.graph;
    set_lowered(context, options, made.kept_float);
    context.report.tensors.clear();
  }

  StepWork work(const DataSizes& data) const override {
    StepWork out = params_.training.work(data);
    if (params_.has_integers())
      out.calibrated = std::min(params_.samples, data.calib > 0 ? data.calib : data.train);
    return out;
  }
  std::map<std::string, std::string*> paths() override { return params_.training.paths(); }
  Setting params() const override { return unbind(BinarizeParams::fields(), &params_); }

 private:
  static const Dataset* observed(const StepContext& context) {
    const Dataset* calib = context.data("calib");
    return calib != nullptr ? calib : context.data("train");
  }
  BinaryGraph make(StepContext& context, const BinarizeOptions& options) const {
    if (params_.has_integers()) context.report.engine = find_target(params_.target).engine;
    BinaryGraph made = make_binary_graph(context.graph, nullptr, observed(context), options);
    auto& warnings = context.report.warnings;
    warnings.insert(warnings.end(), made.warnings.begin(), made.warnings.end());
    return made;
  }
  TrainingTask task(const StepContext& context, BinaryGraph made, BinarizeOptions quiet) const {
    quiet.log = {};
    Masks masks = kept_zeros(context, params_.training, made.graph);
    TrainHook sharpen = grow_sharpness(made.graph);
    return {.graph = std::move(made.graph),
            .parameters = std::move(made.parameters),
            .lower = [quiet](const Graph& trained) { return lower_binary(trained, quiet); },
            .masks = std::move(masks),
            .observed = params_.has_integers() ? observed(context) : nullptr,
            .before_step = std::move(sharpen)};
  }
  static void set_lowered(StepContext& context, const BinarizeOptions& options,
                          const std::vector<KeptFloat>& kept_float) {
    QuantizeLog log;
    lower_binary(context.graph, options, &log);
    log.kept_float = kept_float;
    set_quantized(log, context.report);
  }

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
