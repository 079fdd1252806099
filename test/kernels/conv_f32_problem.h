#pragma once

#include "kernels/conv_f32/conv_f32.h"
#include "test/kernels/support.h"

// Random convolutions of floats and their sums in double, for every family with conv_f32's
// contract.
namespace lapidary::kernels {

/// Of the scalar rows, against a sum in double, per unit of the sum of |terms|.
inline constexpr float kScalarTolerance = 2e-6f;

struct Problem {
  ConvShape shape;
  Array<float> x, w, bias, residual;
  ConvF32Args args;
  /// x and w as a family of narrower factors multiplies them; empty: as they are.
  Array<float> rounded_x, rounded_w;
};

inline Problem draw_problem(Draw& draw, const ConvShape& s) {
  Problem p;
  p.shape = s;
  p.x = draw.reals(s.batch * s.in_h * s.in_w * s.in_c, -2, 2);
  p.w = draw.reals(s.out_c * s.in_c / s.groups * s.kernel_h * s.kernel_w, -1, 1);
  p.bias = draw.reals(s.out_c, -3, 3);
  ConvF32Args& a = p.args;
  a.shape = s;
  a.y_stride = draw.one_in(3) ? s.out_c + draw.in(1, 9) : 0;
  a.residual_stride = draw.one_in(3) ? s.out_c + draw.in(1, 9) : 0;
  const int64_t stride = a.residual_stride > 0 ? a.residual_stride : s.out_c;
  p.residual = draw.reals(s.batch * s.out_h * s.out_w * stride, -2, 2);
  if (draw.one_in(2)) a.residual = p.residual.data();
  if (draw.one_in(3)) a.activation.slope = 0.1f;
  if (draw.one_in(3)) a.activation.lo = 0.0f;
  if (draw.one_in(3)) a.activation.hi = 6.0f;
  return p;
}

inline double activate(double v, const ActivationF32& p) {
  return std::min<double>(p.hi, std::max<double>(p.lo, v < 0 ? p.slope * v : v));
}

struct Sum {
  double value, magnitude;
};

/// The contract's sum, in double, before the activation.
inline Sum naive(const Problem& p, int64_t n, int64_t oy, int64_t ox, int64_t oc) {
  const ConvShape& s = p.shape;
  const int64_t icg = s.in_c / s.groups, ic0 = oc / (s.out_c / s.groups) * icg;
  const Array<float>& x = p.rounded_x.size() > 0 ? p.rounded_x : p.x;
  const Array<float>& w = p.rounded_w.size() > 0 ? p.rounded_w : p.w;
  Sum sum{p.bias[oc], std::abs(p.bias[oc])};
  for (int64_t ky = 0; ky < s.kernel_h; ++ky)
    for (int64_t kx = 0; kx < s.kernel_w; ++kx)
      for (int64_t i = 0; i < icg; ++i) {
        const int64_t iy = oy * s.stride_h + ky * s.dilation_h - s.pad_top;
        const int64_t ix = ox * s.stride_w + kx * s.dilation_w - s.pad_left;
        if (iy < 0 || iy >= s.in_h || ix < 0 || ix >= s.in_w) continue;
        const double term = double{x[((n * s.in_h + iy) * s.in_w + ix) * s.in_c + ic0 + i]} *
                            w[((oc * icg + i) * s.kernel_h + ky) * s.kernel_w + kx];
        sum.value += term;
        sum.magnitude += std::abs(term);
      }
  return sum;
}

inline Array<float> compute(const ConvF32Kernel& kernel, const Problem& p, Draw& draw) {
  const ConvShape& s = p.shape;
  Array<uint8_t> packed(static_cast<int64_t>(kernel.call->packed_bytes(s)));
  Array<uint8_t> scratch(static_cast<int64_t>(kernel.call->scratch_bytes(s)));
  kernel.call->pack(s, {.data = p.w.data(), .bias = p.bias.data()}, packed.data());
  ConvF32Args a = p.args;
  Array<float> y(s.batch * s.out_h * s.out_w * (a.y_stride > 0 ? a.y_stride : s.out_c), 77.0f);
  a.x = p.x.data();
  a.packed = packed.data();
  a.y = y.data();
  a.scratch = scratch.data();
  if (a.residual != nullptr && a.y_stride == a.residual_stride && !is_depthwise(s) &&
      draw.one_in(2)) {  // in place
    const int64_t stride = a.y_stride > 0 ? a.y_stride : s.out_c;
    for (int64_t i = 0; i < y.size(); ++i)
      if (i % stride < s.out_c) y[i] = p.residual[i];
    a.residual = y.data();
  }
  const bool by_rows = draw.one_in(2);
  const int64_t count = by_rows ? work_rows(s) : kernel.call->blocks(s);
  for (int64_t begin = 0; begin < count;) {
    const int64_t end = std::min(count, begin + draw.in(1, count));
    a.range = by_rows ? WorkRange{begin, end, 0, -1} : WorkRange{0, -1, begin, end};
    kernel.call->run(a);
    begin = end;
  }
  return y;
}

/// `kernel` against the scalar row, and the scalar row against the sum in double.
inline void check(const ConvF32Kernel& kernel, const ConvF32Kernel& scalar, const Problem& p,
                  Draw& draw) {
  const ConvShape& s = p.shape;
  const Array<float> y = compute(kernel, p, draw), by_scalar = compute(scalar, p, draw);
  const int64_t stride = p.args.y_stride > 0 ? p.args.y_stride : s.out_c;
  const int64_t residual_stride = p.args.residual_stride > 0 ? p.args.residual_stride : s.out_c;
  int64_t differing = 0;
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t pixel = i / stride, c = i % stride;
    if (c >= s.out_c) {
      differing += y[i] != 77.0f;
      continue;
    }
    Sum sum = naive(p, pixel / (s.out_w * s.out_h), pixel / s.out_w % s.out_h, pixel % s.out_w, c);
    if (p.args.residual != nullptr) {
      const float r = p.residual[pixel * residual_stride + c];
      sum = {sum.value + r, sum.magnitude + std::abs(r)};
    }
    const double expected = activate(sum.value, p.args.activation);
    differing += !(std::abs(by_scalar[i] - expected) <= kScalarTolerance * sum.magnitude);
    differing += !(std::abs(y[i] - by_scalar[i]) <= kernel.row.tolerance * sum.magnitude);
  }
  EXPECT_EQ(differing, 0) << shape_text(s);
}

}  // namespace lapidary::kernels
