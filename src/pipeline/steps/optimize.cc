#include "lapidary/passes.h"
#include "quantize/checks.h"
#include "src/pipeline/step.h"

namespace lapidary {

namespace {

struct OptimizeParams {
  std::vector<std::string> passes;

  static const FieldTable& fields() {
    static const FieldTable kTable{
        "optimize",
        {field("passes", &OptimizeParams::passes, "Passes to run; empty: all of them")
             .one_of(names_of(list_passes()))}};
    return kTable;
  }
};

class OptimizeStep : public Step {
 public:
  explicit OptimizeStep(const Setting& setting) : params_(bind<OptimizeParams>(setting)) {}

  std::string refuses(Form form) const override {
    return form == Form::kQat ? "what training with quantization leaves is optimized already" : "";
  }

  std::string explain() const override {
    if (params_.passes.empty())
      return "Runs all graph passes; no value of the result changes but by rounding.";
    return fmt::format("Runs the graph passes {}.", fmt::join(params_.passes, ", "));
  }

  void run(StepContext& context) const override {
    check_batchnorms(context.graph);
    const auto records = run_passes(context.graph, params_.passes, {.log = context.log});
    context.report.passes.insert(context.report.passes.end(), records.begin(), records.end());
  }

  void plan(StepContext& context) const override { run(context); }
  Setting params() const override { return unbind(OptimizeParams::fields(), &params_); }

 private:
  OptimizeParams params_;
};

}  // namespace

const StepDef& step_optimize() {
  static const StepDef kDef{"optimize", "Folds constants and BatchNorm, removes what does nothing",
                            &OptimizeParams::fields, [](const Setting& s) -> std::unique_ptr<Step> {
                              return std::make_unique<OptimizeStep>(s);
                            }};
  return kDef;
}

}  // namespace lapidary
