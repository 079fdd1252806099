#include "src/base/fail.h"
#include "src/factorize/layer.h"
#include "src/ops/infer.h"
#include "src/passes/edit.h"

namespace lapidary::lowrank {

namespace {

/// The factor's weights as the op reads them: Conv [O, I, kernel...], MatMul [I, O], Gemm either
/// way.
Tensor weight_tensor(const Factor& f, bool conv, bool rows_first) {
  const int64_t rows = f.weight.rows(), taps = f.weight.cols() / f.channels;
  Shape shape = {rows, f.channels};
  if (conv) shape.insert(shape.end(), f.window.kernel.begin(), f.window.kernel.end());
  if (!conv && !rows_first) std::swap(shape[0], shape[1]);
  Tensor out(DType::kF32, shape);
  const auto to = out.mutable_data<float>();
  LAPIDARY_CHECK(std::ssize(to) == f.weight.size());
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t c = 0; c < f.channels; ++c)
      for (int64_t tap = 0; tap < taps; ++tap) {
        const int64_t at =
            rows_first || conv ? (row * f.channels + c) * taps + tap : c * rows + row;
        to[static_cast<size_t>(at)] = static_cast<float>(f.weight(row, tap * f.channels + c));
      }
  return out;
}

void set_window(Graph& graph, NodeId id, const WindowAttrs& window) {
  graph.set_attr(id, "kernel_shape", window.kernel);
  graph.set_attr(id, "strides", window.strides);
  graph.set_attr(id, "dilations", window.dilations);
  if (window.auto_pad == WindowAttrs::AutoPad::kNotSet) {
    graph.erase_attr(id, "auto_pad");
    graph.set_attr(id, "pads", window.pads);
  }
}

/// What a factor before the last has of the layer's attributes: no alpha, beta.
std::vector<std::pair<std::string, Attr>> part_attrs(const Node& layer) {
  std::vector<std::pair<std::string, Attr>> out;
  for (const auto& [name, value] : layer.attrs)
    if (name != "alpha" && name != "beta" && name != "group") out.emplace_back(name, value);
  return out;
}

}  // namespace

void replace_layer(Graph& graph, const Layer& layer, const std::vector<Factor>& factors) {
  const NodeId id = layer.node;
  const bool conv = layer.is_conv(), rows_first = int_attr(graph, id, "transB", 0) != 0;
  const std::string key = node_key(graph, id);
  const std::string value = graph.value(output_of(graph, id)).name;
  const ValueId dense = layer.weights.constant;
  const std::string weight = graph.value(dense).name;
  for (size_t i = 0; i < factors.size(); ++i) {
    const std::string suffix = std::string("_") + static_cast<char>('u' + i);
    const bool last = i + 1 == factors.size();
    const ValueId w =
        add_constant(graph, weight + suffix, weight_tensor(factors[i], conv, rows_first));
    NodeId at = id;
    if (last) {
      graph.set_input(id, 1, w);
    } else {
      const Node& whole = graph.node(id);
      at = graph.add_node({.domain = whole.domain,
                           .op = whole.op,
                           .name = graph.unique_node_name(key + suffix),
                           .inputs = {whole.inputs[0], w},
                           .outputs = {graph.add_value(graph.unique_name(value + suffix))},
                           .attrs = part_attrs(whole)},
                          id);
      graph.set_input(id, 0, output_of(graph, at));
      graph.erase_attr(id, "transA");  // the first factor has done it
    }
    if (conv) set_window(graph, at, factors[i].window);
  }
  graph.remove_value(dense);
}

LayerAlone layer_alone(const Graph& graph, const Layer& layer) {
  Graph out;
  out.opsets = graph.opsets;
  out.model.ir_version = graph.model.ir_version;
  Node node = graph.node(layer.node);
  TensorType type = graph.value(node.inputs[0]).type;
  if (type.shape && !type.shape->empty() && !type.shape->front().known()) type.shape->front() = 1;
  if (!type.is_static())
    fail_unsupported(
        "{}: its input is {}: a layer is timed where all sizes but the first are known",
        node_label(graph, layer.node), type.text());
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (!node.inputs[i]) continue;
    const Value& value = graph.value(node.inputs[i]);
    if (i == 0)
      out.set_inputs({node.inputs[i] = out.add_value(value.name, type)});
    else if (value.constant)
      node.inputs[i] = out.add_constant(value.name, *value.constant);
    else  // a bias that is computed adds the same time to both
      node.inputs[i] = {};
  }
  node.outputs = {out.add_value(graph.value(node.outputs[0]).name)};
  out.set_outputs(node.outputs);
  Layer there = layer;
  there.weights.constant = node.inputs[1];
  there.node = out.add_node(std::move(node));
  there.weights.readers = {there.node};
  infer_types(out);
  return {std::move(out), std::move(there)};
}

}  // namespace lapidary::lowrank
