#include <algorithm>

#include "src/base/text.h"
#include "src/pipeline/pruning/measure.h"
#include "src/pipeline/pruning/prune_model.h"
#include "src/pipeline/pruning/search.h"
#include "src/pipeline/pruning/sensitivity.h"

namespace lapidary {

namespace {

class PruneStep : public Step {
 public:
  explicit PruneStep(const Setting& setting) : params_(bind<PruneParams>(setting)) {
    params_.check(setting);
  }

  std::vector<std::string_view> needs() const override { return params_.needs(); }
  std::string why_needs(std::string_view role) const override { return params_.why_needs(role); }
  std::vector<std::string_view> measures_on() const override {
    return params_.measures() ? PruneMeasure::roles() : std::vector<std::string_view>();
  }
  std::string_view keeps() const override { return params_.budget ? "json" : ""; }
  void check_checkpoint(const StepContext& context) const override {
    check_search(context, params_);
  }

  std::string refuses(Form form) const override {
    if (form == Form::kQdq || form == Form::kQOperator)
      return "it is quantized; models are pruned before";
    if (form == Form::kHalf) return "its weights are float16; only float32 models are pruned";
    if (form == Form::kQat) return "training has quantized it; models are pruned before";
    return {};
  }

  std::string explain() const override {
    std::string out;
    if (const auto& s = params_.sensitivity)
      out = fmt::format("Measures on {} samples what each group alone loses. ", s->samples);
    out += "Removes " + params_.describe();
    if (const auto& b = params_.budget)
      out += fmt::format(
          ", or the least more than that with which a metric on {} samples loses {:g} points at "
          "most, found in {} tries",
          b->samples, b->max_drop_points, b->tries);
    if (params_.repairs())
      out += fmt::format(
          "; then brings what is left nearer to what the model computed ({}) where "
          "there are calibration data",
          params_.repairs("weights") && params_.repairs("statistics") ? "weights, statistics"
          : params_.repairs("weights")                                ? "weights"
                                                                      : "statistics");
    return out + ".";
  }

  void run(StepContext& context) const override {
    const PruningGraph graph(context.graph);
    require_groups(graph);
    Selector select(context, graph, params_);
    if (params_.sensitivity)
      context.report.sensitivities.push_back(
          measure_sensitivity(context, graph, select.scores(), params_));
    std::optional<Selection> selection;
    if (params_.budget)
      selection = search_budget(context, graph, select, params_, [&](const Selection& one) {
        Graph pruned = graph.prune(one.removed);
        repair_pruned(context, graph, one.removed, params_, pruned);
        return pruned;
      });
    else
      selection = select(params_.select_options());
    if (!selection) return;
    if (!params_.budget)
      warn_of_target(context, params_.what_is_left().of, selection->asked, selection->got,
                     selection->in_the_way);
    context.graph = cut_units(context, context.name, graph, params_, *selection);
    context.report.prunings.back().repaired =
        repair_pruned(context, graph, selection->removed, params_, context.graph);
  }

  void plan(StepContext& context) const override {
    plan_pruning(context, PruningGraph(context.graph), params_);
  }

  StepWork work(const DataSizes& data) const override {
    StepWork out;
    if (needs_data(params_.spec(0))) out.calibrated = std::min(params_.samples, data.calib);
    int64_t models = 1;
    const int64_t measured_on = data.valid > 0 ? data.valid : data.calib;
    if (const auto& b = params_.budget) {
      models += b->tries;
      out.evaluated = models * std::min(b->samples, measured_on);
    }
    if (const auto& s = params_.sensitivity)  // of one group: how many there are is not known here
      out.evaluated += (std::ssize(s->ratios) + 1) * std::min(s->samples, measured_on);
    // Inputs of layers, channels of the whole model, channels of what is left.
    if (params_.repairs())
      out.calibrated += 3 * models * std::min(params_.repair_samples, data.calib);
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
