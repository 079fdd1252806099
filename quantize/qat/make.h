#pragma once

#include "lapidary/qat.h"
#include "quantize/targets.h"

namespace lapidary {

/// The target's record, `per_channel` as the options say. Throws as find_target.
TargetRecord target_of(const QatOptions& options);

/// What the training graph is made of: `graph` as quantization starts from it (checked, Q/DQ taken
/// out where options ask for it), all merges done but that of BatchNormalization, which goes on
/// learning; opset 13 at least.
Graph training_form(const Graph& graph, const QatOptions& options,
                    std::vector<std::string>& warnings);

/// make_qat_graph of a graph in training form, without `parameters` and gradients.
QatGraph fake_quantized(Graph form, const Statistics* statistics, const Dataset* samples,
                        const QatOptions& options);

}  // namespace lapidary
