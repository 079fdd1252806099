#include "calibrate/scan.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace lapidary {

namespace {

constexpr int64_t kWidth = 16;

/// True where a value is NaN or infinite: its exponent bits are all ones.
bool any_nonfinite(const float* x, int64_t count) {
  int32_t found = 0;
  for (int64_t i = 0; i < count; ++i)
    found |= static_cast<int32_t>((std::bit_cast<uint32_t>(x[i]) & 0x7FFFFFFFu) >= 0x7F800000u);
  return found != 0;
}

void scan_plane(const float* x, int64_t count, float& low, float& high) {
  float lows[kWidth], highs[kWidth];
  std::fill_n(lows, kWidth, low);
  std::fill_n(highs, kWidth, high);
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth)
    for (int64_t j = 0; j < kWidth; ++j) {
      lows[j] = x[i + j] < lows[j] ? x[i + j] : lows[j];
      highs[j] = x[i + j] > highs[j] ? x[i + j] : highs[j];
    }
  for (; i < count; ++i) {
    lows[0] = std::min(lows[0], x[i]);
    highs[0] = std::max(highs[0], x[i]);
  }
  low = *std::min_element(lows, lows + kWidth);
  high = *std::max_element(highs, highs + kWidth);
}

void scan_row(const float* x, int64_t channels, float* low, float* high) {
  for (int64_t c = 0; c < channels; ++c) {
    low[c] = x[c] < low[c] ? x[c] : low[c];
    high[c] = x[c] > high[c] ? x[c] : high[c];
  }
}

}  // namespace

SampleLayout sample_layout(const TapView& view, int64_t samples, int64_t axis) {
  const auto shape = view.tensor.shape;
  int64_t size = 1;
  for (const int64_t dim : shape) size *= dim;
  SampleLayout layout{.outer = 1, .channels = 1, .inner = samples > 0 ? size / samples : size};
  const auto rank = static_cast<int64_t>(shape.size());
  if (axis < 1 || axis >= rank || samples <= 0 || shape[0] % samples != 0) return layout;
  layout.channels = shape[static_cast<size_t>(axis)];
  if (layout.channels == 0) return layout;
  layout.inner = 1;
  if (!view.channels_last)
    for (int64_t i = axis + 1; i < rank; ++i) layout.inner *= shape[static_cast<size_t>(i)];
  if (layout.inner == 0) return {};
  layout.outer = size / samples / layout.channels / layout.inner;
  return layout;
}

void scan_sample(const float* x, const SampleLayout& layout, SampleScan& out) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto channels = static_cast<size_t>(layout.channels);
  out.low.assign(channels, kInfinity);
  out.high.assign(channels, -kInfinity);
  out.nonfinite = -1;
  const int64_t size = layout.size();
  if (any_nonfinite(x, size))
    out.nonfinite = std::find_if(x, x + size, [](float v) { return !std::isfinite(v); }) - x;
  for (int64_t o = 0; o < layout.outer; ++o) {
    const float* block = x + o * layout.channels * layout.inner;
    if (layout.inner == 1) {
      scan_row(block, layout.channels, out.low.data(), out.high.data());
    } else {
      for (size_t c = 0; c < channels; ++c)
        scan_plane(block + static_cast<int64_t>(c) * layout.inner, layout.inner, out.low[c],
                   out.high[c]);
    }
  }
  out.min = channels ? *std::min_element(out.low.begin(), out.low.end()) : 0;
  out.max = channels ? *std::max_element(out.high.begin(), out.high.end()) : 0;
}

}  // namespace lapidary
