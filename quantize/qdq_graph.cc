#include "quantize/qdq_graph.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <unordered_map>

#include "quantize/clamps.h"
#include "quantize/weights.h"
#include "src/base/fail.h"

namespace lapidary {

namespace {

Tensor scale_tensor(const QuantParams& params) {
  if (params.per_tensor()) return Tensor::scalar(params.scale[0]);
  return Tensor::of<float>({static_cast<int64_t>(params.scale.size())}, params.scale);
}

template <class T>
Tensor zeros_of(const QuantParams& params) {
  std::vector<T> values;
  for (const int32_t zero : params.zero_point) values.push_back(static_cast<T>(zero));
  if (params.per_tensor()) return Tensor::scalar(values[0]);
  return Tensor::of<T>({static_cast<int64_t>(values.size())}, values);
}

Tensor zero_tensor(const QuantParams& params) {
  switch (params.storage) {
    case DType::kU8:
      return zeros_of<uint8_t>(params);
    case DType::kI8:
      return zeros_of<int8_t>(params);
    case DType::kU16:
      return zeros_of<uint16_t>(params);
    case DType::kI16:
      return zeros_of<int16_t>(params);
    default:
      return zeros_of<int32_t>(params);
  }
}

class Inserter {
 public:
  Inserter(Graph graph, const Placement& placement, const TargetRecord& target)
      : graph_(std::move(graph)), placement_(placement), target_(target) {}

  QdqGraph run() {
    for (const auto& [clamp, before] : placement_.absorbed) absorb_clamp(graph_, clamp);
    for (const ValueId id : placement_.quantized)
      if (!graph_.constant(id)) insert_pair(id);
    for (const ValueId id : placement_.quantized)
      if (graph_.constant(id)) store_constant(id);
    std::vector<QdqLayer> layers;
    for (const LinearLayer& layer : placement_.layers) layers.push_back(store_layer(layer));
    graph_.sort();
    graph_.verify();
    return {std::move(graph_), std::move(layers)};
  }

 private:
  /// Scale and zero point as constants; those of one scale group are one pair.
  std::pair<ValueId, ValueId> constants(const QuantParams& params, const std::string& name,
                                        uint32_t group) {
    const auto at = shared_.find(group);
    if (at != shared_.end()) return at->second;
    const std::pair<ValueId, ValueId> made = {
        graph_.add_constant(graph_.unique_name(name + "_scale"), scale_tensor(params)),
        graph_.add_constant(graph_.unique_name(name + "_zero_point"), zero_tensor(params))};
    shared_.emplace(group, made);
    return made;
  }

  /// Adds Q or DQ; `name` is that of its output.
  ValueId add_node(const std::string& op, ValueId from, std::pair<ValueId, ValueId> how,
                   const QuantParams& params, const std::string& name, DType dtype, NodeId before) {
    Node node;
    node.op = op;
    node.name = graph_.unique_node_name(name);
    const ValueId out =
        graph_.add_value(graph_.unique_name(name), {dtype, graph_.value(from).type.shape});
    node.inputs = {from, how.first, how.second};
    node.outputs = {out};
    if (!params.per_tensor()) node.attrs = {{"axis", params.axis}};
    graph_.add_node(std::move(node), before);
    return out;
  }

  /// Fewer levels than QuantizeLinear saturates at. One at the lower end, of a narrow range, is not
  /// worth a node.
  static bool is_narrow(const QuantParams& params) {
    const int32_t most = params.storage == DType::kU8   ? 255
                         : params.storage == DType::kI8 ? 127
                                                        : params.qmax;
    return params.qmax < most;
  }

  /// Q -> Clip -> DQ still fuses with the integer op before Q.
  ValueId clip(ValueId q, const QuantParams& params, const std::string& name, NodeId before) {
    Node node;
    node.op = "Clip";
    node.name = graph_.unique_name(name);
    const ValueId out = graph_.add_value(graph_.unique_name(name), graph_.value(q).type);
    node.inputs = {q, bound(params.storage, params.qmin), bound(params.storage, params.qmax)};
    node.outputs = {out};
    graph_.add_node(std::move(node), before);
    return out;
  }

  /// The constant integer, one for all that need it.
  ValueId bound(DType dtype, int32_t level) {
    const auto at = bounds_.find({dtype, level});
    if (at != bounds_.end()) return at->second;
    const Tensor value = dtype == DType::kU8 ? Tensor::scalar(static_cast<uint8_t>(level))
                                             : Tensor::scalar(static_cast<int8_t>(level));
    const ValueId made =
        graph_.add_constant(graph_.unique_name(fmt::format("level_{}", level)), value);
    bounds_.emplace(std::pair(dtype, level), made);
    return made;
  }

  bool reads_rounded(NodeId reader) const {
    return !placement_.layers_only || placement_.integer.contains(reader.index);
  }

  void insert_pair(ValueId id) {
    const QuantParams params = *graph_.value(id).quant;
    const std::string name = graph_.value(id).name;
    const NodeId producer = graph_.value(id).producer;
    const NodeId first = producer.valid() ? graph_.next(producer)
                                          : (graph_.nodes().empty() ? NodeId{} : graph_.nodes()[0]);
    std::vector<Use> uses = graph_.value(id).uses;
    std::erase_if(uses, [&](const Use& use) { return use.capture || !reads_rounded(use.node); });
    const bool output = graph_.is_output(id) && !placement_.layers_only;
    if (output && producer.valid()) rename_inner(id, name);
    const auto how = constants(params, name, placement_.scales.root(id).index);
    ValueId q =
        add_node("QuantizeLinear", id, how, params, name + "_quantized", params.storage, first);
    if (is_narrow(params)) q = clip(q, params, name + "_clipped", first);
    const ValueId dq =
        add_node("DequantizeLinear", q, how, params,
                 output && producer.valid() ? name : name + "_dequantized", DType::kF32, first);
    for (const Use& use : uses) graph_.set_input(use.node, use.slot, dq);
    if (output && producer.valid()) {
      auto outputs = graph_.outputs();
      std::replace(outputs.begin(), outputs.end(), id, dq);
      graph_.set_outputs(std::move(outputs));
    }
    graph_.mutable_value(id).quant.reset();
    integers_[id.index] = {q, params};
  }

  void rename_inner(ValueId id, const std::string& name) {
    graph_.rename_value(id, graph_.unique_name(name + "_float"));
  }

  /// A constant that an integer op reads like an activation.
  void store_constant(ValueId id) {
    const QuantParams params = *graph_.value(id).quant;
    const std::string name = graph_.value(id).name;
    const Tensor stored = quantize_tensor(*graph_.constant(id), params);
    const ValueId q = graph_.add_constant(graph_.unique_name(name + "_quantized"), stored);
    const auto how = constants(params, name, placement_.scales.root(id).index);
    for (const Use& use : std::vector<Use>(graph_.value(id).uses)) {
      if (use.capture || !placement_.integer.contains(use.node.index)) continue;
      const ValueId dq = add_node("DequantizeLinear", q, how, params, name + "_dequantized",
                                  DType::kF32, use.node);
      graph_.set_input(use.node, use.slot, dq);
    }
    integers_[id.index] = {q, params};
    drop(id);
  }

  QdqLayer store_layer(const LinearLayer& layer) {
    const auto& [input, input_params] = integers_.at(layer.input.index);
    QdqLayer out{.key = layer.key,
                 .node = layer.node,
                 .bias_node = layer.bias_node,
                 .weight_axis = layer.weight_axis,
                 .input = input,
                 .input_params = input_params,
                 .weight_params = *graph_.value(layer.weight).quant};
    out.float_weight = *graph_.constant(layer.weight);
    if (layer.bias.valid()) out.float_bias = *graph_.constant(layer.bias);
    out.weight = stored_weight(layer, out.weight_params);
    const NodeId biased = layer.bias_node.valid() ? layer.bias_node : layer.node;
    out.made = graph_.node(biased).outputs[0];
    if (layer.bias.valid()) {
      out.bias = layer.bias;
      const Tensor* bias = graph_.constant(layer.bias);
      const auto values = bias->data<float>();
      if (target_.integer_bias)
        LAPIDARY_CHECK(set_layer_bias(graph_, out, {values.begin(), values.end()}, true) == 0);
      drop(layer.bias);
    }
    return out;
  }

  ValueId stored_weight(const LinearLayer& layer, const QuantParams& params) {
    const std::string name = graph_.value(layer.weight).name;
    const Tensor stored = quantize_tensor(*graph_.constant(layer.weight), params);
    const ValueId q = graph_.add_constant(graph_.unique_name(name + "_quantized"), stored);
    const std::pair<ValueId, ValueId> how = {
        graph_.add_constant(graph_.unique_name(name + "_scale"), scale_tensor(params)),
        graph_.add_constant(graph_.unique_name(name + "_zero_point"), zero_tensor(params))};
    const ValueId dq = add_node("DequantizeLinear", q, how, params, name + "_dequantized",
                                DType::kF32, layer.node);
    graph_.set_input(layer.node, 1, dq);
    drop(layer.weight);
    return q;
  }

  void drop(ValueId id) {
    if (graph_.value(id).uses.empty() && !graph_.is_output(id) && !graph_.is_input(id))
      graph_.remove_value(id);
  }

  Graph graph_;
  const Placement& placement_;
  const TargetRecord& target_;
  std::unordered_map<uint32_t, std::pair<ValueId, ValueId>> shared_;
  std::map<std::pair<DType, int32_t>, ValueId> bounds_;
  std::unordered_map<uint32_t, std::pair<ValueId, QuantParams>> integers_;
};

}  // namespace

int bits_of(const QuantParams& params) {
  const int64_t steps = int64_t{params.qmax} - params.qmin;
  return static_cast<int>(std::bit_width(static_cast<uint64_t>(steps)));
}

void log_layers(const QdqGraph& qdq, const std::string& calibrator, QuantizeLog& log) {
  const auto add = [&](ValueId id, const char* role, const std::string& from, QuantParams params) {
    log.tensors.push_back({qdq.graph.value(id).name, role, from, std::move(params), {}, {}});
  };
  for (const QdqLayer& layer : qdq.layers) {
    log.layers.push_back({layer.key, qdq.graph.node(layer.node).op, bits_of(layer.weight_params),
                          bits_of(layer.input_params)});
    add(layer.weight, "weight", calibrator, layer.weight_params);
    if (!layer.bias.valid()) continue;
    const Tensor* bias = qdq.graph.constant(layer.bias);
    if (bias && bias->dtype() == DType::kI32)
      add(layer.bias, "bias", "", bias_qparams(layer.weight_params, layer.input_params.scale[0]));
  }
}

QdqGraph insert_qdq(Graph graph, const Placement& placement, const TargetRecord& target) {
  return Inserter(std::move(graph), placement, target).run();
}

std::optional<int64_t> set_layer_bias(Graph& graph, QdqLayer& layer,
                                      const std::vector<double>& bias, bool integer_bias) {
  if (graph.node(layer.node).op == "MatMul" && !layer.bias_node.valid()) return std::nullopt;
  const auto [node, slot] = bias_place(graph, layer.node, layer.bias_node);
  const std::string name = layer.bias.valid() ? graph.value(layer.bias).name : layer.key + "_bias";
  const auto channels = static_cast<int64_t>(bias.size());
  if (!integer_bias) {
    const std::vector<float> values(bias.begin(), bias.end());
    layer.bias = graph.add_constant(graph.unique_name(name + "_corrected"),
                                    Tensor::of<float>({channels}, values));
    graph.set_input(node, slot, layer.bias);
    return 0;
  }
  const QuantParams params = bias_qparams(layer.weight_params, layer.input_params.scale[0]);
  std::vector<int32_t> values;
  int64_t saturated = 0;
  for (size_t c = 0; c < bias.size(); ++c) {
    const double scale = params.scale[params.per_tensor() ? 0 : c];
    const double wanted = std::nearbyint(bias[c] / scale);
    const double held = std::clamp<double>(wanted, params.qmin, params.qmax);
    if (held != wanted) ++saturated;
    values.push_back(static_cast<int32_t>(held));
  }
  const Tensor stored = Tensor::of<int32_t>({channels}, values);
  if (layer.bias.valid() && graph.constant(layer.bias)->dtype() == DType::kI32) {
    graph.mutable_value(layer.bias).constant = stored;
    return saturated;
  }
  layer.bias = graph.add_constant(graph.unique_name(name + "_quantized"), stored);
  const ValueId scale =
      graph.add_constant(graph.unique_name(name + "_scale"), scale_tensor(params));
  const ValueId zero =
      graph.add_constant(graph.unique_name(name + "_zero_point"), zero_tensor(params));
  Node dequantize;
  dequantize.op = "DequantizeLinear";
  dequantize.name = graph.unique_node_name(name + "_dequantized");
  dequantize.inputs = {layer.bias, scale, zero};
  if (!params.per_tensor()) dequantize.attrs = {{"axis", int64_t{0}}};
  const ValueId out = graph.add_value(graph.unique_name(name + "_dequantized"),
                                      tensor_type(DType::kF32, stored.shape()));
  dequantize.outputs = {out};
  graph.add_node(std::move(dequantize), node);
  graph.set_input(node, slot, out);
  return saturated;
}

}  // namespace lapidary
