#include "kernels/softmax_f32/softmax_f32.h"

#include "kernels/exp_f32/scalar.h"
#include "kernels/families.h"
#include "kernels/lane_sum.h"

namespace lapidary::kernels {

namespace {

void softmax(const SoftmaxF32Args& p) {
  const int64_t x_row = p.x_row > 0 ? p.x_row : p.cols, y_row = p.y_row > 0 ? p.y_row : p.cols;
  for (int64_t r = 0; r < p.rows; ++r) {
    const float* x = p.x + r * x_row;
    const float* mask = p.mask != nullptr ? p.mask + r * p.mask_row : nullptr;
    float* y = p.y + r * y_row;
    float top = -ExpConstants::kInfinity;
    for (int64_t i = 0; i < p.cols; ++i) {
      y[i] = (x[i] * p.x_scale) * p.factor;
      if (mask != nullptr) y[i] += mask[i];
      top = y[i] > top ? y[i] : top;
    }
    const float sum =
        lane_sum(p.cols, [&](int64_t i) { return y[i] = exp_of_negative_value(y[i] - top); });
    const float inverse = 1.0f / sum;
    for (int64_t i = 0; i < p.cols; ++i) y[i] *= inverse;
  }
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const SoftmaxF32Functions name;
#include "kernels/softmax_f32/kernels.def"
#undef LAPIDARY_KERNEL

const SoftmaxF32Functions softmax_f32_scalar = {softmax};

std::span<const SoftmaxF32Kernel> softmax_f32_kernels() {
  static const SoftmaxF32Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"softmax_f32", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/softmax_f32/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> softmax_f32_rows() { return rows_of(softmax_f32_kernels()); }

Choice<SoftmaxF32Kernel> select_softmax_f32() { return choose(softmax_f32_kernels()); }

}  // namespace lapidary::kernels
