#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lapidary/graph.h"

namespace lapidary {

/// A constant of weights as one matrix per group (SparsePattern says of what): element (group, row,
/// tap, channel), rows and channels counted within the group.
struct WeightMatrix {
  int64_t groups = 1, rows = 0, taps = 1, channels = 0;
  int64_t group_stride = 0, row_stride = 0, tap_stride = 0, channel_stride = 0;

  int64_t columns() const { return taps * channels; }
  int64_t elements() const { return groups * rows * columns(); }
  /// Where the element lies in the constant.
  int64_t at(int64_t group, int64_t row, int64_t tap, int64_t channel) const {
    return group * group_stride + row * row_stride + tap * tap_stride + channel * channel_stride;
  }
  bool operator==(const WeightMatrix&) const = default;
};

/// The constant that a layer multiplies by.
struct LayerWeights {
  ValueId constant;
  std::vector<NodeId> readers;  ///< in graph order; all see the same matrix
  WeightMatrix matrix;
};

/// Of Conv, ConvTranspose, Gemm and MatMul nodes: constants of any type that their weight input is,
/// or is computed from (trained_constant, DequantizeLinear, Cast); in graph order, each once.
/// Constants that two layers read as different matrices are left out.
std::vector<LayerWeights> layer_weights(const Graph& graph);
/// The float32 ones, of which `include` (empty: all) names a reader and `exclude` none. Throws
/// Error{kUsage} for patterns that match nothing and where none is left.
std::vector<LayerWeights> float_weights(const Graph& graph, const std::vector<std::string>& include,
                                        const std::vector<std::string>& exclude);

/// fn(index in matrix order: group, row, tap, channel; offset into the constant).
template <class F>
void for_each_element(const WeightMatrix& m, F&& fn) {
  int64_t i = 0;
  for (int64_t g = 0; g < m.groups; ++g)
    for (int64_t r = 0; r < m.rows; ++r)
      for (int64_t t = 0; t < m.taps; ++t)
        for (int64_t c = 0; c < m.channels; ++c, ++i)
          fn(static_cast<size_t>(i), static_cast<size_t>(m.at(g, r, t, c)));
}

}  // namespace lapidary
