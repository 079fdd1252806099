#include <algorithm>
#include <map>

#include "lapidary/evaluate.h"
#include "src/ops/infer.h"

namespace lapidary {

namespace {

/// The model with its batch axis bound to 1 and types inferred anew; the types as they are where that
/// contradicts the file.
Graph with_static_batch(const Graph& model, const std::map<std::string, Shape>& input_shapes) {
  Graph g = model;
  InferOptions options;
  for (const auto& [name, shape] : input_shapes) options.input_shapes.emplace(name, shape);
  for (ValueId id : g.inputs()) {
    const Value& v = g.value(id);
    if (!v.type.shape || v.type.shape->empty() || options.input_shapes.contains(v.name)) continue;
    const Dim& batch = (*v.type.shape)[0];
    if (!batch.known() && !batch.symbol.empty()) options.symbols.emplace(batch.symbol, 1);
    if (batch.known() || !batch.symbol.empty()) continue;
    auto dims = *v.type.shape;
    dims[0] = 1;
    g.mutable_value(id).type.shape = std::move(dims);
  }
  infer_types(g, options);
  return g;
}

int64_t nonzero(const Tensor& t) {
  const auto* bytes = static_cast<const unsigned char*>(t.raw());
  const size_t width = dtype_size(t.dtype());
  if (width == 0) return t.size();
  int64_t count = 0;
  for (int64_t i = 0; i < t.size(); ++i) {
    bool any = false;
    for (size_t b = 0; b < width; ++b) any |= bytes[static_cast<size_t>(i) * width + b] != 0;
    if (is_float(t.dtype()) && width == 4) any = static_cast<const float*>(t.raw())[i] != 0.0f;
    count += any;
  }
  return count;
}

/// Trained numbers: constants with elements that are no shapes, indices, scales or zero points.
bool is_parameter(const Graph& g, ValueId id) {
  const Value& v = g.value(id);
  if (!v.constant || v.uses.empty()) return false;
  if (v.constant->dtype() == DType::kI64 || v.constant->dtype() == DType::kBool) return false;
  for (const Use& use : v.uses) {
    const std::string& op = g.node(use.node).op;
    const bool scale = (op == "QuantizeLinear" || op == "DequantizeLinear") && use.slot > 0;
    if (!scale) return true;
  }
  return false;
}

int64_t type_bytes(const TensorType& type) {
  if (!type.is_static()) return 0;
  return element_count(type.static_shape()) * static_cast<int64_t>(dtype_size(type.dtype));
}

}  // namespace

ModelSummary summarize(const Graph& model, const std::map<std::string, Shape>& input_shapes) {
  const Graph g = with_static_batch(model, input_shapes);
  ModelSummary out;
  std::map<std::string, int64_t> counts;
  for (ValueId id : g.values()) {
    if (!is_parameter(g, id)) continue;
    const Tensor& t = *g.value(id).constant;
    out.parameters += t.size();
    out.nonzero_parameters += nonzero(t);
    out.parameter_bytes += static_cast<int64_t>(t.size_bytes());
  }
  for (NodeId id : g.nodes()) {
    const Node& n = g.node(id);
    ++out.nodes;
    ++counts[n.domain.empty() ? n.op : n.domain + "." + n.op];
    ModelSummary::Layer layer{node_key(g, id), n.op, {}, 0, 0, 0};
    std::vector<TensorType> inputs, outputs;
    bool known = true;
    for (ValueId v : n.inputs) {
      inputs.push_back(v ? g.value(v).type : TensorType{});
      if (!v) continue;
      layer.bytes += type_bytes(g.value(v).type);
      if (is_parameter(g, v)) layer.parameters += g.value(v).constant->size();
    }
    for (ValueId v : n.outputs) {
      outputs.push_back(v ? g.value(v).type : TensorType{});
      if (!v) continue;
      layer.bytes += type_bytes(g.value(v).type);
      if (layer.output_type.empty()) layer.output_type = g.value(v).type.text();
      if (!g.value(v).type.is_static()) known = false;
      if (g.value(v).type.dtype == DType::kUndefined && g.value(v).other_type.empty())
        out.unknown_types.push_back(node_label(g, id));
    }
    const ResolvedOp op = resolve_op(g, id);
    if (op && op.def->macs != nullptr) {
      if (known) {
        layer.macs = op.def->macs(AttrView(n, op.version), inputs, outputs);
        out.macs += layer.macs;
      } else {
        out.macs_complete = false;
      }
    }
    out.layers.push_back(std::move(layer));
  }
  out.ops.assign(counts.begin(), counts.end());
  std::stable_sort(out.ops.begin(), out.ops.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  const auto describe = [&](const std::vector<ValueId>& ids) {
    std::vector<std::string> texts;
    for (ValueId id : ids)
      if (!model.constant(id)) texts.push_back(model.value(id).name + " " + model.value(id).type.text());
    return texts;
  };
  out.inputs = describe(model.inputs());
  out.outputs = describe(model.outputs());
  return out;
}

}  // namespace lapidary
