#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "lapidary/exec.h"
#include "lapidary/graph.h"

namespace lapidary::exec {

struct PrepareOptions {
  std::set<std::string> overridden;  ///< inputs with an initializer that the caller gives himself
  std::vector<std::string> taps;
  bool keep_all_values = false;
  bool as_written = false;  ///< neither lowered nor (but where all floats are rounded) optimised
  FloatArithmetic float_arithmetic = FloatArithmetic::kF32;
};

/// A private copy of the graph, ready to be bound to shapes.
struct Prepared {
  Graph graph;
  size_t outputs = 0;  ///< its first outputs are the caller's, those after them are only tapped
};

/// Widens FP16 to FP32, lowers Q/DQ to integer ops, then optimises. Tapped values become outputs
/// between the two, so that no later rewrite loses them: a BatchNormalization behind a tapped
/// convolution stays unfolded. Throws Error{kUsage} for a tapped value that lowering put inside an
/// integer op.
Prepared prepare(const Graph& graph, const PrepareOptions& options);

using InputShapes = std::map<std::string, Shape>;
/// Sets all types for inputs of these shapes and folds what has become constant.
void bind_shapes(Graph& graph, const InputShapes& shapes);

}  // namespace lapidary::exec
