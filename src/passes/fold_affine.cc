// L(x) * k,  L(x) / k,  L(x) + k,  L(x) - k,  k - L(x)   =>   L'(x)
// for a Conv, ConvTranspose or Gemm L of constant parameters and k constant, one number or one per
// channel:
//   w'[c] = s[c] * w[c],   b'[c] = s[c] * b[c] + t[c]
#include <algorithm>

#include "src/passes/channel_affine.h"
#include "src/passes/edit.h"
#include "src/passes/pass.h"

namespace lapidary {

namespace {

// k as one number per channel, where that is how it broadcasts against `rank` axes with channels on
// axis 1.
std::optional<std::vector<double>> per_channel(const Graph& graph, ValueId value, int64_t rank,
                                               int64_t channels) {
  const Tensor* k = graph.constant(value);
  if (k == nullptr || k->dtype() != DType::kF32 || k->rank() > rank) return std::nullopt;
  const auto data = k->data<float>();
  if (k->size() == 1) return std::vector<double>(static_cast<size_t>(channels), data[0]);
  if (k->size() != channels) return std::nullopt;
  const int64_t axis = 1 - (rank - k->rank());  // of k
  if (axis < 0 || k->dim(axis) != channels) return std::nullopt;
  return std::vector<double>(data.begin(), data.end());
}

struct Affine {
  std::vector<double> scale, shift;
};

Affine affine_of(const Graph& graph, NodeId id, std::vector<double> k, bool constant_first) {
  const size_t n = k.size();
  if (is_op(graph, id, "Mul")) return {std::move(k), std::vector<double>(n, 0)};
  if (is_op(graph, id, "Div")) {
    for (double& v : k) v = 1.0 / v;
    return {std::move(k), std::vector<double>(n, 0)};
  }
  const bool subtracts = is_op(graph, id, "Sub");
  if (subtracts && !constant_first)
    for (double& v : k) v = -v;
  return {std::vector<double>(n, subtracts && constant_first ? -1.0 : 1.0), std::move(k)};
}

bool fold(Graph& graph, NodeId id) {
  const bool either_side =
      is_op(graph, id, "Mul") || is_op(graph, id, "Add") || is_op(graph, id, "Sub");
  if (!either_side && !is_op(graph, id, "Div")) return false;
  for (size_t slot = 0; slot < (either_side ? 2 : 1); ++slot) {
    const ValueId between = graph.node(id).inputs[slot], constant = graph.node(id).inputs[1 - slot];
    const NodeId before = graph.value(between).producer;
    const auto linear = before ? linear_node(graph, before) : std::nullopt;
    if (!linear || only_user(graph, between) != id) continue;
    const auto k = per_channel(graph, constant, rank_of(graph, between), linear->channels);
    if (!k || !can_replace(graph, output_of(graph, id), between)) continue;
    if (is_op(graph, id, "Div") && std::count(k->begin(), k->end(), 0.0) > 0) continue;
    const Affine affine = affine_of(graph, id, *k, slot == 1);
    if (!scale_and_shift(graph, *linear, affine.scale, affine.shift)) continue;
    absorb(graph, id, between);
    return true;
  }
  return false;
}

}  // namespace

PassResult fold_affine(Graph& graph, const PassOptions&) { return {rewrite(graph, fold), {}}; }

}  // namespace lapidary
