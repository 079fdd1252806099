#include <cmath>
#include <nlohmann/json.hpp>

#include "lapidary/report.h"
#include "quantize/qdq_graph.h"
#include "src/base/text.h"
#include "src/pipeline/report/prune_json.h"
#include "src/pipeline/report/rows.h"
#include "src/pipeline/report/to_json.h"

namespace lapidary {

namespace {

using nlohmann::ordered_json;

/// JSON has no NaN or infinity: null.
ordered_json number(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
}

ordered_json number(const std::optional<double>& value) {
  return value ? number(*value) : ordered_json(nullptr);
}

ordered_json pairs(const std::vector<std::pair<std::string, std::string>>& entries) {
  ordered_json out = ordered_json::object();
  for (const auto& [key, value] : entries) out[key] = value;
  return out;
}

template <class T, class F>
ordered_json list(const std::vector<T>& items, F&& to_json) {
  ordered_json out = ordered_json::array();
  for (const T& item : items) out.push_back(to_json(item));
  return out;
}

ordered_json metrics_json(const std::map<std::string, double>& values, int64_t samples) {
  ordered_json metrics = ordered_json::object();
  for (const auto& [name, value] : values) metrics[name] = number(value);
  if (samples > 0) metrics["samples"] = samples;
  return metrics;
}

ordered_json stage_json(const StageRecord& s) {
  return {{"name", s.name},
          {"file", s.file},
          {"sha256", s.sha256},
          {"size_bytes", s.size_bytes},
          {"parameters", s.parameters},
          {"nonzero_parameters", s.nonzero_parameters},
          {"macs", s.macs},
          {"macs_complete", s.macs_complete},
          {"activation_bytes", s.activation_bytes},
          {"packed_bytes", s.packed_bytes},
          {"metrics", metrics_json(s.metrics, s.samples)},
          {"latency_ms", list(s.latency, latency_json)},
          {"seconds", s.seconds},
          {"peak_rss_bytes", s.peak_rss_bytes}};
}

ordered_json interval_json(const FitInterval& x) {
  return {{"epoch", x.epoch},
          {"step", x.step},
          {"lr", x.lr},
          {"loss", number(x.loss)},
          {"accuracy", number(x.accuracy)},
          {"images_per_second", number(x.images_per_second)}};
}

ordered_json training_json(const TrainingRecord& t) {
  return {{"step", t.step},
          {"steps", t.steps},
          {"batch", t.batch},
          {"parameters", t.parameters},
          {"metric", t.metric},
          {"measured_on", t.measured_on},
          {"best_epoch", t.best_epoch},
          {"kept", t.kept},
          {"best_file", t.best_file},
          {"stopped_early", t.stopped_early},
          {"interrupted", t.interrupted},
          {"intervals", list(t.log.intervals, interval_json)},
          {"epochs", list(t.log.epochs, [](const FitEpoch& e) {
             ordered_json out = interval_json(e);
             out["metrics"] = metrics_json(e.metrics, 0);
             out["best"] = e.best;
             out["seconds"] = e.seconds;
             return out;
           })}};
}

ordered_json pruning_json(const PruneRecord& p) {
  return {{"step", p.step},
          {"criterion", p.criterion},
          {"planned", p.planned},
          {"target", p.target},
          {"asked", number(p.asked)},
          {"got", number(p.got)},
          {"before", cost_json(p.before)},
          {"after", cost_json(p.after)},
          {"groups",
           list(p.groups,
                [](const PruneRecord::Group& g) {
                  return ordered_json{
                      {"name", g.name}, {"units", g.units}, {"left", g.left}, {"note", g.note}};
                })},
          {"difference", number(p.difference)},
          {"not_checked", p.not_checked},
          {"repaired", p.repaired ? repair_json(*p.repaired) : ordered_json(nullptr)}};
}

ordered_json factorization_json(const FactorizeRecord& f) {
  const auto cost = [](const FactorizeCost& c) {
    return ordered_json{{"macs", c.macs}, {"parameters", c.parameters}};
  };
  return {{"step", f.step},
          {"rule", f.ranks.by},
          {"asked", number(f.ranks.value)},
          {"got", number(f.got)},
          {"before", cost(f.before)},
          {"after", cost(f.after)},
          {"ms_before", number(f.ms_before)},
          {"ms_after", number(f.ms_after)},
          {"layers", list(f.layers, [&](const FactorizedLayer& l) {
             return ordered_json{{"node", l.node},
                                 {"op", l.op},
                                 {"method", l.method},
                                 {"ranks", l.ranks},
                                 {"full", l.full},
                                 {"energy", number(l.energy)},
                                 {"error", number(l.error)},
                                 {"before", cost(l.before)},
                                 {"after", cost(l.after)},
                                 {"ms_before", number(l.ms_before)},
                                 {"ms_after", number(l.ms_after)},
                                 {"reason", l.reason}};
           })}};
}

ordered_json sensitivity_json(const SensitivityRecord& s) {
  return {{"step", s.step},
          {"metric", s.metric},
          {"samples", s.samples},
          {"whole", number(s.whole)},
          {"groups", list(s.groups, [](const SensitivityRecord::Group& g) {
             return ordered_json{
                 {"name", g.name},
                 {"points", list(g.points, [](const auto& p) {
                    return ordered_json{{"ratio", p.first}, {"metric", number(p.second)}};
                  })}};
           })}};
}

ordered_json search_json(const SearchRecord& s) {
  return {{"step", s.step},
          {"target", s.target},
          {"metric", s.metric},
          {"samples", s.samples},
          {"whole", number(s.whole)},
          {"budget", s.budget},
          {"points", list(s.points,
                          [](const SearchRecord::Point& p) {
                            return ordered_json{{"share", p.share},
                                                {"got", p.got},
                                                {"metric", number(p.metric)},
                                                {"met", p.met}};
                          })},
          {"kept", s.kept}};
}

ordered_json cpu_class_json(const CpuClassRecord& c) {
  return {{"stage", c.stage},
          {"profile", c.profile},
          {"metrics", metrics_json(c.metrics, c.samples)},
          {"layers", list(c.layers, [](const LayerSaturation& l) {
             return ordered_json{{"node", l.node},
                                 {"op", l.op},
                                 {"pair_sums", l.pair_sums},
                                 {"saturated", l.saturated}};
           })}};
}

ordered_json layer_json(const Report& r, const LayerRecord& l) {
  return {{"node", l.node},
          {"op", l.op},
          {"macs", l.macs},
          {"parameters", l.parameters},
          {"sqnr_db", number(l.sqnr_db)},
          {"cosine", number(l.cosine)},
          {"latency_ms", number(l.latency_ms)},
          {"kernel", l.kernel},
          {"precision", l.precision},
          {"bytes_moved", l.bytes_moved},
          {"gops", number(layer_gops(l))},
          {"share_of_peak", number(share_of_peak(r, l))}};
}

ordered_json execution_json(const Report& r, const ExecutionRecord& e) {
  return {{"stage", e.stage},
          {"precision", e.precision},
          {"activation_bytes", e.activation_bytes},
          {"packed_bytes", e.packed_bytes},
          {"metrics", metrics_json(e.metrics, e.samples)},
          {"latency_ms", list(e.latency, latency_json)},
          {"layers", list(e.layers, [&](const LayerRecord& l) { return layer_json(r, l); })}};
}

ordered_json range_json(const Range& range) {
  return ordered_json::array({number(range.low), number(range.high)});
}

ordered_json tensor_json(const TensorQuant& t) {
  // Of constants no range is kept.
  const auto kept = [&](const Range& range) {
    return t.role == "activation" ? range_json(range) : ordered_json::array({nullptr, nullptr});
  };
  return {{"tensor", t.tensor},         {"role", t.role},
          {"calibrator", t.calibrator}, {"dtype", dtype_name(t.params.storage)},
          {"bits", bits_of(t.params)},  {"axis", t.params.axis},
          {"scale", t.params.scale},    {"zero_point", t.params.zero_point},
          {"seen", kept(t.seen)},       {"chosen", kept(t.chosen)}};
}

ordered_json histogram_json(const HistogramRecord& h) {
  return {{"tensor", h.tensor},
          {"low", h.low},
          {"width", h.width},
          {"counts", h.counts},
          {"chosen", range_json(h.chosen)}};
}

ordered_json masked_json(const MaskedRecord& m) {
  return {
      {"stage", m.stage},
      {"before", m.before},
      {"weights", m.sparsity.elements},
      {"zeros", m.sparsity.zeros},
      {"compressed_bytes", m.compressed_bytes},
      {"compressed_before", m.compressed_before},
      {"tensors", list(m.sparsity.tensors, [](const SparseTensor& t) {
         return ordered_json{
             {"tensor", t.tensor}, {"node", t.node}, {"weights", t.elements}, {"zeros", t.zeros}};
       })}};
}

}  // namespace

std::string report_json(const Report& r) {
  ordered_json out = {
      {"schema", "lapidary.report/1"},
      {"title", r.title},
      {"version", r.version},
      {"seed", r.seed},
      {"environment", pairs(r.environment)},
      {"provenance", pairs(r.provenance)},
      {"stages", list(r.stages, stage_json)},
      {"reference", r.stages.empty() ? "" : r.stages.at(r.reference).name},
      {"trainings", list(r.trainings, training_json)},
      {"executions",
       list(r.executions, [&](const ExecutionRecord& e) { return execution_json(r, e); })},
      {"cpu_classes", list(r.cpu_classes, cpu_class_json)},
      {"layers", list(r.layers, [&](const LayerRecord& l) { return layer_json(r, l); })},
      {"peaks", r.peaks ? peaks_json(*r.peaks) : ordered_json(nullptr)},
      {"quantized", r.quantized},
      {"engine", r.engine}};
  const auto layers = integer_layers(r);
  out["integer_layers"] =
      layers ? ordered_json{{"ran", layers->ran}, {"of", layers->of}} : ordered_json(nullptr);
  out["kept_float"] = list(r.kept_float, [](const KeptFloat& k) {
    return ordered_json{{"node", k.node}, {"op", k.op}, {"reason", k.reason}};
  });
  out["prunings"] = list(r.prunings, pruning_json);
  out["sensitivities"] = list(r.sensitivities, sensitivity_json);
  out["searches"] = list(r.searches, search_json);
  out["factorizations"] = list(r.factorizations, factorization_json);
  out["frozen_axes"] = list(r.frozen_axes, frozen_axis_json);
  out["layer_bits"] = list(r.layer_bits, [](const LayerBits& l) {
    return ordered_json{
        {"node", l.node}, {"op", l.op}, {"weights", l.weights}, {"activations", l.activations}};
  });
  out["tensors"] = list(r.tensors, tensor_json);
  out["histograms"] = list(r.histograms, histogram_json);
  out["passes"] = list(r.passes, [](const PassRecord& p) {
    return ordered_json{
        {"pass", p.pass}, {"changes", p.changes}, {"seconds", p.seconds}, {"notes", p.notes}};
  });
  out["limits"] = list(r.limits, [](const LimitRecord& l) {
    return ordered_json{
        {"limit", l.limit}, {"asked", number(l.asked)}, {"got", number(l.got)}, {"met", l.met}};
  });
  if (r.masked) out["masked"] = masked_json(*r.masked);
  if (r.estimate)
    out["estimate"] = {{"seconds", r.estimate->seconds},
                       {"memory_bytes", r.estimate->memory_bytes},
                       {"training_bytes", r.estimate->training_bytes},
                       {"calib_samples", r.estimate->calib_samples},
                       {"eval_samples", r.estimate->eval_samples},
                       {"actual_seconds", number(r.estimate->actual_seconds)},
                       {"actual_memory_bytes", r.estimate->actual_memory_bytes
                                                   ? ordered_json(*r.estimate->actual_memory_bytes)
                                                   : ordered_json(nullptr)}};
  out["warnings"] = r.warnings;
  if (!r.interrupted.empty()) out["interrupted"] = r.interrupted;
  return out.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace lapidary
