#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "calibrate/fixed.h"
#include "calibrate/histogram.h"
#include "calibrate/windows.h"
#include "lapidary/calibrate.h"

namespace lapidary {

/// Min and max per chunk of consecutive sample indices: chunk i covers [i * size, (i + 1) * size).
/// At most kMax chunks from the first to the last index seen; the size is the least power of 2 that
/// keeps to that, so that the series depends on the set of samples alone.
struct ChunkSeries {
  static constexpr int64_t kMax = 64;

  int64_t size = 1;
  int64_t first = 0;                            ///< chunk of ranges[0]
  std::vector<std::pair<float, float>> ranges;  ///< {+inf, -inf}: none of its samples was seen

  bool operator==(const ChunkSeries&) const = default;
  void add(int64_t sample, float low, float high);
  void merge(const ChunkSeries& other);

 private:
  void coarsen();
  int64_t last() const { return first + static_cast<int64_t>(ranges.size()) - 1; }
  void extend(int64_t to_first, int64_t to_last);
};

/// Half-open intervals of sample indices in the whole data (before a record's skip and limit),
/// sorted, disjoint, not touching.
struct SampleSet {
  std::vector<std::pair<int64_t, int64_t>> intervals;

  bool operator==(const SampleSet&) const = default;
  bool contains(int64_t index) const;
  void add(int64_t index) { add(index, index + 1); }
  void add(int64_t begin, int64_t end);
  /// The first index in both, or -1.
  int64_t common(const SampleSet& other) const;
  int64_t size() const;
};

/// What was seen of one float tensor.
struct TensorStats {
  uint64_t count = 0;
  float min = 0, max = 0;
  Histogram histogram;
  std::map<std::string, ChunkSeries> chunks;  ///< by data hash
  int64_t channel_axis = -1;                  ///< of channel_low and channel_high; -1: none
  std::vector<float> channel_low, channel_high;
  std::vector<FixedSum> channel_sums;

  bool operator==(const TensorStats&) const = default;
  /// Mean of a channel's values.
  double channel_mean(size_t channel) const {
    return channel_sums[channel].value() * static_cast<double>(channel_sums.size()) /
           static_cast<double>(count);
  }
  void merge(const TensorStats& other);
};

/// Window sums of one linear node's input, over all samples.
struct WindowStats {
  int64_t positions = 0;       ///< window positions summed over
  std::vector<FixedSum> sums;  ///< one per weight column

  bool operator==(const WindowStats&) const = default;
  void merge(const WindowStats& other);
};

class Statistics::Impl {
 public:
  std::string graph_hash, data_hash;
  std::map<std::string, SampleSet> sources;  ///< Dataset::whole_sha256 -> samples seen
  std::map<std::string, TensorStats> tensors;
  std::map<std::string, WindowStats> windows;  ///< by node key

  bool operator==(const Impl&) const = default;
  /// Throws Error{kUsage} with the closest names.
  const TensorStats& tensor(const std::string& name) const;
  int64_t samples() const;
  void merge(const Impl& other);
  /// The container's bytes: statistics_file.cc says how they lie.
  std::string serialize() const;
  static Impl parse(const std::string& bytes);
  /// data_hash from `sources`: the one hash, or the digest of all.
  void refresh_data_hash();
};

/// SHA-256 over what a graph computes: ops, attributes, wiring, types of inputs, constants. Names
/// of values count (statistics speak of them), docs and metadata do not.
std::string graph_hash(const Graph& graph);

}  // namespace lapidary
