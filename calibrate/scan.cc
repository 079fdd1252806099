#include "calibrate/scan.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/stats_f32/stats_f32.h"

namespace lapidary {

namespace {

constexpr int64_t kWidth = 16;

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

/// Positions whose channels are summed in float32 before the sum is folded into doubles.
constexpr int64_t kRows = 64;
/// Kernels load whole vectors.
constexpr size_t kPadding = 16;

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
  if (layout.inner == 0) return {.outer = 0, .channels = layout.channels, .inner = 0};
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

namespace {

/// [positions, channels]
void scan_rows(const float* x, const SampleLayout& layout, SampleScan& out) {
  const auto* kernel = kernels::select_stats_f32().kernel->call;
  const auto channels = static_cast<size_t>(layout.channels);
  std::vector<float> partial(channels + kPadding, 0.0f);
  for (auto* ends : {&out.low, &out.high}) ends->resize(channels + kPadding);
  for (int64_t row = 0; row < layout.outer; row += kRows) {
    kernel->scan({.rows = std::min(kRows, layout.outer - row),
                  .columns = layout.channels,
                  .stride = layout.channels,
                  .x = x + row * layout.channels,
                  .sum = partial.data(),
                  .low = out.low.data(),
                  .high = out.high.data()});
    fold(partial, out.sum);
  }
  for (auto* ends : {&out.low, &out.high}) ends->resize(channels);
}

void scan_planes(const float* x, const SampleLayout& layout, SampleScan& out) {
  for (int64_t o = 0; o < layout.outer; ++o)
    for (int64_t c = 0; c < layout.channels; ++c, x += layout.inner) {
      const auto at = static_cast<size_t>(c);
      scan_plane(x, layout.inner, out.low[at], out.high[at], out.sum[at]);
    }
}

}  // namespace

void scan_sample(const float* x, const SampleLayout& layout, SampleScan& out) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto channels = static_cast<size_t>(layout.channels);
  out.low.assign(channels, kInfinity);
  out.high.assign(channels, -kInfinity);
  out.sum.assign(channels, 0.0);
  layout.inner == 1 ? scan_rows(x, layout, out) : scan_planes(x, layout, out);
  out.nonfinite = -1;
  const auto finite = [](auto v) { return std::isfinite(v); };
  // One NaN or infinity makes its sum such; finite terms may do so, too.
  if (!std::all_of(out.sum.begin(), out.sum.end(), finite)) {
    const float* end = x + layout.size();
    if (const float* bad = std::find_if_not(x, end, finite); bad != end) out.nonfinite = bad - x;
  }
  out.min = channels ? *std::min_element(out.low.begin(), out.low.end()) : 0;
  out.max = channels ? *std::max_element(out.high.begin(), out.high.end()) : 0;
}

}  // namespace lapidary
