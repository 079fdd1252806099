// Integers that type inference knows from shapes alone become constants:
//   Shape(x: [2, 3, N]) -> Gather(., 1) -> Mul(., 4)   =>   12
// Weights computed from others (a transposed one) stay so where training follows: they are tied.
// Reshape's target known but for one size, or for sizes that its input has at the same axis:
//   Reshape(x: [N, 6], [N, 2, 3])   =>   Reshape(x, [0, 2, 3])
#include <algorithm>
#include <set>

#include "src/ops/infer.h"
#include "src/passes/edit.h"
#include "src/passes/pass.h"
#include "src/passes/qdq/qdq.h"

namespace lapidary {

namespace {

// The target as Reshape spells it: 0 copies the input's size, one -1 is what remains.
std::optional<std::vector<int64_t>> spell_target(const ShapeValue& target,
                                                 const std::vector<Dim>* input) {
  std::vector<int64_t> sizes;
  for (size_t i = 0; i < target.size(); ++i) {
    const Dim& dim = target[i];
    if (dim.known()) {
      sizes.push_back(dim.value);
    } else if (input && i < input->size() && !dim.symbol.empty() &&
               dim.symbol == (*input)[i].symbol) {
      sizes.push_back(0);
    } else {
      sizes.push_back(-1);
    }
    // A known 0 would be read as a copy.
    if (dim.known() && dim.value <= 0) return std::nullopt;
  }
  if (std::count(sizes.begin(), sizes.end(), -1) > 1) return std::nullopt;
  return sizes;
}

bool fold_reshape_target(Graph& graph, NodeId id, const InferredElements& elements) {
  const ValueId target = input_of(graph, id, 1);
  if (!is_op(graph, id, "Reshape") || !target || graph.constant(target) != nullptr ||
      int_attr(graph, id, "allowzero", 0) != 0)
    return false;
  const auto found = elements.shape_values.find(target.index);
  if (found == elements.shape_values.end()) return false;
  const auto& input = graph.value(graph.node(id).inputs[0]).type.shape;
  const auto sizes = spell_target(found->second, input ? &*input : nullptr);
  if (!sizes) return false;
  const Tensor spelled = Tensor::of<int64_t>({static_cast<int64_t>(sizes->size())}, *sizes);
  graph.set_input(id, 1, add_constant(graph, graph.value(target).name + "_folded", spelled));
  drop_unused(graph, target);
  return true;
}

// Values that come from quantized weights: their constants are to stay integers behind
// DequantizeLinear, or the codes that an own op unpacks.
std::set<ValueId> weight_values(const Graph& graph) {
  std::set<ValueId> found;
  for (NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    const ResolvedOp op = resolve_op(graph, id);
    if (op && op.def->role == QuantRole::kShapeOnly) continue;
    if (is_quantize(graph, id) || is_dequantize(graph, id) || (op && op.def->body != nullptr) ||
        std::any_of(node.inputs.begin(), node.inputs.end(),
                    [&](ValueId v) { return found.contains(v); }))
      found.insert(node.outputs.begin(), node.outputs.end());
  }
  return found;
}

bool is_weight(const Tensor& t) { return is_float(t.dtype()) && t.rank() > 1; }

}  // namespace

PassResult fold_shapes(Graph& graph, const PassOptions& options) {
  PassResult result;
  InferredElements elements;
  InferOptions infer;
  infer.elements = &elements;
  infer_types(graph, infer);
  const std::set<ValueId> weights = weight_values(graph);
  for (NodeId id : graph.nodes()) {
    if (!graph.alive(id)) continue;
    const Node& node = graph.node(id);
    if (node.outputs.size() == 1 && node.outputs[0] && !weights.contains(node.outputs[0])) {
      const ValueId out = node.outputs[0];
      const auto known = elements.tensors.find(out.index);
      if (known != elements.tensors.end() && !graph.is_output(out) && !graph.value(out).quant &&
          graph.use_count(out) > 0 && known->second.size() <= options.fold_limit &&
          !(options.train_safe && is_weight(known->second))) {
        const ValueId constant = add_constant(graph, graph.value(out).name, known->second);
        bypass(graph, id, constant);
        ++result.changes;
        continue;
      }
    }
    result.changes += fold_reshape_target(graph, id, elements);
  }
  return result;
}

}  // namespace lapidary
