#pragma once

#include <map>
#include <string>

#include "lapidary/graph.h"

namespace lapidary {

/// What sizes a user gives (--shape) mean for a model.
struct GivenShapes {
  std::map<std::string, Shape> inputs;     ///< whole shapes, by graph input
  std::map<std::string, int64_t> symbols;  ///< sizes of symbolic dims of the inputs
};

/// Tells inputs ({"x", {1,3,224,224}}) from symbols ({"N", {8}}); a name that is both is the
/// input's. Throws Error{kUsage} for names that are neither, and for symbols given anything but one
/// size above zero.
GivenShapes given_shapes(const Graph& model, const std::map<std::string, Shape>& given);

/// The names of a graph's inputs.
std::vector<std::string> input_names_of(const Graph& model);

/// Throws Error{kUsage} where a name that the user gave is not among `names`.
void check_input_name(const std::string& name, const std::vector<std::string>& names);

}  // namespace lapidary
