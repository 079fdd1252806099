#include "kernels/eltwise_s8/eltwise_s8.h"

#include <cmath>

#include "kernels/families.h"
#include "kernels/scalar.h"

namespace lapidary::kernels {

AddU8 add_u8(float a_scale, int a_zero, float b_scale, int b_zero, float y_scale, int y_zero,
             int shift) {
  AddU8 p;
  p.shift = shift;
  p.ra = a_scale / y_scale;
  p.rb = b_scale / y_scale;
  const float b_part = p.rb * static_cast<float>(b_zero - shift);
  p.f = static_cast<float>(y_zero - shift) -
        std::fma(p.ra, static_cast<float>(a_zero - shift), b_part);
  return p;
}

MulU8 mul_u8(float a_scale, int a_zero, float b_scale, int b_zero, float y_scale, int y_zero,
             int shift) {
  return {.a_zero = a_zero,
          .b_zero = b_zero,
          .y_zero = y_zero,
          .m = (a_scale * b_scale) / y_scale,
          .shift = shift};
}

namespace {

template <class Value>
void map_grid(const Grid& g, const uint8_t* a, const uint8_t* b, uint8_t* y, const Value& value) {
  for (int64_t r = 0; r < g.rows; ++r)
    for (int64_t c = 0; c < g.cols; ++c)
      y[r * g.y_row + c] = value(a[r * g.a_row + c * g.a_step], b[r * g.b_row + c * g.b_step]);
}

void add(const AddU8Args& p) {
  map_grid(p.grid, p.a, p.b, p.y, [&](uint8_t a, uint8_t b) { return add_value(a, b, p.add); });
}

void mul(const MulU8Args& p) {
  map_grid(p.grid, p.a, p.b, p.y, [&](uint8_t a, uint8_t b) { return mul_value(a, b, p.mul); });
}

void lut(const LutArgs& p) {
  for (int64_t r = 0; r < p.rows; ++r)
    for (int64_t c = 0; c < p.cols; ++c) p.y[r * p.y_row + c] = p.table[p.x[r * p.x_row + c]];
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const EltwiseS8Functions name;
#include "kernels/eltwise_s8/kernels.def"
#undef LAPIDARY_KERNEL

const EltwiseS8Functions eltwise_s8_scalar = {add, mul, lut};

std::span<const EltwiseS8Kernel> eltwise_s8_kernels() {
  static const EltwiseS8Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"eltwise_s8", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/eltwise_s8/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> eltwise_s8_rows() { return rows_of(eltwise_s8_kernels()); }

Choice<EltwiseS8Kernel> select_eltwise_s8() { return choose(eltwise_s8_kernels()); }

}  // namespace lapidary::kernels
