#pragma once

#include <cstdint>
#include <vector>

#include "lapidary/exec.h"

namespace lapidary {

/// How one sample's part of a tensor lies in memory: `outer` blocks of `channels` x `inner`
/// elements (NCHW: 1 x C x HW; NHWC: HW x C x 1; [T, K]: T x K x 1).
struct SampleLayout {
  int64_t outer = 1, channels = 1, inner = 1;
  int64_t size() const { return outer * channels * inner; }
};

/// The layout of one of `samples` equal parts of a tapped tensor with its channels on `axis`
/// (of the shape as the graph says it). channels = 1 where the axis says nothing about a sample.
SampleLayout sample_layout(const TapView& view, int64_t samples, int64_t axis);

/// A tapped tensor's elements in the order of its shape: `buffer` where they lay otherwise.
const float* row_major(const TapView& view, std::vector<float>& buffer);

/// What a pass over one sample's elements finds.
struct SampleScan {
  std::vector<float> low, high;  ///< per channel
  std::vector<double> sum;       ///< per channel
  float min = 0, max = 0;
  int64_t nonfinite = -1;  ///< offset of the first NaN or infinity, -1: none
};
void scan_sample(const float* x, const SampleLayout& layout, SampleScan& out);

}  // namespace lapidary
