#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <sstream>
#include <utility>

#include "calibrate/feeder.h"
#include "lapidary/compress.h"
#include "lapidary/evaluate.h"
#include "src/base/fail.h"
#include "src/base/half.h"
#include "src/base/parallel.h"
#include "src/base/signal.h"
#include "src/base/text.h"
#include "src/data/batches.h"
#include "src/ops/opdef.h"
#include "src/passes/lower_qdq.h"

namespace lapidary {

namespace {

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

/// The input with the scale of a node's integers, where it makes such.
std::optional<size_t> output_scale_slot(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const OpDef* def = find_op(node.domain, node.op);
  if (def == nullptr || def->role != QuantRole::kInteger || def->output_scale < 0)
    return std::nullopt;
  const auto slot = static_cast<size_t>(def->output_scale);
  if (slot >= node.inputs.size() || !node.inputs[slot]) return std::nullopt;  // QGemm to floats
  return slot;
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
      if (const auto slot = output_scale_slot(graph, id)) {
        const auto tap = integers(graph, node, *slot, name);
        if (!tap) continue;
        if (node.op == "QuantizeLinear") offer(graph.value(node.inputs[0]).name, *tap);
        offer(stripped, *tap);
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

struct Probes {
  std::vector<Probe> taken;         ///< in the model's order
  std::set<std::string> equalized;  ///< tensors of both graphs that do not mean the same
};

/// Tensors of both graphs that exist when both run.
Probes find_probes(const Graph& model, const Graph& reference) {
  const std::map<std::string, Tap> ours = find_taps(model), theirs = find_taps(reference);
  std::set<std::string> scaled = equalized(model), done;
  scaled.merge(equalized(reference));
  Probes out;
  const auto take = [&](const std::string& tensor, const Node& node, const std::string& key) {
    const auto a = ours.find(tensor), b = theirs.find(tensor);
    if (a == ours.end() || b == theirs.end()) return false;
    if (scaled.contains(tensor)) {
      out.equalized.insert(tensor);
      return false;
    }
    if (!done.insert(tensor).second) return false;
    out.taken.push_back({tensor, key, node.op, a->second, b->second});
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

/// A tapped tensor while its graph runs.
struct Seen {
  const TapView& tap;
  const Tap& how;
  Shape shape;  ///< without padding: of the samples that count

  Seen(const TapView& view, const Tap& tap_how, BatchRows rows)
      : tap(view), how(tap_how), shape(view.tensor.shape.begin(), view.tensor.shape.end()) {
    if (!shape.empty() && shape[0] == rows.ran) shape[0] = rows.counted;
  }
  bool channels_last() const { return tap.channels_last && shape.size() >= 3; }
};

/// visit(first, values): the elements of a tapped tensor as floats, in stored order, a chunk at a
/// time; nothing for other types than quantized tensors and their float forms have.
template <class Visit>
void each_chunk(const Seen& seen, Visit&& visit) {
  constexpr size_t kChunk = 1024;
  const TapView& tap = seen.tap;
  const Tap& how = seen.how;
  const auto count = static_cast<size_t>(element_count(seen.shape));
  std::array<float, kChunk> values;
  const auto convert = [&](const auto* from, auto&& as_float) {
    for (size_t first = 0; first < count; first += kChunk) {
      const size_t n = std::min(kChunk, count - first);
      for (size_t i = 0; i < n; ++i) values[i] = as_float(from[first + i]);
      visit(first, std::span<const float>(values.data(), n));
    }
  };
  const auto stored = [&](auto q) {
    return how.integer ? static_cast<float>(static_cast<int32_t>(q) - how.zero_point) * how.scale
                       : static_cast<float>(q);
  };
  switch (tap.tensor.dtype) {
    case DType::kF32:
      return visit(size_t{0}, std::span(tap.tensor.as<float>(), count));
    case DType::kF16:
      return convert(tap.tensor.as<Half>(), from_half);
    case DType::kU8:
      return convert(tap.tensor.as<uint8_t>(), stored);
    case DType::kI8:
      return convert(tap.tensor.as<int8_t>(), stored);
    case DType::kU16:
      return convert(tap.tensor.as<uint16_t>(), stored);
    case DType::kI16:
      return convert(tap.tensor.as<int16_t>(), stored);
    default:
      return;
  }
}

/// A tapped tensor kept as floats.
struct Kept {
  std::vector<float> values;  ///< in stored order; empty: of a type that is not compared
  Shape shape;
  bool channels_last = false;
  bool fresh = false;  ///< of the batch that runs now

  void take(const Seen& seen) {
    values.clear();
    each_chunk(seen, [&](size_t, std::span<const float> chunk) {
      values.insert(values.end(), chunk.begin(), chunk.end());
    });
    shape = seen.shape;
    channels_last = seen.channels_last();
    fresh = true;
  }
  /// [N, positions, C] -> [N, C, positions]
  void put_in_order() {
    if (!channels_last) return;
    const std::vector<float> raw = std::exchange(values, std::vector<float>(values.size()));
    const auto samples = static_cast<size_t>(shape[0]), channels = static_cast<size_t>(shape[1]);
    const size_t positions = raw.empty() ? 0 : raw.size() / (samples * channels);
    for (size_t n = 0; n < samples; ++n)
      for (size_t p = 0; p < positions; ++p)
        for (size_t c = 0; c < channels; ++c)
          values[(n * channels + c) * positions + p] = raw[(n * positions + p) * channels + c];
    channels_last = false;
  }
};

/// What a tensor of one graph is against that of the other; nothing where they are not alike.
std::optional<PairSums> compared(Kept& expected, const Seen& ours) {
  const auto count = static_cast<size_t>(element_count(ours.shape));
  if (!expected.fresh || expected.values.size() != count) return std::nullopt;
  // Equal counts of other samples, where one of the two is padded along another axis.
  if (!ours.shape.empty() && !expected.shape.empty() && ours.shape[0] != expected.shape[0])
    return std::nullopt;
  PairSums sums;
  size_t seen = 0;
  const auto add = [&](size_t first, std::span<const float> got) {
    sums.add(std::span(expected.values).subspan(first, got.size()), got);
    seen += got.size();
  };
  if (ours.channels_last() == expected.channels_last) {  // the same order, whichever it is
    each_chunk(ours, add);
  } else {
    Kept got;
    got.take(ours);
    got.put_in_order();
    expected.put_in_order();
    add(0, got.values);
  }
  return seen == count ? std::optional(sums) : std::nullopt;
}

}  // namespace

LayerComparison compare_layers(const Graph& model, const Graph& reference, const Dataset& data,
                               const CompareOptions& options) {
  const ThreadScope scope(options.threads);
  if (options.samples < 1) fail_usage("samples: {} is below 1", options.samples);
  if (data.size() == 0) fail_usage("the data to compare on are empty");
  const Probes found = find_probes(model, reference);
  const std::vector<Probe>& probes = found.taken;
  LayerComparison out{.layers = {}, .equalized = static_cast<int64_t>(found.equalized.size())};
  if (probes.empty()) return out;
  const Feeder our_feeder(model, data), their_feeder(reference, data);
  BatchRows our_rows, their_rows;
  Executor ours(model, {.threads = options.threads});
  Executor theirs(reference, {.threads = options.threads});
  std::map<std::string, Kept> expected;  // by the reference's name
  std::map<std::string, std::vector<size_t>> by_ours;
  std::vector<std::string> our_taps, their_taps;
  std::map<std::string, const Tap*> by_theirs;
  for (size_t i = 0; i < probes.size(); ++i) {
    if (by_ours[probes[i].ours.name].empty()) our_taps.push_back(probes[i].ours.name);
    if (by_theirs.emplace(probes[i].theirs.name, &probes[i].theirs).second)
      their_taps.push_back(probes[i].theirs.name);
    by_ours[probes[i].ours.name].push_back(i);
  }
  theirs.tap(their_taps, [&](const TapView& tap) {
    const std::string name(tap.value);
    expected[name].take({tap, *by_theirs.at(name), their_rows});
  });
  std::vector<double> sqnr(probes.size()), cosines(probes.size());
  std::vector<int64_t> seen(probes.size());
  const auto measure = [&](const TapView& tap, size_t i) {
    const auto sums = compared(expected[probes[i].theirs.name], {tap, probes[i].ours, our_rows});
    if (!sums) return;
    sqnr[i] += sums->sqnr_db();
    cosines[i] += sums->cosine();
    ++seen[i];
  };
  ours.tap(our_taps, [&](const TapView& tap) {
    for (const size_t i : by_ours.at(std::string(tap.value))) measure(tap, i);
  });
  const Graph* const both[] = {&model, &reference};
  const int64_t batch = suitable_batch(both, data, 1);
  const int64_t samples = std::min(options.samples, data.size());
  for_batches(data, 0, samples, batch, [&](const Batch& now, int64_t next) {
    for (auto& [name, kept] : expected) kept.fresh = false;
    their_rows = their_feeder.rows(now);
    our_rows = our_feeder.rows(now);
    theirs.run(their_feeder.inputs(now));
    ours.run(our_feeder.inputs(now));
    options.log.advance("compare layers", next, samples);
  });
  for (size_t i = 0; i < probes.size(); ++i) {
    if (seen[i] > 0)
      out.layers.push_back({probes[i].tensor, probes[i].node, probes[i].op,
                            sqnr[i] / static_cast<double>(seen[i]),
                            cosines[i] / static_cast<double>(seen[i])});
    else
      ++out.unlike;
  }
  return out;
}

}  // namespace lapidary
