#include "src/pipeline/training/train_model.h"

#include <algorithm>

#include "calibrate/feeder.h"
#include "calibrate/statistics.h"
#include "lapidary/distill.h"
#include "lapidary/evaluate.h"
#include "lapidary/model_io.h"
#include "src/base/rng.h"
#include "src/base/sha256.h"
#include "src/base/text.h"
#include "src/fit/check.h"
#include "src/fit/feed_batch.h"
#include "src/fit/memory.h"
#include "src/pipeline/estimate.h"
#include "src/pipeline/metric.h"
#include "src/pipeline/report/format.h"

namespace lapidary {

namespace {

/// What libtorch takes for itself in a first step, whatever the model: the measured peak of steps
/// of one sample less what is counted of them (libtorch 1.13, two threads).
constexpr int64_t kFirstStepBytes = 26'000'000;

/// Of an If, Loop or Scan.
bool has_body(const Node& node) {
  return std::any_of(node.attrs.begin(), node.attrs.end(), [](const auto& attr) {
    return std::holds_alternative<std::shared_ptr<const Graph>>(attr.second);
  });
}

class Training {
 public:
  Training(StepContext& context, const TrainingParams& params, TrainingTask task)
      : context_(context),
        params_(params),
        base_(std::move(task.graph)),
        lower_(std::move(task.lower)),
        observed_(task.observed),
        anew_(task.anew),
        given_hook_(std::move(task.before_step)),
        part_(std::move(task.part)),
        turn_(task.turn),
        state_(task.state),
        masks_(std::move(task.masks)),
        data_(*context.data("train")),
        valid_(context.data("valid") ? context.data("valid") : context.data("eval")) {
    require_parameters(task.parameters);
    build_loss(task.parameters);
    set_masks();
    warn_of_small_batches();
  }

  /// All that `run` would refuse before its first step, and the memory that it would take.
  void plan() {
    trainer_options_.rank = {};
    FitOptions options = fit_options();
    check_inputs();
    check_fit(options, data_.size(), graph_);
    count_memory();
    const std::unique_ptr<Trainer> trainer = open_trainer(graph_, trainer_options_);
    if (!options.resume) return;
    identify(options);
    check_resume(*trainer, data_, options);
  }

  void run() {
    FitOptions options = fit_options();
    check_inputs();
    check_fit(options, data_.size(), graph_);
    count_memory();
    const std::unique_ptr<Trainer> trainer = open_trainer(graph_, trainer_options_);
    if (state_) trainer->restore(begun_from(*state_, trainer->state()));
    identify(options);
    FitResult result = fit(*trainer, data_, options);
    if (state_) *state_ = trainer->state();
    record(result);
    if (result.interrupted) {
      context_.interrupted = true;
      return;
    }
    const bool last_is_best = result.best_epoch + 1 == std::ssize(result.log.epochs);
    const bool kept_is_best = params_.best() || last_is_best;
    context_.graph = finished(kept_is_best ? result.best : result.last);
    context_.lower = lower_;
    context_.masked = !masks_.empty() || params_.sparsify.has_value();
    if (params_.evaluate && valid_)
      context_.beside["best"] = exported(kept_is_best ? context_.graph : finished(result.best));
  }

 private:
  void require_parameters(const std::vector<TrainedParameter>& parameters) const {
    if (!parameters.empty()) return;
    std::vector<std::string> bodies;
    for (const NodeId id : base_.nodes())
      if (has_body(base_.node(id))) bodies.push_back(node_label(base_, id));
    if (bodies.empty()) fail_usage("the model has no float32 weights that could be trained");
    fail_unsupported("cannot be trained{}: {}: the model's weights lie in its branches or body",
                     lower_ ? " with quantization" : "", fmt::join(bodies, "; "));
  }

  /// `state`, and of what that lacks or has in another shape what the trainer has.
  static Trainer::Values begun_from(const Trainer::Values& state, Trainer::Values trainer) {
    for (auto& [key, tensor] : trainer)
      if (const auto at = state.find(key);
          at != state.end() && at->second.shape() == tensor.shape())
        tensor = at->second;
    return trainer;
  }

  /// The data bring all that the model asks for, as it asks for it.
  void check_inputs() const { Feeder(base_, data_); }

  /// Below, a batch's mean and variance say little of the data's (Wu, He 2018, figure 1).
  void warn_of_small_batches() {
    constexpr int64_t kFew = 16;
    const int64_t samples =
        params_.batch;  // of several processes statistics are all their samples'
    const auto nodes = base_.nodes();
    const bool learns = std::any_of(nodes.begin(), nodes.end(), [this](NodeId id) {
      return base_.node(id).is("BatchNormalization");
    });
    if (!learns || params_.freeze_statistics <= 0 || samples >= kFew) return;
    const std::string warning = fmt::format(
        "BatchNormalization normalizes by the {} sample{} of a batch, few to learn its statistics "
        "from: take a larger `batch`{}",
        samples, samples == 1 ? "" : "s",
        anew_ ? "" : ", or keep those that the model has (`freeze_statistics: 0`)");
    context_.log.warn(warning);
    context_.report.warnings.push_back(warning);
  }

  /// Into the estimate: the process with the training library, and what training adds.
  void count_memory() const {
    training_unavailable();  // loads it
    // What a step has taken the process keeps for the next one.
    if (context_.idle_bytes == 0) context_.idle_bytes = rss_bytes();
    const int64_t batch = params_.batch / std::max(1, context_.rank.world_size);
    context_.training_bytes =
        std::max(context_.training_bytes, context_.idle_bytes + kFirstStepBytes +
                                              training_memory(graph_, trainer_options_, batch));
  }

  /// The model with the training's constants.
  Graph finished(const Graph& trained) const {
    Graph out = without_loss(trained, base_);
    if (params_.reestimate > 0)
      reestimate_batchnorm(out, data_,
                           {.samples = params_.reestimate, .threads = context_.threads});
    return out;
  }
  Graph exported(const Graph& graph) const { return lower_ ? lower_(graph) : graph; }

  void build_loss(const std::vector<TrainedParameter>& parameters) {
    graph_ = base_;
    std::vector<LossSpec> on_labels;
    std::vector<DistillSpec> taught;
    for (const LossTerm& term : params_.losses)
      std::visit(
          [&](const auto& spec) {
            if constexpr (std::is_same_v<std::decay_t<decltype(spec)>, LossSpec>)
              on_labels.push_back(spec);
            else
              taught.push_back(spec);
          },
          term.spec);
    if (params_.has_teacher() && taught.empty()) taught.emplace_back();
    if (anew_ && params_.teacher == kOriginalTeacher)
      fail_usage("teacher 'original' is the model whose weights are made anew; name a file");
    if (context_.rank.world_size > 1 &&
        std::any_of(params_.losses.begin(), params_.losses.end(),
                    [](const LossTerm& term) { return term.among_samples(); }))
      context_.log.warn(
          "a loss compares the samples of a batch with each other: each process does so with its "
          "own part, which is not what one process with the whole batch would learn");
    if (on_labels.empty() && params_.labels && data_.labelled()) on_labels.emplace_back();
    for (const LossTerm& term : params_.losses)
      if (term.reads_labels() && !data_.labelled())
        fail_usage("a loss compares with labels, and the training data have none");
    if (on_labels.empty() && taught.empty())
      fail_usage("the training data have no labels and there is no teacher; nothing to learn from");
    std::string& loss = trainer_options_.loss;
    if (!on_labels.empty()) loss = add_loss(graph_, on_labels, mixes(data_.spec()));
    if (!taught.empty()) {
      const Graph teacher =
          params_.teacher == kOriginalTeacher ? *context_.original : load_onnx(params_.teacher);
      Distillation added = attach_distillation(graph_, teacher, taught, context_.seed, loss);
      loss = added.loss;
      trainer_options_.parameters = added.parameters;
      teacher_.emplace(teacher, added, context_.threads);
      teacher_digest_ = graph_hash(teacher);
    }
    trainer_options_.parameters.insert(trainer_options_.parameters.begin(), parameters.begin(),
                                       parameters.end());
    trainer_options_.optimizer = params_.optimizer;
    trainer_options_.ema = params_.ema;
    trainer_options_.device = params_.device;
    trainer_options_.threads = context_.threads;
    trainer_options_.seed = context_.seed;
    trainer_options_.rank = context_.rank;
    if (data_.labelled()) trainer_options_.outputs = {base_.value(base_.outputs()[0]).name};
  }

  /// Of the model's own weights: what a loss adds, as layers that compare with a teacher, is none.
  /// What is done to units, then what is done to masks.
  TrainHook before_step() const {
    if (!given_hook_) return grow_;
    if (!grow_) return given_hook_;
    return [units = given_hook_, masks = grow_](Trainer& trainer, int64_t step, int64_t total) {
      units(trainer, step, total);
      masks(trainer, step, total);
    };
  }

  void set_masks() {
    for (TrainedParameter& parameter : trainer_options_.parameters)
      if (const auto mask = masks_.find(parameter.name); mask != masks_.end())
        parameter.mask = mask->second;
    if (!params_.sparsify) return;
    const GradualOptions gradual =
        params_.sparsify->gradual(context_.seed, context_.threads, context_.log);
    grow_ = gradual_sparsity(base_, gradual);
    for (const std::string& name : sparsified_tensors(base_, gradual.sparsify)) {
      const auto parameter =
          std::find_if(trainer_options_.parameters.begin(), trainer_options_.parameters.end(),
                       [&](const TrainedParameter& p) { return p.name == name; });
      if (parameter == trainer_options_.parameters.end())
        fail_usage("'sparsify': '{}' is not trained; exclude its layer", printable(name, 200));
      parameter->movement = gradual.sparsify.method == "movement";
    }
  }

  FitOptions fit_options() {
    FitOptions o;
    o.epochs = params_.epochs;
    o.steps = params_.steps;
    o.batch = params_.batch;
    o.seed = turn_ == 0 ? context_.seed : Rng::of(context_.seed, {turn_}).next();
    o.rank = context_.rank;
    o.lr = make_schedule(params_.schedule, params_.learning_rate(base_));
    o.freeze_statistics = params_.freeze_statistics;
    if (!trainer_options_.outputs.empty()) o.scores = trainer_options_.outputs[0];
    o.log_every = params_.log_every;
    o.averaged = params_.ema > 0;
    set_evaluation(o);
    o.checkpoint = checkpoint_of(context_, part_).string();
    o.checkpoint_every = o.checkpoint.empty() ? 0 : params_.checkpoint_every;
    o.resume = context_.resume;
    o.stop = context_.stop;
    o.before_step = before_step();
    if (params_.sparsify) o.best_from = params_.sparsify->end;
    if (teacher_) o.complete = std::ref(*teacher_);
    o.log = context_.log;
    return o;
  }

  /// Whose checkpoint it is.
  void identify(FitOptions& o) const {
    o.recipe_digest = context_.params;
    const auto add = [&](const char* key, const std::string& value) {
      o.inputs_digest += fmt::format("{}: {}\n", key, value);
    };
    add("model (SHA-256)", graph_hash(*context_.model));
    if (observed_) {
      add("samples for ranges", fmt::format("{}", observed_->size()));
      add("first sample for ranges", fmt::format("{}", observed_->first_index()));
      add("data for ranges (SHA-256)", observed_->whole_sha256());
    }
    if (teacher_) add("teacher (SHA-256)", teacher_digest_);
    if (!masks_.empty()) add("masks (SHA-256)", masks_digest());
    if (params_.evaluate && valid_) {
      add("samples between epochs", fmt::format("{}", valid_->size()));
      add("first sample between epochs", fmt::format("{}", valid_->first_index()));
      add("data between epochs (SHA-256)", valid_->whole_sha256());
    }
    o.model_digest = graph_hash(graph_);
  }

  std::string masks_digest() const {
    Sha256 hash;
    for (const auto& [name, mask] : masks_) {
      hash.update(name);
      hash.update(mask.raw(), mask.size_bytes());
    }
    return hash.hex();
  }

  /// Without labels, or for a metric that wants it, the model is held against the original one.
  void set_evaluation(FitOptions& o) {
    o.patience = params_.patience;
    o.min_delta = params_.min_delta;
    if (!params_.evaluate) return;
    const bool nothing_to_say = anew_ && valid_ && !valid_->labelled() && !params_.metric;
    if (valid_ == nullptr || nothing_to_say) {
      if (params_.best() || params_.patience > 0)
        fail_usage("which epoch is best is told by {}data: give `valid:` or `eval:` under `data:`",
                   anew_ ? "labelled " : "");
      valid_ = nullptr;
      return;
    }
    o.metric = params_.metric.value_or(valid_->labelled() ? "top1" : "agreement_with_fp32");
    if (anew_ && find_metric(o.metric)->needs_reference)
      fail_usage("metric '{}' holds a model against what it was, and weights are made anew",
                 o.metric);
    metric_ = o.metric;
    const MetricDef& metric = *find_metric(o.metric);
    o.higher_is_better = metric.higher_is_better;
    o.metric_text = [](const std::string& name, double value) {
      return metric_text(*find_metric(name), value);
    };
    o.evaluate = [this, reference = metric.needs_reference](const Graph& trained) {
      const Graph model = exported(finished(trained));
      const EvaluateOptions options{.threads = context_.threads};
      return reference ? validate(model, *context_.original, *valid_, options).metrics
                       : evaluate(model, *valid_, options).metrics;
    };
  }

  void record(const FitResult& result) const {
    TrainingRecord out;
    out.step = part_.empty() ? context_.name : fmt::format("{}, {}", context_.name, part_);
    out.steps = result.steps;
    out.batch = params_.batch;
    out.parameters = std::ssize(trainer_options_.parameters);
    out.log = result.log;
    out.metric = metric_;
    out.measured_on = !params_.evaluate || !valid_ ? "" : context_.data("valid") ? "valid" : "eval";
    out.best_epoch = result.best_epoch;
    out.kept = params_.keep;
    out.stopped_early = result.stopped_early;
    out.interrupted = result.interrupted;
    context_.report.trainings.push_back(std::move(out));
  }

  StepContext& context_;
  const TrainingParams& params_;
  const Graph base_;
  const std::function<Graph(const Graph&)> lower_;
  const Dataset* observed_;  ///< null: no ranges were found
  const bool anew_;
  const TrainHook given_hook_;
  const std::string part_;
  const uint64_t turn_;
  Trainer::Values* const state_;
  const Masks masks_;
  const Dataset& data_;
  const Dataset* valid_;
  Graph graph_;  ///< base_ and the loss
  TrainerOptions trainer_options_;
  std::optional<Teacher> teacher_;
  std::string teacher_digest_, metric_;
  TrainHook grow_;  ///< masks; empty: none grow
};

}  // namespace

namespace {

/// Of a file that was masked earlier: what it does not say, the recipe has to.
void warn_of_zeros(const StepContext& context, const Graph& graph) {
  const size_t layers = masks_of(graph).size();
  if (layers == 0) return;
  const std::string warning = fmt::format(
      "step '{}': in {} layer{} {:.0f} % of the weights or more are zero and will not stay so; "
      "`keep_zeros: true` keeps them, `false` says that they may go",
      context.name, layers, layers == 1 ? "" : "s", 100 * kLeastMasked);
  if (std::ranges::count(context.report.warnings, warning) > 0) return;
  context.log.warn(warning);
  context.report.warnings.push_back(warning);
}

}  // namespace

std::filesystem::path checkpoint_of(const StepContext& context, const std::string& part) {
  const std::filesystem::path& whole = context.checkpoint;
  if (part.empty() || whole.empty()) return whole;
  std::string word = part;
  std::replace(word.begin(), word.end(), ' ', '-');
  return whole.parent_path() /
         fmt::format("{}.{}{}", whole.stem().string(), word, whole.extension().string());
}

Masks kept_zeros(const StepContext& context, const TrainingParams& params, const Graph& graph,
                 bool anew) {
  if (!params.keep_zeros.value_or(context.masked)) {
    if (!params.keep_zeros && !anew) warn_of_zeros(context, graph);
    return {};
  }
  Masks masks = masks_of(graph, context.masked ? 0 : kLeastMasked);
  if (masks.empty() && params.keep_zeros && !context.masked) {
    const std::string warning = fmt::format(
        "keep_zeros: in no layer's weights are {:.0f} % zero; none is kept", 100 * kLeastMasked);
    context.log.warn(warning);
    context.report.warnings.push_back(warning);
  }
  return masks;
}

void plan_training(StepContext& context, const TrainingParams& params, TrainingTask task) {
  Training(context, params, std::move(task)).plan();
}

void train_model(StepContext& context, const TrainingParams& params, TrainingTask task) {
  Training(context, params, std::move(task)).run();
}

}  // namespace lapidary
