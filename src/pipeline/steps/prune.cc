#include <algorithm>
#include <array>

#include "lapidary/calibrate.h"
#include "lapidary/prune.h"
#include "quantize/checks.h"
#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/pipeline/prune_proof.h"
#include "src/pipeline/step.h"

namespace lapidary {

namespace {

constexpr std::array kTargets = {"units", "macs", "parameters", "size"};

std::vector<std::string> criterion_names() {
  std::vector<std::string> names;
  for (const NamedHelp& c : list_criteria()) names.push_back(c.name);
  return names;
}

struct PruneParams {
  std::string criterion = "magnitude";
  double p = 2;
  std::string reduce = "mean", normalize = "mean";
  std::map<std::string, double> target = {{"macs", 0.5}};
  std::string scope = "global";
  bool per_cost = false;
  int64_t round_to = 1;
  double max_ratio = 0.9;
  std::vector<std::string> keep;
  std::map<std::string, double> ratios;
  bool lossy = false;
  int64_t samples = 128;
  int64_t reestimate = 1024;

  static const FieldTable& fields() {
    using P = PruneParams;
    static const FieldTable kTable{
        "prune",
        {field("criterion", &P::criterion, "How much a unit matters; the least go")
             .one_of(criterion_names()),
         field("p", &P::p, "Of the criterion magnitude: the norm, 1 or 2").range(1, 2),
         field("reduce", &P::reduce, "A unit's score over the tensors that lose elements with it")
             .one_of({"mean", "sum", "max"}),
         field("normalize", &P::normalize, "What scores of a group are divided by")
             .one_of({"mean", "none", "max", "sum", "norm"}),
         field("target", &P::target,
               "What is to be left, as a share: {macs: 0.5}; of units, macs, parameters or size "
               "(bytes of constants)"),
         field("scope", &P::scope,
               "All units in one ranking, or the same share of units from every group")
             .one_of({"global", "local"}),
         field("per_cost", &P::per_cost,
               "Of the scope global: rank by score over what one unit saves of the target"),
         field("round_to", &P::round_to,
               "Units left in a group are a multiple of it; groups with fewer keep all")
             .range(1, 4096),
         field("max_ratio", &P::max_ratio, "The largest share of a group's units that may go")
             .range(0, 0.999),
         field("keep", &P::keep,
               "Patterns of nodes whose output channels all stay (and what goes with them)"),
         field("ratios", &P::ratios,
               "Patterns of nodes: the share of their output channels that goes, whatever the "
               "target says"),
         field("lossy", &P::lossy,
               "Also prune where a norm or Softmax over the axis changes what stays"),
         field("samples", &P::samples,
               "Of criteria that look at activations or gradients: so many samples")
             .range(1, 1e9),
         field("reestimate", &P::reestimate,
               "BatchNormalization's statistics afterwards by so many samples of calib, where "
               "there are some; 0: not")
             .range(0, 1e12)}};
    return kTable;
  }

  CriterionSpec spec(uint64_t seed) const {
    CriterionSpec out{.kind = criterion, .reduce = reduce, .normalize = normalize, .seed = seed};
    if (criterion == "magnitude") out.params["p"] = {p};
    return out;
  }
};

class PruneStep : public Step {
 public:
  explicit PruneStep(const Setting& setting) : params_(bind<PruneParams>(setting)) {
    if (params_.target.size() != 1)
      fail_setting(setting, "'target' has {} entries, expected one: {{macs: 0.5}}",
                   params_.target.size());
    const auto& [of, share] = *params_.target.begin();
    if (std::ranges::count(kTargets, of) == 0)
      fail_setting(setting, "'target' is of {}, expected {}", of, fmt::join(kTargets, ", "));
    if (!(share > 0 && share <= 1))
      fail_setting(setting, "'target' is {} of the {}, expected more than 0, at most 1", share, of);
  }

  std::vector<std::string_view> needs() const override {
    if (needs_gradients(params_.spec(0))) return {"train"};
    if (needs_data(params_.spec(0))) return {"calib"};
    return {};
  }

  std::string refuses(Form form) const override {
    if (form == Form::kQdq || form == Form::kQOperator)
      return "it is quantized; models are pruned before";
    if (form == Form::kHalf) return "its weights are float16; only float32 models are pruned";
    if (form == Form::kQat) return "training has quantized it; models are pruned before";
    return {};
  }

  std::string explain() const override {
    const auto& [of, share] = *params_.target.begin();
    std::string out = fmt::format(
        "Removes the units (channels, heads, features) of the least {} score, {}, until {:.1f} % "
        "of the {} are left",
        params_.criterion,
        params_.scope == "global" ? "all in one ranking" : "the same share of every group",
        100 * share, of);
    if (params_.reestimate > 0)
      out += "; then takes BatchNormalization's statistics anew where there are calibration data";
    return out + ".";
  }

  void run(StepContext& context) const override {
    const PruningGraph graph(context.graph);
    const Selection selection = select(context, graph);
    Graph pruned = graph.prune(selection.removed);
    PruneRecord record = record_of(context, graph, selection);
    prove_pruned(context, graph, selection.removed, pruned, record);
    context.report.prunings.push_back(std::move(record));
    context.report.frozen_axes = graph.frozen();
    const Dataset* calib = context.data("calib");
    if (params_.reestimate > 0 && calib != nullptr)
      reestimate_batchnorm(
          pruned, *calib,
          {.samples = params_.reestimate, .threads = context.threads, .log = context.log});
    context.graph = std::move(pruned);
  }

  void plan(StepContext& context) const override {
    const PruningGraph graph(context.graph);
    if (graph.groups().empty()) refuse_without_groups(graph);
    context.report.frozen_axes = graph.frozen();
  }

  StepWork work(const DataSizes& data) const override {
    StepWork out;
    if (needs_data(params_.spec(0))) out.calibrated = std::min(params_.samples, data.calib);
    if (params_.reestimate > 0) out.calibrated += std::min(params_.reestimate, data.calib);
    return out;
  }

  Setting params() const override { return unbind(PruneParams::fields(), &params_); }

 private:
  static void refuse_without_groups(const PruningGraph& graph) {
    fail_unsupported(
        "nothing of the model can be removed: {} axes of weights are frozen, the first one because "
        "of {}; `lapidary prune --groups` lists them",
        graph.frozen().size(),
        graph.frozen().empty() ? "the lack of weights" : graph.frozen()[0].reason);
  }

  Selection select(StepContext& context, const PruningGraph& graph) const {
    if (graph.groups().empty()) refuse_without_groups(graph);
    const CriterionSpec spec = params_.spec(context.seed);
    ScoreInputs inputs{.samples = params_.samples, .threads = context.threads};
    if (needs_data(spec)) inputs.data = context.data("calib");
    const auto& [of, share] = *params_.target.begin();
    return select_units(graph, score_units(graph, spec, inputs),
                        {.target = {of, share},
                         .scope = params_.scope,
                         .round_to = params_.round_to,
                         .per_cost = params_.per_cost,
                         .max_ratio = params_.max_ratio,
                         .lossy = params_.lossy,
                         .keep = params_.keep,
                         .ratios = params_.ratios});
  }

  PruneRecord record_of(const StepContext& context, const PruningGraph& graph,
                        const Selection& selection) const {
    PruneRecord out{.step = context.name,
                    .criterion = params_.criterion,
                    .target = params_.target.begin()->first,
                    .asked = selection.asked,
                    .got = selection.got,
                    .before = selection.before,
                    .after = selection.after};
    for (size_t g = 0; g < graph.groups().size(); ++g) {
      const PruneGroup& group = graph.groups()[g];
      out.groups.push_back({.name = group.name,
                            .units = group.units,
                            .left = group.units - std::ssize(selection.removed[g]),
                            .note = selection.reasons[g]});
    }
    return out;
  }

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
