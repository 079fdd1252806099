#include "src/pipeline/report/rows.h"

#include <algorithm>
#include <set>

#include "quantize/qdq_graph.h"
#include "src/pipeline/report/format.h"

namespace lapidary {

namespace {

/// Metrics that any stage has, in the order of the metric table.
std::vector<const MetricDef*> measured_metrics(const Report& r) {
  std::vector<const MetricDef*> out;
  for (const MetricDef* def : all_metrics())
    if (std::any_of(r.stages.begin(), r.stages.end(),
                    [&](const StageRecord& s) { return metric_of(s, *def).has_value(); }))
      out.push_back(def);
  return out;
}

void add_heads(ReportTable& t, const std::vector<const MetricDef*>& metrics) {
  for (const MetricDef* m : metrics) t.head.emplace_back(m->name);
}

std::string optional_text(const std::optional<double>& value, const char* form) {
  if (!value) return "";
  return std::isfinite(*value) ? fmt::format(fmt::runtime(form), *value) : "not finite";
}

std::string range_text(const Range& r) {
  return std::isnan(r.low) ? "" : fmt::format("{:.4g} .. {:.4g}", r.low, r.high);
}

/// A dry run of steps that quantize.
bool planned_only(const Report& r) {
  return r.stages.size() < 2 && !(r.quantized.empty() && r.kept_float.empty());
}

std::string scale_text(const QuantParams& p) {
  if (p.scale.empty()) return "";
  if (p.scale.size() == 1) return fmt::format("{:.6g}", p.scale[0]);
  const auto [low, high] = std::minmax_element(p.scale.begin(), p.scale.end());
  return fmt::format("{} of {:.3g} .. {:.3g}", p.scale.size(), *low, *high);
}

std::string execution_name(const ExecutionRecord& e) {
  return fmt::format("{} in {}", e.stage, e.precision);
}

void add_cells(std::vector<std::string>& row, const std::vector<const MetricDef*>& metrics,
               const std::map<std::string, double>& measured) {
  for (const MetricDef* m : metrics) {
    const auto found = measured.find(std::string(m->name));
    row.push_back(found != measured.end() ? metric_text(*m, found->second) : "");
  }
}

/// Columns of figures that no row has.
void drop_empty_figures(ReportTable& t) {
  for (size_t c = t.head.size(); c-- > t.numeric_from;) {
    if (std::any_of(t.rows.begin(), t.rows.end(), [c](const auto& row) { return !row[c].empty(); }))
      continue;
    t.head.erase(t.head.begin() + static_cast<std::ptrdiff_t>(c));
    for (auto& row : t.rows) row.erase(row.begin() + static_cast<std::ptrdiff_t>(c));
  }
}

/// Numbers of threads that any stage was timed on.
std::set<int> timed_threads(const Report& r) {
  std::set<int> out;
  for (const StageRecord& s : r.stages)
    for (const Latency& l : s.latency) out.insert(l.threads);
  return out;
}

void add_medians(std::vector<std::string>& row, const std::set<int>& threads,
                 const std::vector<Latency>& measured) {
  for (const int n : threads) {
    const auto found = std::ranges::find(measured, n, &Latency::threads);
    row.push_back(found == measured.end() ? "" : fmt::format("{:.3f}", found->median_ms));
  }
}

std::vector<std::string> latency_row(const std::string& name, const Latency& l) {
  return {name,
          l.isa,
          std::to_string(l.threads),
          std::to_string(l.batch),
          std::to_string(l.runs),
          fmt::format("{:.3f}", l.median_ms),
          fmt::format("{:.3f}", l.p90_ms),
          fmt::format("{:.3f}", l.p99_ms)};
}

}  // namespace

ReportTable stage_table(const Report& r) {
  ReportTable t{"Stages", {"stage"}, {}};
  const auto metrics = measured_metrics(r);
  add_heads(t, metrics);
  const std::set<int> threads = timed_threads(r);
  t.head.emplace_back("size");
  for (const int n : threads)
    t.head.push_back(fmt::format("ms, {} thread{}", n, n == 1 ? "" : "s"));
  for (const char* head : {"MACs", "parameters", "activations", "packed weights"})
    t.head.emplace_back(head);
  for (const StageRecord& s : r.stages) {
    std::vector<std::string> row = {s.name};
    add_cells(row, metrics, s.metrics);
    row.push_back(size_text(s.size_bytes));
    add_medians(row, threads, s.latency);
    row.push_back(s.macs_complete ? count_text(s.macs)
                  : s.macs > 0    ? "at least " + count_text(s.macs)
                                  : "not counted");
    row.push_back(count_text(s.parameters));
    row.push_back(s.activation_bytes > 0 ? size_text(s.activation_bytes) : "");
    row.push_back(s.packed_bytes > 0 ? size_text(s.packed_bytes) : "");
    t.rows.push_back(std::move(row));
  }
  for (const ExecutionRecord& e : r.executions) {
    std::vector<std::string> row = {execution_name(e)};
    add_cells(row, metrics, e.metrics);
    row.emplace_back();
    add_medians(row, threads, e.latency);
    row.insert(row.end(), {"", ""});
    row.push_back(e.activation_bytes > 0 ? size_text(e.activation_bytes) : "");
    row.push_back(e.packed_bytes > 0 ? size_text(e.packed_bytes) : "");
    t.rows.push_back(std::move(row));
  }
  if (r.reference > 0 && r.reference + 1 < r.stages.size())
    t.note = fmt::format(
        "Agreement and SQNR are against '{}', whose weights began anew, as are layers and drops.",
        r.stages[r.reference].name);
  return t;
}

ReportTable latency_table(const Report& r) {
  ReportTable t{"Latency",
                {"stage", "isa", "threads", "batch", "runs", "median ms", "p90 ms", "p99 ms"},
                {},
                2};
  for (const StageRecord& s : r.stages)
    for (const Latency& l : s.latency) t.rows.push_back(latency_row(s.name, l));
  for (const ExecutionRecord& e : r.executions)
    for (const Latency& l : e.latency) t.rows.push_back(latency_row(execution_name(e), l));
  return t;
}

ReportTable cpu_class_table(const Report& r) {
  ReportTable t{"Accuracy by class of CPU", {"stage", "computes as"}, {}, 2};
  if (r.cpu_classes.empty()) return t;
  const auto metrics = measured_metrics(r);
  add_heads(t, metrics);
  const auto add = [&](const std::string& stage, std::string_view profile,
                       const std::map<std::string, double>& measured) {
    std::vector<std::string> row = {stage, std::string(profile)};
    add_cells(row, metrics, measured);
    t.rows.push_back(std::move(row));
  };
  std::set<std::string> exact;
  for (const CpuClassRecord& c : r.cpu_classes) {
    for (const StageRecord& s : r.stages)
      if (s.name == c.stage && exact.insert(s.name).second)
        add(s.name, execution_profile(IntegerArithmetic::kExact), s.metrics);
    add(c.stage, c.profile, c.metrics);
  }
  return t;
}

ReportTable saturation_table(const Report& r) {
  ReportTable t{"Layers that saturate",
                {"stage", "node", "op", "computes as", "saturated", "of pairs", "share"},
                {},
                4,
                true};
  for (const CpuClassRecord& c : r.cpu_classes)
    for (const LayerSaturation& l : c.layers)
      if (l.saturated > 0)
        t.rows.push_back({c.stage, l.node, l.op, c.profile, count_text(l.saturated),
                          count_text(l.pair_sums),
                          fmt::format("{:.2e}", static_cast<double>(l.saturated) /
                                                    static_cast<double>(l.pair_sums))});
  return t;
}

ReportTable limit_table(const Report& r) {
  ReportTable t{"Limits", {"limit", "asked", "got", ""}, {}};
  for (const LimitRecord& l : r.limits)
    t.rows.push_back(
        {l.limit, fmt::format("{:g}", l.asked),
         std::isnan(l.got) ? "not measured, or not finite" : fmt::format("{:.4g}", l.got),
         l.met ? "met" : "MISSED"});
  return t;
}

namespace {

std::string share_text(const Report& r, const LayerRecord& l) {
  const auto share = share_of_peak(r, l);
  return share ? fmt::format("{:.1f} %", 100 * *share) : "";
}

}  // namespace

std::optional<double> layer_gops(const LayerRecord& l) {
  if (l.macs <= 0 || !l.latency_ms || !(*l.latency_ms > 0)) return std::nullopt;
  return 2e-6 * static_cast<double>(l.macs) / *l.latency_ms;
}

std::optional<double> share_of_peak(const Report& r, const LayerRecord& l) {
  const auto gops = layer_gops(l);
  const double peak = r.peaks ? peak_gops(*r.peaks, l.precision) : 0;
  if (!gops || !(peak > 0)) return std::nullopt;
  return *gops / peak;
}

ReportTable layer_table(const Report& r) {
  ReportTable t{"Layers",
                {"node", "op", "precision", "kernel", "SQNR dB", "cosine", "ms", "GOPS", "of peak",
                 "MACs", "parameters"},
                {},
                4,
                true};
  for (const LayerRecord& l : r.layers)
    t.rows.push_back({l.node, l.op, l.precision, l.kernel, optional_text(l.sqnr_db, "{:.1f}"),
                      optional_text(l.cosine, "{:.5f}"), optional_text(l.latency_ms, "{:.3f}"),
                      optional_text(layer_gops(l), "{:.1f}"), share_text(r, l),
                      l.macs > 0 ? count_text(l.macs) : "",
                      l.parameters > 0 ? count_text(l.parameters) : ""});
  drop_empty_figures(t);
  return t;
}

ReportTable execution_layer_table(const Report& r) {
  ReportTable t{"Layers in other precisions",
                {"model", "node", "op", "precision", "kernel", "MACs"},
                {},
                5,
                true};
  for (const ExecutionRecord& e : r.executions)
    for (const LayerRecord& l : e.layers)
      t.rows.push_back({execution_name(e), l.node, l.op, l.precision, l.kernel,
                        l.macs > 0 ? count_text(l.macs) : ""});
  return t;
}

ReportTable kept_float_table(const Report& r) {
  ReportTable t{"What stayed float, and why", {"node", "op", "reason"}, {}, 3};
  for (const KeptFloat& k : r.kept_float) t.rows.push_back({k.node, k.op, k.reason});
  if (t.rows.empty() && !r.quantized.empty())
    t.note =
        "Nothing was left out by the target's rules; the layers' kernels say what ran on integers.";
  return t;
}

ReportTable planned_table(const Report& r) {
  ReportTable t{"What would run on integers", {"node"}, {}};
  if (!planned_only(r)) return t;
  for (const std::string& node : r.quantized) t.rows.push_back({node});
  if (!t.rows.empty())
    t.note = "Relu and Clip may stay float after all: that depends on the ranges found.";
  return t;
}

ReportTable bits_table(const Report& r) {
  ReportTable t{"Bits of layers", {"node", "op", "weights", "activations"}, {}, 2, true};
  for (const LayerBits& l : r.layer_bits)
    t.rows.push_back({l.node, l.op, std::to_string(l.weights), std::to_string(l.activations)});
  return t;
}

ReportTable tensor_table(const Report& r) {
  ReportTable t{
      "Quantized tensors",
      {"tensor", "role", "type", "bits", "calibrator", "seen", "chosen", "scale", "zero point"},
      {},
      5,
      true};
  for (const TensorQuant& q : r.tensors) {
    const bool activation = q.role == "activation";  // of constants no range is kept
    t.rows.push_back(
        {q.tensor, q.role, dtype_name(q.params.storage), std::to_string(bits_of(q.params)),
         q.calibrator, activation ? range_text(q.seen) : "", activation ? range_text(q.chosen) : "",
         scale_text(q.params),
         q.params.zero_point.size() == 1 ? std::to_string(q.params.zero_point[0]) : ""});
  }
  return t;
}

ReportTable pass_table(const Report& r) {
  ReportTable t{"Graph passes", {"pass", "changes", "ms", "notes"}, {}, 1};
  for (const PassRecord& p : r.passes)
    if (p.changes > 0 || !p.notes.empty())
      t.rows.push_back({p.pass, std::to_string(p.changes), fmt::format("{:.1f}", p.seconds * 1e3),
                        fmt::format("{}", fmt::join(p.notes, "; "))});
  return t;
}

ReportTable masked_table(const Report& r) {
  ReportTable t{"Masked weights", {"layer", "tensor", "weights", "zeros", "share"}, {}, 2};
  if (!r.masked) return t;
  const auto share = [](int64_t zeros, int64_t of) {
    return of > 0
               ? fmt::format("{:.1f} %", 100 * static_cast<double>(zeros) / static_cast<double>(of))
               : std::string();
  };
  const Sparsity& s = r.masked->sparsity;
  for (const SparseTensor& tensor : s.tensors)
    t.rows.push_back({tensor.node, tensor.tensor, count_text(tensor.elements),
                      count_text(tensor.zeros), share(tensor.zeros, tensor.elements)});
  t.note = fmt::format(
      "masked: {} of {} layer weights of '{}' are zero ({}). Nothing is removed: zeros are stored, "
      "and multiplied like other numbers. All constants as one zlib stream (deflate, level 9): {}, "
      "{}; those of '{}': {}.",
      count_text(s.zeros), count_text(s.elements), r.masked->stage, share(s.zeros, s.elements),
      size_text(r.masked->compressed_bytes),
      size_change_text(r.masked->compressed_before, r.masked->compressed_bytes), r.masked->before,
      size_text(r.masked->compressed_before));
  return t;
}

ReportTable provenance_table(const Report& r) {
  ReportTable t{"Made from (SHA-256)", {"what", "hash"}, {}, 2};
  for (const auto& [what, hash] : r.provenance) t.rows.push_back({what, hash});
  for (const StageRecord& s : r.stages)
    if (&s != &r.stages.front()) t.rows.push_back({"result " + s.name, s.sha256});
  return t;
}

ReportTable environment_table(const Report& r) {
  ReportTable t{"Machine", {"", ""}, {}, 2};
  for (const auto& [key, value] : r.environment) t.rows.push_back({key, value});
  if (r.peaks) {
    const MachinePeaks& p = *r.peaks;
    t.rows.push_back({fmt::format("peaks, {} thread{}", p.threads, p.threads == 1 ? "" : "s"),
                      fmt::format("INT8 {:.0f} GOPS, FP32 {:.0f} GOPS, memory {:.1f} GB/s",
                                  p.int8_gops, p.f32_gops, p.memory_gb_s)});
  }
  t.rows.push_back({"seed", std::to_string(r.seed)});
  return t;
}

ReportTable estimate_table(const Report& r) {
  ReportTable t{"Estimate", {"", "estimated", "actual"}, {}};
  if (!r.estimate) return t;
  const Estimate& e = *r.estimate;
  t.rows = {
      {"time", fmt::format("{:.1f} s", e.seconds), optional_text(e.actual_seconds, "{:.1f} s")},
      {"peak memory", size_text(e.memory_bytes),
       e.actual_memory_bytes ? size_text(*e.actual_memory_bytes) : ""},
      {"calibration samples", std::to_string(e.calib_samples), ""},
      {"evaluation samples", std::to_string(e.eval_samples), ""}};
  if (e.training_bytes == 0) return t;
  t.rows.insert(t.rows.begin() + 2, {"memory in training", size_text(e.training_bytes), ""});
  t.note =
      "Memory in training is counted, not measured: the process with the training library, "
      "weights, gradients, the optimizer's memory, the average of weights, and what backward reads "
      "of a "
      "batch's activations.";
  return t;
}

namespace {

/// A model as it is: no step, or none that was run.
std::string one_stage_headline(const Report& r) {
  const StageRecord& s = r.stages.front();
  std::string out = size_text(s.size_bytes);
  for (const MetricDef* m : measured_metrics(r))
    if (const auto value = metric_of(s, *m))
      out += fmt::format(", {} {}", m->name, metric_text(*m, *value));
  if (const auto l = first_latency(s))
    out += fmt::format(", {:.3f} ms ({} thread{})", l->median_ms, l->threads,
                       l->threads == 1 ? "" : "s");
  return out + ".";
}

/// Zeros take no less room in the file: of masked weights what compresses.
std::string size_headline(const Report& r, const StageRecord& a, const StageRecord& b) {
  if (!r.masked)
    return fmt::format("{} -> {} ({})", size_text(a.size_bytes), size_text(b.size_bytes),
                       size_change_text(a.size_bytes, b.size_bytes));
  return fmt::format("{} -> {}, constants compressed {} -> {} ({})", size_text(a.size_bytes),
                     size_text(b.size_bytes), size_text(r.masked->compressed_before),
                     size_text(r.masked->compressed_bytes),
                     size_change_text(r.masked->compressed_before, r.masked->compressed_bytes));
}

}  // namespace

namespace {

/// Of kernels that sum integers.
bool is_integer_precision(std::string_view precision) {
  return precision.starts_with("int") || precision == "ternary" || precision == "binary";
}

}  // namespace

std::optional<IntegerLayers> integer_layers(const Report& r) {
  if (r.quantized.empty() || r.layers.empty()) return std::nullopt;
  IntegerLayers out;
  for (const LayerRecord& l : r.layers) {
    if (l.macs == 0) continue;
    ++out.of;
    out.ran += is_integer_precision(l.precision);
  }
  return out;
}

std::string engine_note(const Report& r) {
  if (r.engine.empty()) return {};
  return fmt::format(
      "The file is meant for {}: what is measured here is its simulation on this CPU, accuracy as "
      "{} should give it, but neither its speed nor its integer kernels.",
      r.engine, r.engine);
}

std::string headline(const Report& r) {
  if (planned_only(r))
    return fmt::format("{} nodes would run on integers, {} stay float.", r.quantized.size(),
                       r.kept_float.size());
  if (!r.interrupted.empty())
    return fmt::format("Stopped in '{}' after a checkpoint; --resume goes on from it.",
                       r.interrupted);
  if (r.stages.empty()) return "Nothing was measured.";
  if (r.stages.size() == 1) return one_stage_headline(r);
  const StageRecord& a = earlier_stage(r);
  const StageRecord& b = r.stages.back();
  std::string out = size_headline(r, a, b);
  for (const MetricDef* m : measured_metrics(r)) {
    const auto before = metric_of(a, *m), after = metric_of(b, *m);
    if (!after) continue;
    out += before ? fmt::format(", {} {} -> {}", m->name, metric_text(*m, *before),
                                metric_text(*m, *after))
                  : fmt::format(", {} {}", m->name, metric_text(*m, *after));
  }
  const auto la = first_latency(a), lb = first_latency(b);
  if (la && lb && lb->median_ms > 0)
    out += fmt::format(", {:.3f} -> {:.3f} ms ({}, {} thread{})", la->median_ms, lb->median_ms,
                       speed_change_text(la->median_ms, lb->median_ms), la->threads,
                       la->threads == 1 ? "" : "s");
  if (const auto layers = integer_layers(r))
    out +=
        fmt::format(", {} of {} layers with MACs ran on integer kernels", layers->ran, layers->of);
  return out + ".";
}

}  // namespace lapidary
