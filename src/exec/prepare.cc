#include "src/exec/prepare.h"

#include <algorithm>

#include "lapidary/passes.h"
#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/exec/half.h"
#include "src/ops/infer.h"
#include "src/passes/lower_qdq.h"
#include "src/passes/qdq/prepare.h"
#include "src/passes/quantize_first.h"

namespace lapidary::exec {

namespace {

/// Inputs that have an initializer become constants, but for the overridden ones, which lose it.
void settle_inputs(Graph& graph, const std::set<std::string>& overridden) {
  std::vector<ValueId> inputs;
  for (const ValueId id : graph.inputs()) {
    if (graph.value(id).constant) {
      if (!overridden.contains(graph.value(id).name)) continue;
      graph.mutable_value(id).constant.reset();
    }
    inputs.push_back(id);
  }
  graph.set_inputs(std::move(inputs));
}

bool is_quantized(const Graph& graph) {
  const auto nodes = graph.nodes();
  return std::any_of(nodes.begin(), nodes.end(),
                     [&](NodeId id) { return graph.node(id).is("DequantizeLinear"); });
}

void add_outputs(Graph& graph, const std::vector<ValueId>& more) {
  std::vector<ValueId> outputs = graph.outputs();
  std::set<ValueId> listed(outputs.begin(), outputs.end());
  for (const ValueId id : more)
    if (listed.insert(id).second) outputs.push_back(id);
  graph.set_outputs(std::move(outputs));
}

std::vector<ValueId> every_value(const Graph& graph) {
  std::vector<ValueId> all;
  for (const ValueId id : graph.values())
    if (graph.is_input(id) || graph.value(id).producer) all.push_back(id);
  return all;
}

std::vector<ValueId> tapped_values(const Graph& graph, const std::vector<std::string>& taps) {
  std::vector<ValueId> ids;
  for (const std::string& name : taps) {
    const ValueId id = graph.find_value(name);
    if (!id)
      fail_usage(
          "'{}' cannot be tapped: it is computed inside an integer kernel; tap the quantized "
          "tensor behind it",
          printable(name, 200));
    ids.push_back(id);
  }
  return ids;
}

}  // namespace

Prepared prepare(const Graph& graph, const PrepareOptions& options) {
  Prepared out{graph, graph.outputs().size()};
  settle_inputs(out.graph, options.overridden);
  // A file that computes in FP16 says itself what is rounded; one that only stores it does not.
  const bool rounds = options.float_arithmetic == FloatArithmetic::kF16;
  const bool rounds_all = rounds && !has_half_results(out.graph);
  // In this order: engines do not see integer layers through Casts either.
  if (!options.as_written && is_quantized(out.graph)) lower_qdq(out.graph);
  if (has_half(out.graph) && !options.as_written) widen_half(out.graph, rounds);
  if (options.keep_all_values) {
    add_outputs(out.graph, every_value(out.graph));
    out.outputs = out.graph.outputs().size();
  }
  add_outputs(out.graph, tapped_values(out.graph, options.taps));
  if (!options.as_written || rounds_all) optimize(out.graph);
  if (rounds_all) round_to_half(out.graph);
  return out;
}

void bind_shapes(Graph& graph, const InputShapes& shapes) {
  InferOptions options;
  options.replace_declared = true;
  for (const ValueId id : graph.inputs()) {
    const std::string& name = graph.value(id).name;
    options.input_shapes.emplace(name, shapes.at(name));
  }
  infer_types(graph, options);
  optimize(graph);
  infer_types(graph);
  if (quantize_first(graph) > 0) {
    drop_inverse_pairs(graph);
    infer_types(graph);
  }
}

}  // namespace lapidary::exec
