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

void scan_plane(const float* x, int64_t count, float& low, float& high, double& sum) {
  float lows[kWidth], highs[kWidth];
  std::fill_n(lows, kWidth, low);
  std::fill_n(highs, kWidth, high);
  double sums[kWidth] = {};
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth)
    for (int64_t j = 0; j < kWidth; ++j) {
      sums[j] += static_cast<double>(x[i + j]);
      lows[j] = x[i + j] < lows[j] ? x[i + j] : lows[j];
      highs[j] = x[i + j] > highs[j] ? x[i + j] : highs[j];
    }
  for (; i < count; ++i) {
    lows[0] = std::min(lows[0], x[i]);
    highs[0] = std::max(highs[0], x[i]);
    sums[0] += static_cast<double>(x[i]);
  }
  for (const double part : sums) sum += part;
  low = *std::min_element(lows, lows + kWidth);
  high = *std::max_element(highs, highs + kWidth);
}

/// One position's channels; `partial` sums at most kRows of them before it is folded into doubles.
constexpr int64_t kRows = 64;
void scan_row(const float* x, int64_t channels, float* low, float* high, float* partial) {
  for (int64_t c = 0; c < channels; ++c) {
    low[c] = x[c] < low[c] ? x[c] : low[c];
    high[c] = x[c] > high[c] ? x[c] : high[c];
    partial[c] += x[c];
  }
}

void fold(std::vector<float>& partial, std::vector<double>& sum) {
  for (size_t c = 0; c < sum.size(); ++c) {
    sum[c] += static_cast<double>(partial[c]);
    partial[c] = 0;
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

const float* row_major(const TapView& view, std::vector<float>& buffer) {
  const auto* x = view.tensor.as<float>();
  const auto shape = view.tensor.shape;
  if (!view.channels_last || shape.size() < 3) return x;
  int64_t inner = 1;
  for (size_t i = 2; i < shape.size(); ++i) inner *= shape[i];
  const int64_t channels = shape[1];
  buffer.resize(static_cast<size_t>(shape[0] * channels * inner));
  for (int64_t n = 0; n < shape[0]; ++n)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t i = 0; i < inner; ++i)
        buffer[static_cast<size_t>((n * channels + c) * inner + i)] =
            x[(n * inner + i) * channels + c];
  return buffer.data();
}

void scan_sample(const float* x, const SampleLayout& layout, SampleScan& out) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto channels = static_cast<size_t>(layout.channels);
  out.low.assign(channels, kInfinity);
  out.high.assign(channels, -kInfinity);
  out.sum.assign(channels, 0.0);
  std::vector<float> partial(channels, 0.0f);
  out.nonfinite = -1;
  const int64_t size = layout.size();
  if (any_nonfinite(x, size))
    out.nonfinite = std::find_if(x, x + size, [](float v) { return !std::isfinite(v); }) - x;
  for (int64_t o = 0; o < layout.outer; ++o) {
    const float* block = x + o * layout.channels * layout.inner;
    if (layout.inner == 1) {
      scan_row(block, layout.channels, out.low.data(), out.high.data(), partial.data());
      if (o % kRows == kRows - 1) fold(partial, out.sum);
    } else {
      for (size_t c = 0; c < channels; ++c)
        scan_plane(block + static_cast<int64_t>(c) * layout.inner, layout.inner, out.low[c],
                   out.high[c], out.sum[c]);
    }
  }
  fold(partial, out.sum);
  out.min = channels ? *std::min_element(out.low.begin(), out.low.end()) : 0;
  out.max = channels ? *std::max_element(out.high.begin(), out.high.end()) : 0;
}

}  // namespace lapidary
