#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <vector>

#include "src/train/analysis.h"
#include "src/train/parameters.h"

namespace lapidary::train {

/// A graph's constants as training has them now: those that are trained, running statistics, others
/// and what follows from fixed ones alone.
class Constants {
 public:
  /// `channels_last`: layout of fixed 4-D weights of convolutions.
  Constants(const Graph& graph, const Analysis& analysis, const Parameters& parameters,
            bool channels_last, at::Device device);

  /// Puts the elements of `id` into `values`.
  void give(ValueId id, class Values& values);
  /// Elements by name; none for names that are no constant's.
  Tensor read(ValueId id) const;
  /// Same shape and dtype as before.
  void write(ValueId id, const Tensor& elements);
  /// A running statistic's.
  void write(ValueId id, const at::Tensor& elements);
  /// Constants that steps change beside the parameters.
  const std::vector<ValueId>& statistics() const { return statistics_; }

 private:
  struct Entry {
    at::Tensor device;
    Tensor host;
  };
  const Tensor& fixed(ValueId id);
  void fold(NodeId id);

  const Graph& graph_;
  const Analysis& analysis_;
  const Parameters& parameters_;
  bool channels_last_;
  at::Device device_;
  std::map<ValueId, Entry> entries_;
  std::vector<ValueId> statistics_;
};

}  // namespace lapidary::train
