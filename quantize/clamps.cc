#include "quantize/clamps.h"

#include <algorithm>
#include <limits>

#include "quantize/qparams.h"
#include "src/base/fail.h"
#include "src/passes/qdq/qdq.h"

namespace lapidary {

bool saturation_clamps(const Graph& graph, NodeId clamp, const QuantParams& params) {
  std::optional<ClipBounds> bounds = ClipBounds{0, std::numeric_limits<float>::infinity()};
  if (graph.node(clamp).is("Clip")) bounds = clip_bounds(graph, clamp);
  if (!bounds || !params.per_tensor()) return false;
  const Range covered = covered_range(params);
  const double step = static_cast<double>(params.scale[0]);
  const auto beyond = [&](float bound) { return bound == 0 ? 0.0 : step; };
  return static_cast<double>(covered.low) >=
             static_cast<double>(bounds->low) - beyond(bounds->low) &&
         static_cast<double>(covered.high) <=
             static_cast<double>(bounds->high) + beyond(bounds->high);
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

}  // namespace lapidary
