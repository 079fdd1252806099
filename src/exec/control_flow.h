#pragma once

#include <chrono>
#include <span>
#include <string_view>
#include <vector>

#include "lapidary/graph.h"

namespace lapidary::exec {

/// What the loops of one run may take together, nested ones included: a trip count comes from a
/// file.
class LoopBudget {
 public:
  static constexpr int64_t kMostIterations = 1'000'000;
  static constexpr std::chrono::minutes kMostTime{10};

  /// Counts one iteration; throws Error{kResource} beyond the limits.
  void spend();

 private:
  int64_t left_ = kMostIterations;
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::now() + kMostTime;
};

/// Runs the nodes of a graph that a node holds: `inputs` by position, `captured` by the node's
/// captures.
std::vector<Tensor> run_body(const Graph& body, std::string_view attr, const Node& node,
                             std::span<const Tensor> inputs,
                             std::span<const Tensor* const> captured, LoopBudget& budget);

/// Runs an If, Loop or Scan. `inputs`: the node's, then its captures.
std::vector<Tensor> run_control_flow(const Graph& graph, NodeId id,
                                     std::span<const Tensor* const> inputs, LoopBudget& budget);

/// execute_node within the budget of the loops around it.
std::vector<Tensor> execute_node(const Graph& graph, NodeId id,
                                 std::span<const Tensor* const> inputs, LoopBudget& budget);

}  // namespace lapidary::exec
