#include <algorithm>
#include <cmath>
#include <filesystem>

#include "lapidary/train.h"
#include "prune/regularizer.h"
#include "src/base/fail.h"
#include "src/pipeline/pruning/prune_model.h"
#include "src/pipeline/training/train_model.h"

namespace lapidary {

namespace {

struct PruneTrainParams {
  PruneParams prune;
  int64_t cuts = 4, epochs_between = 1;
  std::optional<RegularizerSpec> regularizer;
  TrainingParams training = {.epochs = 5, .usual_lr = 0.01};

  static const FieldTable& fields() {
    static const FieldTable kTable = make_fields();
    return kTable;
  }

 private:
  static FieldTable make_fields() {
    using P = PruneTrainParams;
    std::vector<Field> all = {
        field(
            "cuts", &P::cuts,
            "How often units are removed; what is left of the target falls by the same share each "
            "time")
            .range(1, 1000),
        field("epochs_between", &P::epochs_between,
              "Passes over the training data before each cut, at the whole learning rate; `epochs` "
              "follow the last cut")
            .range(0, 1e6),
        field("regularizer", &P::regularizer,
              "What pulls units towards 0 before each cut; null: nothing; `lapidary list "
              "regularizers` names them")};
    std::vector<Field> prune = PruneParams::fields().fields;
    // Of one cut, and what training does itself.
    std::erase_if(prune, [](const Field& f) {
      return f.name == "ratios" || f.name == "sensitivity" || f.name == "budget" ||
             f.name.starts_with("repair") || f.name == "keep_zeros";  // training has that too
    });
    for (Field& f : member_fields(std::move(prune), &P::prune)) {
      if (f.name == "keep") f.name = "keep_nodes";  // training has a `keep` of its own
      all.push_back(std::move(f));
    }
    for (Field& f : training_fields(&P::training)) all.push_back(std::move(f));
    return {"prune_train", std::move(all)};
  }
};

/// Units of groups that may lose some.
RemovedUnits candidates(const PruningGraph& graph, const PruneParams& params) {
  const std::vector<std::string> reasons = kept_whole(graph, params);
  RemovedUnits out(reasons.size());
  for (size_t g = 0; g < out.size(); ++g)
    for (int64_t u = 0; reasons[g].empty() && u < graph.groups()[g].units; ++u) out[g].push_back(u);
  return out;
}

/// Trains, removes units, trains on: the optimizer goes on with its memory of what stays.
class Loop {
 public:
  Loop(StepContext& context, const PruneTrainParams& params)
      : context_(context), params_(params), prune_(params.prune) {
    if (prune_.what_is_left().of == "latency" && context.rank.world_size > 1)
      fail_usage("several processes would time, and so prune, differently; give another target");
    // A resumed run must choose the same units: it reads the times that the first one measured.
    if (prune_.latency_table.empty() && !context.checkpoint.empty())
      prune_.latency_table = checkpoint_of(context, "latency").replace_extension("json").string();
    between_ = params.training;
    between_.epochs = params.epochs_between;
    between_.steps = 0;
    between_.schedule = {.kind = "constant", .params = {}};
    between_.keep = "last";
    between_.patience = 0;
    between_.reestimate = 0;
    between_.sparsify.reset();  // masks grow behind the last cut
  }

  void run() {
    if (!context_.resume) forget_parts();
    Graph model = PruningGraph(context_.graph).graph();
    for (int64_t cut = 1; cut <= params_.cuts; ++cut) {
      const PruningGraph before(model);
      require_groups(before);
      std::optional<Selection> chosen;
      if (chooses_first()) chosen = select(before, cut);
      if (params_.epochs_between > 0) {
        train_model(context_, between_, task(model, regularizer(before, chosen), cut));
        if (context_.interrupted) return;
        model = context_.graph;
      }
      const PruningGraph trained(model);
      if (!chosen) chosen = select(trained, cut);
      KeptElements kept;
      model = cut_units(context_, fmt::format("{}, cut {}", context_.name, cut), trained,
                        params_.prune, *chosen, &kept);
      for (const auto& [key, tensor] : cut_state(state_, kept, model)) state_[key] = tensor;
      left_ *= chosen->got;
      if (cut == params_.cuts)
        warn_of_target(context_, params_.prune.what_is_left().of,
                       params_.prune.what_is_left().share, left_, chosen->in_the_way);
    }
    train_model(context_, params_.training, task(model, {}, 0));
  }

 private:
  bool chooses_first() const { return params_.regularizer && needs_units(*params_.regularizer); }

  static std::string part_of(int64_t cut) { return fmt::format("cut {}", cut); }

  /// The training before a cut, counted from 1; 0: behind the last one.
  TrainingTask task(const Graph& model, TrainHook before_step, int64_t cut) {
    return {.graph = model,
            .parameters = trainable_parameters(model),
            .masks = kept_zeros(context_, params_.training, model),
            .before_step = std::move(before_step),
            .part = cut > 0 ? part_of(cut) : std::string(),
            .turn = static_cast<uint64_t>(cut),
            .state = &state_};
  }

  /// share^(cut / cuts) of what there was at first is left after each cut; of what a group has
  /// then, at most 1 - (1 - max_ratio)^(1 / cuts) goes, so that it keeps 1 - max_ratio in the end.
  Selection select(const PruningGraph& graph, int64_t cut) const {
    SelectOptions options = params_.prune.select_options();
    const auto all = static_cast<double>(params_.cuts);
    options.target.share =
        std::min(1.0, std::pow(options.target.share, static_cast<double>(cut) / all) / left_);
    options.max_ratio = 1 - std::pow(1 - options.max_ratio, 1 / all);
    return Selector(context_, graph, prune_)(options);
  }

  TrainHook regularizer(const PruningGraph& graph, const std::optional<Selection>& chosen) const {
    if (!params_.regularizer) return {};
    return make_regularizer(graph, *params_.regularizer,
                            make_schedule(between_.schedule, between_.learning_rate(graph.graph())),
                            chosen ? chosen->removed : candidates(graph, params_.prune));
  }

  /// Checkpoints and times of an earlier run, which a later one that is resumed would take for its
  /// own.
  void forget_parts() const {
    if (context_.rank.rank != 0 || context_.checkpoint.empty()) return;
    if (params_.prune.latency_table.empty()) std::filesystem::remove(prune_.latency_table);
    for (int64_t cut = 1; cut <= params_.cuts; ++cut) {
      const std::filesystem::path file = checkpoint_of(context_, part_of(cut));
      std::filesystem::remove(file);
      std::filesystem::remove(file.string() + ".prev");
    }
  }

  StepContext& context_;
  const PruneTrainParams& params_;
  PruneParams prune_;
  TrainingParams between_;
  Trainer::Values state_;
  double left_ = 1;  ///< share of what the target counts
};

class PruneTrainStep : public Step {
 public:
  explicit PruneTrainStep(const Setting& setting) {
    check_keep(setting);
    params_ = bind<PruneTrainParams>(setting);
    params_.prune.check(setting);
    params_.training.check(setting);
    if (params_.regularizer && params_.epochs_between == 0)
      fail_setting(setting, "a regularizer acts in the epochs before a cut; `epochs_between` is 0");
  }

  std::vector<std::string_view> needs() const override {
    std::vector<std::string_view> roles = params_.prune.needs();
    if (std::ranges::count(roles, "train") == 0) roles.emplace_back("train");
    return roles;
  }
  std::string why_needs(std::string_view role) const override {
    return role == "train" ? "" : params_.prune.why_needs(role);
  }
  bool trains() const override { return true; }
  std::vector<std::string_view> without_effect() const override { return kWithoutEffect; }

  std::string refuses(Form form) const override {
    if (form == Form::kHalf) return "its weights are float16; only float32 models are trained";
    if (form == Form::kQdq || form == Form::kQOperator)
      return "it is quantized; models are pruned before";
    if (form == Form::kQat) return "training has quantized it; models are pruned before";
    return {};
  }

  std::string explain() const override {
    return fmt::format("Removes {}, in {} cut{} with {} epoch{} before each{}; then trains: {}.",
                       params_.prune.describe(), params_.cuts, params_.cuts == 1 ? "" : "s",
                       params_.epochs_between, params_.epochs_between == 1 ? "" : "s",
                       params_.regularizer ? " (" + params_.regularizer->kind + ")" : "",
                       params_.training.describe());
  }

  void run(StepContext& context) const override { Loop(context, params_).run(); }

  /// Of the whole model: what its cuts leave is not known before.
  void plan(StepContext& context) const override {
    const PruningGraph graph(context.graph);
    plan_pruning(context, graph, params_.prune);
    if (params_.regularizer)  // refuses what it has nothing to act on
      make_regularizer(
          graph, *params_.regularizer, [](int64_t, int64_t) { return 0.0; },
          candidates(graph, params_.prune));
    const bool resume = std::exchange(context.resume, false);
    plan_training(context, params_.training,
                  {.graph = graph.graph(), .parameters = trainable_parameters(graph.graph())});
    context.resume = resume;
  }

  StepWork work(const DataSizes& data) const override {
    StepWork out = params_.training.work(data);
    TrainingParams between = params_.training;
    between.steps = 0;
    between.epochs = params_.epochs_between * params_.cuts;
    const StepWork before = between.work(data);
    out.trained += before.trained;
    out.evaluated += before.evaluated;
    if (needs_data(params_.prune.spec(0)))
      out.calibrated = params_.cuts * std::min(params_.prune.samples, data.calib);
    return out;
  }
  std::map<std::string, std::string*> paths() override { return params_.training.paths(); }
  Setting params() const override { return unbind(PruneTrainParams::fields(), &params_); }

 private:
  /// What `prune` calls `keep`.
  static void check_keep(const Setting& setting) {
    const Setting* keep = setting.find("keep");
    if (keep != nullptr && keep->text != "last" && keep->text != "best")
      fail_setting(*keep,
                   "'keep' is last or best here, the epoch whose weights are the result; patterns "
                   "of nodes that lose nothing stand in 'keep_nodes'");
  }

  PruneTrainParams params_;
};

}  // namespace

const StepDef& step_prune_train() {
  static const StepDef kDef{
      "prune_train", "Removes units little by little and trains in between, then on",
      &PruneTrainParams::fields, [](const Setting& s) -> std::unique_ptr<Step> {
        return std::make_unique<PruneTrainStep>(s);
      }};
  return kDef;
}

}  // namespace lapidary
