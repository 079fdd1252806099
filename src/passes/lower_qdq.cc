#include "src/passes/lower_qdq.h"

#include <algorithm>

#include "src/base/fail.h"
#include "src/passes/edit.h"
#include "src/passes/pass.h"
#include "src/passes/qdq/prepare.h"
#include "src/passes/qdq/qdq.h"
#include "src/passes/qdq/rules.h"

namespace lapidary {

namespace {

bool touches_floats(const Graph& graph, NodeId node) {
  const auto floating = [&](ValueId v) {
    return v &&
           (is_float(graph.value(v).type.dtype) || graph.value(v).type.dtype == DType::kUndefined);
  };
  const Node& n = graph.node(node);
  return std::any_of(n.inputs.begin(), n.inputs.end(), floating) ||
         std::any_of(n.outputs.begin(), n.outputs.end(), floating);
}

RuleResult lower_node(Graph& graph, NodeId node, const LoweringOptions& options) {
  const Node& n = graph.node(node);
  const bool standard = n.domain.empty() || n.domain == "ai.onnx";
  const NodeGroup group = node_group(graph, node);
  if (group.dequantized == 0 && group.outputs.empty())
    return stays("neither its inputs nor its output are quantized");
  const LoweringRow* row = standard ? find_lowering(n.op) : nullptr;
  if (row == nullptr) return stays(fmt::format("{} has no integer form", n.op));
  if (graph.opset() < row->min_opset)
    return stays(fmt::format("{} on integers needs opset {}, the model has {}", n.op,
                             row->min_opset, graph.opset()));
  if (group.dequantized == 1 && group.present > 1 && group.has_input(1) && group.outputs.empty())
    return stays("only its weight is quantized");
  return row->rule(graph, group, options);
}

// Integer constants behind a mover (a transposed weight) are constants again.
void fold_integer_movers(Graph& graph, const std::vector<NodeId>& nodes) {
  for (NodeId id : nodes)
    if (graph.alive(id)) fold_node(graph, id, PassOptions{}.fold_limit);
}

}  // namespace

const LoweringNote* LoweringReport::find(std::string_view node) const {
  const auto found = std::find_if(notes.begin(), notes.end(),
                                  [&](const LoweringNote& note) { return note.node == node; });
  return found == notes.end() ? nullptr : &*found;
}

LoweringReport lower_qdq(Graph& graph, const LoweringOptions& options) {
  LoweringReport report;
  remove_noops_before_merging(graph);
  fold_quantized_constants(graph);
  widen_constants(graph);
  merge_double_pairs(graph);
  remove_noops(graph, {});
  merge_clips(graph, {});
  fold_padding(graph, {});
  matmul_add_to_gemm(graph, report.notes);
  propagate_pairs(graph);
  quantize_parameters(graph);
  drop_redundant_clamps(graph, report.notes);

  std::vector<NodeId> moved;
  for (NodeId id : graph.nodes()) {
    if (!graph.alive(id) || is_quantize(graph, id) || is_dequantize(graph, id)) continue;
    if (!touches_floats(graph, id)) continue;
    LoweringNote note{node_key(graph, id), graph.node(id).op, {}, {}};
    RuleResult result = lower_node(graph, id, options);
    note.lowered_to = std::move(result.lowered_to);
    note.reason = std::move(result.reason);
    report.lowered += !note.lowered_to.empty();
    if (graph.alive(id) && !note.lowered_to.empty()) moved.push_back(id);
    report.notes.push_back(std::move(note));
  }
  drop_inverse_pairs(graph);
  fold_integer_movers(graph, moved);
  const auto nodes = graph.nodes();
  if (std::any_of(nodes.begin(), nodes.end(),
                  [&](NodeId id) { return graph.node(id).domain == "com.microsoft"; }) &&
      graph.opset("com.microsoft") == 0)
    graph.set_opset("com.microsoft", 1);
  return report;
}

}  // namespace lapidary
