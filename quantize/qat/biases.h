#pragma once

#include <functional>

#include "lapidary/graph.h"

namespace lapidary {

/// Adds FakeQuantizeBias to the biases of layers that multiply integers, so that training sees what
/// int32 keeps of them: of layers whose input and weights come from FakeQuantize, the bias itself
/// or the shift of the BatchNormalization that will be folded. `kept`: which biases (constants) the
/// integer model keeps as int32.
void fake_biases(
    Graph& graph, const std::function<bool(ValueId)>& kept = [](ValueId) { return true; });
/// Takes them out again.
void take_biases(Graph& graph);

}  // namespace lapidary
