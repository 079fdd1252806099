#include "quantize/binarize/signs.h"

#include <algorithm>
#include <map>

#include "src/base/fail.h"
#include "src/ops/fake_quantize.h"
#include "src/passes/edit.h"
#include "src/passes/parameters.h"
#include "src/passes/qdq/qdq.h"

namespace lapidary {

namespace {

/// Of what PRelu makes of a negative number, where it stands for a Relu (Liu et al. 2020).
constexpr float kSlopeOfRelu = 0.25f;

/// Its result is negative only where one of its first `count` inputs is.
size_t keeps_sign(const Node& node) {
  if (!node.domain.empty()) return 0;
  if (node.op == "Concat") return node.inputs.size();
  for (const char* op : {"MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool", "Reshape",
                         "Flatten", "Transpose", "Squeeze", "Unsqueeze"})
    if (node.op == op) return 1;
  return 0;
}

bool clamps_at_zero(const Graph& graph, NodeId node) {
  const auto bounds = node.valid() ? clamp_bounds(graph, node) : std::nullopt;
  return bounds && bounds->low >= 0;
}

bool is_never_negative(const Graph& graph, ValueId value) {
  const NodeId made_by = graph.value(value).producer;
  if (!made_by.valid()) return false;
  const Node& node = graph.node(made_by);
  if (clamps_at_zero(graph, made_by)) return true;
  for (const char* op : {"Sigmoid", "HardSigmoid", "Softmax", "Abs", "Exp", "Softplus"})
    if (node.is(op)) return true;
  const size_t inputs = keeps_sign(node);
  return inputs > 0 &&
         std::all_of(node.inputs.begin(), node.inputs.begin() + static_cast<std::ptrdiff_t>(inputs),
                     [&](ValueId v) { return is_never_negative(graph, v); });
}

Tensor filled(const Shape& shape, float value) {
  Tensor out(DType::kF32, shape);
  std::ranges::fill(out.mutable_data<float>(), value);
  return out;
}

/// One number a channel, to be broadcast to what the layer reads or makes.
Shape per_channel(int64_t channels, bool images) {
  return images ? Shape{1, channels, 1, 1} : Shape{channels};
}

}  // namespace

ValueId SignMaker::add(const std::string& op, std::vector<ValueId> inputs, const std::string& name,
                       NodeId before, const std::string& domain) {
  Node node{.domain = domain, .op = op, .name = graph_.unique_node_name(name)};
  const TensorType type = graph_.value(inputs[0]).type;
  node.inputs = std::move(inputs);
  node.outputs = {graph_.add_value(graph_.unique_name(name), type)};
  const ValueId out = node.outputs[0];
  graph_.add_node(std::move(node), before);
  return out;
}

/// x + a constant of zeros.
ValueId SignMaker::shifted(ValueId x, const std::string& name, int64_t channels, bool images,
                           NodeId before) {
  const ValueId shift = add_constant(graph_, name, filled(per_channel(channels, images), 0));
  return add("Add", {x, shift}, name + "_added", before);
}

/// What a sign should be of instead of `value`, which `readers` of its readers (all of them binary
/// layers, or one node that moves it) take. Where signs pass what moves values, that reads the
/// unclamped ones itself.
ValueId SignMaker::without_clamp(ValueId value, size_t readers) {
  const NodeId made_by = graph_.value(value).producer;
  if (!made_by.valid()) return value;
  if (clamps_at_zero(graph_, made_by)) {
    ++bypassed_;
    return graph_.node(made_by).inputs[0];
  }
  const size_t inputs = keeps_sign(graph_.node(made_by));
  if (inputs == 0 || graph_.use_count(value) != readers || !is_never_negative(graph_, value))
    return value;
  for (size_t slot = 0; slot < inputs; ++slot) {
    const ValueId was = graph_.node(made_by).inputs[slot];
    graph_.set_input(made_by, slot, without_clamp(was, 1));
    drop_unused(graph_, was);
  }
  return value;
}

/// RPReLU: PRelu between two learned shifts behind the layer and its normalization. Where a Relu
/// alone reads that it takes its place, with the paper's slope of 0.25; elsewhere it begins as the
/// identity (slope 1).
void SignMaker::rectify_behind(NodeId layer) {
  const std::string name = node_key(graph_, layer);
  const bool images = graph_.node(layer).is("Conv");
  ValueId made = output_of(graph_, layer);
  if (const NodeId next = only_user(graph_, made);
      next.valid() && is_op(graph_, next, "BatchNormalization"))
    made = output_of(graph_, next);
  const NodeId reader = only_user(graph_, made);
  const bool replaces = reader.valid() && is_op(graph_, reader, "Relu");
  const std::vector<Use> uses = graph_.value(made).uses;
  if (uses.empty() || graph_.is_output(made)) return;
  const WeightSlot slot = weight_slot(graph_, layer);
  const int64_t channels =
      graph_.constant(trained_constant(graph_, graph_.node(layer).inputs[1]))->dim(slot.axis);
  const NodeId before = graph_.next(graph_.value(made).producer);
  const ValueId x = shifted(made, name + "_before", channels, images, before);
  const ValueId slope = add_constant(
      graph_, name + "_slope",
      filled(images ? Shape{channels, 1, 1} : Shape{channels}, replaces ? kSlopeOfRelu : 1));
  const ValueId y = shifted(add("PRelu", {x, slope}, name + "_rectified", before), name + "_behind",
                            channels, images, before);
  if (replaces) {
    const ValueId relu = output_of(graph_, reader);
    graph_.replace_uses(relu, y);
    drop_node(graph_, reader);
    return;
  }
  for (const Use& use : uses)
    if (!use.capture) graph_.set_input(use.node, use.slot, y);
}

/// Pad(sign, pads, 1) -> Conv without pads.
void SignMaker::pad_with_ones(NodeId layer, ValueId sign) {
  const std::vector<int64_t> pads = ints_attr(graph_, layer, "pads");
  if (std::none_of(pads.begin(), pads.end(), [](int64_t p) { return p != 0; })) return;
  const std::string name = node_key(graph_, layer) + "_padded";
  const ValueId widths =
      add_constant(graph_, name + "_pads",
                   Tensor::of<int64_t>({8}, {0, 0, pads[0], pads[1], 0, 0, pads[2], pads[3]}));
  const ValueId one = add_constant(graph_, name + "_value", Tensor::scalar(1.0f));
  const ValueId padded = add("Pad", {sign, widths, one}, name, layer);
  graph_.mutable_value(padded).type.shape.reset();
  graph_.set_input(layer, 0, padded);
  graph_.erase_attr(layer, "pads");
}

void SignMaker::run(const std::vector<NodeId>& layers) {
  if (options_.react)
    for (const NodeId layer : layers) rectify_behind(layer);
  std::map<ValueId, std::vector<NodeId>> readers;
  for (const NodeId layer : layers) readers[graph_.node(layer).inputs[0]].push_back(layer);
  for (const auto& [value, reading] : readers) {
    const std::string name = graph_.value(value).name;
    const ValueId source = without_clamp(value, reading.size());
    if (is_never_negative(graph_, source)) never_negative_.push_back(name);
    const NodeId producer = graph_.value(source).producer;
    const NodeId before = producer.valid() ? graph_.next(producer) : graph_.nodes()[0];
    const Node& first = graph_.node(reading[0]);
    const bool images = first.is("Conv");
    ValueId x = source;
    if (options_.react) {
      const Tensor& weight = *graph_.constant(trained_constant(graph_, first.inputs[1]));
      const int64_t inputs =
          images ? weight.dim(1) : weight.dim(1 - weight_slot(graph_, reading[0]).axis);
      x = shifted(x, name + "_shift", inputs, images, before);
    }
    std::vector<ValueId> inputs = {x};
    if (estimator_ == "ede") inputs.push_back(sharpness_);
    const ValueId sign =
        add("Binarize", std::move(inputs), name + "_sign", before, std::string(kOwnDomain));
    graph_.set_attr(graph_.value(sign).producer, "estimator", estimator_);
    for (const NodeId layer : reading) {
      graph_.set_input(layer, 0, sign);
      if (options_.padding == "one" && graph_.node(layer).is("Conv")) pad_with_ones(layer, sign);
    }
    if (graph_.alive(value)) drop_unused(graph_, value);
  }
}

}  // namespace lapidary
