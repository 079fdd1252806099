#pragma once

#include <vector>

#include "distill/loss.h"

namespace lapidary {

/// A student's value and the teacher's that it is compared with, each of its own graph.
struct NamedLayers {
  ValueId student, teacher;
};

/// The layers of one term. A glob stands for the float values that nodes make (not those that
/// quantizers or losses make), in the graph's order. Of scores what a Softmax reads, and
/// of what is quantized the quantized value. Throws
/// Error{kUsage} for names and globs that fit nothing, and numbers of layers that differ.
std::vector<NamedLayers> find_layers(const Graph& student, const Graph& teacher,
                                     const DistillSpec& spec, Compared compared);

}  // namespace lapidary
