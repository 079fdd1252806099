#include "kernels/conv_s8/conv_s8.h"

#include "kernels/dw_s8/dw_s8.h"
#include "kernels/work.h"
#include "test/kernels/problems.h"
#include "test/kernels/support.h"

namespace lapidary::kernels {
namespace {

/// One convolution with everything that its arguments point to.
struct Problem {
  ConvShape shape;
  Array<uint8_t> x;
  Array<uint8_t> w;  ///< bytes of s8 or u8
  Array<int32_t> bias, w_zeros;
  Array<float> multipliers, float_bias;
  Array<uint8_t> table, residual;
  bool w_unsigned = false;
  ConvS8Args args;

  int weight(int64_t oc, int64_t ic, int64_t ky, int64_t kx) const {
    const int64_t icg = shape.in_c / shape.groups;
    const uint8_t byte = w[((oc * icg + ic) * shape.kernel_h + ky) * shape.kernel_w + kx];
    return w_unsigned ? byte : static_cast<int8_t>(byte);
  }
};

Problem draw_problem(Draw& draw, const ConvShape& s) {
  Problem p;
  p.shape = s;
  const bool extreme = draw.one_in(4);
  p.w_unsigned = draw.one_in(4);
  p.x = draw.integers<uint8_t>(s.batch * s.in_h * s.in_w * s.in_c, extreme ? 254 : 0, 255);
  const int64_t filter = s.in_c / s.groups * s.kernel_h * s.kernel_w;
  const int low = extreme && !p.w_unsigned ? 128 : 0;  // bytes 128, 129 are -128, -127
  p.w = draw.integers<uint8_t>(s.out_c * filter, low, extreme && !p.w_unsigned ? 129 : 255);
  p.bias = draw.integers<int32_t>(s.out_c, -20000, 20000);
  p.w_zeros = Array<int32_t>(s.out_c, p.w_unsigned ? 128 : 0);
  if (draw.one_in(3))
    for (int32_t& z : p.w_zeros)
      z = static_cast<int32_t>(draw.in(p.w_unsigned ? 0 : -9, p.w_unsigned ? 255 : 9));
  const float typical = 60.0f / (128.0f * 70.0f * std::sqrt(static_cast<float>(filter)));
  p.multipliers = draw.reals(s.out_c, 0.2f * typical, 3.0f * typical);
  if (draw.one_in(8)) p.multipliers = draw.reals(s.out_c, 1e5f, 1e9f);  // past int32
  p.float_bias = draw.reals(s.out_c, -3, 3);
  p.table = draw.integers<uint8_t>(256, 0, 255);
  ConvS8Args& a = p.args;
  a.shape = s;
  a.x_zero = static_cast<int>(draw.in(0, 255));
  a.y_zero = static_cast<int>(draw.in(0, 255));
  if (draw.one_in(3)) {
    a.lo = static_cast<int>(draw.in(draw.one_in(2) ? 128 : 0, 255));
    a.hi = static_cast<int>(draw.in(a.lo, 255));
  }
  a.y_stride = draw.one_in(3) ? s.out_c + draw.in(1, 9) : 0;
  a.residual.stride = draw.one_in(3) ? s.out_c + draw.in(1, 9) : 0;
  const int64_t pixels = s.batch * s.out_h * s.out_w;
  p.residual = draw.integers<uint8_t>(
      pixels * (a.residual.stride > 0 ? a.residual.stride : s.out_c), 0, 255);
  a.residual.add =
      add_u8(draw.real(0.01f, 0.1f), static_cast<int>(draw.in(0, 255)), draw.real(0.01f, 0.1f),
             static_cast<int>(draw.in(0, 255)), draw.real(0.02f, 0.1f),
             static_cast<int>(draw.in(0, 255)), draw.one_in(2) ? 128 : 0);
  if (draw.one_in(3)) a.residual.add.lo = static_cast<int>(draw.in(0, 255));
  a.residual.conv_is_a = draw.one_in(2);
  return p;
}

/// The contract's accumulator, one output at a time.
int32_t naive_acc(const Problem& p, int64_t n, int64_t oy, int64_t ox, int64_t oc) {
  const ConvShape& s = p.shape;
  const int64_t icg = s.in_c / s.groups, ic0 = oc / (s.out_c / s.groups) * icg;
  int64_t acc = p.bias[oc];
  for (int64_t ky = 0; ky < s.kernel_h; ++ky)
    for (int64_t kx = 0; kx < s.kernel_w; ++kx)
      for (int64_t i = 0; i < icg; ++i) {
        const int64_t iy = oy * s.stride_h + ky * s.dilation_h - s.pad_top;
        const int64_t ix = ox * s.stride_w + kx * s.dilation_w - s.pad_left;
        if (iy < 0 || iy >= s.in_h || ix < 0 || ix >= s.in_w) continue;
        const int x = p.x[((n * s.in_h + iy) * s.in_w + ix) * s.in_c + ic0 + i];
        acc += static_cast<int64_t>(x - p.args.x_zero) * (p.weight(oc, i, ky, kx) - p.w_zeros[oc]);
      }
  return static_cast<int32_t>(acc);
}

uint8_t naive_u8(const Problem& p, const ConvS8Args& a, int32_t acc, int64_t pixel, int64_t oc) {
  const float scaled = static_cast<float>(acc) * p.multipliers[oc];
  auto y = static_cast<uint8_t>(clamp_rint(scaled, a.y_zero, a.lo, a.hi));
  if (a.table != nullptr) y = a.table[y];
  if (a.residual.data == nullptr) return y;
  const int64_t stride = a.residual.stride > 0 ? a.residual.stride : p.shape.out_c;
  const uint8_t other = a.residual.data[pixel * stride + oc];
  const AddU8& r = a.residual.add;
  const auto own = static_cast<float>(y - r.shift), its = static_cast<float>(other - r.shift);
  const float u = a.residual.conv_is_a ? own : its, v = a.residual.conv_is_a ? its : own;
  const float sum = std::fma(u, r.ra, std::fma(v, r.rb, r.f));
  return static_cast<uint8_t>(clamp_rint(sum, r.shift, r.lo, r.hi));
}

/// The problem's weights as `kernel` orders them, with what its accumulators start from and are
/// multiplied by.
Array<uint8_t> pack(const ConvS8Kernel& kernel, const Problem& p) {
  Array<uint8_t> packed(static_cast<int64_t>(kernel.call->packed_bytes(p.shape)));
  kernel.call->pack(
      p.shape, {.data = p.w.data(), .is_unsigned = p.w_unsigned, .zero_points = p.w_zeros.data()},
      packed.data());
  set_bias(packed.data(), p.bias.data(), p.args.x_zero);
  set_multipliers(packed.data(), p.multipliers.data(), p.shape.out_c);
  return packed;
}

/// y by `kernel`, in `parts` calls over rows (or blocks), and the same by the formula.
template <class T, class Value>
void check(const ConvS8Kernel& kernel, const Problem& p, ConvS8Args a, Draw& draw,
           const Value& value) {
  const ConvShape& s = p.shape;
  const Array<uint8_t> packed = pack(kernel, p);
  Array<uint8_t> scratch(static_cast<int64_t>(kernel.call->scratch_bytes(s)));
  const int64_t pixels = s.batch * s.out_h * s.out_w,
                stride = a.y_stride > 0 ? a.y_stride : s.out_c;
  Array<T> y(pixels * stride, T{77});
  a.x = p.x.data();
  a.packed = packed.data();
  a.y = y.data();
  a.scratch = scratch.data();
  const int64_t r_stride = a.residual.stride > 0 ? a.residual.stride : s.out_c;
  if (std::is_same_v<T, uint8_t> && a.residual.data != nullptr && r_stride == stride &&
      !is_depthwise(s) && draw.one_in(2)) {  // in place
    for (int64_t i = 0; i < y.size(); ++i)
      if (i % stride < s.out_c) y[i] = static_cast<T>(p.residual[i]);
    a.residual.data = reinterpret_cast<const uint8_t*>(y.data());
  }
  const bool by_rows = draw.one_in(2);
  const int64_t count = by_rows ? work_rows(s) : kernel.call->blocks(s);
  for (int64_t begin = 0; begin < count;) {
    const int64_t end = std::min(count, begin + draw.in(1, count));
    a.range = by_rows ? WorkRange{begin, end, 0, -1} : WorkRange{0, -1, begin, end};
    kernel.call->run(a);
    begin = end;
  }
  int64_t differing = 0;
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    const int64_t ox = pixel % s.out_w, oy = pixel / s.out_w % s.out_h,
                  n = pixel / (s.out_w * s.out_h);
    for (int64_t c = 0; c < stride; ++c) {
      const T expected =
          c < s.out_c ? static_cast<T>(value(naive_acc(p, n, oy, ox, c), pixel, c)) : T{77};
      differing += y[pixel * stride + c] != expected;
    }
  }
  EXPECT_EQ(differing, 0) << shape_text(s) << (by_rows ? " by rows" : " by blocks");
}

template <class Shape>
void check_random(const ConvS8Kernel& kernel, int count, const Shape& shape) {
  Draw draw(2024);
  for (int i = 0; i < problems(count) && !testing::Test::HasFailure(); ++i) {
    const Problem p = draw_problem(draw, shape(draw));
    ConvS8Args a = p.args;
    const int64_t kind = draw.in(0, 5);
    a.output = kind == 0 ? ConvS8Output::kI32 : kind == 1 ? ConvS8Output::kF32 : ConvS8Output::kU8;
    if (kind == 2 || kind == 3) a.table = p.table.data();
    if (kind == 3 || kind == 4) a.residual.data = p.residual.data();
    if (kind == 1 && draw.one_in(2)) a.float_bias = p.float_bias.data();
    if (kind == 0) {
      check<int32_t>(kernel, p, a, draw, [](int32_t acc, int64_t, int64_t) { return acc; });
    } else if (kind == 1) {
      check<float>(kernel, p, a, draw, [&](int32_t acc, int64_t, int64_t oc) {
        const float scaled = static_cast<float>(acc) * p.multipliers[oc];
        return a.float_bias != nullptr ? scaled + a.float_bias[oc] : scaled;
      });
    } else {
      check<uint8_t>(kernel, p, a, draw, [&](int32_t acc, int64_t pixel, int64_t oc) {
        return naive_u8(p, a, acc, pixel, oc);
      });
    }
  }
}

/// run_parts however small the shape: run_conv_s8 would not cut most of them.
template <class Shape>
void check_threads(const ConvS8Kernel& kernel, const Shape& shape) {
  Draw draw(2025);
  for (int i = 0; i < problems(20); ++i) {
    const Problem p = draw_problem(draw, shape(draw));
    const ConvShape& s = p.shape;
    const Array<uint8_t> packed = pack(kernel, p);
    ConvS8Args a = p.args;
    a.x = p.x.data();
    a.packed = packed.data();
    if (draw.one_in(3)) a.table = p.table.data();
    if (draw.one_in(3)) a.residual.data = p.residual.data();
    const auto on = [&](int threads, bool whole) {
      Array<uint8_t> y(s.batch * s.out_h * s.out_w * (a.y_stride > 0 ? a.y_stride : s.out_c), 77);
      Array<uint8_t> scratch(static_cast<int64_t>(scratch_bytes(kernel, s, threads)));
      a.y = y.data();
      a.scratch = scratch.data();
      if (whole)
        kernel.call->run(a);
      else
        run_parts(kernel, a, threads);
      return y.vector();
    };
    const std::vector<uint8_t> expected = on(1, /*whole=*/true);
    for (const int threads : {1, 2, 3, 8})
      EXPECT_EQ(on(threads, /*whole=*/false), expected) << shape_text(s) << " threads " << threads;
  }
}

class ConvS8Row : public testing::TestWithParam<ConvS8Kernel> {};

TEST_P(ConvS8Row, EqualsTheFormulaOnRandomShapes) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  check_random(GetParam(), 120, [](Draw& draw) { return draw_shape(draw); });
}

TEST_P(ConvS8Row, EqualsTheFormulaWhereItsTilesChange) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  check_random(GetParam(), 60, draw_tile_shape);
}

TEST_P(ConvS8Row, GivesTheSameBitsOnAnyNumberOfThreads) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  check_threads(GetParam(), [](Draw& draw) { return draw_shape(draw); });
}

class DwS8Row : public testing::TestWithParam<ConvS8Kernel> {};

TEST_P(DwS8Row, EqualsTheFormulaOnRandomShapes) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  check_random(GetParam(), 150, [](Draw& draw) { return draw_shape(draw, true); });
}

TEST_P(DwS8Row, EqualsTheFormulaWhereItsTilesChange) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  check_random(GetParam(), 120, draw_dw_tile_shape);
}

TEST_P(DwS8Row, GivesTheSameBitsOnAnyNumberOfThreads) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  check_threads(GetParam(), [](Draw& draw) { return draw_shape(draw, true); });
}

#if defined(__x86_64__)
TEST(WithoutVbmi, ConvolutionsEqualTheFormula) {
  LAPIDARY_SKIP_WITHOUT(Isa::kAvx512Vnni);
  const WithoutVbmi without;
  const auto check_row = [](std::span<const ConvS8Kernel> kernels, const auto& shape) {
    const auto row = std::find_if(kernels.begin(), kernels.end(), [](const ConvS8Kernel& k) {
      return k.row.isa == Isa::kAvx512Vnni;
    });
    ASSERT_NE(row, kernels.end());
    check_random(*row, 60, shape);
  };
  check_row(conv_s8_kernels(), [](Draw& draw) { return draw_shape(draw); });
  check_row(dw_s8_kernels(), [](Draw& draw) { return draw_shape(draw, true); });
}
#endif

LAPIDARY_EACH_ROW(ConvS8Row, conv_s8_kernels());
LAPIDARY_EACH_ROW(DwS8Row, dw_s8_kernels());

}  // namespace
}  // namespace lapidary::kernels
