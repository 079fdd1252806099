// BatchNormalization(L(x))  =>  L'(x), for a Conv, ConvTranspose or Gemm L = w, b:
//   a[c] = scale[c] / sqrt(var[c] + epsilon)
//   w'[c] = a[c] * w[c],   b'[c] = a[c] * b[c] + (bias[c] - a[c] * mean[c])
#include <cmath>

#include "src/base/fail.h"
#include "src/passes/channel_affine.h"
#include "src/passes/edit.h"
#include "src/passes/pass.h"

namespace lapidary {

namespace {

struct Affine {
  std::vector<double> scale, shift;
};

// Scale and shift per channel, or why there are none.
std::optional<Affine> batchnorm_affine(const Graph& graph, NodeId id, std::string& refusal) {
  const auto& inputs = graph.node(id).inputs;
  std::vector<std::vector<float>> parameters;
  for (size_t slot = 1; slot < 5; ++slot) {
    const auto values = constant_floats(graph, inputs.at(slot));
    if (!values) {
      refusal = "a parameter is not constant";
      return std::nullopt;
    }
    parameters.push_back(*values);
  }
  const auto &gamma = parameters[0], &beta = parameters[1], &mean = parameters[2],
             &variance = parameters[3];
  const double epsilon = float_attr(graph, id, "epsilon", 1e-5f);
  Affine affine;
  for (size_t c = 0; c < gamma.size(); ++c) {
    const double spread = static_cast<double>(variance.at(c)) + epsilon;
    if (!(variance[c] >= 0) || !std::isfinite(variance[c]) || !(spread > 0)) {
      refusal = fmt::format("variance of channel {} is {} (epsilon {})", c, variance[c], epsilon);
      return std::nullopt;
    }
    const double a = gamma[c] / std::sqrt(spread);
    affine.scale.push_back(a);
    affine.shift.push_back(beta.at(c) - a * mean.at(c));
    if (!std::isfinite(a) || !std::isfinite(affine.shift[c])) {
      refusal = fmt::format("scale, bias or mean of channel {} is not finite", c);
      return std::nullopt;
    }
  }
  return affine;
}

bool infers(const Graph& graph, NodeId id) {
  if (int_attr(graph, id, "training_mode", 0) != 0 || int_attr(graph, id, "spatial", 1) != 1)
    return false;
  const auto& outputs = graph.node(id).outputs;
  for (size_t i = 1; i < outputs.size(); ++i)
    if (outputs[i] && graph.use_count(outputs[i]) > 0) return false;
  return graph.opset() >= 7 && graph.node(id).inputs.size() == 5;
}

bool fold(Graph& graph, NodeId id, std::vector<std::string>& notes) {
  if (!is_op(graph, id, "BatchNormalization") || !infers(graph, id)) return false;
  const ValueId between = graph.node(id).inputs[0];
  const NodeId before = graph.value(between).producer;
  const auto linear = before ? linear_node(graph, before) : std::nullopt;
  if (!linear || only_user(graph, between) != id ||
      !can_replace(graph, output_of(graph, id), between))
    return false;
  std::string refusal;
  const auto affine = batchnorm_affine(graph, id, refusal);
  if (affine && static_cast<int64_t>(affine->scale.size()) != linear->channels)
    refusal = fmt::format("it has {} channels, {} has {}", affine->scale.size(),
                          node_label(graph, before), linear->channels);
  else if (affine && !scale_and_shift(graph, *linear, affine->scale, affine->shift))
    refusal = "folded weights overflow float32";
  if (!refusal.empty()) {
    notes.push_back(fmt::format("{} not folded: {}", node_label(graph, id), refusal));
    return false;
  }
  absorb(graph, id, between);
  return true;
}

}  // namespace

PassResult fold_batchnorm(Graph& graph, const PassOptions&) {
  PassResult result;
  result.changes = rewrite(graph, [&](Graph& g, NodeId id) { return fold(g, id, result.notes); });
  return result;
}

}  // namespace lapidary
