#include "src/passes/parameters.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "src/base/fail.h"
#include "src/ops/evaluate.h"
#include "src/ops/fake_quantize.h"
#include "src/ops/opdef.h"
#include "src/passes/edit.h"

namespace lapidary {

namespace {

/// What softmax makes 0 of.
constexpr float kLeastOfMasks = 1e4f;

/// Computed from constants alone, as r of a BatchNormalization is.
bool is_known(const Graph& graph, ValueId id) {
  if (!id.valid() || graph.constant(id)) return true;
  const NodeId producer = graph.value(id).producer;
  if (!producer.valid()) return false;
  const auto& inputs = graph.node(producer).inputs;
  return std::all_of(inputs.begin(), inputs.end(),
                     [&](ValueId input) { return is_known(graph, input); });
}

bool is_mask(const Tensor& elements) {
  const auto values = elements.data<float>();
  return std::any_of(values.begin(), values.end(),
                     [](float v) { return !(std::fabs(v) < kLeastOfMasks); });
}

class Collector {
 public:
  explicit Collector(const Graph& graph) : graph_(graph) {}

  std::vector<ParameterUse> run() {
    for (const NodeId id : graph_.nodes()) visit(id);
    return std::move(found_);
  }

 private:
  void visit(NodeId id) {
    const Node& node = graph_.node(id);
    const size_t before = found_.size();
    if (node.domain.empty()) collect(id);
    const bool behind = found_.size() > before ||
                        std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId input) {
                          return input.valid() && behind_layer_.contains(input.index);
                        });
    if (!behind) return;
    for (const ValueId out : node.outputs)
      if (out.valid()) behind_layer_.insert(out.index);
  }

  void collect(NodeId id) {
    using enum ParameterRole;
    const Node& node = graph_.node(id);
    if (is_recurrent(node)) {
      add_parts(id, input_of(graph_, id, 1), kWeight);
      add_parts(id, input_of(graph_, id, 2), kWeight);
      add_parts(id, input_of(graph_, id, 3), kBias);
      add_parts(id, input_of(graph_, id, 7), kPeephole);
      return;
    }
    if (const WeightSlot weight = weight_slot(graph_, id); weight.slot >= 0) {
      const int bias = find_op("", node.op)->weight.bias_input;
      if (add(id, static_cast<size_t>(weight.slot), kWeight) && bias >= 0)
        add(id, static_cast<size_t>(bias), kBias);
      return;
    }
    if (node.op.ends_with("Normalization")) {
      add(id, 1, kGain);
      add(id, 2, kShift);
    }
    if (node.op == "BatchNormalization") {
      add(id, 3, kMean);
      add(id, 4, kVariance);
    }
    if (node.op == "PRelu") add(id, 1, kSlope);
    if (node.op == "Gather" && rank_of(graph_, node.inputs[0]) == 2) add(id, 0, kEmbedding);
    if (node.op == "Add") add_term(id, kTerm);
    if (node.op == "Mul") add_term(id, kFactor);
  }

  bool add(NodeId reader, size_t slot, ParameterRole role) {
    const ValueId id = trained_constant(graph_, input_of(graph_, reader, slot));
    if (!id.valid() || graph_.constant(id)->dtype() != DType::kF32) return false;
    found_.push_back({id, role, reader});
    return true;
  }

  /// Constants that a recurrent layer's weights are put together from: exporters order gates so.
  void add_parts(NodeId reader, ValueId of, ParameterRole role) {
    if (const ValueId id = trained_constant(graph_, of); id.valid()) {
      if (graph_.constant(id)->dtype() == DType::kF32) found_.push_back({id, role, reader});
      return;
    }
    if (!of.valid() || !graph_.value(of).producer.valid()) return;
    const Node& node = graph_.node(graph_.value(of).producer);
    if (node.is("Concat"))
      for (const ValueId part : node.inputs) add_parts(reader, part, role);
    for (const char* op :
         {"Slice", "Split", "Unsqueeze", "Squeeze", "Reshape", "Transpose", "Identity"})
      if (node.is(op)) add_parts(reader, node.inputs[0], role);
  }

  void add_term(NodeId id, ParameterRole role) {
    const Node& node = graph_.node(id);
    for (size_t slot = 0; slot < 2; ++slot) {
      const ValueId term = trained_constant(graph_, node.inputs[slot]);
      if (!term.valid() || !behind_layer_.contains(node.inputs[1 - slot].index)) continue;
      const Tensor& elements = *graph_.constant(term);
      if (elements.size() < 2 || elements.dtype() != DType::kF32 || is_mask(elements)) continue;
      if (role == ParameterRole::kTerm || wide_axes(elements) == 1) add(id, slot, role);
    }
  }

  const Graph& graph_;
  std::vector<ParameterUse> found_;
  std::unordered_set<uint32_t> behind_layer_;  // values that depend on trained constants
};

}  // namespace

WeightSlot weight_slot(const Graph& graph, NodeId node) {
  const OpDef* def = graph.node(node).domain.empty() ? find_op("", graph.node(node).op) : nullptr;
  if (def == nullptr || def->weight.input < 0) return {};
  const ValueId weight = input_of(graph, node, static_cast<size_t>(def->weight.input));
  const int64_t rank = weight.valid() ? rank_of(graph, weight) : -1;
  if (rank < 2) return {};
  return {def->weight.input, def->weight.channel_axis(AttrView(graph.node(node), 0), rank)};
}

ValueId trained_constant(const Graph& graph, ValueId weight) {
  while (weight.valid() && !graph.constant(weight)) {
    const NodeId producer = graph.value(weight).producer;
    if (!producer.valid()) return {};
    const Node& node = graph.node(producer);
    const bool of_weights =
        node.domain == kOwnDomain || node.is("Mul") || node.is("Div") || node.is("Tanh");
    if (!of_weights || !std::all_of(node.inputs.begin() + 1, node.inputs.end(),
                                    [&](ValueId input) { return is_known(graph, input); }))
      return {};
    weight = node.inputs[0];
  }
  return weight;
}

Tensor computed_constant(const Graph& graph, ValueId id) {
  if (const Tensor* constant = graph.constant(id)) return *constant;
  const NodeId producer = graph.value(id).producer;
  LAPIDARY_CHECK(producer.valid());
  const Node& node = graph.node(producer);
  std::vector<Tensor> elements;
  for (const ValueId input : node.inputs)
    elements.push_back(input.valid() ? computed_constant(graph, input) : Tensor());
  std::vector<const Tensor*> inputs;
  for (size_t i = 0; i < elements.size(); ++i)
    inputs.push_back(node.inputs[i].valid() ? &elements[i] : nullptr);
  const auto at = std::find(node.outputs.begin(), node.outputs.end(), id);
  return evaluate_node(graph, producer, inputs)[static_cast<size_t>(at - node.outputs.begin())];
}

bool is_recurrent(const Node& node) { return node.is("LSTM") || node.is("GRU") || node.is("RNN"); }

std::vector<ParameterUse> parameter_uses(const Graph& graph) { return Collector(graph).run(); }

int64_t wide_axes(const Tensor& elements) {
  const Shape& shape = elements.shape();
  return std::count_if(shape.begin(), shape.end(), [](int64_t size) { return size > 1; });
}

}  // namespace lapidary
