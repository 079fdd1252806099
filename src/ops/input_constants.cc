#include "src/ops/input_constants.h"

#include <algorithm>
#include <vector>

namespace lapidary {

void unlist_constants(Graph& graph) {
  constexpr int64_t kFreeInitializers = 4;
  if (graph.model.ir_version >= kFreeInitializers) return;
  std::vector<ValueId> inputs = graph.inputs();
  std::erase_if(inputs, [&](ValueId id) { return graph.value(id).constant.has_value(); });
  graph.set_inputs(std::move(inputs));
  graph.model.ir_version = kFreeInitializers;
}

}  // namespace lapidary
