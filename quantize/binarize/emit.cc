#include "quantize/binarize/emit.h"

#include <algorithm>

#include "src/base/fail.h"
#include "src/ops/fake_quantize.h"
#include "src/ops/packed_weights.h"
#include "src/passes/edit.h"
#include "src/passes/qdq/qdq.h"

namespace lapidary {

namespace {

/// Adds nodes before one, each called after a stem.
class Adder {
 public:
  Adder(Graph& graph, NodeId before, std::string stem)
      : graph_(graph), before_(before), stem_(std::move(stem)) {}

  ValueId op(const std::string& type, const std::string& suffix, std::vector<ValueId> inputs,
             std::vector<std::pair<std::string, Attr>> attrs = {},
             const std::string& domain = {}) const {
    Node node{.domain = domain, .op = type, .name = graph_.unique_node_name(stem_ + suffix)};
    node.inputs = std::move(inputs);
    node.attrs = std::move(attrs);
    node.outputs = {graph_.add_value(graph_.unique_name(stem_ + suffix))};
    const ValueId out = node.outputs[0];
    graph_.add_node(std::move(node), before_);
    return out;
  }
  ValueId constant(const std::string& suffix, Tensor elements) const {
    return add_constant(graph_, stem_ + suffix, std::move(elements));
  }

 private:
  Graph& graph_;
  const NodeId before_;
  const std::string stem_;
};

Tensor vector_of(const std::vector<float>& values) {
  return Tensor::of<float>({std::ssize(values)}, values);
}

/// Factors in the shape in which they broadcast to weights with channels on `axis`.
Tensor along(const std::vector<float>& values, size_t rank, int64_t axis) {
  Shape shape(rank, 1);
  shape[static_cast<size_t>(axis)] = std::ssize(values);
  return Tensor::of<float>(shape, values);
}

/// The codes, -1, 0 and 1, as the layer's weights lie: int8 of ternary, float32 of binary ones.
ValueId unpack(const Adder& add, const CodedWeight& weight, bool ternary, int64_t axis) {
  const ValueId bits = add.constant("_bits", ternary ? pack_ternary(codes_of(weight, DType::kI8))
                                                     : pack_binary(codes_of(weight, DType::kF32)));
  const std::vector<int64_t> shape(weight.shape.begin(), weight.shape.end());
  const ValueId codes = add.op(ternary ? "UnpackTernary" : "UnpackBinary", "_unpacked", {bits},
                               {{"shape", shape}}, std::string(kOwnDomain));
  if (axis == 0) return codes;
  return add.op("Transpose", "_transposed", {codes}, {{"perm", std::vector<int64_t>{1, 0}}});
}

ValueId cast(const Adder& add, ValueId x, DType to) {
  return add.op("Cast", "_cast", {x}, {{"to", int64_t{to == DType::kF32 ? 1 : 3}}});
}

Tensor as_floats(const Tensor& integers) {
  Tensor out(DType::kF32, integers.shape());
  std::ranges::copy(integers.data<int8_t>(), out.mutable_data<float>().begin());
  return out;
}

}  // namespace

void emit_binary_product(Graph& graph, const LoweredLayer& layer, NodeId sign) {
  const Node& node = graph.node(layer.node);
  const bool conv = node.is("Conv");
  const ValueId constant = node.inputs[1];
  const CodedWeight weight = read_codes(*graph.constant(constant), layer.axis, false);
  const Adder add(graph, layer.node, graph.value(constant).name);
  Tensor bias(DType::kF32, {weight.channels()});
  std::ranges::fill(bias.mutable_data<float>(), 0.0f);
  if (const ValueId own = input_of(graph, layer.node, 2); own.valid())
    std::ranges::copy(graph.constant(own)->data<float>(), bias.mutable_data<float>().begin());
  std::vector<std::pair<std::string, Attr>> attrs;
  if (conv) {
    std::vector<int64_t> pads = ints_attr(graph, layer.node, "pads");
    if (pads.empty()) pads.assign(4, 0);
    const NodeId padding = producer_of(graph, node.inputs[0], "Pad");
    if (padding.valid()) {
      const auto widths = *constant_ints(graph, graph.node(padding).inputs[1]);
      pads = {widths[2], widths[3], widths[6], widths[7]};
    }
    attrs = {{"kernel_shape", std::vector<int64_t>{weight.shape[2], weight.shape[3]}},
             {"pads", pads},
             {"in_channels", weight.shape[1]},
             {"pad_value", padding.valid() ? 1.0f : 0.0f}};
    for (const char* name : {"strides", "dilations"}) {
      const Attr* attr = node.attr(name);
      attrs.emplace_back(name, attr != nullptr ? *attr : Attr(std::vector<int64_t>{1, 1}));
    }
  }
  const std::vector<ValueId> was = node.inputs;
  const Tensor signs = codes_of(weight, DType::kF32);
  const ValueId bits = add.constant("_bits", conv ? pack_binary_conv(signs) : pack_binary(signs));
  const ValueId scale = add.constant("_factor", vector_of(weight.positive));
  const ValueId shift = add.constant("_bias", std::move(bias));
  graph.set_op(layer.node, std::string(kOwnDomain), conv ? "BinaryConv" : "BinaryMatMul");
  while (!graph.node(layer.node).attrs.empty())
    graph.erase_attr(layer.node, std::string(graph.node(layer.node).attrs[0].first));
  for (auto& [name, attr] : attrs) graph.set_attr(layer.node, name, std::move(attr));
  const std::vector<ValueId> inputs = {graph.node(sign).inputs[0], bits, scale, shift};
  for (size_t i = 0; i < inputs.size(); ++i) graph.set_input(layer.node, i, inputs[i]);
  for (const ValueId value : was)
    if (value.valid() && graph.alive(value)) drop_unused(graph, value);
}

void emit_unpacked(Graph& graph, const LoweredLayer& layer) {
  const ValueId read = graph.node(layer.node).inputs[1];
  const bool ternary = layer.kind != WeightKind::kBinary;
  if (const auto dq = dequantized(graph, read)) {  // an integer layer
    const Adder add(graph, dq->node, graph.value(dq->data).name);
    const Tensor& integers = *graph.constant(dq->data);
    const CodedWeight weight = read_codes(as_floats(integers), layer.axis, ternary);
    const ValueId codes = unpack(add, weight, ternary, layer.axis);
    graph.set_input(dq->node, 0, ternary ? codes : cast(add, codes, DType::kI8));
    drop_unused(graph, dq->data);
    return;
  }
  const Adder add(graph, layer.node, graph.value(read).name);
  const Tensor elements = *graph.constant(read);
  const auto rank = static_cast<size_t>(elements.rank());
  const CodedWeight weight = read_codes(elements, layer.axis, ternary);
  ValueId codes = unpack(add, weight, ternary, layer.axis);
  if (ternary) codes = cast(add, codes, DType::kF32);
  const auto times = [&](ValueId x, const std::string& suffix, const std::vector<float>& factors) {
    return add.op("Mul", suffix + "_part",
                  {x, add.constant(suffix, along(factors, rank, layer.axis))});
  };
  ValueId made;
  if (layer.kind == WeightKind::kLearnedTernary) {
    const ValueId zero = add.constant("_zero", Tensor::scalar(0.0f));
    made = add.op("Add", "_sum",
                  {times(add.op("Max", "_above", {codes, zero}), "_positive", weight.positive),
                   times(add.op("Min", "_below", {codes, zero}), "_negative", weight.negative)});
  } else {
    std::vector<float> factors = weight.positive;
    for (size_t c = 0; c < factors.size(); ++c)
      factors[c] = std::max(factors[c], weight.negative[c]);  // 0 where none has that sign
    made = times(codes, "_factor", factors);
  }
  graph.set_input(layer.node, 1, made);
  drop_unused(graph, read);
}

void emit_signs(Graph& graph) {
  ValueId zero, one, minus;
  for (const NodeId id : graph.nodes()) {
    if (!is_binarize(graph, id)) continue;
    if (!zero.valid()) {
      zero = add_constant(graph, "sign_zero", Tensor::scalar(0.0f));
      one = add_constant(graph, "sign_one", Tensor::scalar(1.0f));
      minus = add_constant(graph, "sign_minus_one", Tensor::scalar(-1.0f));
    }
    const ValueId made = output_of(graph, id);
    const Adder add(graph, id, graph.value(made).name);
    const ValueId above = add.op("GreaterOrEqual", "_above", {graph.node(id).inputs[0], zero});
    graph.set_op(id, "", "Where");
    graph.erase_attr(id, "estimator");
    const std::vector<ValueId> inputs = {above, one, minus};
    for (size_t i = 0; i < inputs.size(); ++i) graph.set_input(id, i, inputs[i]);
  }
}

}  // namespace lapidary
