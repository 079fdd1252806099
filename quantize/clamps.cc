#include "quantize/clamps.h"

#include <algorithm>

#include "quantize/qparams.h"
#include "src/base/fail.h"
#include "src/passes/qdq/qdq.h"

namespace lapidary {

bool saturation_clamps(const Graph& graph, NodeId clamp, const QuantParams& params) {
  const auto bounds = clamp_bounds(graph, clamp);
  return bounds && params.per_tensor() &&
         saturation_clamps(*bounds, params.scale[0], params.zero_point[0],
                           {params.qmin, params.qmax}, Beyond::kLessThanAStep);
}

void keep_clamps(Graph& graph, Placement& placement) {
  std::erase_if(placement.absorbed, [&](const std::pair<NodeId, ValueId>& entry) {
    const auto [clamp, before] = entry;
    const ValueId after = graph.node(clamp).outputs[0];
    const QuantParams params = *graph.value(after).quant;
    if (saturation_clamps(graph, clamp, params)) return false;
    const Range covered = covered_range(params);
    placement.kept_float.push_back(
        {node_key(graph, clamp), graph.node(clamp).op,
         fmt::format("its bounds are not the ends of its integers, {:g} and {:g}", covered.low,
                     covered.high)});
    placement.integer.erase(clamp.index);
    graph.mutable_value(before).quant = params;
    placement.marks.insert(before.index);
    auto& quantized = placement.quantized;
    quantized.insert(std::find(quantized.begin(), quantized.end(), after), before);
    return true;
  });
}

void absorb_clamp(Graph& graph, NodeId clamp) {
  const ValueId before = graph.node(clamp).inputs[0], after = graph.node(clamp).outputs[0];
  const NodeId producer = graph.value(before).producer;
  const uint32_t slot = graph.value(before).producer_slot;
  graph.remove_node(clamp);
  graph.set_output(producer, slot, after);
  graph.remove_value(before);
}

}  // namespace lapidary
