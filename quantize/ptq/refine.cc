#include "quantize/ptq/refine.h"

#include <algorithm>

#include "calibrate/run.h"
#include "quantize/ptq/bias_correction.h"
#include "quantize/ptq/output_error.h"
#include "quantize/ptq/skip_means.h"
#include "src/base/fail.h"

namespace lapidary {

namespace {

/// Float means of exactly the first `samples` of the data: the statistics where they saw just
/// these, else a pass of its own.
Statistics float_means(const Graph& form, const Statistics& statistics, const Dataset& data,
                       int64_t samples, const QuantizeOptions& options) {
  const Statistics::Impl& stats = statistics.impl();
  const auto seen = stats.sources.find(data.whole_sha256());
  const int64_t first = data.first_index();
  const bool same = stats.sources.size() == 1 && seen != stats.sources.end() &&
                    seen->second.intervals == SampleSet{{{first, first + samples}}}.intervals;
  if (same && !stats.windows.empty()) return statistics;
  options.log.info(fmt::format("float means of {} held samples: one more pass", samples));
  return collect_means(form, data, samples, options.threads);
}

/// Where the layer's output joins a skip connection that is known already, its bias also takes back
/// the skip's own error.
void add_skip_error(const Graph& graph, const QdqLayer& layer, const Lockstep& lockstep,
                    const Statistics::Impl& means, std::vector<double>& bias) {
  const auto skip = skip_input(graph, layer);
  const auto held = skip ? lockstep.held(skip->integers) : std::nullopt;
  const auto stats = held ? means.tensors.find(skip->tensor) : means.tensors.end();
  if (stats == means.tensors.end()) return;
  const auto error = skip_mean_error(*skip, stats->second, *held);
  if (error.size() != bias.size()) return;
  for (size_t c = 0; c < bias.size(); ++c) bias[c] += error[c];
}

/// Means are right behind every corrected layer, yet errors that cancelled out by chance need not
/// do so any more (noise that a Relu rectifies against a shift by the weights): whether the outputs
/// are further from the float model's than without any correction.
bool nearer_without(const Graph& form, const Graph& without, const Graph& with,
                    const Dataset& samples, const QuantizeOptions& options) {
  constexpr int64_t kSamples = 32;
  constexpr double kClearlyDb = 0.5;  // smaller differences are those of the few samples
  const Graph* const both[] = {&without, &with};
  const auto db =
      output_sqnr(form, both, samples, std::min(kSamples, samples.size()), options.threads);
  if (!(db[0] > db[1] + kClearlyDb)) return false;
  options.log.info(
      fmt::format("bias correction left out: without it the outputs are nearer to the float "
                  "model's ({:.1f} dB, with it {:.1f} dB)",
                  db[0], db[1]));
  return true;
}

}  // namespace

void refine_layers(QdqGraph& qdq, const Graph& form, const Statistics& statistics,
                   const Dataset& samples, const TargetRecord& target,
                   const QuantizeOptions& options, QuantizeLog& log) {
  if (qdq.layers.empty()) return;
  Lockstep lockstep(qdq, samples, options.threads);
  const int64_t available = std::min(samples.size(), std::max<int64_t>(statistics.samples(), 1));
  const int64_t held = lockstep.fitting_samples(options.hold_mb * 1e6, available);
  const Statistics means = float_means(form, statistics, samples, held, options);
  const QdqGraph before = qdq;
  const auto& wanted = means.impl().windows;
  int64_t done = 0;
  lockstep.run(held, [&](QdqLayer& layer, const Lockstep::Batches& input) {
    options.log.advance("correct", ++done, static_cast<int64_t>(qdq.layers.size()));
    const auto at = wanted.find(layer.key);
    if (at == wanted.end()) return;
    const IntegerWindows windows = integer_windows(qdq.graph, layer, input, options.threads);
    if (windows.positions == 0) return;
    auto bias = corrected_bias(qdq.graph, layer, at->second, windows);
    add_skip_error(qdq.graph, layer, lockstep, means.impl(), bias);
    const auto saturated = set_layer_bias(qdq.graph, layer, bias, target.integer_bias);
    if (!saturated) return;
    ++log.corrected_biases;
    if (*saturated > 0)
      log.warnings.push_back(
          fmt::format("'{}': the corrected bias of {} of {} channels does not fit int32 and was "
                      "clamped; 'skip' keeps the layer float",
                      layer.key, *saturated, bias.size()));
  });
  log.correction_samples = held;
  if (log.corrected_biases == 0 || !options.check_bias_correction ||
      !nearer_without(form, before.graph, qdq.graph, samples, options))
    return;
  qdq = before;
  log.corrected_biases = 0;
}

}  // namespace lapidary
