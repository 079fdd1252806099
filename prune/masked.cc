#include "prune/masked.h"

#include <map>

#include "src/ir/builder.h"
#include "src/ops/elements.h"

namespace lapidary::prune {

Graph mask_consumers(const Kept& kept) {
  const AxisSystem& system = kept.system();
  Graph graph = system.graph();
  for (const SummedAxis& sum : system.sums()) {
    const ValueId value = graph.node(sum.node).inputs[sum.slot];
    const ValueId source = system.graph().node(sum.node).inputs[sum.slot];
    const auto axes = system.axes(source);
    const AxisSystem::Axis& axis = axes[static_cast<size_t>(sum.axis)];
    // Of a product with a constant the other factor is masked.
    if (!kept.cuts(axis) || graph.constant(source) != nullptr) continue;
    Shape shape(axes.size(), 1);
    shape[static_cast<size_t>(sum.axis)] = axis.size;
    std::vector<float> mask(static_cast<size_t>(axis.size));
    for (int64_t i : kept.places(axis)) mask[static_cast<size_t>(i)] = 1;
    GraphBuilder b(graph, sum.node);
    const std::string& name = graph.value(source).name;
    const ValueId factor =
        b.constant(name + "_mask", make_from(graph.value(source).type.dtype, shape, mask));
    graph.set_input(sum.node, sum.slot, b.op("Mul", {value, factor}, {}, name + "_masked"));
  }
  infer_types(graph);
  return graph;
}

}  // namespace lapidary::prune
