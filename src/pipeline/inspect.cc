#include <algorithm>
#include <map>

#include "lapidary/evaluate.h"
#include "src/ops/infer.h"
#include "src/pipeline/given_shapes.h"

namespace lapidary {

namespace {

/// The model with given sizes and, where none is given, its batch axis bound to 1, and types
/// inferred anew; the types as they are where that contradicts the file.
Graph with_static_batch(const Graph& model, const std::map<std::string, Shape>& input_shapes) {
  Graph g = model;
  InferOptions options;
  const GivenShapes given = given_shapes(model, input_shapes);
  options.input_shapes.insert(given.inputs.begin(), given.inputs.end());
  options.symbols.insert(given.symbols.begin(), given.symbols.end());
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

/// A tensor that is trained numbers by its type: no shape, index or flag.
bool holds_parameters(const Tensor& t) {
  return t.dtype() != DType::kI64 && t.dtype() != DType::kBool && t.size() > 0;
}

/// True where somebody reads the value as anything but a scale or zero point.
bool read_as_data(const Graph& g, ValueId id) {
  const auto& uses = g.value(id).uses;
  return std::any_of(uses.begin(), uses.end(), [&](const Use& use) {
    const std::string& op = g.node(use.node).op;
    return !((op == "QuantizeLinear" || op == "DequantizeLinear") && use.slot > 0 && !use.capture);
  });
}

/// Trained numbers: constants with elements that are no shapes, indices, scales or zero points.
bool is_parameter(const Graph& g, ValueId id) {
  const Value& v = g.value(id);
  return v.constant && holds_parameters(*v.constant) && read_as_data(g, id);
}

struct ParameterCount {
  int64_t all = 0, nonzero = 0, bytes = 0;
  void add(const Tensor& t) {
    all += t.size();
    nonzero += lapidary::nonzero(t);
    bytes += static_cast<int64_t>(t.size_bytes());
  }
};

void count_parameters(const Graph& g, ParameterCount& count);

/// Those that a node holds itself: a Constant's value, and all of its subgraphs' (of every branch
/// of an If).
void count_own_parameters(const Graph& g, const Node& n, ParameterCount& count) {
  for (const auto& [name, attr] : n.attrs) {
    if (const auto* graph = std::get_if<std::shared_ptr<const Graph>>(&attr))
      count_parameters(**graph, count);
    if (const auto* graphs = std::get_if<std::vector<std::shared_ptr<const Graph>>>(&attr))
      for (const auto& each : *graphs) count_parameters(*each, count);
    if (const auto* t = std::get_if<Tensor>(&attr); t && n.op == "Constant" && !n.outputs.empty())
      if (holds_parameters(*t) && read_as_data(g, n.outputs[0])) count.add(*t);
  }
}

void count_parameters(const Graph& g, ParameterCount& count) {
  for (const ValueId id : g.values())
    if (is_parameter(g, id)) count.add(*g.value(id).constant);
  for (const NodeId id : g.nodes()) count_own_parameters(g, g.node(id), count);
}

bool holds_subgraph(const Node& n) {
  return std::any_of(n.attrs.begin(), n.attrs.end(), [](const auto& entry) {
    return std::holds_alternative<std::shared_ptr<const Graph>>(entry.second);
  });
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
  ParameterCount count;
  count_parameters(g, count);
  out.parameters = count.all;
  out.nonzero_parameters = count.nonzero;
  out.parameter_bytes = count.bytes;
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
    ParameterCount own;
    count_own_parameters(g, n, own);
    layer.parameters += own.all;
    if (holds_subgraph(n))
      out.macs_complete = false;  // which branch runs, and how often, is not known
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
      if (!model.constant(id))
        texts.push_back(model.value(id).name + " " + model.value(id).type.text());
    return texts;
  };
  out.inputs = describe(model.inputs());
  out.outputs = describe(model.outputs());
  return out;
}

ExecutionPlan plan_execution(const Graph& model, const std::map<std::string, Shape>& input_shapes,
                             const ExecOptions& options) {
  const Executor executor(with_static_batch(model, input_shapes), options);
  return {executor.steps(), executor.arena_bytes(), executor.packed_bytes()};
}

}  // namespace lapidary
