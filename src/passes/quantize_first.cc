// QuantizeLinear(M(x, ...))  =>  M(QuantizeLinear(x), ...), M made of Slice, Concat, Transpose, ...
// and of Pad with a constant, which is quantized as well.
#include "src/passes/quantize_first.h"

#include <algorithm>
#include <map>
#include <set>

#include "src/ops/evaluate.h"
#include "src/passes/edit.h"

namespace lapidary {

namespace {

constexpr std::string_view kMovers[] = {"Concat",    "DepthToSpace", "Flatten",      "Identity",
                                        "Reshape",   "Slice",        "SpaceToDepth", "Squeeze",
                                        "Transpose", "Unsqueeze"};

/// What a Pad since version 11 puts around its input, where that is one constant; 0 where absent.
std::optional<Tensor> padding_of(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (!is_op(graph, id, "Pad") || node.inputs.size() < 2 ||
      string_attr(graph, id, "mode", "constant") != "constant")
    return std::nullopt;
  const DType dtype = graph.value(node.outputs[0]).type.dtype;
  if (node.inputs.size() < 3 || !node.inputs[2]) return Tensor(dtype, {});
  const Tensor* value = graph.constant(node.inputs[2]);
  if (value == nullptr || value->size() != 1 || value->dtype() != dtype) return std::nullopt;
  return value->reshaped({});
}

bool is_mover(const Graph& graph, NodeId id) {
  if (!id || !graph.node(id).domain.empty() || graph.node(id).outputs.size() != 1) return false;
  return std::find(std::begin(kMovers), std::end(kMovers), graph.node(id).op) !=
             std::end(kMovers) ||
         padding_of(graph, id);
}

/// The Pad puts Q(its constant) around.
void quantize_padding(Graph& graph, NodeId pad, NodeId quantize) {
  std::vector<Tensor> scalars = {*padding_of(graph, pad)};
  std::vector<const Tensor*> inputs;
  for (size_t slot = 1; slot < graph.node(quantize).inputs.size(); ++slot) {
    const ValueId v = graph.node(quantize).inputs[slot];
    scalars.push_back(v ? graph.constant(v)->reshaped({}) : Tensor());
  }
  for (const Tensor& scalar : scalars) inputs.push_back(scalar.empty() ? nullptr : &scalar);
  const std::string name = graph.value(output_of(graph, pad)).name + "_padding";
  const ValueId before = input_of(graph, pad, 2);
  graph.set_input(pad, 2, add_constant(graph, name, evaluate_node(graph, quantize, inputs)[0]));
  if (before) drop_unused(graph, before);
}

/// Inputs whose elements a mover passes on.
size_t data_inputs(const Graph& graph, NodeId id) {
  return is_op(graph, id, "Concat") ? graph.node(id).inputs.size() : 1;
}

struct Movers {
  std::vector<NodeId> nodes;  ///< each before what it reads
  std::set<NodeId> known;

  bool read_all_of(const Graph& graph, ValueId value) const {
    const std::vector<Use>& uses = graph.value(value).uses;
    return graph.use_count(value) == uses.size() &&
           std::all_of(uses.begin(), uses.end(), [&](const Use& use) {
             return !use.capture && known.contains(use.node) &&
                    use.slot < data_inputs(graph, use.node);
           });
  }
};

/// The movers that nobody but `last` and each other read.
Movers movers_before(const Graph& graph, NodeId last) {
  Movers movers{{last}, {last}};
  for (bool grown = true; grown;) {
    grown = false;
    for (size_t i = 0; i < movers.nodes.size(); ++i)
      for (size_t slot = 0; slot < data_inputs(graph, movers.nodes[i]); ++slot) {
        const ValueId value = graph.node(movers.nodes[i]).inputs[slot];
        const NodeId maker = graph.value(value).producer;
        if (!is_mover(graph, maker) || movers.known.contains(maker) ||
            !movers.read_all_of(graph, value))
          continue;
        movers.nodes.push_back(maker);
        movers.known.insert(maker);
        grown = true;
      }
  }
  return movers;
}

/// What flows into the movers from outside.
std::vector<ValueId> sources_of(const Graph& graph, const Movers& movers) {
  std::vector<ValueId> sources;
  for (const NodeId id : movers.nodes)
    for (size_t slot = 0; slot < data_inputs(graph, id); ++slot) {
      const ValueId value = graph.node(id).inputs[slot];
      const NodeId maker = graph.value(value).producer;
      if ((!maker || !movers.known.contains(maker)) &&
          std::find(sources.begin(), sources.end(), value) == sources.end())
        sources.push_back(value);
    }
  return sources;
}

std::optional<int64_t> count_of(const Graph& graph, ValueId value) {
  const auto shape = static_shape(graph, value);
  return shape ? std::optional(element_count(*shape)) : std::nullopt;
}

bool has_one_scale(const Graph& graph, NodeId quantize) {
  for (size_t slot = 1; slot < graph.node(quantize).inputs.size(); ++slot) {
    const ValueId value = graph.node(quantize).inputs[slot];
    const Tensor* constant = value ? graph.constant(value) : nullptr;
    if (value && (constant == nullptr || constant->size() != 1)) return false;
  }
  return true;
}

bool move_before(Graph& graph, NodeId quantize) {
  if (!is_op(graph, quantize, "QuantizeLinear") || !has_one_scale(graph, quantize)) return false;
  const ValueId moved = graph.node(quantize).inputs[0], y = output_of(graph, quantize);
  const NodeId last = graph.value(moved).producer;
  if (!is_mover(graph, last) || only_user(graph, moved) != quantize) return false;
  const Movers movers = movers_before(graph, last);
  const std::vector<ValueId> sources = sources_of(graph, movers);
  int64_t before = 0;
  for (const ValueId source : sources) {
    const auto count = count_of(graph, source);
    if (!count || graph.value(source).type.dtype != graph.value(moved).type.dtype) return false;
    before += *count;
  }
  const auto after = count_of(graph, moved);
  if (!after || before > *after) return false;

  const DType dtype = graph.value(y).type.dtype;
  const Node pattern = graph.node(quantize);
  std::map<ValueId, ValueId> quantized;
  for (const NodeId first : graph.nodes()) {
    if (!movers.known.contains(first)) continue;
    for (size_t slot = 0; slot < data_inputs(graph, first); ++slot) {
      const ValueId source = graph.node(first).inputs[slot];
      if (std::find(sources.begin(), sources.end(), source) == sources.end()) continue;
      if (!quantized.contains(source)) {
        TensorType type = graph.value(source).type;
        type.dtype = dtype;
        Node node = pattern;
        node.name.clear();
        node.inputs[0] = source;
        node.outputs = {graph.add_value(graph.unique_name(graph.value(source).name + "_quantized"),
                                        std::move(type))};
        quantized[source] = node.outputs[0];
        graph.add_node(std::move(node), first);
      }
      graph.set_input(first, slot, quantized[source]);
    }
    if (is_op(graph, first, "Pad")) quantize_padding(graph, first, quantize);
    graph.mutable_value(output_of(graph, first)).type.dtype = dtype;
  }
  graph.remove_node(quantize);
  graph.set_output(last, 0, y);
  graph.remove_value(moved);
  return true;
}

}  // namespace

int64_t quantize_first(Graph& graph) {
  int64_t moved = 0;
  for (const NodeId id : graph.nodes())
    if (graph.alive(id)) moved += move_before(graph, id);
  return moved;
}

}  // namespace lapidary
