#pragma once

#include "kernels/row.h"

namespace lapidary::kernels {

/// Two operands and a result as `rows` x `cols` elements. Element (r, c) of a is a[r*a_row +
/// c*a_step]; a step or row distance of 0 broadcasts. The result is y[r*y_row + c]. Distances are
/// in elements.
struct Grid {
  int64_t rows = 1, cols = 0;
  int64_t a_row = 0, a_step = 1;
  int64_t b_row = 0, b_step = 1;
  int64_t y_row = 0;
};

/// QLinearAdd: y = clamp(rint(fma(a - shift, ra, fma(b - shift, rb, f))) + shift, lo, hi) in
/// float32, half to even. `shift` is 128 for s8 values, which lie with 128 added: float32 rounds
/// the formula of values other than that of their bytes.
struct AddU8 {
  float ra = 0, rb = 0, f = 0;
  int lo = 0, hi = 255;
  int shift = 0;  ///< 0 or 128
};
/// ra = sa/sy, rb = sb/sy, f = zy - fma(ra, za, rb*zb), each step rounded to float32. Zero points
/// are given as the bytes lie and enter the formula without `shift`.
AddU8 add_u8(float a_scale, int a_zero, float b_scale, int b_zero, float y_scale, int y_zero,
             int shift = 0);

/// QLinearMul: y = clamp(rint(float((a - a_zero) * (b - b_zero)) * m + float(y_zero - shift)) +
/// shift, lo, hi).
struct MulU8 {
  int a_zero = 0, b_zero = 0, y_zero = 0;
  float m = 0;  ///< (sa * sb) / sy
  int lo = 0, hi = 255;
  int shift = 0;  ///< as for AddU8
};
MulU8 mul_u8(float a_scale, int a_zero, float b_scale, int b_zero, float y_scale, int y_zero,
             int shift = 0);

struct AddU8Args {
  Grid grid;
  const uint8_t* a = nullptr;
  const uint8_t* b = nullptr;
  uint8_t* y = nullptr;  ///< may be a or b where the distances agree
  AddU8 add;
};
struct MulU8Args {
  Grid grid;
  const uint8_t* a = nullptr;
  const uint8_t* b = nullptr;
  uint8_t* y = nullptr;  ///< may be a or b where the distances agree
  MulU8 mul;
};
/// y[r*y_row + c] = table[x[r*x_row + c]]: any function of one 8-bit input (requantization,
/// Sigmoid, LeakyRelu, an input of Concat).
struct LutArgs {
  int64_t rows = 1, cols = 0;
  int64_t x_row = 0, y_row = 0;
  const uint8_t* x = nullptr;
  uint8_t* y = nullptr;            ///< may be x
  const uint8_t* table = nullptr;  ///< 256 bytes
};

struct EltwiseS8Functions {
  void (*add)(const AddU8Args&);
  void (*mul)(const MulU8Args&);
  void (*lut)(const LutArgs&);
};
struct EltwiseS8Kernel {
  RowInfo row;
  const EltwiseS8Functions* call;
};

std::span<const EltwiseS8Kernel> eltwise_s8_kernels();
Choice<EltwiseS8Kernel> select_eltwise_s8();

}  // namespace lapidary::kernels
