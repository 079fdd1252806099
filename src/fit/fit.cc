#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <span>

#include "lapidary/ranks.h"
#include "lapidary/train.h"
#include "src/base/fail.h"
#include "src/base/rng.h"
#include "src/base/sha256.h"
#include "src/base/text.h"
#include "src/fit/check.h"
#include "src/fit/checkpoint.h"
#include "src/fit/feed_batch.h"
#include "src/fit/progress.h"

namespace lapidary {

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kStatePrefix = "state/";
constexpr const char* kBestPrefix = "best/";

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// "3:05", "2:03:05"
std::string time_text(double seconds) {
  const auto s = static_cast<int64_t>(std::llround(std::max(0.0, seconds)));
  return s < 3600 ? fmt::format("{}:{:02}", s / 60, s % 60)
                  : fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

/// Constants of `graph` whose elements are not those of `before`.
std::map<std::string, Tensor> changed_constants(const Graph& before, const Graph& graph) {
  std::map<std::string, Tensor> out;
  for (const ValueId id : graph.values()) {
    const Tensor* now = graph.constant(id);
    if (!now) continue;
    const ValueId old = before.find_value(graph.value(id).name);
    const Tensor* then = old ? before.constant(old) : nullptr;
    if (!then || !then->equals(*now)) out[graph.value(id).name] = *now;
  }
  return out;
}

Graph with_constants(Graph graph, const std::map<std::string, Tensor>& constants) {
  for (const auto& [name, tensor] : constants) {
    const ValueId id = graph.find_value(name);
    const Tensor* old = id ? graph.constant(id) : nullptr;
    if (!old || old->shape() != tensor.shape() || old->dtype() != tensor.dtype())
      fail_invalid("the checkpoint's constant '{}' is not of this graph", printable(name));
    graph.mutable_value(id).constant = tensor;
  }
  return graph;
}

/// The tensors whose names begin with `prefix`, without it.
std::map<std::string, Tensor> part_of(const Checkpoint& checkpoint, std::string_view prefix) {
  std::map<std::string, Tensor> out;
  for (const auto& [name, tensor] : checkpoint.tensors)
    if (name.starts_with(prefix)) out[name.substr(prefix.size())] = tensor;
  return out;
}

class Fit {
 public:
  Fit(Trainer& trainer, const Dataset& data, const FitOptions& options)
      : trainer_(trainer),
        data_(data),
        options_(options),
        initial_(trainer.graph()),
        feed_(initial_) {
    check_fit(options_, data_.size(), initial_);
    if (options_.resume || options_.stop || options_.evaluate) ranks_ = join_ranks(options_.rank);
    steps_per_epoch_ = data_.size() / options_.batch;
    total_ = options_.steps > 0 ? options_.steps : options_.epochs * steps_per_epoch_;
    best_ = initial_;
    if (!options_.checkpoint.empty())
      checkpoint_.emplace(options_.checkpoint,
                          CheckpointIdentity{options_.recipe_digest, options_.inputs_digest,
                                             run_lines(), options_.model_digest});
    if (options_.resume) resume();
  }

  FitResult run() {
    bool interrupted = false;
    while (!progress_.finished) {
      if (progress_.in_epoch == steps_per_epoch_ || progress_.step == total_) {
        finish_epoch();
        continue;
      }
      if (asked_to_stop()) {
        interrupted = true;
        save();
        break;
      }
      train_step();
      if (options_.checkpoint_every > 0 && progress_.step % options_.checkpoint_every == 0) save();
    }
    return result(interrupted);
  }

 private:
  /// Everything of the options and the data that the result depends on; the schedule by its values.
  std::string run_lines() const {
    const FitOptions& o = options_;
    std::string augment, rates;
    const auto add_augment = [&](const DatasetSpec& spec) {
      for (const Augment& step : spec.augment)
        augment += fmt::format("{} {} ", step.kind, step.amount);
    };
    add_augment(data_.spec());
    for (const DatasetSpec& one : data_.spec().inputs) add_augment(one);
    constexpr int64_t kProbes = 64;
    for (int64_t i = 0; i < kProbes; ++i)
      rates += fmt::format("{} ", o.lr(i * total_ / kProbes, total_));
    std::string out;
    const auto add = [&](const char* key, const auto& value) {
      out += fmt::format("{}: {}\n", key, value);
    };
    add("steps in all", total_);
    add("batch", o.batch);
    add("seed", o.seed);
    add("processes", o.rank.world_size);
    add("freeze_statistics", o.freeze_statistics);
    add("averaged", o.averaged);
    add("metric", o.metric);
    add("higher is better", o.higher_is_better);
    add("patience", o.patience);
    add("min_delta", o.min_delta);
    if (o.best_from > 0) add("best_from", o.best_from);
    add("training samples", data_.size());
    add("first training sample", data_.first_index());
    add("training data (SHA-256)", data_.whole_sha256());
    add("augment", augment);
    add("learning rates (SHA-256)", sha256_hex(rates));
    return out;
  }

  bool asked_to_stop() const {
    if (!options_.stop) return false;
    const bool own = options_.stop();
    return ranks_ ? ranks_->most(own ? 1 : 0) > 0 : own;
  }

  /// Of several processes all go on from what rank 0 finds.
  std::optional<Checkpoint> load() {
    if (!ranks_) return checkpoint_->load(options_.log);
    std::optional<Checkpoint> found;
    if (options_.rank.rank == 0) found = checkpoint_->load(options_.log);
    const std::string bytes = ranks_->broadcast(found ? pack(*found) : std::string());
    return bytes.empty() ? std::nullopt : std::optional(unpack(bytes));
  }

  /// What is best, and when to stop early, must be the same for all: rank 0's values count.
  std::map<std::string, double> evaluate(const Graph& graph) {
    std::map<std::string, double> out = options_.evaluate(graph);
    if (!ranks_) return out;
    std::string values;
    for (const auto& [name, value] : out)
      values.append(reinterpret_cast<const char*>(&value), sizeof(value));
    const std::string first = ranks_->broadcast(values);
    if (first.size() != values.size())
      fail_invalid("rank 0 evaluates to {} numbers, rank {} to {}", first.size() / sizeof(double),
                   options_.rank.rank, out.size());
    size_t at = 0;
    for (auto& [name, value] : out) {
      std::memcpy(&value, first.data() + at, sizeof(value));
      at += sizeof(value);
    }
    return out;
  }

  void resume() {
    const std::optional<Checkpoint> found = load();
    if (!found) {
      options_.log.info(fmt::format("no checkpoint {} yet: from the start", options_.checkpoint));
      return;
    }
    progress_ = read_progress(found->progress);
    trainer_.restore(part_of(*found, kStatePrefix));
    best_ = with_constants(initial_, part_of(*found, kBestPrefix));
    options_.log.info(fmt::format("going on from step {} of {}", progress_.step, total_));
    saved_ = {progress_.epoch, progress_.step};
  }

  void save() {
    if (!checkpoint_ || options_.rank.rank != 0) return;
    const std::pair now{progress_.epoch, progress_.step};
    if (saved_ == now) return;
    Checkpoint out;
    for (auto& [name, tensor] : trainer_.state()) out.tensors[kStatePrefix + name] = tensor;
    for (auto& [name, tensor] : changed_constants(initial_, best_))
      out.tensors[kBestPrefix + name] = tensor;
    out.progress = write_progress(progress_);
    checkpoint_->save(out);
    saved_ = now;
  }

  /// The epoch's order; made once.
  std::span<const int64_t> order() {
    if (order_epoch_ != progress_.epoch) {
      order_ = Rng::of(options_.seed, {static_cast<uint64_t>(progress_.epoch)})
                   .permutation(data_.size());
      order_epoch_ = progress_.epoch;
    }
    return order_;
  }

  Batch next_batch() {
    const int64_t part = options_.batch / options_.rank.world_size;
    const auto whole = order().subspan(static_cast<size_t>(progress_.in_epoch * options_.batch),
                                       static_cast<size_t>(options_.batch));
    Batch batch = data_.training_batch(
        {whole, options_.rank.rank * part, part, options_.seed, progress_.epoch});
    if (batch.size() == 0)
      fail_invalid("step {}: none of its {} samples can be used", progress_.step + 1, part);
    return batch;
  }

  void train_step() {
    const auto begin = Clock::now();
    const Batch batch = next_batch();
    Trainer::Values inputs = feed_(batch);
    if (options_.complete) options_.complete(inputs);
    if (options_.before_step) options_.before_step(trainer_, progress_.step, total_);
    const double lr = options_.lr(progress_.step, total_);
    const bool moves = static_cast<double>(progress_.step) <
                       options_.freeze_statistics * static_cast<double>(total_);
    const StepResult made = trainer_.step(inputs, {.lr = lr, .batch_statistics = moves});
    check_finite(made, lr);

    StepSums now{1, batch.size(), 0, made.loss, 0, 0};
    if (const auto at = made.outputs.find(options_.scores); at != made.outputs.end()) {
      const Correct counted = count_correct(at->second, batch);
      now.correct = counted.correct;
      now.judged = counted.judged;
    }
    now.seconds = seconds_since(begin);
    ++progress_.step;
    ++progress_.in_epoch;
    for (StepSums* sums : {&progress_.epoch_sums, &progress_.interval_sums, &session_})
      add(*sums, now);
    if (progress_.step % options_.log_every == 0) record_interval();
    options_.log.advance("train", progress_.step, total_);
  }

  static void add(StepSums& sums, const StepSums& more) {
    sums.steps += more.steps;
    sums.samples += more.samples;
    sums.judged += more.judged;
    sums.loss += more.loss;
    sums.correct += more.correct;
    sums.seconds += more.seconds;
  }

  /// What is not finite changed nothing: the state is kept, then the run ends.
  void check_finite(const StepResult& made, double lr) {
    const bool loss = std::isfinite(made.loss);
    if (loss && std::isfinite(made.gradient_norm)) return;
    save();
    const std::string kept =
        saved_.second < 0 ? std::string()
                          : fmt::format("; the state before it is kept in {}", options_.checkpoint);
    fail_invalid(
        "step {} of {} (epoch {}): the {} is {} at a learning rate of {:g}{}; lower the rate, warm "
        "up, or clip the gradient",
        progress_.step + 1, total_, progress_.epoch + 1, loss ? "gradient's norm" : "loss",
        loss ? made.gradient_norm : made.loss, lr, kept);
  }

  FitInterval means(const StepSums& sums) const {
    FitInterval out;
    out.epoch = progress_.epoch;
    out.step = progress_.step;
    out.lr = options_.lr(std::max<int64_t>(0, progress_.step - 1), total_);
    if (sums.steps > 0) out.loss = sums.loss / static_cast<double>(sums.steps);
    if (sums.judged > 0) out.accuracy = sums.correct / static_cast<double>(sums.judged);
    const auto samples = static_cast<double>(sums.samples * options_.rank.world_size);
    if (sums.seconds > 0) out.images_per_second = samples / sums.seconds;
    return out;
  }

  std::string describe(const FitInterval& x) const {
    std::string out =
        fmt::format("epoch {}, step {} of {}: loss {:.4f}", x.epoch + 1, x.step, total_, x.loss);
    if (!std::isnan(x.accuracy)) out += fmt::format(", accuracy {:.2f} %", 100 * x.accuracy);
    return out + fmt::format(", lr {:.3g}, {:.0f} images/s", x.lr, x.images_per_second);
  }

  void record_interval() {
    const FitInterval record = means(progress_.interval_sums);
    progress_.log.intervals.push_back(record);
    thin(progress_.log.intervals);
    progress_.interval_sums = {};
    const double each = session_.seconds / static_cast<double>(session_.steps);
    options_.log.info(fmt::format("{}, {} left", describe(record),
                                  time_text(each * static_cast<double>(total_ - record.step))));
  }

  void finish_epoch() {
    FitEpoch record;
    static_cast<FitInterval&>(record) = means(progress_.epoch_sums);
    record.seconds = progress_.epoch_sums.seconds;
    Graph graph = trainer_.graph(options_.averaged);
    if (options_.evaluate) {
      record.metrics = evaluate(graph);
      record.best = judge(record.metrics);
    } else {
      record.best = true;
      progress_.best_epoch = progress_.epoch;
    }
    if (record.best && options_.evaluate) best_ = std::move(graph);
    report(record);
    progress_.log.epochs.push_back(std::move(record));
    ++progress_.epoch;
    progress_.in_epoch = 0;
    progress_.epoch_sums = {};
    progress_.stopped_early =
        options_.patience > 0 && progress_.stale >= options_.patience && progress_.step < total_;
    progress_.finished = progress_.stopped_early || progress_.step == total_;
    save();
  }

  /// True where the epoch is the best so far. A metric that is NaN never is.
  bool judge(const std::map<std::string, double>& metrics) {
    const auto found = metrics.find(options_.metric);
    if (found == metrics.end()) {
      std::vector<std::string> names;
      for (const auto& [name, value] : metrics) names.push_back(name);
      fail_usage("the evaluation gives no '{}'; it gives {}", options_.metric,
                 fmt::join(names, ", "));
    }
    if (static_cast<double>(progress_.step) < options_.best_from * static_cast<double>(total_))
      return false;
    const double sign = options_.higher_is_better ? 1 : -1;
    const bool better = !std::isnan(found->second) &&
                        (std::isnan(progress_.best_metric) ||
                         sign * found->second > sign * progress_.best_metric + options_.min_delta);
    progress_.stale = better ? 0 : progress_.stale + 1;
    if (!better) return false;
    progress_.best_metric = found->second;
    progress_.best_epoch = progress_.epoch;
    return true;
  }

  void report(const FitEpoch& record) const {
    std::string text = "end of " + describe(record);
    for (const auto& [name, value] : record.metrics)
      text += options_.metric_text ? fmt::format(", {} {}", name, options_.metric_text(name, value))
                                   : fmt::format(", {} {:.6g}", name, value);
    if (record.best && options_.evaluate) text += " (best so far)";
    options_.log.info(text);
  }

  FitResult result(bool interrupted) {
    FitResult out;
    out.steps = progress_.step;
    out.last = trainer_.graph(options_.averaged);
    out.best = options_.evaluate && progress_.best_epoch >= 0 ? best_ : out.last;
    out.best_epoch = progress_.best_epoch;
    out.best_metric = progress_.best_metric;
    out.interrupted = interrupted;
    out.stopped_early = progress_.stopped_early;
    out.log = std::move(progress_.log);
    return out;
  }

  Trainer& trainer_;
  const Dataset& data_;
  const FitOptions& options_;
  const Graph initial_;
  const BatchFeed feed_;
  std::shared_ptr<Ranks> ranks_;  ///< null: this process is alone, or they need not agree
  int64_t steps_per_epoch_ = 0, total_ = 0;
  Graph best_;
  std::optional<CheckpointFile> checkpoint_;
  FitProgress progress_;
  StepSums session_;  // of this process
  std::vector<int64_t> order_;
  int64_t order_epoch_ = -1;
  std::pair<int64_t, int64_t> saved_{-1, -1};
};

}  // namespace

void check_fit(const FitOptions& o, int64_t samples, const Graph& graph) {
  const auto& [rank, world_size, address, port] = o.rank;
  if (!o.lr) fail_usage("no learning rate (a schedule of make_schedule)");
  if (o.steps < 0 || o.epochs < 0 || (o.steps == 0 && o.epochs < 1))
    fail_usage("{} epochs, {} steps; one of them must be positive", o.epochs, o.steps);
  if (world_size < 1 || rank < 0 || rank >= world_size)
    fail_usage("rank {} of {}", rank, world_size);
  if (o.batch < 1 || o.batch % world_size != 0)
    fail_usage("a batch of {} does not divide among {} processes", o.batch, world_size);
  if (o.batch > samples)
    fail_usage("{} samples do not fill one batch of {}; make it smaller", samples, o.batch);
  if (o.log_every < 1) fail_usage("log_every is {}", o.log_every);
  if (o.checkpoint_every < 0 || o.patience < 0)
    fail_usage("checkpoint_every and patience cannot be negative");
  if (o.patience > 0 && !o.evaluate) fail_usage("'patience' needs something to evaluate");
  if ((o.resume || o.checkpoint_every > 0) && o.checkpoint.empty())
    fail_usage("no checkpoint file is named");
  check_batch(graph, o.batch / world_size);
}

void check_resume(Trainer& trainer, const Dataset& data, const FitOptions& options) {
  Fit(trainer, data, options);
}

FitResult fit(Trainer& trainer, const Dataset& data, const FitOptions& options) {
  return Fit(trainer, data, options).run();
}

}  // namespace lapidary
