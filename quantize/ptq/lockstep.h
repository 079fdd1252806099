#pragma once

#include <functional>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "calibrate/feeder.h"
#include "lapidary/data.h"
#include "quantize/qdq_graph.h"

namespace lapidary {

/// Runs a QDQ graph over held samples layer after layer, so that a layer can still be changed when
/// its input, made by all corrected layers before it, is known; the layer then runs once as it was
/// left. Between layers only the frontier is in memory: integers of the values that later nodes
/// read, and graph inputs that are read late.
class Lockstep {
 public:
  /// Tensors of the batches of held samples. Where the graph fixes the batch size, the last samples
  /// of a batch may be padding: they run, and nobody counts them.
  struct Batches {
    std::vector<Tensor> tensors;
    std::vector<BatchRows> rows;  ///< one per tensor
  };

  Lockstep(QdqGraph& qdq, const Dataset& data, int threads);

  /// How many samples fit `bytes`, at most `samples`: from the frontier's largest size on the way.
  /// Where the graph fixes the batch size, whole batches, one at least.
  int64_t fitting_samples(double bytes, int64_t samples) const;
  /// Calls `visit(layer, input)` for every layer in graph order; `visit` may change the layer's
  /// weights and bias in the graph.
  void run(int64_t samples, const std::function<void(QdqLayer&, const Batches&)>& visit);
  /// What is in memory of a value (integers), none where it is not; for use within `visit`.
  std::optional<Batches> held(ValueId id) const {
    const auto at = frontier_.find(id);
    if (at == frontier_.end()) return std::nullopt;
    return Batches{at->second, rows_};
  }
  int64_t peak_bytes() const { return peak_bytes_; }

 private:
  struct Segment {
    std::vector<NodeId> nodes;  ///< in topological order
    std::vector<ValueId> inputs, outputs;
  };

  void plan();
  std::unordered_map<uint32_t, size_t> first_segments(const std::vector<NodeId>& order) const;
  void hold(const std::unordered_map<uint32_t, size_t>& first,
            const std::map<ValueId, size_t>& end);
  bool free_node(NodeId id) const;
  /// The segment's nodes as a graph, biases included that layers got since it was planned.
  Graph part(const Segment& segment) const;
  void execute(const Segment& segment, const std::vector<ValueId>& released);
  void load(int64_t samples, const Segment& first);

  QdqGraph& qdq_;
  const Dataset& data_;
  int threads_;
  SampleSizes sizes_;
  std::vector<Segment> segments_;  ///< segments_[i] makes the input of layer i
  std::vector<std::vector<ValueId>>
      released_;                      ///< frontier values no longer needed after layer i's segment
  std::vector<ValueId> held_inputs_;  ///< graph inputs that segments behind the first one read
  std::vector<BatchRows> rows_;       ///< of the batches that ran
  std::map<ValueId, std::vector<Tensor>> frontier_;
  int64_t peak_bytes_ = 0;
};

}  // namespace lapidary
