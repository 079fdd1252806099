#include "lapidary/qat.h"
#include "quantize/checks.h"
#include "src/base/fail.h"
#include "src/pipeline/training/train_model.h"

namespace lapidary {

namespace {

class FitStep : public Step {
 public:
  FitStep(const FitStepKind& kind, const Setting& setting) : kind_(kind), params_(kind.defaults) {
    bind(kind.fields(), setting, &params_);
    params_.check(setting);
  }

  std::vector<std::string_view> needs() const override { return {"train"}; }
  bool trains() const override { return true; }
  bool begins_anew() const override { return kind_.init_weights; }
  std::vector<std::string_view> without_effect() const override { return kWithoutEffect; }

  std::string refuses(Form form) const override {
    if (form == Form::kHalf) return "its weights are float16; only float32 models are trained";
    if (form == Form::kQdq || form == Form::kQOperator)
      return "it is quantized; `qat` trains quantized models";
    if (form == Form::kQat && kind_.init_weights)
      return "it would make trained weights anew; `finetune` trains on";
    return {};
  }

  std::string explain() const override {
    return fmt::format("{}: {}.",
                       kind_.init_weights ? "Makes all weights anew and trains" : "Trains",
                       params_.describe());
  }

  void run(StepContext& context) const override { train_model(context, params_, task(context)); }
  void plan(StepContext& context) const override { plan_training(context, params_, task(context)); }

  StepWork work(const DataSizes& data) const override { return params_.work(data); }
  std::map<std::string, std::string*> paths() override { return params_.paths(); }
  Setting params() const override { return unbind(kind_.fields(), &params_); }

 private:
  TrainingTask task(const StepContext& context) const {
    if (is_quantized_model(context.graph))
      fail_unsupported("the model is quantized; `qat` trains quantized models");
    Graph graph = context.graph;
    Masks masks = kept_zeros(context, params_, graph, kind_.init_weights);
    if (kind_.init_weights) init_parameters(graph, context.seed);
    std::vector<TrainedParameter> parameters = trainable_parameters(graph);
    return {.graph = std::move(graph),
            .parameters = std::move(parameters),
            .lower = context.lower,
            .masks = std::move(masks),
            .anew = kind_.init_weights};
  }

  const FitStepKind& kind_;
  TrainingParams params_;
};

}  // namespace

std::unique_ptr<Step> make_fit_step(const FitStepKind& kind, const Setting& setting) {
  return std::make_unique<FitStep>(kind, setting);
}

}  // namespace lapidary
