#pragma once

#include <map>
#include <vector>

#include "lapidary/graph.h"

// The branches of Ifs as parts of the graph around them: for training, which wants every parameter
// in one place and one list of nodes.

namespace lapidary {

/// When the nodes of a branch run.
struct Guard {
  ValueId condition;    ///< one bool
  bool wanted = false;  ///< what it must be
  int outer = -1;       ///< position of the guard that must hold before this one is asked; -1: none
};

struct Branches {
  std::vector<Guard> guards;
  std::map<NodeId, int> guard_of;  ///< of the nodes that run under one
};

/// Float32 constants of branches, nested ones too (initializers and Constant nodes, but for those
/// that are a branch's result), become initializers of the graph, which the branches read: the same
/// model. Each keeps its name, with a number appended where the graph has that name; then_branch
/// before else_branch. Returns their number.
LAPIDARY_API int64_t lift_branch_constants(Graph& graph);
inline Graph with_lifted_constants(Graph graph) {
  lift_branch_constants(graph);
  return graph;
}

/// Puts the nodes of all branches, nested ones too, before their If, which is left without
/// attributes and reads its condition, the results of then_branch and those of else_branch. Values
/// and nodes that were there keep their ids. Such a graph can be interpreted, not written. Throws
/// Error{kInvalid} where a branch is missing or a node in one is malformed.
LAPIDARY_API Branches take_in_branches(Graph& graph);

}  // namespace lapidary
