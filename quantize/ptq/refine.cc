#include "quantize/ptq/refine.h"

#include "calibrate/run.h"
#include "quantize/ptq/bias_correction.h"
#include "src/base/fail.h"

namespace lapidary {

namespace {

/// Float window sums of exactly the first `samples` of the data: from the statistics where they saw
/// just these, else from a pass of their own.
std::map<std::string, WindowStats> float_windows(const Graph& form, const Statistics& statistics,
                                                 const Dataset& data, int64_t samples,
                                                 const QuantizeOptions& options) {
  const Statistics::Impl& stats = statistics.impl();
  const std::string hash = data.manifest_sha256();
  const auto seen = stats.sources.find(hash);
  const bool same = stats.sources.size() == 1 && seen != stats.sources.end() &&
                    seen->second.intervals == SampleSet{{{0, samples}}}.intervals;
  if (same && !stats.windows.empty()) return stats.windows;
  options.log.info(fmt::format("float means of {} held samples: one more pass", samples));
  return collect_windows(form, data, samples, options.threads);
}

}  // namespace

void refine_layers(QdqGraph& qdq, const Graph& form, const Statistics& statistics,
                   const Dataset& samples, const TargetRecord& target,
                   const QuantizeOptions& options, QuantizeLog& log) {
  if (qdq.layers.empty()) return;
  Lockstep lockstep(qdq, samples, options.threads);
  const int64_t available = std::min(samples.size(), std::max<int64_t>(statistics.samples(), 1));
  const int64_t held = lockstep.fitting_samples(options.hold_mb * 1e6, available);
  const auto wanted = float_windows(form, statistics, samples, held, options);
  int64_t done = 0;
  lockstep.run(held, [&](QdqLayer& layer, const Lockstep::Batches& input) {
    options.log.advance("correct", ++done, static_cast<int64_t>(qdq.layers.size()));
    const auto at = wanted.find(layer.key);
    if (at == wanted.end()) return;
    const IntegerWindows windows = integer_windows(qdq.graph, layer, input, options.threads);
    if (windows.positions == 0) return;
    const auto bias = corrected_bias(qdq.graph, layer, at->second, windows);
    if (set_layer_bias(qdq.graph, layer, bias, target.integer_bias)) ++log.corrected_biases;
  });
  log.correction_samples = held;
}

}  // namespace lapidary
