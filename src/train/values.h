#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "lapidary/graph.h"

namespace lapidary::train {

/// A run's values by their index, each on the host, on the device or on both: moved where it is
/// asked for and kept.
class Values {
 public:
  Values(size_t count, at::Device device) : slots_(count), device_(device) {}

  void set(ValueId id, at::Tensor elements);
  void set(ValueId id, Tensor elements);
  /// Both forms of the same elements.
  void set(ValueId id, at::Tensor device, Tensor host) { slots_[id.index] = {device, host}; }
  /// `to` is what `from` is.
  void share(ValueId from, ValueId to) { slots_[to.index] = slots_[from.index]; }
  bool has(ValueId id) const;
  const at::Tensor& on_device(ValueId id);
  const Tensor& on_host(ValueId id);
  /// Sizes alone: a tensor without elements to read.
  Tensor shape_only(ValueId id);
  void release(ValueId id) { slots_[id.index] = {}; }

 private:
  struct Slot {
    at::Tensor device;
    Tensor host;
  };
  std::vector<Slot> slots_;
  at::Device device_;
};

}  // namespace lapidary::train
