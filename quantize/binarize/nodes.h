#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lapidary/graph.h"

// Nodes of binary and ternary layers in a training graph, read.

namespace lapidary {

/// Whether the node is Binarize.
bool is_binarize(const Graph& graph, NodeId node);
/// Whether the graph has any.
bool has_binarize(const Graph& graph);
/// The Binarize before a layer's input, a Pad between them perhaps; none: there is none.
NodeId sign_before(const Graph& graph, ValueId input);

/// How the weights of a layer are rounded.
enum class WeightKind { kFloat, kBinary, kTernary, kLearnedTernary };
WeightKind weight_kind(const Graph& graph, ValueId weight);

/// Names of the constants that ede's steepness is read from.
std::vector<std::string> sharpness_constants(const Graph& graph);
/// IR-Net's steepness: where training begins and ends.
inline constexpr float kLeastSharpness = 0.1f;
inline constexpr float kMostSharpness = 10;

}  // namespace lapidary
