#include "src/data/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "src/base/fail.h"

namespace lapidary {

namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;  // 8 bits of result, 2 for the overshoot of bicubic
constexpr int32_t kHalf = 1 << (kPrecisionBits - 1);

/// Weights of outputs [begin, begin + count): output i sums weights[i * taps + k] * in[first[i] +
/// k].
struct Taps {
  int64_t taps = 0;
  std::vector<int64_t> first, used;
  std::vector<int32_t> weights;
};

double triangle(double x) {
  x = std::fabs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

double cubic(double x) {
  constexpr double a = -0.5;  // Keys 1981
  x = std::fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

int32_t fixed_point(double weight) {
  return static_cast<int32_t>(weight * (1 << kPrecisionBits) + (weight < 0 ? -0.5 : 0.5));
}

/// The order of the double operations decides the last bit of a weight; it is PIL's.
Taps make_taps(int64_t in, int64_t out, Filter filter, int64_t begin, int64_t count) {
  double (*const kernel)(double) = filter == Filter::kBicubic ? cubic : triangle;
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double stretch = std::max(scale, 1.0);
  const double support = (filter == Filter::kBicubic ? 2.0 : 1.0) * stretch;
  Taps t;
  t.taps = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  t.weights.resize(static_cast<size_t>(count * t.taps));
  std::vector<double> w(static_cast<size_t>(t.taps));
  for (int64_t i = 0; i < count; ++i) {
    const double centre = (static_cast<double>(begin + i) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(static_cast<int64_t>(centre - support + 0.5), 0);
    const int64_t end = std::min(static_cast<int64_t>(centre + support + 0.5), in);
    const double inverse = 1.0 / stretch;
    double sum = 0.0;
    for (int64_t k = 0; k < end - first; ++k) {
      w[static_cast<size_t>(k)] = kernel((static_cast<double>(k + first) - centre + 0.5) * inverse);
      sum += w[static_cast<size_t>(k)];
    }
    for (int64_t k = 0; k < end - first; ++k) {
      double& weight = w[static_cast<size_t>(k)];
      if (sum != 0.0) weight /= sum;
      t.weights[static_cast<size_t>(i * t.taps + k)] = fixed_point(weight);
    }
    t.first.push_back(first);
    t.used.push_back(end - first);
  }
  return t;
}

uint8_t to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

/// A pass along x over `height` rows from `top`; column 0 of `image` is number `origin` to the
/// taps.
template <int kChannels>
Image pass_along_x(const Image& image, const Taps& taps, int64_t origin, int64_t top,
                   int64_t height) {
  const auto width = static_cast<int64_t>(taps.first.size());
  Image out(height, width, kChannels);
  for (int64_t y = 0; y < height; ++y) {
    const uint8_t* row = image.row(top + y);
    uint8_t* to = out.row(y);
    for (int64_t i = 0; i < width; ++i) {
      const uint8_t* from = row + (taps.first[static_cast<size_t>(i)] - origin) * kChannels;
      const int32_t* weight = taps.weights.data() + i * taps.taps;
      const int64_t used = taps.used[static_cast<size_t>(i)];
      int32_t sum[kChannels];
      std::fill_n(sum, kChannels, kHalf);
      for (int64_t k = 0; k < used; ++k)
        for (int c = 0; c < kChannels; ++c) sum[c] += from[k * kChannels + c] * weight[k];
      for (int c = 0; c < kChannels; ++c) *to++ = to_byte(sum[c]);
    }
  }
  return out;
}

Image pass_along_x(const Image& image, const Taps& taps, int64_t origin, int64_t top,
                   int64_t height) {
  return image.channels == 3 ? pass_along_x<3>(image, taps, origin, top, height)
                             : pass_along_x<1>(image, taps, origin, top, height);
}

/// A pass along y over `width` columns from `left`; row 0 of `image` is number `origin` to the
/// taps.
Image pass_along_y(const Image& image, const Taps& taps, int64_t origin, int64_t left,
                   int64_t width) {
  Image out(static_cast<int64_t>(taps.first.size()), width, image.channels);
  const int64_t bytes = out.row_bytes();
  std::vector<int32_t> sum(static_cast<size_t>(bytes));
  for (int64_t i = 0; i < out.height; ++i) {
    std::fill(sum.begin(), sum.end(), kHalf);
    for (int64_t k = 0; k < taps.used[static_cast<size_t>(i)]; ++k) {
      const uint8_t* from =
          image.row(taps.first[static_cast<size_t>(i)] + k - origin) + left * image.channels;
      const int32_t weight = taps.weights[static_cast<size_t>(i * taps.taps + k)];
      int32_t* to = sum.data();
      for (int64_t x = 0; x < bytes; ++x) to[x] += from[x] * weight;
    }
    uint8_t* to = out.row(i);
    for (int64_t x = 0; x < bytes; ++x) to[x] = to_byte(sum[static_cast<size_t>(x)]);
  }
  return out;
}

/// First source element that the taps read, and one past the last.
std::pair<int64_t, int64_t> span_of(const Taps& taps) {
  return {taps.first.front(), taps.first.back() + taps.used.back()};
}

/// Source coordinate of outputs [begin, begin + count): the running sum of PIL's affine transform,
/// which rounds differently from (i + 0.5) * scale.
std::vector<int64_t> nearest_sources(int64_t in, int64_t out, int64_t begin, int64_t count) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  double at = scale * 0.5;
  std::vector<int64_t> sources;
  for (int64_t i = 0; i < begin + count; ++i, at += scale)
    if (i >= begin) sources.push_back(std::min(static_cast<int64_t>(at), in - 1));
  return sources;
}

Image resize_nearest(const Image& image, int64_t height, int64_t width, Window window) {
  const auto rows = nearest_sources(image.height, height, window.top, window.height);
  const auto columns = nearest_sources(image.width, width, window.left, window.width);
  Image out(window.height, window.width, image.channels);
  const auto pixel = static_cast<size_t>(image.channels);
  for (int64_t y = 0; y < out.height; ++y) {
    const uint8_t* from = image.row(rows[static_cast<size_t>(y)]);
    uint8_t* to = out.row(y);
    for (int64_t x : columns) {
      std::memcpy(to, from + x * image.channels, pixel);
      to += pixel;
    }
  }
  return out;
}

Image cut(const Image& image, Window window) {
  Image out(window.height, window.width, image.channels);
  for (int64_t y = 0; y < out.height; ++y)
    std::memcpy(out.row(y), image.row(window.top + y) + window.left * image.channels,
                static_cast<size_t>(out.row_bytes()));
  return out;
}

/// The order decides the rounding between the passes. Pillow up to 12 always goes along x first.
bool y_first(const Image& image, int64_t height, int64_t width) {
  const int64_t rows_lost = image.height - height;
  return rows_lost > 0 && rows_lost > 2 * (image.width - width);
}

}  // namespace

Image resize(const Image& image, int64_t height, int64_t width, Filter filter, Window window) {
  LAPIDARY_CHECK(window.top >= 0 && window.top + window.height <= height && window.left >= 0 &&
                 window.left + window.width <= width && window.height > 0 && window.width > 0);
  if (height == image.height && width == image.width) return cut(image, window);
  if (filter == Filter::kNearest) return resize_nearest(image, height, width, window);
  if (width == image.width) {
    const Taps rows = make_taps(image.height, height, filter, window.top, window.height);
    return pass_along_y(image, rows, 0, window.left, window.width);
  }
  const Taps columns = make_taps(image.width, width, filter, window.left, window.width);
  if (height == image.height) return pass_along_x(image, columns, 0, window.top, window.height);
  const Taps rows = make_taps(image.height, height, filter, window.top, window.height);
  if (y_first(image, height, width)) {
    const auto [left, end] = span_of(columns);
    const Image part = pass_along_y(image, rows, 0, left, end - left);
    return pass_along_x(part, columns, left, 0, window.height);
  }
  const auto [top, end] = span_of(rows);
  const Image part = pass_along_x(image, columns, 0, top, end - top);
  return pass_along_y(part, rows, top, 0, window.width);
}

Image resize(const Image& image, int64_t height, int64_t width, Filter filter) {
  return resize(image, height, width, filter, {0, 0, height, width});
}

}  // namespace lapidary
