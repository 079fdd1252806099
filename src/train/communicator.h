#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "lapidary/trainer.h"

namespace lapidary::train {

/// The processes that train one model together. Calls wait for all of them.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int world_size() const = 0;
  /// `tensor` (contiguous) becomes the sum over all processes.
  virtual void sum(at::Tensor& tensor) = 0;
  /// Rank 0's elements become everybody's.
  virtual void broadcast(at::Tensor& tensor) = 0;
};

/// Null for a world of one. Throws Error{kUnsupported} where libtorch was built without Gloo,
/// Error{kIo} where the others are not met.
std::unique_ptr<Communicator> join(const Rank& rank);

}  // namespace lapidary::train
