#include "kernels/norm_f32/norm_f32.h"

#include <cmath>

#include "kernels/families.h"
#include "kernels/lane_sum.h"
#include "kernels/scalar.h"

namespace lapidary::kernels {

namespace {

void normalize(const NormF32Args& p) {
  const float count = static_cast<float>(p.cols);
  for (int64_t r = 0; r < p.rows; ++r) {
    const int64_t at = r * p.cols;
    const auto x = [&](int64_t i) {
      if (p.x != nullptr) return p.x[at + i];
      return static_cast<float>(p.x_bytes[at + i] - p.x_zero) * p.x_scale;
    };
    const float mean = p.centred ? lane_sum(p.cols, x) / count : 0.0f;
    const float squares =
        lane_sum(p.cols, [&](int64_t i) { return (x(i) - mean) * (x(i) - mean); });
    const float inverse = 1.0f / std::sqrt(squares / count + p.epsilon);
    for (int64_t i = 0; i < p.cols; ++i) {
      float v = (x(i) - mean) * inverse;
      if (p.scale != nullptr) v *= p.scale[i];
      if (p.bias != nullptr) v += p.bias[i];
      if (p.y != nullptr)
        p.y[at + i] = v;
      else
        p.y_bytes[at + i] = static_cast<uint8_t>(saturate_rint(v / p.y_scale, p.y_zero, 0, 255));
    }
  }
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const NormF32Functions name;
#include "kernels/norm_f32/kernels.def"
#undef LAPIDARY_KERNEL

const NormF32Functions norm_f32_scalar = {normalize};

std::span<const NormF32Kernel> norm_f32_kernels() {
  static const NormF32Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"norm_f32", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/norm_f32/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> norm_f32_rows() { return rows_of(norm_f32_kernels()); }

Choice<NormF32Kernel> select_norm_f32() { return choose(norm_f32_kernels()); }

}  // namespace lapidary::kernels
