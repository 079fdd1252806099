#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <sstream>

#include "lapidary/compress.h"
#include "lapidary/evaluate.h"
#include "src/base/fail.h"
#include "src/base/half.h"
#include "src/base/parallel.h"
#include "src/base/text.h"
#include "src/passes/lower_qdq.h"
#include "src/pipeline/bench.h"
#include "src/pipeline/feed.h"
#include "src/pipeline/limits.h"
#include "src/pipeline/signal.h"

namespace lapidary {

namespace {

constexpr double kLayerSeconds = 0.1;  // spent on the times of the layers

/// How to see a tensor while a graph runs. A quantized one is tapped as its integers, because its
/// float form exists on no integer path.
struct Tap {
  std::string name;
  float scale = 1;
  int32_t zero_point = 0;
  bool integer = false;
};

/// A tensor of both graphs.
struct Probe {
  std::string tensor, node, op;
  Tap ours, theirs;
};

int32_t scalar_int(const Tensor& t) {
  switch (t.dtype()) {
    case DType::kU8:
      return t.data<uint8_t>()[0];
    case DType::kI8:
      return t.data<int8_t>()[0];
    case DType::kU16:
      return t.data<uint16_t>()[0];
    case DType::kI16:
      return t.data<int16_t>()[0];
    case DType::kI32:
      return t.data<int32_t>()[0];
    default:
      return 0;
  }
}

/// Integers of the scale and zero point that inputs `slot` and `slot` + 1 of a node give; none
/// where they are not constant or not per tensor.
std::optional<Tap> integers(const Graph& g, const Node& node, size_t slot,
                            const std::string& name) {
  const auto constant = [&](size_t i) {
    return i < node.inputs.size() && node.inputs[i] ? g.constant(node.inputs[i]) : nullptr;
  };
  const Tensor* scale = constant(slot);
  if (scale == nullptr || scale->size() != 1 || scale->dtype() != DType::kF32) return std::nullopt;
  const Tensor* zero = constant(slot + 1);
  return Tap{name, scale->data<float>()[0], zero ? scalar_int(*zero) : 0, true};
}

/// Where the parameters of an integer operator's output are among its inputs.
size_t output_scale_slot(std::string_view op) {
  struct Row {
    std::string_view op;
    size_t slot;
  };
  constexpr Row kRows[] = {{"QLinearConv", 6},
                           {"QLinearMatMul", 6},
                           {"QLinearAdd", 6},
                           {"QLinearMul", 6},
                           {"QGemm", 7},
                           {"QLinearConcat", 0},
                           {"QLinearLeakyRelu", 3},
                           {"QLinearSigmoid", 3},
                           {"QLinearAveragePool", 3},
                           {"QLinearGlobalAveragePool", 3}};
  for (const Row& row : kRows)
    if (row.op == op) return row.slot;
  return SIZE_MAX;
}

/// The float32 value that a value was cast from or is cast to: what the FP16 twin of a tensor is
/// called in the float model.
std::vector<std::string> float32_names(const Graph& graph, ValueId half) {
  std::vector<std::string> out;
  for (const Use& use : graph.value(half).uses) {
    const Node& cast = graph.node(use.node);
    if (!use.capture && cast.is("Cast") && graph.value(cast.outputs[0]).type.dtype == DType::kF32)
      out.push_back(graph.value(cast.outputs[0]).name);
  }
  constexpr std::string_view kSuffix = "_fp16";  // of twins in files that `fp16` made
  const std::string& name = graph.value(half).name;
  if (name.size() > kSuffix.size() && name.ends_with(kSuffix))
    out.push_back(name.substr(0, name.size() - kSuffix.size()));
  return out;
}

/// The tensors of a graph that exist when it runs, by their names in the float model.
std::map<std::string, Tap> find_taps(const Graph& graph) {
  Graph lowered = graph;
  lower_qdq(lowered);
  std::map<std::string, Tap> out;
  const auto offer = [&](const std::string& tensor, Tap tap) {
    if (lowered.find_value(tap.name)) out.emplace(tensor, std::move(tap));
  };
  constexpr std::string_view kSuffix = "_quantized";  // of integers in the quantizer's files
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    for (const ValueId v : node.outputs) {
      if (!v) continue;
      const std::string& name = graph.value(v).name;
      const DType type = graph.value(v).type.dtype;
      const bool named = name.size() > kSuffix.size() && name.ends_with(kSuffix);
      const std::string stripped = named ? name.substr(0, name.size() - kSuffix.size()) : name;
      if (node.op == "QuantizeLinear") {
        if (auto tap = integers(graph, node, 1, name)) {
          offer(graph.value(node.inputs[0]).name, *tap);  // also under the name of what it reads
          offer(stripped, *tap);
        }
      } else if (const size_t slot = output_scale_slot(node.op); slot != SIZE_MAX) {
        if (auto tap = integers(graph, node, slot, name)) offer(stripped, *tap);
      } else if (type == DType::kF32 || type == DType::kF16) {
        if (node.op == "Constant" || node.op == "DequantizeLinear") continue;
        offer(name, {name});
        if (type == DType::kF16)
          for (const std::string& full : float32_names(graph, v)) offer(full, {name});
      }
    }
  }
  return out;
}

std::set<std::string> equalized(const Graph& graph) {
  std::set<std::string> names;
  std::string line;
  for (const auto& [key, text] : graph.model.metadata)
    if (key == kEqualizedKey)
      for (std::istringstream lines(text); std::getline(lines, line);) names.insert(line);
  return names;
}

/// Tensors of both graphs that exist when both run and mean the same, in the model's order.
std::vector<Probe> find_probes(const Graph& model, const Graph& reference) {
  const std::map<std::string, Tap> ours = find_taps(model), theirs = find_taps(reference);
  std::set<std::string> done = equalized(model);
  done.merge(equalized(reference));
  std::vector<Probe> out;
  const auto take = [&](const std::string& tensor, const Node& node, const std::string& key) {
    const auto a = ours.find(tensor), b = theirs.find(tensor);
    if (a == ours.end() || b == theirs.end() || !done.insert(tensor).second) return false;
    out.push_back({tensor, key, node.op, a->second, b->second});
    return true;
  };
  std::multimap<std::string, std::string>
      tensors_of;  // tapped name -> what it is in the float model
  for (const auto& [tensor, tap] : ours) tensors_of.emplace(tap.name, tensor);
  for (const NodeId id : model.nodes()) {
    const Node& node = model.node(id);
    if (node.op == "QuantizeLinear" || node.op == "DequantizeLinear") continue;
    for (const ValueId v : node.outputs) {
      if (!v) continue;
      const std::string& name = model.value(v).name;
      const std::string key = node_key(model, id);
      if (take(name, node, key)) continue;
      const auto [first, last] = tensors_of.equal_range(name);
      std::any_of(first, last, [&](const auto& entry) { return take(entry.second, node, key); });
    }
  }
  return out;
}

/// A tapped tensor as floats in the order that its shape says.
std::vector<float> values_of(const TapView& tap, const Tap& how) {
  const int64_t count = element_count(tap.tensor.shape);
  std::vector<float> raw(static_cast<size_t>(count));
  const auto convert = [&](const auto* from) {
    for (size_t i = 0; i < raw.size(); ++i)
      raw[i] = how.integer
                   ? static_cast<float>(static_cast<int32_t>(from[i]) - how.zero_point) * how.scale
                   : static_cast<float>(from[i]);
  };
  switch (tap.tensor.dtype) {
    case DType::kF32:
      convert(tap.tensor.as<float>());
      break;
    case DType::kF16: {
      const auto* from = tap.tensor.as<Half>();
      for (size_t i = 0; i < raw.size(); ++i) raw[i] = from_half(from[i]);
      break;
    }
    case DType::kU8:
      convert(tap.tensor.as<uint8_t>());
      break;
    case DType::kI8:
      convert(tap.tensor.as<int8_t>());
      break;
    case DType::kU16:
      convert(tap.tensor.as<uint16_t>());
      break;
    case DType::kI16:
      convert(tap.tensor.as<int16_t>());
      break;
    default:
      return {};
  }
  const auto& s = tap.tensor.shape;
  if (!tap.channels_last || s.size() < 3) return raw;
  std::vector<float> out(raw.size());  // [N, positions, C] -> [N, C, positions]
  const auto n_ = static_cast<size_t>(s[0]), c_ = static_cast<size_t>(s[1]);
  const size_t positions = n_ * c_ == 0 ? 0 : raw.size() / (n_ * c_);
  for (size_t n = 0; n < n_; ++n)
    for (size_t p = 0; p < positions; ++p)
      for (size_t c = 0; c < c_; ++c)
        out[(n * c_ + c) * positions + p] = raw[(n * positions + p) * c_ + c];
  return out;
}

}  // namespace

std::vector<LayerError> compare_layers(const Graph& model, const Graph& reference,
                                       const Dataset& data, const CompareOptions& options) {
  const ThreadScope scope(options.threads);
  const std::vector<Probe> probes = find_probes(model, reference);
  std::vector<LayerError> out(probes.size());
  if (probes.empty()) return out;
  Executor ours(model, {.threads = options.threads});
  Executor theirs(reference, {.threads = options.threads});
  std::map<std::string, std::vector<float>> expected;  // by tensor
  std::map<std::string, std::vector<size_t>> by_ours, by_theirs;
  std::vector<std::string> our_taps, their_taps;
  for (size_t i = 0; i < probes.size(); ++i) {
    if (by_ours[probes[i].ours.name].empty()) our_taps.push_back(probes[i].ours.name);
    if (by_theirs[probes[i].theirs.name].empty()) their_taps.push_back(probes[i].theirs.name);
    by_ours[probes[i].ours.name].push_back(i);
    by_theirs[probes[i].theirs.name].push_back(i);
  }
  theirs.tap(their_taps, [&](const TapView& tap) {
    for (const size_t i : by_theirs.at(std::string(tap.value)))
      expected[probes[i].tensor] = values_of(tap, probes[i].theirs);
  });
  std::vector<double> sqnr(probes.size()), cosines(probes.size());
  std::vector<int64_t> seen(probes.size());
  const auto measure = [&](const TapView& tap, size_t i) {
    const auto found = expected.find(probes[i].tensor);
    const std::vector<float> got = values_of(tap, probes[i].ours);
    if (found == expected.end() || found->second.size() != got.size()) return;
    sqnr[i] += sqnr_db(found->second, got);
    cosines[i] += cosine(found->second, got);
    ++seen[i];
  };
  ours.tap(our_taps, [&](const TapView& tap) {
    for (const size_t i : by_ours.at(std::string(tap.value))) measure(tap, i);
  });
  const int64_t batch = batch_size(model, data, 1);
  const int64_t samples = std::min(options.samples, data.size());
  int64_t next = 0;
  while (next < samples) {
    const Batch now = data.batch(next, batch);
    next = now.next;
    if (now.size() == 0) continue;
    expected.clear();
    theirs.run(feed(reference, now));
    ours.run(feed(model, now));
    options.log.advance("compare layers", std::min(next, samples), samples);
  }
  std::vector<LayerError> measured;
  for (size_t i = 0; i < probes.size(); ++i)
    if (seen[i] > 0)
      measured.push_back({probes[i].tensor, probes[i].node, probes[i].op,
                          sqnr[i] / static_cast<double>(seen[i]),
                          cosines[i] / static_cast<double>(seen[i])});
  return measured;
}

std::vector<LayerRecord> layer_records(const Graph& model, const std::vector<LayerError>& errors,
                                       const Dataset& data, int threads) {
  Executor executor(model, {.threads = threads, .profile = true});
  const Batch one = data.batch(0, batch_size(model, data, 1));
  if (one.size() == 0) return {};
  const Executor::Values inputs = feed(model, one);
  std::map<std::string, const LayerError*> by_node;
  for (const LayerError& e : errors) by_node.emplace(e.node, &e);
  std::vector<LayerRecord> out;
  for (const StepInfo& step : time_steps(executor, inputs, 3, kLayerSeconds)) {
    LayerRecord r;
    r.node = step.nodes.empty() ? "" : step.nodes.front();
    r.op = step.op;
    r.macs = step.macs;
    r.parameters = step.parameters;
    r.latency_ms = step.milliseconds;
    r.kernel = step.kernel;
    r.precision = step.precision;
    r.bytes_moved = step.bytes_moved;
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
