#pragma once

#include "calibrate/statistics.h"
#include "lapidary/compress.h"
#include "quantize/qdq_graph.h"
#include "quantize/targets.h"

namespace lapidary {

/// Corrects the layers of a QDQ graph one after another on held samples (ptq/lockstep.h): the bias
/// of every linear layer. `form` is the float graph that the statistics belong to.
void refine_layers(QdqGraph& qdq, const Graph& form, const Statistics& statistics,
                   const Dataset& samples, const TargetRecord& target,
                   const QuantizeOptions& options, QuantizeLog& log);

}  // namespace lapidary
