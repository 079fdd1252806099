#include "src/pipeline/estimate.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "calibrate/feeder.h"
#include "calibrate/run.h"
#include "lapidary/calibrate.h"
#include "lapidary/exec.h"
#include "quantize/checks.h"
#include "src/pipeline/peaks.h"

namespace lapidary {

namespace {

using Clock = std::chrono::steady_clock;

/// Seconds that `body` takes.
template <class Body>
double timed(Body&& body) {
  const auto start = Clock::now();
  body();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// What the trials cost, as a share of the work that they stand for.
constexpr int64_t kTrialShare = 8;

/// A step of training as so many inferences: forward, and backward to values and to weights. That
/// libtorch's kernels take as long as our own is an assumption.
constexpr double kTrainingForwards = 3;

int64_t trial_size(int64_t samples, int64_t batch) {
  return std::clamp<int64_t>(samples / kTrialShare, 1, batch);
}

/// Costs of an inference as evaluation does it, per sample.
struct Inference {
  double decode_seconds = 0, forward_seconds = 0;
  double arena_bytes = 0, input_bytes = 0;
  double value_bytes = 0;  ///< of all activations, were they kept: each is written once, read once
  int64_t packed_bytes = 0;
  int64_t batch = 1;  ///< samples at once
};

Inference try_inference(const Graph& model, const Dataset& data, int threads) {
  Inference out;
  out.batch = std::min(suitable_batch(model, data), std::max<int64_t>(1, data.size()));
  Batch batch;
  const double decode = timed([&] { batch = data.batch(0, trial_size(data.size(), out.batch)); });
  if (batch.size() == 0) return out;
  Executor executor(model, {.threads = threads});
  const Feeder feeder(model, data);
  const Executor::Values inputs = feeder.inputs(batch);
  executor.run(inputs);  // plans, packs weights
  const double forward = timed([&] { executor.run(inputs); });
  // A graph of a fixed batch size runs all of it, whatever the samples.
  const auto ran = static_cast<double>(feeder.rows(batch).ran);
  out.decode_seconds = decode / static_cast<double>(batch.size());
  out.forward_seconds = forward / ran;
  out.arena_bytes = static_cast<double>(executor.arena_bytes()) / ran;
  for (const auto& [name, tensor] : inputs)
    out.input_bytes += static_cast<double>(tensor.size_bytes()) / ran;
  for (const StepInfo& step : executor.steps())
    out.value_bytes += static_cast<double>(step.bytes_moved) / 2 / ran;
  out.packed_bytes = executor.packed_bytes();
  return out;
}

/// Seconds of a calibration pass: what it takes to begin, and each sample's.
struct Calibration {
  double start_seconds = 0, sample_seconds = 0;
};

Calibration try_calibration(const Graph& model, const Dataset& data, const Inference& inference,
                            int threads) {
  if (is_quantized_model(model))  // its float form exists only once it is requantized
    return {0, inference.decode_seconds + inference.forward_seconds};
  const int64_t most =
      std::max<int64_t>(2, trial_size(data.size(), suitable_batch(calibrated_form(model), data)));
  const auto pass = [&](int64_t samples) {
    return timed([&] {
      calibrate(model, data, {.samples = samples, .threads = threads, .allow_nonfinite = true});
    });
  };
  const double one = pass(1);
  if (data.size() < 2) return {0, one};
  const double several = pass(std::min(most, data.size()));
  const double sample =
      std::max(0.0, several - one) / static_cast<double>(std::min(most, data.size()) - 1);
  return {std::max(0.0, one - sample), sample};
}

int64_t constant_bytes(const Graph& model) {
  int64_t bytes = 0;
  for (const ValueId id : model.values())
    if (const Tensor* t = model.constant(id)) bytes += static_cast<int64_t>(t->size_bytes());
  return bytes;
}

}  // namespace

int64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

int64_t rss_bytes() {
  int64_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

std::optional<Estimate> estimate_run(const RunWork& work) {
  const Dataset* data = work.eval != nullptr ? work.eval : work.calib;
  if (data == nullptr || data->size() == 0) return std::nullopt;
  const auto base = static_cast<double>(rss_bytes());
  StepWork steps;
  for (const RecipeStep& step : work.steps) {
    const StepWork one = step.step->work(work.sizes);
    steps.calibrated += one.calibrated;
    steps.held += one.held;
    steps.trained += one.trained;
    steps.evaluated += one.evaluated;
    steps.hold_bytes = std::max(steps.hold_bytes, one.hold_bytes);
  }
  const Inference one = try_inference(work.model, *data, work.threads);
  const double sample_seconds = one.decode_seconds + one.forward_seconds;
  const double graph_bytes = static_cast<double>(constant_bytes(work.model));
  const auto stages = static_cast<double>(work.steps.size() + 1);
  Estimate e;
  // Passes over the same samples cost time, not samples.
  e.calib_samples =
      work.sizes.calib > 0 ? std::min(steps.calibrated, work.sizes.calib) : steps.calibrated;
  e.seconds = work.seconds_so_far;
  double extra = 0;  // bytes of the largest phase beyond what is resident now
  if (steps.calibrated > 0) {
    const Calibration pass = try_calibration(work.model, *work.calib, one, work.threads);
    e.seconds += pass.start_seconds + static_cast<double>(steps.calibrated) * pass.sample_seconds;
  }
  e.seconds += static_cast<double>(steps.trained) *
               (one.decode_seconds + kTrainingForwards * one.forward_seconds);
  e.seconds += static_cast<double>(steps.evaluated) * sample_seconds;
  if (steps.held > 0) {
    // Integers of the values that later layers read: a quarter of the float plan's.
    const double frontier = std::max(1.0, one.arena_bytes / 4);
    const double held =
        std::clamp(steps.hold_bytes / frontier, 1.0, static_cast<double>(steps.held));
    e.seconds += held * sample_seconds;
    extra = std::max(extra, held * frontier + graph_bytes);
  }
  if (work.eval != nullptr) {
    e.eval_samples = work.eval->size();
    const double ends = std::min(stages, 2.0);
    const double models = (work.evaluate.every_step ? stages : ends) +
                          ends * static_cast<double>(work.evaluate.execution.size()) +
                          static_cast<double>(work.evaluate.isa_semantics.size());
    e.seconds +=
        static_cast<double>(e.eval_samples) * (one.decode_seconds + models * one.forward_seconds);
    extra = std::max(
        extra, models * (static_cast<double>(one.packed_bytes) + graph_bytes) +
                   static_cast<double>(one.batch) * (models * one.arena_bytes + one.input_bytes));
  }
  if (stages > 1 && work.evaluate.layer_samples > 0) {
    e.seconds += static_cast<double>(std::min(work.evaluate.layer_samples, data->size())) *
                 (one.decode_seconds + 2 * one.forward_seconds);
    // Both models, and the values of one sample kept for the comparison.
    extra = std::max(extra, 2 * (static_cast<double>(one.packed_bytes) + graph_bytes +
                                 one.arena_bytes + one.input_bytes) +
                                one.value_bytes);
  }
  if (const auto& bench = work.evaluate.bench) {
    e.seconds += stages * static_cast<double>(bench->threads.size()) * bench->seconds;
    if (stages > 1) extra = std::max(extra, static_cast<double>(kPeaksMemoryBytes));
  }
  e.memory_bytes = std::max(peak_rss_bytes(), static_cast<int64_t>(base + extra));
  return e;
}

}  // namespace lapidary
