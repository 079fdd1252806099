#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "lapidary/compress.h"
#include "lapidary/passes.h"
#include "quantize/checks.h"
#include "src/base/half.h"
#include "src/ir/patterns.h"
#include "src/ops/input_constants.h"
#include "src/ops/opdef.h"
#include "src/passes/lower_qdq.h"
#include "src/passes/regions.h"

namespace lapidary {

namespace {

constexpr float kHalfMax = 65504;

Tensor halved(const Tensor& t) {
  Tensor out(DType::kF16, t.shape());
  const auto from = t.data<float>();
  auto to = out.mutable_data<Half>();
  for (size_t i = 0; i < from.size(); ++i) to[i] = to_half(from[i]);
  return out;
}

bool fits_half(const Tensor& t) {
  for (float x : t.data<float>())
    if (std::abs(x) > kHalfMax && std::isfinite(x)) return false;
  return true;
}

/// Computes on integers: its scales are float32, but there is nothing of it to be FP16.
bool is_integer_op(const Graph& g, NodeId id) {
  const ResolvedOp op = resolve_op(g, id);
  return op && op.def->role == QuantRole::kInteger;
}

bool is_f32(const Graph& g, ValueId v) { return v && g.value(v).type.dtype == DType::kF32; }

/// Nodes between DequantizeLinear and QuantizeLinear that run on integers, and bear float types
/// alone: a Cast among them, and engines compute floats.
NodeSet integer_layers(const Graph& g) {
  if (!is_quantized_model(g)) return {};
  Graph lowered = g;
  std::set<std::string> keys;
  for (const LoweringNote& note : lower_qdq(lowered).notes)
    if (!note.lowered_to.empty()) keys.insert(note.node);
  NodeSet out;
  for (const NodeId id : g.nodes())
    if (keys.contains(node_key(g, id))) out.insert(id.index);
  return out;
}

/// Rewrites a graph so that the nodes chosen compute in FP16; Casts stand where the two meet.
class HalfGraph {
 public:
  HalfGraph(Graph graph, const Fp16Options& options, std::vector<KeptFloat>* kept)
      : g_(std::move(graph)), options_(options), kept_(kept) {}

  Graph run() {
    choose();
    for (NodeId id : g_.nodes())
      if (chosen_.contains(id)) convert(id);
    if (!options_.keep_io) convert_ends();
    drop_unused_constants();
    g_.verify();
    return std::move(g_);
  }

 private:
  void keep(NodeId id, std::string reason) {
    if (kept_ != nullptr) kept_->push_back({node_key(g_, id), g_.node(id).op, std::move(reason)});
  }

  /// Why a node stays float32, or nothing.
  std::string reason_to_stay(NodeId id, const NodeSet& skipped,
                             const std::set<NodeId>& in_region) const {
    const Node& n = g_.node(id);
    if (skipped.contains(id.index)) return "skipped by a pattern";
    const ResolvedOp op = resolve_op(g_, id);
    if (!op) return "the op is not known";
    if (in_region.contains(id)) return "normalization: squares and sums leave FP16's range";
    if (!op.has_half_form() || !n.captures.empty()) return "has no FP16 form";
    for (ValueId v : n.inputs)
      if (const Tensor* t = g_.constant(v); t != nullptr && is_f32(g_, v) && !fits_half(*t))
        return "a constant is beyond 65504";
    return {};
  }

  void choose() {
    std::set<NodeId> in_region;
    for (const Region& region : find_regions(g_))
      if (region.kind == RegionKind::kLayerNorm || region.kind == RegionKind::kRmsNorm)
        in_region.insert(region.nodes.begin(), region.nodes.end());
    const NodeSet skipped = match_nodes(g_, options_.skip), integer = integer_layers(g_);
    for (NodeId id : g_.nodes()) {
      const Node& n = g_.node(id);
      const auto f32 = [&](ValueId v) { return is_f32(g_, v); };
      if (integer.contains(id.index) || std::none_of(n.inputs.begin(), n.inputs.end(), f32))
        continue;
      const std::string reason = reason_to_stay(id, skipped, in_region);
      if (reason.empty())
        chosen_.insert(id);
      else if (!is_integer_op(g_, id))
        keep(id, reason);
    }
  }

  /// The FP16 twin of a float32 value, made before `user` where it does not exist yet.
  ValueId half_of(ValueId v, NodeId user) {
    if (const auto found = half_.find(v); found != half_.end()) return found->second;
    const Value& value = g_.value(v);
    const std::string name = g_.unique_name(value.name + "_fp16");
    ValueId twin;
    if (const Tensor* t = g_.constant(v)) {
      twin = g_.add_constant(name, halved(*t));
    } else {
      twin = g_.add_value(name, {DType::kF16, value.type.shape});
      add_cast(v, twin, user);
    }
    half_.emplace(v, twin);
    return twin;
  }

  void add_cast(ValueId from, ValueId to, NodeId before) {
    Node cast;
    cast.op = "Cast";
    cast.name = g_.unique_node_name(g_.value(to).name + "_cast");
    cast.inputs = {from};
    cast.outputs = {to};
    cast.attrs = {{"to", static_cast<int64_t>(g_.value(to).type.dtype)}};
    g_.add_node(std::move(cast), before);
  }

  bool read_as_f32(ValueId v) const {
    if (g_.is_output(v)) return true;
    const auto& uses = g_.value(v).uses;
    return std::any_of(uses.begin(), uses.end(),
                       [&](const Use& use) { return use.capture || !chosen_.contains(use.node); });
  }

  void convert(NodeId id) {
    const std::vector<ValueId> inputs = g_.node(id).inputs, outputs = g_.node(id).outputs;
    for (size_t i = 0; i < inputs.size(); ++i)
      if (is_f32(g_, inputs[i])) g_.set_input(id, i, half_of(inputs[i], id));
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!is_f32(g_, outputs[i])) continue;
      const ValueId v = outputs[i];
      const ValueId twin = g_.add_value(g_.unique_name(g_.value(v).name + "_fp16"),
                                        {DType::kF16, g_.value(v).type.shape});
      const bool wanted = read_as_f32(v);
      g_.set_output(id, i, twin);
      half_.emplace(v, twin);
      if (wanted) add_cast(twin, v, g_.next(id));
    }
  }

  /// Graph inputs and outputs become FP16 under their own names, an input's default with it.
  void convert_ends() {
    for (ValueId v : g_.inputs()) {
      const std::optional<Tensor>& initial = g_.value(v).constant;
      if (!is_f32(g_, v) || (initial && !fits_half(*initial))) continue;
      const std::string name = g_.value(v).name;
      const auto found = half_.find(v);
      const NodeId first = g_.nodes().empty() ? NodeId{} : g_.nodes().front();
      const ValueId full = g_.add_value(g_.unique_name(name + "_fp32"), g_.value(v).type);
      if (found != half_.end()) {
        g_.remove_node(g_.value(found->second).producer);
        g_.replace_uses(found->second, v);
      }
      const std::vector<Use> uses = g_.value(v).uses;
      for (const Use& use : uses)
        if (!use.capture && !chosen_.contains(use.node)) g_.set_input(use.node, use.slot, full);
      Value& value = g_.mutable_value(v);
      value.type.dtype = DType::kF16;
      if (value.constant) value.constant = halved(*value.constant);
      if (!g_.value(full).uses.empty()) add_cast(v, full, first);
    }
    std::vector<ValueId> outputs = g_.outputs();
    for (ValueId& v : outputs) {
      const auto found = half_.find(v);
      if (!is_f32(g_, v) || found == half_.end() || g_.constant(found->second) != nullptr) continue;
      const std::string name = g_.value(v).name;
      g_.rename_value(v, g_.unique_name(name + "_fp32"));
      g_.rename_value(found->second, name);
      v = found->second;
    }
    const std::vector<ValueId> before = g_.outputs();
    g_.set_outputs(std::move(outputs));
    for (ValueId v : before) drop_unread_cast(v);
  }

  /// The float32 form of an output that nothing reads any more, and the Cast that made it.
  void drop_unread_cast(ValueId v) {
    if (!g_.alive(v) || g_.use_count(v) > 0 || g_.is_input(v)) return;
    const NodeId cast = g_.value(v).producer;
    if (!cast || !g_.node(cast).is("Cast")) return;
    g_.remove_node(cast);
    g_.remove_value(v);
  }

  void drop_unused_constants() {
    for (ValueId v : g_.values())
      if (g_.value(v).constant && g_.use_count(v) == 0 && !g_.is_input(v)) g_.remove_value(v);
  }

  Graph g_;
  const Fp16Options& options_;
  std::vector<KeptFloat>* kept_;
  std::set<NodeId> chosen_;
  std::map<ValueId, ValueId> half_;
};

/// Why a constant stays float32, or nothing.
std::string reason_to_stay(const Graph& g, ValueId v, const NodeSet& skipped) {
  const auto& uses = g.value(v).uses;
  if (std::any_of(uses.begin(), uses.end(),
                  [&](const Use& use) { return skipped.contains(use.node.index); }))
    return "skipped by a pattern";
  if (std::any_of(uses.begin(), uses.end(), [&](const Use& use) {
        const ResolvedOp op = resolve_op(g, use.node);
        return !use.capture && op && !op.has_half_form();
      }))
    return "has no FP16 form";
  return fits_half(*g.constant(v)) ? "" : "a constant is beyond 65504";
}

/// FP16 initializers, each behind a Cast.
Graph halve_weights(Graph g, const Fp16Options& options, std::vector<KeptFloat>* kept) {
  const NodeSet skipped = match_nodes(g, options.skip), integer = integer_layers(g);
  for (ValueId v : g.values()) {
    const Tensor* t = g.constant(v);
    if (t == nullptr || !is_f32(g, v) || g.value(v).uses.empty() || t->size() < 2) continue;
    const auto& uses = g.value(v).uses;
    if (std::any_of(uses.begin(), uses.end(),
                    [&](const Use& use) { return integer.contains(use.node.index); }))
      continue;
    if (std::string reason = reason_to_stay(g, v, skipped); !reason.empty()) {
      const NodeId first = g.value(v).uses.front().node;
      if (kept && !is_integer_op(g, first))
        kept->push_back({node_key(g, first), g.node(first).op, std::move(reason)});
      continue;
    }
    const std::string name = g.value(v).name;
    const ValueId stored = g.add_constant(g.unique_name(name + "_fp16"), halved(*t));
    const ValueId full = g.add_value(g.unique_name(name + "_fp32"), g.value(v).type);
    Node cast;
    cast.op = "Cast";
    cast.name = g.unique_node_name(name + "_cast");
    cast.inputs = {stored};
    cast.outputs = {full};
    cast.attrs = {{"to", static_cast<int64_t>(DType::kF32)}};
    g.add_node(std::move(cast), g.nodes().front());
    g.replace_uses(v, full);
    if (!g.is_input(v) && !g.is_output(v)) g.remove_value(v);
  }
  g.verify();
  return g;
}

}  // namespace

Graph convert_to_fp16(const Graph& graph, const Fp16Options& options,
                      std::vector<KeptFloat>* kept) {
  Graph g = graph;
  unlist_constants(g);  // a float32 constant that is an input could not go, its FP16 twin not come
  optimize(g, {.log = options.log});
  return options.weights_only ? halve_weights(std::move(g), options, kept)
                              : HalfGraph(std::move(g), options, kept).run();
}

}  // namespace lapidary
