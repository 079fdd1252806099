#include "kernels/batch_norm_f32/batch_norm_f32.h"

#include <cmath>

#include "kernels/fake_quant_f32/scalar.h"
#include "kernels/families.h"

namespace lapidary::kernels {

namespace {

using Kind = BatchNormThen::Kind;

float value(const BatchNormThen& then, float h) {
  if (then.kind == Kind::kFakeQuantize)
    return fake::value(h, then.scale, static_cast<float>(then.bottom),
                       static_cast<float>(then.top));
  if (then.kind == Kind::kNone) return h;
  const float low = then.lo > h ? then.lo : h;
  return then.hi < low ? then.hi : low;
}

/// e; what the element adds to s and z.
float gradient(const BatchNormThen& then, FakeQuantSum sum, float h, float g, float& s, float& z) {
  if (then.kind == Kind::kFakeQuantize)
    return fake::step(sum, g, h, then.scale, static_cast<float>(then.bottom),
                      static_cast<float>(then.top), s, z);
  if (then.kind == Kind::kNone) return g;
  return h - then.least < 0 || then.most - h < 0 ? 0 : g;
}

/// Sum of term(row) in four sums.
template <class Term>
float total(int64_t rows, const Term& term) {
  float sums[4] = {};
  for (int64_t r = 0; r < rows; ++r) sums[r % 4] = term(r, sums[r % 4]);
  return (sums[0] + sums[2]) + (sums[1] + sums[3]);
}

void moments(const BatchNormMomentsArgs& p) {
  const float share = 1.0f / static_cast<float>(p.rows);
  for (int64_t c = 0; c < p.cols; ++c) {
    const float* x = p.x + c;
    const float mean = total(p.rows, [&](int64_t r, float sum) { return sum + x[r * p.cols]; });
    p.mean[c] = mean * share;
    p.squares[c] = total(p.rows, [&](int64_t r, float sum) {
      const float d = x[r * p.cols] - p.mean[c];
      return std::fma(d, d, sum);
    });
  }
}

void forward(const BatchNormForwardArgs& p) {
  for (int64_t i = 0; i < p.rows * p.cols; ++i) {
    const int64_t c = i % p.cols;
    p.y[i] = value(p.then, std::fma(p.x[i], p.factor[c], p.offset[c]));
  }
}

void sums(const BatchNormSumsArgs& p) {
  for (int64_t c = 0; c < p.cols; ++c) {
    float e = 0, ex = 0, s = 0, z = 0;
    for (int64_t i = c; i < p.rows * p.cols; i += p.cols) {
      const float h = std::fma(p.x[i], p.factor[c], p.offset[c]);
      const float g = gradient(p.then, p.then.sum, h, p.g[i], s, z);
      e += g;
      ex = std::fma(g, p.x[i] - p.mean[c], ex);
    }
    p.e[c] = e;
    p.ex[c] = ex;
    if (p.then.kind != Kind::kFakeQuantize || p.then.sum == FakeQuantSum::kNone) continue;
    p.s[c] = s;
    if (p.then.sum == FakeQuantSum::kScaleAndZero) p.z[c] = z;
  }
}

void backward(const BatchNormBackwardArgs& p) {
  float s = 0, z = 0;
  for (int64_t i = 0; i < p.rows * p.cols; ++i) {
    const int64_t c = i % p.cols;
    const float h = std::fma(p.x[i], p.factor[c], p.offset[c]);
    const float e = gradient(p.then, FakeQuantSum::kNone, h, p.g[i], s, z);
    p.dx[i] = std::fma(e, p.factor[c], std::fma(p.x[i] - p.mean[c], p.slope[c], p.shift[c]));
  }
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const BatchNormF32Functions name;
#include "kernels/batch_norm_f32/kernels.def"
#undef LAPIDARY_KERNEL

const BatchNormF32Functions batch_norm_f32_scalar = {moments, forward, sums, backward};

std::span<const BatchNormF32Kernel> batch_norm_f32_kernels() {
  static const BatchNormF32Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"batch_norm_f32", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/batch_norm_f32/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> batch_norm_f32_rows() { return rows_of(batch_norm_f32_kernels()); }

Choice<BatchNormF32Kernel> select_batch_norm_f32() { return choose(batch_norm_f32_kernels()); }

}  // namespace lapidary::kernels
