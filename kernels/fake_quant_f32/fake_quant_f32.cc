#include "kernels/fake_quant_f32/fake_quant_f32.h"

#include "kernels/fake_quant_f32/scalar.h"
#include "kernels/families.h"
#include "kernels/lane_sum.h"

namespace lapidary::kernels {

using fake::step;
using fake::value;

namespace {

float total(float* lanes) {
  for (int64_t half = kSumLanes / 2; half > 0; half /= 2)
    for (int64_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  return lanes[0];
}

void forward(const FakeQuantArgs& p) {
  const auto lo = static_cast<float>(p.lo), hi = static_cast<float>(p.hi);
  for (int64_t i = 0; i < p.count; ++i) p.y[i] = value(p.x[i], p.scale, lo, hi);
}

void backward(const FakeQuantBackwardArgs& p) {
  const auto lo = static_cast<float>(p.lo), hi = static_cast<float>(p.hi);
  for (int64_t begin = 0, b = 0; begin < p.count; begin += kFakeQuantBlock, ++b) {
    float s[kSumLanes] = {}, z[kSumLanes] = {};
    for (int64_t i = begin; i < p.count && i < begin + kFakeQuantBlock; ++i) {
      const int64_t l = (i - begin) % kSumLanes;
      p.dx[i] = step(p.sum, p.g[i], p.x[i], p.scale, lo, hi, s[l], z[l]);
    }
    if (p.sum != FakeQuantSum::kNone) p.s[b] = total(s);
    if (p.sum == FakeQuantSum::kScaleAndZero) p.z[b] = total(z);
  }
}

void columns_forward(const FakeQuantColumnsArgs& p) {
  for (int64_t r = 0; r < p.rows; ++r)
    for (int64_t c = 0; c < p.cols; ++c)
      p.y[r * p.cols + c] = value(p.x[r * p.cols + c], p.scale[c], p.lo[c], p.hi[c]);
}

void columns_backward(const FakeQuantColumnsBackwardArgs& p) {
  for (int64_t r = 0; r < p.rows; ++r)
    for (int64_t c = 0; c < p.cols; ++c) {
      const int64_t i = r * p.cols + c;
      float s = p.s != nullptr ? p.s[c] : 0, z = p.z != nullptr ? p.z[c] : 0;
      p.dx[i] = step(p.sum, p.g[i], p.x[i], p.scale[c], p.lo[c], p.hi[c], s, z);
      if (p.sum != FakeQuantSum::kNone) p.s[c] = s;
      if (p.sum == FakeQuantSum::kScaleAndZero) p.z[c] = z;
    }
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const FakeQuantF32Functions name;
#include "kernels/fake_quant_f32/kernels.def"
#undef LAPIDARY_KERNEL

const FakeQuantF32Functions fake_quant_f32_scalar = {forward, backward, columns_forward,
                                                     columns_backward};

std::span<const FakeQuantF32Kernel> fake_quant_f32_kernels() {
  static const FakeQuantF32Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"fake_quant_f32", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/fake_quant_f32/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> fake_quant_f32_rows() { return rows_of(fake_quant_f32_kernels()); }

Choice<FakeQuantF32Kernel> select_fake_quant_f32() { return choose(fake_quant_f32_kernels()); }

}  // namespace lapidary::kernels
