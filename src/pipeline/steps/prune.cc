#include <algorithm>

#include "src/base/text.h"
#include "src/pipeline/pruning/prune_model.h"

namespace lapidary {

namespace {

class PruneStep : public Step {
 public:
  explicit PruneStep(const Setting& setting) : params_(bind<PruneParams>(setting)) {
    params_.check(setting);
  }

  std::vector<std::string_view> needs() const override { return params_.needs(); }

  std::string refuses(Form form) const override {
    if (form == Form::kQdq || form == Form::kQOperator)
      return "it is quantized; models are pruned before";
    if (form == Form::kHalf) return "its weights are float16; only float32 models are pruned";
    if (form == Form::kQat) return "training has quantized it; models are pruned before";
    return {};
  }

  std::string explain() const override {
    std::string out = "Removes " + params_.describe();
    if (params_.repairs())
      out += fmt::format(
          "; then brings what is left nearer to what the model computed ({}) where "
          "there are calibration data",
          fmt::join(params_.repair, ", "));
    return out + ".";
  }

  void run(StepContext& context) const override {
    const PruningGraph graph(context.graph);
    require_groups(graph);
    const Selection selection = select_of(context, graph, params_, params_.select_options());
    Graph pruned = cut_units(context, context.name, graph, params_, selection);
    if (const Dataset* calib = context.data("calib"); params_.repairs() && calib != nullptr)
      repair_pruned(context, graph, selection.removed, *calib, params_, pruned);
    context.graph = std::move(pruned);
  }

  void plan(StepContext& context) const override {
    const PruningGraph graph(context.graph);
    require_groups(graph);
    context.report.frozen_axes = graph.frozen();
  }

  StepWork work(const DataSizes& data) const override {
    StepWork out;
    if (needs_data(params_.spec(0))) out.calibrated = std::min(params_.samples, data.calib);
    if (params_.repairs()) out.calibrated += 3 * std::min(params_.repair_samples, data.calib);
    return out;
  }

  Setting params() const override { return unbind(PruneParams::fields(), &params_); }

 private:
  PruneParams params_;
};

}  // namespace

const StepDef& step_prune() {
  static const StepDef kDef{
      "prune", "Removes channels, heads and features that matter least", &PruneParams::fields,
      [](const Setting& s) -> std::unique_ptr<Step> { return std::make_unique<PruneStep>(s); }};
  return kDef;
}

}  // namespace lapidary
