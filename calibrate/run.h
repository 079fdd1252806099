#pragma once

#include <map>
#include <string>
#include <vector>

#include "calibrate/statistics.h"
#include "lapidary/calibrate.h"
#include "lapidary/data.h"
#include "lapidary/graph.h"

namespace lapidary {

/// Turns a dataset's batches into a graph's inputs: names, the type of floats, and a batch size
/// that the graph may fix.
class Feeder {
 public:
  /// Throws Error{kUsage} where the names do not meet, Error{kInvalid} where sample shapes or types
  /// do not (with the sample's shape and the graph's).
  Feeder(const Graph& graph, const Dataset& data);

  /// The batch size that the graph fixes, or 0.
  int64_t fixed_batch() const { return fixed_batch_; }
  /// Graph inputs of a batch; where the graph fixes the batch size, the last sample is repeated.
  std::map<std::string, Tensor> inputs(const Batch& batch) const;

 private:
  struct Name {
    std::string in_data, in_graph;
    DType dtype;  ///< that the graph takes
  };
  std::vector<Name> names_;
  int64_t fixed_batch_ = 0;
};

/// What statistics hold besides ranges and channels.
struct Collect {
  bool histograms = true, windows = true;
};
/// `calibrate` without what nobody will ask these statistics for.
Statistics calibrate_partly(const Graph& graph, const Dataset& data,
                            const CalibrateOptions& options, Collect collect);

/// The graph as statistics see it: optimized, with types. Statistics are bound to its hash, so that
/// it does not matter whether `calibrate` and `quantize` were given the model as loaded or
/// optimized.
Graph calibrated_form(const Graph& graph);

/// Statistics without histograms of the first `samples` samples: means of a held set. `form` is a
/// calibrated_form.
Statistics collect_means(const Graph& form, const Dataset& data, int64_t samples, int threads);

/// Statistics of the named tensors alone, without window sums.
Statistics collect_tensors(const Graph& form, const Dataset& data, int64_t samples,
                           const std::vector<std::string>& tensors, int threads);

/// A batch size at which the largest of `graph`'s activations stays within some 16 MB.
int64_t suitable_batch(const Graph& graph, const Dataset& data);

}  // namespace lapidary
