#pragma once

#include <ATen/core/Tensor.h>

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "src/ops/opdef.h"
#include "src/passes/branches.h"

// What each value of a graph depends on, and with it how each node is computed.

namespace lapidary::train {

class LowerContext;

using Outputs = std::vector<at::Tensor>;
using LowerFn = Outputs (*)(LowerContext&);
/// Why a node has no trainable form although its op has; empty: it has.
using RefuseFn = std::string (*)(const AttrView&);
struct Analysis;
/// True where the last node of a chain, which alone reads the one before it, can be computed
/// together with those before it. The first one is the op's.
using FollowFn = bool (*)(const Graph&, const Analysis&, const std::vector<NodeId>& chain);

struct Lowering {
  std::string_view domain, op;
  LowerFn run = nullptr;
  RefuseFn refuse = nullptr;
  /// The result is new memory that no gradient reads: whoever alone reads it may overwrite it.
  bool fresh = false;
  FollowFn follows = nullptr;  ///< null: nothing is computed together with it
};

/// The strongest of what a value depends on.
enum class Dependence {
  kFixed,     ///< constants that no run changes: computed once
  kRun,       ///< shapes of inputs, running statistics: no gradient, other elements in each run
  kData,      ///< elements of inputs
  kGradient,  ///< parameters: a gradient flows through it
};

struct Analysis {
  struct Node {
    const Lowering* lowering = nullptr;  ///< null: the reference evaluation computes it
    int version = 0;
    bool shape_only = false;  ///< reads sizes, no elements
    int guard = -1;           ///< position of what must hold for it to run; -1: it always runs
  };
  std::vector<Dependence> values;  ///< by value index
  std::vector<Node> nodes;         ///< by node index
  std::vector<Guard> guards;       ///< of the branches
  /// Nodes between parameters and loss that cannot be trained, with the reason.
  std::vector<std::string> refused;
};

/// `branches`: those that were taken in. `trained`: constants that are trained. Types of values are
/// known where they can be.
Analysis analyse(const Graph& graph, Branches branches, const std::set<ValueId>& trained,
                 ValueId loss);

}  // namespace lapidary::train
