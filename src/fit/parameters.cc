#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "lapidary/train.h"
#include "src/base/fail.h"
#include "src/base/rng.h"
#include "src/base/text.h"
#include "src/passes/branches.h"
#include "src/passes/edit.h"
#include "src/passes/parameters.h"

namespace lapidary {

namespace {

/// The graph, its initializers all constants (old files list them as inputs too) and the nodes of
/// branches among its own; what it has keeps its id.
Graph with_all_nodes(const Graph& graph) {
  Graph out = graph;
  take_in_branches(out);
  std::vector<ValueId> inputs;
  for (const ValueId id : out.inputs())
    if (!out.value(id).constant) inputs.push_back(id);
  out.set_inputs(std::move(inputs));
  return out;
}

/// Terms that one output of a layer sums up.
double fan_in(const Graph& graph, const ParameterUse& use) {
  const Tensor& weight = *graph.constant(use.constant);
  const auto size = static_cast<double>(weight.size());
  if (is_recurrent(graph.node(use.reader))) return static_cast<double>(weight.dim(-1));
  if (is_op(graph, use.reader, "MatMul")) return static_cast<double>(weight.dim(-2));
  const double all = size / static_cast<double>(weight.dim(weight_slot(graph, use.reader).axis));
  if (!is_op(graph, use.reader, "ConvTranspose")) return all;
  // [C, M / group, k...]: an output has one in `stride` taps of the C / group inputs.
  double apart = static_cast<double>(int_attr(graph, use.reader, "group", 1));
  for (const int64_t stride : ints_attr(graph, use.reader, "strides"))
    apart *= static_cast<double>(stride);
  return all / apart;
}

/// What a parameter begins as: `value`, or normal numbers about 0.
struct Start {
  float value = 0;
  double deviation = 0;
  bool same(const Start& other) const {
    return value == other.value && (deviation > 0) == (other.deviation > 0);
  }
};

/// None: it stays.
std::optional<Start> start_of(const Graph& graph, const ParameterUse& use) {
  constexpr double kEmbeddingDeviation = 0.02;
  constexpr float kSlopeStart = 0.25f;
  using enum ParameterRole;
  switch (use.role) {
    case kWeight:
      return Start{0, std::sqrt(2 / fan_in(graph, use))};
    case kEmbedding:
      return Start{0, kEmbeddingDeviation};
    case kBias:
    case kPeephole:
    case kShift:
    case kMean:
      return Start{0};
    case kGain:
    case kVariance:
    case kFactor:
      return Start{1};
    case kSlope:
      return Start{kSlopeStart};
    case kTerm:
      if (wide_axes(*graph.constant(use.constant)) == 1) return Start{0};
  }
  return std::nullopt;
}

Tensor started(const Shape& shape, const Start& start, Rng rng) {
  Tensor out(DType::kF32, shape);
  for (float& x : out.mutable_data<float>())
    x = start.deviation > 0 ? static_cast<float>(start.deviation * rng.normal()) : start.value;
  return out;
}

}  // namespace

std::vector<TrainedParameter> trainable_parameters(const Graph& graph) {
  const Graph lifted = with_lifted_constants(graph);
  std::vector<TrainedParameter> out;
  std::set<ValueId> seen;
  for (const ParameterUse& use : parameter_uses(with_all_nodes(lifted)))
    if (is_trained(use.role) && lifted.alive(use.constant) && seen.insert(use.constant).second)
      out.push_back({.name = lifted.value(use.constant).name, .decay = decays(use.role)});
  return out;
}

void init_parameters(Graph& graph, uint64_t seed) {
  lift_branch_constants(graph);
  const Graph whole = with_all_nodes(graph);
  std::map<ValueId, Start> seen;
  bool weights = false;
  for (const ParameterUse& use : parameter_uses(whole)) {
    const std::optional<Start> start = start_of(whole, use);
    if (!start || !graph.alive(use.constant)) continue;
    weights = weights || use.role == ParameterRole::kWeight;
    const auto [at, added] = seen.emplace(use.constant, *start);
    Value& value = graph.mutable_value(use.constant);
    if (!added && !at->second.same(*start))
      fail_usage(
          "'{}' cannot be made anew: {} reads it as something that begins otherwise; give "
          "each reader a constant of its own",
          printable(value.name), node_label(whole, use.reader));
    if (added)
      value.constant = started(value.constant->shape(), *start, Rng::of(seed, {seen.size()}));
  }
  if (!weights) fail_usage("the graph has no weights to begin with");
}

Graph without_loss(const Graph& trained, const Graph& original) {
  Graph out = with_lifted_constants(original);
  std::set<ValueId> parameters;
  for (const ParameterUse& use : parameter_uses(with_all_nodes(out)))
    parameters.insert(use.constant);
  for (const ValueId id : out.values()) {
    Value& value = out.mutable_value(id);
    if (!value.constant || value.constant->dtype() != DType::kF32) continue;
    const ValueId other = trained.find_value(value.name);
    const std::optional<Tensor>* now = other ? &trained.value(other).constant : nullptr;
    const bool fits = now && *now && tensor_type(**now) == tensor_type(*value.constant);
    if (fits)
      value.constant = **now;
    else if (parameters.contains(id))
      fail_usage("the trained graph's '{}' is {}, expected {}: it was not made of this graph",
                 printable(value.name), now && *now ? tensor_type(**now).text() : "missing",
                 tensor_type(*value.constant).text());
  }
  return out;
}

}  // namespace lapidary
