// f(c1, c2, ...) of constants  =>  the constant it computes
// f: foldable by the op table (not random, no subgraph reading the outside), at most fold_limit
// elements of output. DequantizeLinear of a constant stays, and what unpacks one: it is how a small
// weight is written.
#include <algorithm>

#include "src/base/fail.h"
#include "src/ops/evaluate.h"
#include "src/ops/opdef.h"
#include "src/passes/edit.h"
#include "src/passes/pass.h"

namespace lapidary {

namespace {

bool may_fold(const Graph& graph, NodeId id, int64_t limit) {
  const ResolvedOp op = resolve_op(graph, id);
  const Node& node = graph.node(id);
  if (!op || !op.def->foldable || op.def->evaluate == nullptr || !node.captures.empty())
    return false;
  if (op.def->body != nullptr) return false;
  if (node.op == "DequantizeLinear" || node.op == "QuantizeLinear") return false;
  for (ValueId out : node.outputs) {
    if (!out) continue;
    const Value& value = graph.value(out);
    if (value.quant || graph.is_output(out)) return false;
    // Where the size is known beforehand, nothing large is computed first.
    if (value.type.is_static() && element_count(value.type.static_shape()) > limit) return false;
  }
  return std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId in) {
    return !in || (graph.constant(in) != nullptr && !graph.value(in).quant);
  });
}

}  // namespace

bool fold_node(Graph& graph, NodeId id, int64_t limit) {
  if (!may_fold(graph, id, limit)) return false;
  const Node node = graph.node(id);
  std::vector<const Tensor*> inputs;
  for (ValueId in : node.inputs) inputs.push_back(graph.constant(in));
  std::vector<Tensor> made;
  try {
    made = evaluate_node(graph, id, inputs);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kUnsupported) return false;
    throw;
  }
  if (std::any_of(made.begin(), made.end(), [&](const Tensor& t) { return t.size() > limit; }))
    return false;
  graph.remove_node(id);
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (!node.outputs[i]) continue;
    Value& value = graph.mutable_value(node.outputs[i]);
    value.type = tensor_type(made[i]);
    value.constant = std::move(made[i]);
    drop_unused(graph, node.outputs[i]);
  }
  for (ValueId in : node.inputs) drop_unused(graph, in);
  return true;
}

PassResult fold_constants(Graph& graph, const PassOptions& options) {
  PassResult result;
  for (NodeId id : graph.nodes())
    if (graph.alive(id)) result.changes += fold_node(graph, id, options.fold_limit);
  return result;
}

}  // namespace lapidary
