#include "src/exec/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "kernels/batch_norm_f32/batch_norm_f32.h"
#include "src/base/parallel.h"
#include "src/ops/fake_quantize.h"

namespace lapidary {

namespace {

using kernels::BatchNormThen;
using kernels::FakeQuantSum;
using Floats = std::vector<float>;

/// Elements of a block: its moments are taken twice over it, from the cache.
constexpr int64_t kBlock = 16384;
/// Lanes of the widest vectors: rows are taken together until they fill some.
constexpr int64_t kWidest = 16;

/// x [rows, channels] as blocks of rows of `cols` columns, several rows of x beside each other
/// where its own are narrow, and as many rows of x behind as do not fill one.
struct Blocks {
  int64_t channels, together, cols, rows, rest, each, count;

  Blocks(int64_t all, int64_t channels_)
      : channels(channels_), together(kWidest / std::gcd(kWidest, channels_)) {
    if (together > all) together = 1;
    cols = channels * together;
    rows = all / together;
    rest = all % together;
    each = std::clamp<int64_t>(kBlock / cols, 1, rows);
    count = (rows + each - 1) / each;
  }
  int64_t first(int64_t block) const { return block * each; }
  int64_t size(int64_t block) const { return std::min(each, rows - first(block)); }
  /// f(block, offset of its elements, rows, columns), the rest as block `count`, on all threads.
  template <class F>
  void for_each(const F& f) const {
    parallel_for(count, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t b = begin; b < end; ++b) f(b, first(b) * cols, size(b), cols);
    });
    if (rest > 0) f(count, rows * cols, rest, channels);
  }
  /// For one array of `cols` per block and one for the rest.
  size_t sums_size() const { return static_cast<size_t>((count + (rest > 0 ? 1 : 0)) * cols); }
  /// f(block, channel, index in such an array) for all that is in it.
  template <class F>
  void for_sums(const F& f) const {
    for (int64_t b = 0; b < count + (rest > 0 ? 1 : 0); ++b)
      for (int64_t c = 0; c < (b < count ? cols : channels); ++c)
        f(b, static_cast<size_t>(c % channels), static_cast<size_t>(b * cols + c));
  }
  /// [channels] as [cols].
  Floats repeated(const Floats& each_channel) const {
    Floats out;
    for (int64_t k = 0; k < together; ++k)
      out.insert(out.end(), each_channel.begin(), each_channel.end());
    return out;
  }
};

const kernels::BatchNormF32Functions& row() {
  return *kernels::select_batch_norm_f32().kernel->call;
}

BatchNormThen kernel_form(const AfterBatchNorm& then) {
  BatchNormThen out{.lo = then.lo, .hi = then.hi, .least = then.least, .most = then.most};
  if (then.kind == AfterBatchNorm::Kind::kClamp) out.kind = BatchNormThen::Kind::kClamp;
  if (then.kind != AfterBatchNorm::Kind::kFakeQuantize) return out;
  const int zero =
      static_cast<int>(std::clamp<double>(std::nearbyint(then.zero_point), then.qmin, then.qmax));
  out.kind = BatchNormThen::Kind::kFakeQuantize;
  out.scale = std::max(then.scale, kLeastFakeScale);
  out.bottom = then.qmin - zero;
  out.top = then.qmax - zero;
  return out;
}

FakeQuantSum sum_of(const AfterBatchNorm& then, const BatchNormGradient& gradient) {
  if (then.kind != AfterBatchNorm::Kind::kFakeQuantize) return FakeQuantSum::kNone;
  if (then.gradient == "lsq" && gradient.fake_zero != nullptr) return FakeQuantSum::kScaleAndZero;
  if (gradient.fake_scale == nullptr || then.gradient == "ste") return FakeQuantSum::kNone;
  return then.gradient == "pact" ? FakeQuantSum::kAbove : FakeQuantSum::kScale;
}

/// h = x factor + offset
struct Line {
  Floats factor, offset, mean;
  Line(const BatchNorm& how, const Blocks& blocks) {
    const auto channels = static_cast<size_t>(how.channels);
    Floats f(channels), o(channels);
    for (size_t c = 0; c < channels; ++c) {
      f[c] = how.scale[c] * how.inverse[c];
      o[c] = how.bias[c] - how.mean[c] * f[c];
    }
    factor = blocks.repeated(f);
    offset = blocks.repeated(o);
    mean = blocks.repeated(Floats(how.mean, how.mean + channels));
  }
};

/// Sums over all rows, per channel; s and z over all elements.
struct Sums {
  std::vector<double> e, ex;
  double s = 0, z = 0;
};

Sums sums_of(const BatchNorm& how, const Blocks& blocks, const Line& line,
             const BatchNormThen& then, const float* g, const float* x) {
  const size_t size = blocks.sums_size();
  const bool any = then.sum != FakeQuantSum::kNone;
  const bool both = then.sum == FakeQuantSum::kScaleAndZero;
  Floats e(size), ex(size), s(any ? size : 0), z(both ? size : 0);
  blocks.for_each([&](int64_t block, int64_t at, int64_t rows, int64_t cols) {
    const int64_t out = block * blocks.cols;
    row().sums({.rows = rows,
                .cols = cols,
                .g = g + at,
                .x = x + at,
                .factor = line.factor.data(),
                .offset = line.offset.data(),
                .mean = line.mean.data(),
                .e = e.data() + out,
                .ex = ex.data() + out,
                .s = any ? s.data() + out : nullptr,
                .z = both ? z.data() + out : nullptr,
                .then = then});
  });
  const auto channels = static_cast<size_t>(how.channels);
  Sums total{std::vector<double>(channels), std::vector<double>(channels)};
  blocks.for_sums([&](int64_t, size_t c, size_t i) {
    total.e[c] += e[i];
    total.ex[c] += ex[i];
    if (any) total.s += s[i];
    if (both) total.z += z[i];
  });
  return total;
}

}  // namespace

void batch_moments(int64_t rows, int64_t channels, const float* x, float* mean, float* variance) {
  const Blocks blocks(rows, channels);
  Floats means(blocks.sums_size()), squares(means.size());
  blocks.for_each([&](int64_t block, int64_t at, int64_t count, int64_t cols) {
    row().moments({count, cols, x + at, means.data() + block * blocks.cols,
                   squares.data() + block * blocks.cols});
  });
  // Two parts of n and m elements: with d the difference of means,
  // mean += d m / (n + m), squares += squares' + d^2 n m / (n + m)           (Chan et al. 1979)
  const auto count = static_cast<size_t>(channels);
  std::vector<double> n(count), total(count), spread(count);
  blocks.for_sums([&](int64_t block, size_t c, size_t i) {
    const auto m = static_cast<double>(block < blocks.count ? blocks.size(block) : blocks.rest);
    const double d = means[i] - total[c], all = n[c] + m;
    total[c] += d * m / all;
    spread[c] += squares[i] + d * d * n[c] * m / all;
    n[c] = all;
  });
  for (size_t c = 0; c < count; ++c) {
    mean[c] = static_cast<float>(total[c]);
    variance[c] = static_cast<float>(spread[c] / static_cast<double>(rows));
  }
}

void batch_norm(const BatchNorm& how, const float* x, float* y) {
  if (how.rows == 0 || how.channels == 0) return;
  const Blocks blocks(how.rows, how.channels);
  const Line line(how, blocks);
  const BatchNormThen then = kernel_form(how.then);
  blocks.for_each([&](int64_t, int64_t at, int64_t rows, int64_t cols) {
    row().forward({.rows = rows,
                   .cols = cols,
                   .x = x + at,
                   .factor = line.factor.data(),
                   .offset = line.offset.data(),
                   .y = y + at,
                   .then = then});
  });
}

void batch_norm_backward(const BatchNorm& how, bool of_batch, const float* g, const float* x,
                         const BatchNormGradient& gradient) {
  if (how.rows == 0 || how.channels == 0) return;
  const Blocks blocks(how.rows, how.channels);
  const Line line(how, blocks);
  BatchNormThen then = kernel_form(how.then);
  then.sum = sum_of(how.then, gradient);
  const Sums sums = sums_of(how, blocks, line, then, g, x);
  const auto channels = static_cast<size_t>(how.channels);
  const auto rows = static_cast<double>(how.rows);
  Floats slope(channels), shift(channels);
  for (size_t c = 0; c < channels; ++c) {
    gradient.scale[c] = static_cast<float>(sums.ex[c] * how.inverse[c]);
    gradient.bias[c] = static_cast<float>(sums.e[c]);
    if (!of_batch) continue;
    const double f = line.factor[c], inverse = how.inverse[c];
    slope[c] = static_cast<float>(-f * inverse * inverse * sums.ex[c] / rows);
    shift[c] = static_cast<float>(-f * sums.e[c] / rows);
  }
  if (gradient.fake_scale != nullptr)
    *gradient.fake_scale = static_cast<float>(
        how.then.factor * (then.sum == FakeQuantSum::kAbove ? then.top : 1.0) * sums.s);
  if (gradient.fake_zero != nullptr)
    *gradient.fake_zero = static_cast<float>(-how.then.factor * double{then.scale} * sums.z);
  const Floats slopes = blocks.repeated(slope), shifts = blocks.repeated(shift);
  blocks.for_each([&](int64_t, int64_t at, int64_t count, int64_t cols) {
    row().backward({.rows = count,
                    .cols = cols,
                    .g = g + at,
                    .x = x + at,
                    .factor = line.factor.data(),
                    .offset = line.offset.data(),
                    .mean = line.mean.data(),
                    .slope = slopes.data(),
                    .shift = shifts.data(),
                    .dx = gradient.x + at,
                    .then = then});
  });
}

}  // namespace lapidary
