#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/data.h"
#include "lapidary/export.h"
#include "lapidary/graph.h"
#include "lapidary/log.h"
#include "lapidary/named.h"
#include "lapidary/trainer.h"

namespace lapidary {

/// A trainer of the graph on libtorch, whose library is loaded at the first call. Throws
/// Error{kUnsupported} where Lapidary was built without training (the message says what to install)
/// and for nodes between parameters and loss that cannot be trained, each named with the reason;
/// Error{kUsage} for names that are not of the graph.
LAPIDARY_API std::unique_ptr<Trainer> open_trainer(const Graph& graph,
                                                   const TrainerOptions& options);
/// Empty where `open_trainer` has a library to load, else the reason.
LAPIDARY_API std::string training_unavailable();

// -- parameters

/// The float32 constants that a model learns, by the ops that read them: weights and biases of
/// layers, gains and shifts of normalizations, slopes of PRelu, rows of embeddings; behind the
/// first layer also factors of channels (Mul) and what is added of more than one element, but
/// masks. Only weights and embeddings decay. For graphs with FakeQuantize nodes make_qat_graph
/// knows more.
LAPIDARY_API std::vector<TrainedParameter> trainable_parameters(const Graph& graph);

/// Makes a model's parameters anew, by `seed` and their order in the graph alone:
/// - weights: normal, mean 0, variance 2 / (terms that one output sums up) (He et al. 2015),
/// - embeddings: normal, standard deviation 0.02,
/// - biases, shifts, running means, terms of channels: 0,
/// - gains, running variances, factors of channels: 1,
/// - slopes of PRelu: 0.25.
///
/// All other constants stay: single numbers, shapes, tables that are added (positions may be sines:
/// a graph holds what they begin as). Throws Error{kUsage} where the graph has no weights, or a
/// constant is shared by readers of which each would begin it otherwise.
LAPIDARY_API void init_parameters(Graph& graph, uint64_t seed);

/// `original` with the constants, running statistics among them, of `trained`, a graph made of it
/// for training (add_loss, Trainer::graph): the way back from FitResult. Throws Error{kUsage} where
/// `trained` lacks one of its parameters or has it in another shape.
LAPIDARY_API Graph without_loss(const Graph& trained, const Graph& original);

/// What is left of Trainer::state once constants lose elements: the state of a trainer of
/// `pruned`, with the memory, averages and statistics of the elements that stay. Constants that
/// `pruned` has not are left out. Throws Error{kInvalid} where a constant of `pruned` has another
/// shape than what is left of it.
LAPIDARY_API Trainer::Values cut_state(const Trainer::Values& state, const KeptElements& kept,
                                       const Graph& pruned);

// -- schedules

/// The learning rate of step 0..total - 1.
using Schedule = std::function<double(int64_t step, int64_t total)>;
/// constant | step | cosine | one_cycle, with what `list_schedules` tells of; shares of a run as
/// parameters, so that they hold for any number of steps.
struct ScheduleSpec {
  std::string kind = "cosine";
  Numbers params = {};
};
/// A schedule whose highest rate is `lr`. Throws Error{kUsage} for unknown names and values out of
/// range.
LAPIDARY_API Schedule make_schedule(const ScheduleSpec& spec, double lr);
LAPIDARY_API std::vector<NamedHelp> list_schedules();

// -- losses

/// One term of a loss.
struct LossSpec {
  std::string kind = "cross_entropy";  ///< cross_entropy | mse | bce (of logits)
  double weight = 1;
  std::string output;  ///< the value that it judges; empty: the graph's first output, scores before
                       ///< a Softmax
  std::string target;  ///< value or graph input that it is compared with; empty: the labels
  Numbers params = {};  ///< cross_entropy: label_smoothing, axis
};
/// Appends the weighted sum of losses to the graph (upgraded to opset 13 where it is older) and
/// gives the name of that scalar. Every term is a mean over samples of means over their elements;
/// `mixup`: terms on labels are share L(label) + (1 - share) L(label2) per sample. Inputs that are
/// missing are added: labels, and targets as float32 of their output's shape. Throws Error{kUsage}.
LAPIDARY_API std::string add_loss(Graph& graph, const std::vector<LossSpec>& losses,
                                  bool mixup = false);
LAPIDARY_API std::vector<NamedHelp> list_losses();

// -- gradients

struct GradientOptions {
  int64_t samples = 1024;  ///< drawn by `seed`; all of them where the data have no more
  int64_t batch = 32;      ///< samples of one pass; what does not fill a last one is left out
  uint64_t seed = 0;       ///< of the samples, their augmentation and Dropout
  std::string device = "cpu";
  int threads = 0;  ///< 0: thread_count()
};
/// The gradients of the mean loss over samples of training data (none: cross_entropy) for every
/// constant of `trainable_parameters`, at the constants' values: BatchNormalization normalizes by
/// its running statistics, nothing is changed. Samples are augmented as in epoch 0. Throws as
/// `open_trainer`, `add_loss` and `fit` do, Error{kInvalid} where a gradient is not finite.
LAPIDARY_API Gradients mean_gradients(const Graph& model, const Dataset& data,
                                      std::vector<LossSpec> losses = {},
                                      const GradientOptions& options = {});

// -- the loop

inline constexpr double kNotKnown = std::numeric_limits<double>::quiet_NaN();

/// Means over the steps since the record before.
struct FitInterval {
  int64_t epoch = 0, step = 0;  ///< epochs before this one, steps so far
  double lr = 0, loss = 0;
  double accuracy = kNotKnown;  ///< share of this rank's samples with the label's score highest
  double images_per_second = 0;
};
struct FitEpoch : FitInterval {
  std::map<std::string, double> metrics;  ///< what `evaluate` returned
  bool best = false;                      ///< so far
  double seconds = 0;                     ///< of training, without evaluation
};
struct FitLog {
  std::vector<FitInterval> intervals;
  std::vector<FitEpoch> epochs;
};

struct FitOptions {
  int64_t epochs = 1;
  int64_t steps = 0;    ///< > 0: that many steps instead of `epochs`
  int64_t batch = 128;  ///< samples of one step, over all ranks together
  uint64_t seed = 0;    ///< of the samples' order and augmentation, with the epoch
  Rank rank = {};
  Schedule lr;
  /// Share of the steps after which BatchNormalization keeps its running statistics; 1: never.
  double freeze_statistics = 1;
  std::string scores;      ///< a value of TrainerOptions::outputs, [N, ..., C]: training accuracy
  int64_t log_every = 50;  ///< steps between FitInterval records

  /// Called on the graph after every epoch, on every rank; rank 0's values count.
  std::function<std::map<std::string, double>(const Graph&)> evaluate;
  /// A value of `evaluate` in print; empty: six digits.
  std::function<std::string(const std::string& metric, double value)> metric_text;
  bool averaged = false;        ///< graphs are those of the EMA
  std::string metric = "top1";  ///< of `evaluate`: what is best
  bool higher_is_better = true;
  int64_t patience = 0;  ///< stop after so many epochs without a better one; 0: never
  double min_delta = 0;  ///< by how much better it must be
  /// Share of the steps before which no epoch is best or counts for `patience`: the model is not
  /// yet what it is to be.
  double best_from = 0;

  std::string checkpoint;        ///< file, written by rank 0; ".prev": the one before; empty: none
  int64_t checkpoint_every = 0;  ///< steps; 0: after each epoch only
  bool resume = false;           ///< from `checkpoint` where it is there (on rank 0)
  /// All else that it depends on: settings and what is read besides the data, as lines `KEY:
  /// VALUE`, and a hash of the graph. Others' checkpoints are refused.
  std::string recipe_digest, inputs_digest, model_digest;

  /// Asked before every step: true ends the run after a checkpoint. Set on one of several ranks it
  /// must be on all; they then end together, where one is asked to.
  std::function<bool()> stop;
  TrainHook before_step;
  /// Adds graph inputs that are computed from others: what a teacher says of the batch.
  std::function<void(Trainer::Values& inputs)> complete;
  LogSink log;
};

struct FitResult {
  FitLog log;
  int64_t steps = 0;  ///< in all, those before a resumption included
  Graph last, best;   ///< the same where nothing is evaluated
  int64_t best_epoch = -1;
  double best_metric = kNotKnown;
  bool interrupted = false;    ///< by `stop`
  bool stopped_early = false;  ///< by `patience`
};

/// Trains over the data's samples in an order of its own for each epoch, a permutation by (seed,
/// epoch); every step takes the next `batch` of them, each rank its part. What does not fill a last
/// batch is left out of the epoch. Resumed from a checkpoint it ends as it would have ended without
/// the interruption, bit for bit. Throws Error{kUsage} for options that contradict each other or
/// the data, Error{kInvalid} naming the step where the loss is not finite, after a checkpoint of
/// the state before it.
LAPIDARY_API FitResult fit(Trainer& trainer, const Dataset& data, const FitOptions& options);

}  // namespace lapidary
