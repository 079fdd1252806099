#include "lapidary/sparsify.h"

#include <algorithm>

#include "quantize/checks.h"
#include "src/pipeline/sparsity.h"
#include "src/pipeline/step.h"

namespace lapidary {

namespace {

struct SparsifyParams : SparsityParams {
  int64_t samples = SparsifyOptions().samples, block = SparsifyOptions().block;
  double damping = SparsifyOptions().damping;

  static const FieldTable& fields();
};

const FieldTable& SparsifyParams::fields() {
  static const FieldTable kTable = [] {
    using P = SparsifyParams;
    std::vector<Field> all = sparsity_fields<P>(false);
    all.push_back(
        field("samples", &P::samples, "Of sparsegpt: the first so many calibration samples; 0: all")
            .range(0, 1e12));
    all.push_back(field("damping", &P::damping,
                        "Of sparsegpt: what is added to the Hessian's diagonal, in means of it")
                      .range(1e-9, 1e3));
    all.push_back(field("block", &P::block,
                        "Of sparsegpt: columns whose mask is chosen together; a multiple of M")
                      .range(1, 1 << 20));
    return FieldTable{"sparsify", std::move(all)};
  }();
  return kTable;
}

class SparsifyStep : public Step {
 public:
  explicit SparsifyStep(const Setting& setting) : params_(bind<SparsifyParams>(setting)) {
    for (const SparsityMethodInfo& info : list_sparsity_methods())
      if (info.name == params_.method) reads_samples_ = info.reads_samples;
  }

  std::vector<std::string_view> needs() const override {
    if (!reads_samples_) return {};
    return {"calib"};
  }

  std::string refuses(Form form) const override {
    if (form == Form::kHalf) return "its weights are float16; make a float32 model sparse";
    if (form == Form::kQat) return "it trains with quantization; make it sparse before";
    if (form == Form::kQdq || form == Form::kQOperator)
      return "it is quantized; make it sparse before";
    return {};
  }

  std::string explain() const override {
    return fmt::format(
        "Makes weights zero ({}); nothing is removed, and steps that train keep the zeros.",
        params_.describe());
  }

  void run(StepContext& context) const override {
    check(context);
    const Dataset* samples = reads_samples_ ? context.data("calib") : nullptr;
    const Sparsity found = sparsify(context.graph, options(context), samples);
    context.log.info(fmt::format("{} of {} weights are zero", found.zeros, found.elements));
    auto& warnings = context.report.warnings;
    warnings.insert(warnings.end(), found.warnings.begin(), found.warnings.end());
    context.masked = true;
    context.mask_pattern = params_.pattern;
  }

  void plan(StepContext& context) const override {
    check(context);
    sparsified_tensors(context.graph, options(context));
    context.masked = true;
    context.mask_pattern = params_.pattern;
  }

  StepWork work(const DataSizes& data) const override {
    StepWork out;
    if (reads_samples_)
      out.calibrated = params_.samples > 0 ? std::min(params_.samples, data.calib) : data.calib;
    return out;
  }

  Setting params() const override { return unbind(SparsifyParams::fields(), &params_); }

 private:
  static void check(const StepContext& context) {
    if (is_quantized_model(context.graph))
      fail_unsupported("the model is quantized; make a float model sparse and quantize that");
  }
  SparsifyOptions options(const StepContext& context) const {
    SparsifyOptions out = params_.options(context.seed, context.threads, context.log);
    out.samples = params_.samples;
    out.damping = params_.damping;
    out.block = params_.block;
    return out;
  }

  SparsifyParams params_;
  bool reads_samples_ = false;
};

}  // namespace

const StepDef& step_sparsify() {
  static const StepDef kDef{
      "sparsify", "Masks weights: zeros that stay, in one shot", &SparsifyParams::fields,
      [](const Setting& s) -> std::unique_ptr<Step> { return std::make_unique<SparsifyStep>(s); }};
  return kDef;
}

}  // namespace lapidary
