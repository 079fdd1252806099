#include <algorithm>
#include <map>

#include "lapidary/evaluate.h"
#include "src/base/fail.h"
#include "src/passes/lower_qdq.h"
#include "src/pipeline/feed.h"
#include "src/pipeline/limits.h"
#include "src/pipeline/signal.h"

namespace lapidary {

namespace {

/// A tensor of `model` to be held against the reference's tensor of the same name. A quantized tensor
/// is tapped as its integers, because its float form exists on no integer path.
struct Probe {
  std::string tensor;      ///< name in both graphs
  std::string tap;         ///< what to tap in `model`
  std::string node, op;
  float scale = 1;
  int32_t zero_point = 0;
  bool integer = false;
};

int32_t scalar_int(const Tensor& t) {
  switch (t.dtype()) {
    case DType::kU8: return t.data<uint8_t>()[0];
    case DType::kI8: return t.data<int8_t>()[0];
    case DType::kU16: return t.data<uint16_t>()[0];
    case DType::kI16: return t.data<int16_t>()[0];
    case DType::kI32: return t.data<int32_t>()[0];
    default: return 0;
  }
}

/// The QuantizeLinear (per tensor, constant parameters) that alone reads `value`, or none.
NodeId sole_quantizer(const Graph& g, ValueId value) {
  const auto& uses = g.value(value).uses;
  if (uses.size() != 1 || uses[0].slot != 0 || g.is_output(value)) return {};
  const Node& n = g.node(uses[0].node);
  if (n.op != "QuantizeLinear" || n.inputs.size() < 2) return {};
  const Tensor* scale = g.constant(n.inputs[1]);
  return scale != nullptr && scale->size() == 1 && scale->dtype() == DType::kF32 ? uses[0].node : NodeId{};
}

/// Tensors of both graphs that exist when `model` runs: not those inside an integer operator.
std::vector<Probe> find_probes(const Graph& model, const Graph& reference) {
  std::vector<Probe> out;
  Graph lowered = model;
  lower_qdq(lowered);
  for (NodeId id : model.nodes()) {
    const Node& n = model.node(id);
    if (n.op == "QuantizeLinear" || n.op == "DequantizeLinear" || n.op == "Constant") continue;
    for (ValueId v : n.outputs) {
      if (!v) continue;
      const Value& value = model.value(v);
      const ValueId other = reference.find_value(value.name);
      if (!other || !reference.value(other).producer || value.type.dtype != DType::kF32) continue;
      Probe p{value.name, value.name, node_key(model, id), n.op};
      if (const NodeId q = sole_quantizer(model, v)) {
        const Node& quantizer = model.node(q);
        p.integer = true;
        p.tap = model.value(quantizer.outputs[0]).name;
        p.scale = model.constant(quantizer.inputs[1])->data<float>()[0];
        if (quantizer.inputs.size() > 2 && quantizer.inputs[2])
          if (const Tensor* zp = model.constant(quantizer.inputs[2])) p.zero_point = scalar_int(*zp);
      }
      if (lowered.find_value(p.tap)) out.push_back(std::move(p));
    }
  }
  return out;
}

/// A tapped tensor as floats in the order that its shape says.
std::vector<float> values_of(const TapView& tap, const Probe& probe, bool dequantize) {
  const int64_t count = element_count(tap.tensor.shape);
  std::vector<float> raw(static_cast<size_t>(count));
  const auto convert = [&](const auto* from) {
    for (size_t i = 0; i < raw.size(); ++i)
      raw[i] = dequantize ? static_cast<float>(static_cast<int32_t>(from[i]) - probe.zero_point) * probe.scale
                          : static_cast<float>(from[i]);
  };
  switch (tap.tensor.dtype) {
    case DType::kF32: convert(tap.tensor.as<float>()); break;
    case DType::kU8: convert(tap.tensor.as<uint8_t>()); break;
    case DType::kI8: convert(tap.tensor.as<int8_t>()); break;
    case DType::kU16: convert(tap.tensor.as<uint16_t>()); break;
    case DType::kI16: convert(tap.tensor.as<int16_t>()); break;
    default: return {};
  }
  const auto& s = tap.tensor.shape;
  if (!tap.channels_last || s.size() != 4) return raw;
  std::vector<float> out(raw.size());
  const int64_t n_ = s[0], c_ = s[1], hw = s[2] * s[3];
  for (int64_t n = 0; n < n_; ++n)
    for (int64_t p = 0; p < hw; ++p)
      for (int64_t c = 0; c < c_; ++c)
        out[static_cast<size_t>((n * c_ + c) * hw + p)] = raw[static_cast<size_t>((n * hw + p) * c_ + c)];
  return out;
}

}  // namespace

std::vector<LayerError> compare_layers(const Graph& model, const Graph& reference, const Dataset& data,
                                       const CompareOptions& options) {
  const std::vector<Probe> probes = find_probes(model, reference);
  std::vector<LayerError> out(probes.size());
  if (probes.empty()) return out;
  Executor ours(model, {.threads = options.threads});
  Executor theirs(reference, {.threads = options.threads});
  std::map<std::string, std::vector<float>> expected;
  std::map<std::string, size_t> by_tap;
  std::vector<std::string> taps, names;
  for (size_t i = 0; i < probes.size(); ++i) {
    by_tap.emplace(probes[i].tap, i);
    taps.push_back(probes[i].tap);
    names.push_back(probes[i].tensor);
  }
  theirs.tap(names, [&](const TapView& tap) { expected[std::string(tap.value)] = values_of(tap, {}, false); });
  std::vector<double> sqnr(probes.size()), cosines(probes.size());
  std::vector<int64_t> seen(probes.size());
  ours.tap(taps, [&](const TapView& tap) {
    const size_t i = by_tap.at(std::string(tap.value));
    const auto found = expected.find(probes[i].tensor);
    const std::vector<float> got = values_of(tap, probes[i], probes[i].integer);
    if (found == expected.end() || found->second.size() != got.size()) return;
    sqnr[i] += sqnr_db(found->second, got);
    cosines[i] += cosine(found->second, got);
    ++seen[i];
  });
  const int64_t batch = batch_size(model, data, 1);
  const int64_t samples = std::min(options.samples, data.size());
  for (int64_t begin = 0; begin < samples; begin += batch) {
    const Batch now = data.batch(begin, batch);
    if (now.size() == 0) continue;
    expected.clear();
    theirs.run(feed(reference, now));
    ours.run(feed(model, now));
    options.log.advance("compare layers", begin + now.size(), samples);
  }
  std::vector<LayerError> measured;
  for (size_t i = 0; i < probes.size(); ++i)
    if (seen[i] > 0)
      measured.push_back({probes[i].tensor, probes[i].node, probes[i].op,
                          sqnr[i] / static_cast<double>(seen[i]), cosines[i] / static_cast<double>(seen[i])});
  return measured;
}

std::vector<LayerRecord> layer_records(const Graph& model, const std::vector<LayerError>& errors,
                                       const Dataset& data, int threads) {
  Executor executor(model, {.threads = threads, .profile = true});
  const Batch one = data.batch(0, batch_size(model, data, 1));
  if (one.size() == 0) return {};
  const Executor::Values inputs = feed(model, one);
  for (int warm = 0; warm < 3; ++warm) executor.run(inputs);
  std::map<std::string, const LayerError*> by_node;
  for (const LayerError& e : errors) by_node.emplace(e.node, &e);
  std::vector<LayerRecord> out;
  for (const StepInfo& step : executor.steps()) {
    LayerRecord r;
    r.node = step.nodes.empty() ? "" : step.nodes.front();
    r.op = step.op;
    r.macs = step.macs;
    r.parameters = step.parameters;
    r.latency_ms = step.milliseconds;
    r.kernel = step.kernel;
    r.precision = step.precision;
    for (const std::string& node : step.nodes)
      if (const auto found = by_node.find(node); found != by_node.end()) {
        r.sqnr_db = found->second->sqnr_db;
        r.cosine = found->second->cosine;
        break;
      }
    out.push_back(std::move(r));
  }
  return out;
}

}  // namespace lapidary
