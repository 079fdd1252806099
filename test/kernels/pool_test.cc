#include "kernels/pool/pool.h"

#include "test/kernels/support.h"

namespace lapidary::kernels {
namespace {

struct Problem {
  PoolArgs args;
  int64_t stride, pixels;
  std::vector<std::vector<int64_t>> windows;  ///< of each output pixel: input offsets of channel 0
};

/// A window whose padding is less than its reach, so that no window is empty; sometimes the whole
/// image.
Problem draw_problem(Draw& draw) {
  Problem p;
  ConvShape& s = p.args.shape;
  s = draw_shape(draw, true);
  if (draw.one_in(4)) {
    s.kernel_h = s.in_h, s.kernel_w = s.in_w, s.out_h = s.out_w = 1, s.pad_top = s.pad_left = 0;
    s.dilation_h = s.dilation_w = 1;
  }
  p.args.count_include_pad = draw.one_in(3);
  p.args.y_stride = draw.one_in(3) ? s.out_c + draw.in(1, 9) : 0;
  p.stride = p.args.y_stride > 0 ? p.args.y_stride : s.out_c;
  p.pixels = s.batch * s.out_h * s.out_w;
  for (int64_t pixel = 0; pixel < p.pixels; ++pixel) {
    std::vector<int64_t> window;
    for (int64_t ky = 0; ky < s.kernel_h; ++ky)
      for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
        const int64_t iy = pixel / s.out_w % s.out_h * s.stride_h + ky * s.dilation_h - s.pad_top;
        const int64_t ix = pixel % s.out_w * s.stride_w + kx * s.dilation_w - s.pad_left;
        if (iy < 0 || iy >= s.in_h || ix < 0 || ix >= s.in_w) continue;
        window.push_back(((pixel / (s.out_w * s.out_h) * s.in_h + iy) * s.in_w + ix) * s.in_c);
      }
    p.windows.push_back(window);
  }
  return p;
}

/// y by `function` in two calls, against value(window's inputs, divisor).
template <class T, class Value>
void check(void (*function)(const PoolArgs&), Problem& p, const Array<T>& x, const Value& value) {
  const ConvShape& s = p.args.shape;
  Array<T> y(p.pixels * p.stride, T{77});
  p.args.x = x.data();
  p.args.y = y.data();
  const int64_t rows = s.batch * s.out_h;
  p.args.row_begin = 0, p.args.row_end = rows / 2;
  function(p.args);
  p.args.row_begin = rows / 2, p.args.row_end = -1;
  function(p.args);
  int64_t differing = 0;
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t pixel = i / p.stride, c = i % p.stride;
    if (c >= s.out_c) {
      differing += y[i] != T{77};
      continue;
    }
    std::vector<T> inputs;
    for (const int64_t at : p.windows[static_cast<size_t>(pixel)]) inputs.push_back(x[at + c]);
    if (inputs.empty()) continue;  // the contract asks for one
    const int64_t n =
        p.args.count_include_pad ? s.kernel_h * s.kernel_w : static_cast<int64_t>(inputs.size());
    const T expected = value(inputs, n);
    differing += !(y[i] == expected || (y[i] != y[i] && expected != expected));
  }
  EXPECT_EQ(differing, 0) << shape_text(s);
}

class PoolRow : public testing::TestWithParam<PoolKernel> {};

TEST_P(PoolRow, BytesEqualTheFormula) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(31);
  for (int i = 0; i < 80 && !HasFailure(); ++i) {
    Problem p = draw_problem(draw);
    PoolArgs& a = p.args;
    a.x_scale = draw.real(0.01f, 0.2f), a.y_scale = draw.real(0.01f, 0.1f);
    a.x_zero = static_cast<int>(draw.in(0, 255)), a.y_zero = static_cast<int>(draw.in(0, 255));
    if (draw.one_in(3)) a.lo = 3, a.hi = 200;
    const ConvShape& s = a.shape;
    const auto x = draw.integers<uint8_t>(s.batch * s.in_h * s.in_w * s.in_c, 0, 255);
    check<uint8_t>(GetParam().call->max_u8, p, x, [](const std::vector<uint8_t>& v, int64_t) {
      return *std::max_element(v.begin(), v.end());
    });
    check<uint8_t>(GetParam().call->average_u8, p, x,
                   [&](const std::vector<uint8_t>& v, int64_t n) {
                     int sum = 0;
                     for (const uint8_t q : v) sum += q - a.x_zero;
                     const float m = a.x_scale / (static_cast<float>(n) * a.y_scale);
                     return static_cast<uint8_t>(
                         clamp_rint(static_cast<float>(sum) * m, a.y_zero, a.lo, a.hi));
                   });
  }
}

TEST_P(PoolRow, FloatsEqualTheFormula) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(32);
  for (int i = 0; i < 80 && !HasFailure(); ++i) {
    Problem p = draw_problem(draw);
    const ConvShape& s = p.args.shape;
    Array<float> x = draw.reals(s.batch * s.in_h * s.in_w * s.in_c, -4, 4);
    check<float>(GetParam().call->average_f32, p, x, [](const std::vector<float>& v, int64_t n) {
      float sum = 0;
      for (const float q : v) sum += q;
      return sum / static_cast<float>(n);
    });
    for (float& v : x)
      if (draw.one_in(20)) v = std::numeric_limits<float>::quiet_NaN();
    check<float>(GetParam().call->max_f32, p, x, [](const std::vector<float>& v, int64_t) {
      float most = -std::numeric_limits<float>::infinity();
      for (const float q : v) most = std::isnan(q) || std::isnan(most) ? NAN : std::max(most, q);
      return most;
    });
  }
}

LAPIDARY_EACH_ROW(PoolRow, pool_kernels());

}  // namespace
}  // namespace lapidary::kernels
