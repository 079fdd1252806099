#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "lapidary/ranks.h"

namespace lapidary::train {

/// Ranks that exchange tensors too.
class Communicator : public Ranks {
 public:
  int world_size() const { return rank().world_size; }
  /// `tensor` (contiguous) becomes the sum over all processes.
  virtual void sum(at::Tensor& tensor) = 0;
  /// Rank 0's elements become everybody's.
  virtual void broadcast(at::Tensor& tensor) = 0;
  using Ranks::broadcast;
};

/// As join_ranks has it.
std::shared_ptr<Communicator> join(const Rank& rank);

}  // namespace lapidary::train
