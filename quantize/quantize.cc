#include <algorithm>
#include <cmath>
#include <map>

#include "calibrate/run.h"
#include "calibrate/statistics.h"
#include "lapidary/compress.h"
#include "lapidary/ops.h"
#include "lapidary/passes.h"
#include "quantize/checks.h"
#include "quantize/clamps.h"
#include "quantize/placement.h"
#include "quantize/ptq/equalize.h"
#include "quantize/ptq/leaky_pairs.h"
#include "quantize/ptq/range_search.h"
#include "quantize/ptq/refine.h"
#include "quantize/qdq_graph.h"
#include "quantize/ranges.h"
#include "quantize/targets.h"
#include "quantize/weights.h"
#include "src/base/fail.h"
#include "src/base/parallel.h"
#include "src/base/text.h"
#include "src/ops/infer.h"
#include "src/passes/lower_qdq.h"

namespace lapidary {

namespace {

constexpr int64_t kQdqOpset = 13;  // per-axis QuantizeLinear

/// The target's record with what the options say instead.
TargetRecord target_for(const QuantizeOptions& options) {
  TargetRecord target = find_target(options.target);
  if (options.activation_type) {
    if (*options.activation_type != "uint8" && *options.activation_type != "int8")
      fail_usage("activation_type: '{}'; there are uint8 and int8",
                 printable(*options.activation_type));
    target.activation.is_signed = *options.activation_type == "int8";
    target.activation.narrow_range = false;
  }
  if (options.symmetric) target.activation.symmetric = *options.symmetric;
  if (options.per_channel) target.per_channel = *options.per_channel;
  return target;
}

ObserverParams observer_params(const QuantizeOptions& options) {
  return {.percentile = options.percentile, .momentum = options.momentum};
}

void check_options(const QuantizeOptions& options) {
  if (options.format != "qdq" && options.format != "qoperator")
    fail_usage("format: '{}'; there are qdq and qoperator", printable(options.format));
  check_format(find_target(options.target), options.format);
  calibrator_needs(options.calibrator);  // there is one of that name
  check_params(observer_params(options));
  if (!(options.hold_mb > 0)) fail_usage("hold_mb: {} is not positive", options.hold_mb);
}

/// The form that is quantized: optimized, at an opset that has per-axis Q/DQ.
Graph quantizable_form(const Graph& graph, const QuantizeOptions& options, QuantizeLog& log,
                       std::string* hash) {
  Graph form = calibrated_form(quantization_source(graph, options, log));
  if (hash) *hash = graph_hash(form);
  check_quantizable(form, options, log);
  if (form.opset() < kQdqOpset) {
    upgrade_opset(form, kQdqOpset);
    infer_types(form);
  }
  form.model.ir_version = std::max<int64_t>(form.model.ir_version, 7);
  return form;
}

/// Samples that candidates for a range are tried on.
constexpr int64_t kTrialSamples = 16;

RangeMap choose_ranges(const Graph& form, const Placement& placement, const Statistics& statistics,
                       const Dataset* samples, const QuantizeOptions& options,
                       const RangeOptions& how) {
  if (how.calibrator != kAutoCalibrator) return observe_ranges(form, placement, statistics, how);
  if (!samples) {
    options.log.info("auto without samples: ranges by the error in the histograms");
    return observe_ranges(form, placement, statistics, how);
  }
  const int64_t trial = std::min(kTrialSamples, samples->size());
  return search_ranges(form, placement, statistics, *samples, trial, how, options.threads);
}

/// Samples that give the chunks and histograms of equalized tensors, where the calibrator reads
/// any.
constexpr int64_t kHistogramSamples = 64;
int64_t histogram_samples(const QuantizeOptions& options, const Dataset& samples) {
  const Reads reads = calibrator_needs(options.calibrator).reads;
  return reads == Reads::kRange ? 0 : std::min(kHistogramSamples, samples.size());
}

/// Equalizes `form` where that costs nothing in the weights; the statistics of what it became.
Statistics equalized(Graph& form, const Statistics& statistics, const Dataset* samples,
                     const TargetRecord& target, const QuantizeOptions& options, QuantizeLog& log) {
  if (!options.equalize || !samples || !target.per_channel) return statistics;
  const ChannelFactors factors = equalize_depthwise(form, statistics.impl());
  if (factors.empty()) return statistics;
  for (const auto& [tensor, s] : factors) log.equalized.push_back(tensor);
  return equalized_statistics(form, statistics, factors, *samples,
                              histogram_samples(options, *samples), options.threads);
}

/// `statistics` with those of tensors that only this placement rounds: what a clamp read that was
/// to be absorbed and is skipped.
Statistics completed(const Graph& form, const Placement& placement, const Statistics& statistics,
                     const Dataset* samples, const QuantizeOptions& options) {
  std::vector<std::string> missing;
  for (const ValueId id : placement.quantized)
    if (!form.constant(id) && !statistics.impl().tensors.contains(form.value(id).name))
      missing.push_back(form.value(id).name);
  if (missing.empty() || !samples) return statistics;
  Statistics out = statistics;
  const int64_t count = std::min(samples->size(), std::max<int64_t>(statistics.samples(), 1));
  const Statistics seen = collect_tensors(form, *samples, count, missing, options.threads);
  for (const std::string& name : missing)
    out.impl().tensors.emplace(name, seen.impl().tensor(name));
  return out;
}

/// Says in the file which activations no longer hold the float model's values, for those who
/// compare the two.
void note_equalized(Graph& graph, const std::vector<std::string>& names) {
  if (!names.empty())
    graph.model.metadata.emplace_back(kEqualizedKey, fmt::format("{}", fmt::join(names, "\n")));
}

/// Per weight the axis of its scales: -1 (one scale) for all where the target wants that, and where
/// the layers that share a weight have their channels along different axes of it.
std::map<ValueId, int64_t> scale_axes(const Placement& placement, const TargetRecord& target) {
  std::map<ValueId, int64_t> axes;
  for (const LinearLayer& layer : placement.layers) {
    const auto [at, added] =
        axes.emplace(layer.weight, target.per_channel ? layer.weight_axis : -1);
    if (!added && at->second != layer.weight_axis) at->second = -1;
  }
  return axes;
}

void annotate_weights(Graph& graph, const Placement& placement, const TargetRecord& target,
                      const QuantizeOptions& options, QuantizeLog& log) {
  std::map<ValueId, QuantParams> shared;  // one per weight: scales that fit all its layers' biases
  const auto axes = scale_axes(placement, target);
  for (const LinearLayer& layer : placement.layers) {
    const Tensor& weight = *graph.constant(layer.weight);
    if (const auto zeros = zero_slices(weight, layer.weight_axis); !zeros.empty())
      log.warnings.push_back(fmt::format("'{}': {} of {} output channels have only zero weights",
                                         layer.key, zeros.size(), weight.dim(layer.weight_axis)));
    const auto [at, added] = shared.try_emplace(layer.weight);
    QuantParams& params = at->second;
    if (added) {
      WeightOptions how{target.weight, options.weight_calibrator};
      how.scheme.axis = axes.at(layer.weight);
      params = weight_qparams(weight, how);
    }
    if (!layer.bias.valid() || !target.integer_bias) continue;
    const float input_scale = graph.value(layer.input).quant->scale[0];
    const int64_t raised =
        guard_bias(params, input_scale, graph.constant(layer.bias)->data<float>());
    if (raised > 0)
      log.warnings.push_back(fmt::format(
          "'{}': {} weight scales raised so that the bias fits int32", layer.key, raised));
  }
  for (auto& [weight, params] : shared) graph.mutable_value(weight).quant = std::move(params);
}

/// The one value that a tensor had; a range always includes 0, so that it does not say.
std::optional<double> only_value(const std::string& name, const Statistics& statistics,
                                 const ChosenRange& range) {
  const auto& tensors = statistics.impl().tensors;
  const auto at = tensors.find(name);
  const Range seen = at == tensors.end() ? range.seen : Range{at->second.min, at->second.max};
  return seen.low == seen.high ? std::optional(seen.low) : std::nullopt;
}

/// `statistics`: what `ranges` came from; unread where there are none.
void report(const Graph& graph, const Placement& placement, const RangeMap& ranges,
            const Statistics& statistics, QuantizeLog& log) {
  log.kept_float = placement.kept_float;
  for (const NodeId id : graph.nodes())
    if (placement.integer.contains(id.index)) log.quantized.push_back(node_key(graph, id));
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    if (node.is("BatchNormalization") && !placement.integer.contains(id.index) &&
        std::none_of(log.kept_float.begin(), log.kept_float.end(),
                     [&](const auto& kept) { return kept.node == node_key(graph, id); }))
      log.kept_float.push_back({node_key(graph, id), node.op, "it could not be folded"});
  }
  for (const ValueId id : placement.quantized) {
    const auto at = ranges.find(placement.scales.root(id));
    if (at == ranges.end() || !graph.value(id).quant) continue;
    const ChosenRange& range = at->second;
    log.tensors.push_back({graph.value(id).name, "activation", range.calibrator,
                           *graph.value(id).quant, range.seen, range.chosen});
    if (const auto value = only_value(graph.value(id).name, statistics, range))
      log.warnings.push_back(fmt::format("'{}' is constant ({}) over all calibration samples",
                                         graph.value(id).name, *value));
  }
}

}  // namespace

Graph quantize(const Graph& graph, const Statistics& statistics, const Dataset* samples,
               const QuantizeOptions& options, QuantizeLog* log_out) {
  const ThreadScope scope(options.threads);
  QuantizeLog log;
  check_options(options);
  const TargetRecord target = target_for(options);
  std::string hash;
  Graph form = quantizable_form(graph, options, log, &hash);
  if (hash != statistics.graph_hash())
    fail_invalid(
        "the statistics belong to another graph (hash {}, this one has {}); "
        "calibrate this one, or leave them out",
        statistics.graph_hash().substr(0, 12), hash.substr(0, 12));
  const Statistics same = equalized(form, statistics, samples, target, options, log);
  Placement placement = place(form, target, options);
  const Statistics used = completed(form, placement, same, samples, options);
  const RangeOptions how{options.calibrator, observer_params(options), target.activation};
  RangeMap ranges = choose_ranges(form, placement, used, samples, options, how);
  if (calibrator_needs(how.calibrator).searches_error)
    pair_leaky_ranges(form, placement, used, target.activation, ranges);
  annotate(form, placement, ranges, target.activation);
  keep_clamps(form, placement);
  annotate_weights(form, placement, target, options, log);
  report(form, placement, ranges, used, log);
  QdqGraph qdq = insert_qdq(form, placement, target);
  infer_types(qdq.graph);
  if (options.bias_correction && samples)
    refine_layers(qdq, form, used, *samples, target, options, log);
  if (options.bias_correction && !samples)
    log.warnings.push_back("bias correction is off: it needs samples");
  log_layers(qdq, options.weight_calibrator, log);
  infer_types(qdq.graph);
  note_equalized(qdq.graph, log.equalized);
  if (options.format == "qoperator") lower_qdq(qdq.graph);
  run_passes(qdq.graph, {"remove_dead_code"});
  for (const std::string& warning : log.warnings) options.log.warn(warning);
  if (log_out) *log_out = std::move(log);
  return std::move(qdq.graph);
}

QuantizeLog plan_quantization(const Graph& graph, const QuantizeOptions& options) {
  QuantizeLog log;
  check_options(options);
  const TargetRecord target = target_for(options);
  const Graph form = quantizable_form(graph, options, log, nullptr);
  const Placement placement = place(form, target, options);
  report(form, placement, {}, {}, log);
  for (const LinearLayer& layer : placement.layers)
    log.layers.push_back(
        {layer.key, form.node(layer.node).op, target.weight.bits, target.activation.bits});
  return log;
}

}  // namespace lapidary
