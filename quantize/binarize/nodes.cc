#include "quantize/binarize/nodes.h"

#include <algorithm>
#include <cmath>

#include "lapidary/binarize.h"
#include "src/ops/fake_quantize.h"
#include "src/passes/edit.h"

namespace lapidary {

bool is_binarize(const Graph& graph, NodeId node) {
  return node.valid() && graph.node(node).is("Binarize", kOwnDomain);
}

bool has_binarize(const Graph& graph) {
  const auto nodes = graph.nodes();
  return std::any_of(nodes.begin(), nodes.end(), [&](NodeId id) { return is_binarize(graph, id); });
}

NodeId sign_before(const Graph& graph, ValueId input) {
  if (const NodeId pad = producer_of(graph, input, "Pad")) input = graph.node(pad).inputs[0];
  const NodeId made_by = graph.value(input).producer;
  return is_binarize(graph, made_by) ? made_by : NodeId{};
}

WeightKind weight_kind(const Graph& graph, ValueId weight) {
  const NodeId made_by = weight.valid() ? graph.value(weight).producer : NodeId{};
  if (!made_by.valid()) return WeightKind::kFloat;
  const Node& node = graph.node(made_by);
  if (node.is("BinarizeWeight", kOwnDomain)) return WeightKind::kBinary;
  if (!node.is("TernarizeWeight", kOwnDomain)) return WeightKind::kFloat;
  return input_of(graph, made_by, 1).valid() ? WeightKind::kLearnedTernary : WeightKind::kTernary;
}

std::vector<std::string> sharpness_constants(const Graph& graph) {
  std::vector<std::string> names;
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    if (!is_binarize(graph, id) && !node.is("BinarizeWeight", kOwnDomain)) continue;
    const ValueId sharpness = input_of(graph, id, 1);
    if (!sharpness.valid() || graph.constant(sharpness) == nullptr) continue;
    const std::string& name = graph.value(sharpness).name;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

TrainHook grow_sharpness(const Graph& graph) {
  std::vector<std::string> names = sharpness_constants(graph);
  if (names.empty()) return {};
  return [names = std::move(names)](Trainer& trainer, int64_t step, int64_t total) {
    const double share = total > 1 ? static_cast<double>(step) / static_cast<double>(total - 1) : 1;
    const auto t = static_cast<float>(
        kLeastSharpness * std::pow(static_cast<double>(kMostSharpness) / kLeastSharpness, share));
    for (const std::string& name : names) trainer.set_constant(name, Tensor::scalar(t));
  };
}

}  // namespace lapidary
