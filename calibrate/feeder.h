#pragma once

#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "lapidary/data.h"
#include "lapidary/graph.h"

namespace lapidary {

/// Inputs that must be given: those without a default among the initializers.
std::vector<ValueId> required_inputs(const Graph& graph);

/// How many samples a batch ran, and how many of them, from the first on, are not padding.
struct BatchRows {
  int64_t ran = 0, counted = 0;
};

/// Turns a dataset's batches into a graph's inputs: names, the type of floats (data opened for one
/// model feed its FP16 form too), and a batch size that the graph may fix.
class Feeder {
 public:
  /// Throws Error{kUsage} where the names do not meet, Error{kInvalid} where sample shapes or types
  /// do not (with the sample's shape and the graph's), Error{kUnsupported} where inputs fix the
  /// batch at different sizes.
  Feeder(const Graph& graph, const Dataset& data);

  /// The batch size that the graph fixes, or 0.
  int64_t fixed_batch() const { return fixed_batch_; }
  /// Graph inputs of a batch; where the graph fixes the batch size, the last sample is repeated.
  std::map<std::string, Tensor> inputs(const Batch& batch) const;
  BatchRows rows(const Batch& batch) const {
    return {fixed_batch_ > 0 ? fixed_batch_ : batch.size(), batch.size()};
  }

 private:
  struct Name {
    std::string in_data, in_graph;
    DType dtype;  ///< that the graph takes
  };
  std::vector<Name> names_;
  int64_t fixed_batch_ = 0;
};

/// Bytes that one sample of a dataset takes in each of a graph's values. Open sizes are what the
/// samples make of them; those that only running tells (NonZero) count as 1.
class SampleSizes {
 public:
  SampleSizes(const Graph& graph, const Dataset& data);

  double bytes(ValueId id) const;
  /// Of the values that are no constants.
  double largest() const { return largest_; }

 private:
  std::unordered_map<uint32_t, double> bytes_;  ///< by value index
  double largest_ = 1;
};

/// How many samples to run at once through each of `graphs`: the smallest batch that one of them
/// fixes (a Feeder pads for those that fix a larger one); otherwise `wanted`; otherwise what the
/// data record says; otherwise as many as keep the largest value within some 16 MB, 32 at most.
int64_t suitable_batch(std::span<const Graph* const> graphs, const Dataset& data,
                       int64_t wanted = 0);
int64_t suitable_batch(const Graph& graph, const Dataset& data, int64_t wanted = 0);

}  // namespace lapidary
