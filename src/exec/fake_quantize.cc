#include "src/exec/fake_quantize.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/fake_quant_f32/fake_quant_f32.h"
#include "src/base/parallel.h"
#include "src/ops/fake_quantize.h"

namespace lapidary {

namespace {

using kernels::FakeQuantSum;
using kernels::kFakeQuantBlock;

constexpr int64_t kGrain = 16384;  // elements that are worth a thread
/// Shorter runs of one scale are taken as columns.
constexpr int64_t kShortRun = 32;
/// Rows whose sum down a column is one float32.
constexpr int64_t kColumnRows = 256;

int64_t blocks_of(int64_t count) { return (count + kFakeQuantBlock - 1) / kFakeQuantBlock; }

/// Scale and levels per slice, repeated for each of `inner` neighbours.
struct Levels {
  std::vector<float> scale, lo, hi;
  Levels(const FakeQuantize& how, int64_t inner) {
    for (int64_t c = 0; c < how.slices; ++c) {
      const double zero =
          how.zero_point == nullptr
              ? 0
              : std::clamp<double>(std::nearbyint(how.zero_point[c]), how.qmin, how.qmax);
      const auto n = static_cast<size_t>(inner);
      scale.insert(scale.end(), n, std::max(how.scale[c], kLeastFakeScale));
      lo.insert(lo.end(), n, static_cast<float>(how.qmin - zero));
      hi.insert(hi.end(), n, static_cast<float>(how.qmax - zero));
    }
  }
};

bool by_columns(const FakeQuantize& how) {
  return how.slices > 1 && how.inner < kShortRun && how.outer > 1;
}

/// The tensor as runs of one scale; those of slice c are c, c + slices, ...
struct Runs {
  int64_t count, length, grain;
  explicit Runs(const FakeQuantize& how)
      : count(how.slices == 1 ? 1 : how.outer * how.slices),
        length(how.slices == 1 ? how.outer * how.inner : how.inner),
        grain(std::max<int64_t>(1, kGrain / std::max<int64_t>(length, 1))) {}
};

/// part(begin, count, slice, first block) for parts of whole blocks of each run, on all threads.
template <class Part>
void for_runs(const FakeQuantize& how, const Part& part) {
  const Runs runs(how);
  const int64_t blocks = blocks_of(runs.length);
  if (runs.count == 1)
    return parallel_for(blocks, kGrain / kFakeQuantBlock, [&](int64_t begin, int64_t end, int) {
      const int64_t from = begin * kFakeQuantBlock;
      part(from, std::min(end * kFakeQuantBlock, runs.length) - from, 0, begin);
    });
  parallel_for(runs.count, runs.grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r)
      part(r * runs.length, runs.length, r % how.slices, r * blocks);
  });
}

FakeQuantSum sum_of(const FakeQuantizeGradient& gradient) {
  if (gradient.kind == "pact")
    return gradient.scale != nullptr ? FakeQuantSum::kAbove : FakeQuantSum::kNone;
  if (gradient.kind != "lsq") return FakeQuantSum::kNone;
  if (gradient.zero_point != nullptr) return FakeQuantSum::kScaleAndZero;
  return gradient.scale != nullptr ? FakeQuantSum::kScale : FakeQuantSum::kNone;
}

struct Totals {
  std::vector<double> s, z;
};

Totals backward_runs(const FakeQuantize& how, const Levels& levels, const float* g, const float* x,
                     float* dx, FakeQuantSum sum) {
  const Runs runs(how);
  const int64_t blocks = blocks_of(runs.length);
  const bool any = sum != FakeQuantSum::kNone, both = sum == FakeQuantSum::kScaleAndZero;
  const auto size = static_cast<size_t>(runs.count * blocks);
  std::vector<float> s(any ? size : 0), z(both ? size : 0);
  const auto& row = *kernels::select_fake_quant_f32().kernel->call;
  for_runs(how, [&](int64_t at, int64_t count, int64_t slice, int64_t block) {
    const auto c = static_cast<size_t>(slice);
    row.backward({.count = count,
                  .g = g + at,
                  .x = x + at,
                  .dx = dx + at,
                  .scale = levels.scale[c],
                  .lo = static_cast<int>(levels.lo[c]),
                  .hi = static_cast<int>(levels.hi[c]),
                  .sum = sum,
                  .s = any ? s.data() + block : nullptr,
                  .z = both ? z.data() + block : nullptr});
  });
  Totals totals{std::vector<double>(levels.scale.size()), std::vector<double>(levels.scale.size())};
  for (size_t i = 0; i < size; ++i) {
    const size_t c = i / static_cast<size_t>(blocks) % levels.scale.size();
    if (any) totals.s[c] += s[i];
    if (both) totals.z[c] += z[i];
  }
  return totals;
}

Totals backward_columns(const FakeQuantize& how, const float* g, const float* x, float* dx,
                        FakeQuantSum sum) {
  const Levels levels(how, how.inner);
  const int64_t cols = how.slices * how.inner;
  const int64_t chunks = (how.outer + kColumnRows - 1) / kColumnRows;
  const bool any = sum != FakeQuantSum::kNone, both = sum == FakeQuantSum::kScaleAndZero;
  std::vector<float> s(any ? static_cast<size_t>(chunks * cols) : 0),
      z(both ? static_cast<size_t>(chunks * cols) : 0);
  const auto& row = *kernels::select_fake_quant_f32().kernel->call;
  parallel_for(chunks, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t k = begin; k < end; ++k) {
      const int64_t first = k * kColumnRows, at = first * cols;
      row.columns_backward({.rows = std::min(kColumnRows, how.outer - first),
                            .cols = cols,
                            .g = g + at,
                            .x = x + at,
                            .dx = dx + at,
                            .scale = levels.scale.data(),
                            .lo = levels.lo.data(),
                            .hi = levels.hi.data(),
                            .sum = sum,
                            .s = any ? s.data() + k * cols : nullptr,
                            .z = both ? z.data() + k * cols : nullptr});
    }
  });
  const auto slices = static_cast<size_t>(how.slices);
  Totals totals{std::vector<double>(slices), std::vector<double>(slices)};
  for (int64_t i = 0; i < chunks * cols; ++i) {
    const auto c = static_cast<size_t>(i % cols / how.inner);
    if (any) totals.s[c] += s[static_cast<size_t>(i)];
    if (both) totals.z[c] += z[static_cast<size_t>(i)];
  }
  return totals;
}

}  // namespace

void fake_quantize(const FakeQuantize& how, const float* x, float* y) {
  const auto& row = *kernels::select_fake_quant_f32().kernel->call;
  if (!by_columns(how)) {
    const Levels levels(how, 1);
    return for_runs(how, [&](int64_t at, int64_t count, int64_t slice, int64_t) {
      const auto c = static_cast<size_t>(slice);
      row.forward({.count = count,
                   .x = x + at,
                   .y = y + at,
                   .scale = levels.scale[c],
                   .lo = static_cast<int>(levels.lo[c]),
                   .hi = static_cast<int>(levels.hi[c])});
    });
  }
  const Levels levels(how, how.inner);
  const int64_t cols = how.slices * how.inner;
  parallel_for(how.outer, std::max<int64_t>(1, kGrain / cols),
               [&](int64_t begin, int64_t end, int) {
                 row.columns_forward({.rows = end - begin,
                                      .cols = cols,
                                      .x = x + begin * cols,
                                      .y = y + begin * cols,
                                      .scale = levels.scale.data(),
                                      .lo = levels.lo.data(),
                                      .hi = levels.hi.data()});
               });
}

void fake_quantize_backward(const FakeQuantize& how, const float* g, const float* x,
                            const FakeQuantizeGradient& gradient) {
  const FakeQuantSum sum = sum_of(gradient);
  const Levels levels(how, 1);
  const Totals totals = by_columns(how) ? backward_columns(how, g, x, gradient.x, sum)
                                        : backward_runs(how, levels, g, x, gradient.x, sum);
  for (size_t c = 0; c < levels.scale.size(); ++c) {
    const double unit = sum == FakeQuantSum::kAbove ? levels.hi[c] : 1.0;
    if (gradient.scale != nullptr)
      gradient.scale[c] = static_cast<float>(gradient.factor * unit * totals.s[c]);
    if (gradient.zero_point != nullptr)
      gradient.zero_point[c] = static_cast<float>(-gradient.factor * levels.scale[c] * totals.z[c]);
  }
}

}  // namespace lapidary
