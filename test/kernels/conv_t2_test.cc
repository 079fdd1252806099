#include "kernels/conv_t2/conv_t2.h"

#include "kernels/work.h"
#include "test/kernels/problems.h"
#include "test/kernels/support.h"

namespace lapidary::kernels {
namespace {

struct Problem {
  ConvShape shape;
  Array<uint8_t> x;
  Array<int8_t> w;  ///< OIHW
  Array<int32_t> bias;
  Array<float> multipliers, float_bias;
  Array<uint8_t> table, residual;
  ConvT2Args args;
};

ConvShape draw_t2_shape(Draw& draw) {
  ConvShape s = draw.one_in(2) ? draw_tile_shape(draw) : draw_shape(draw);
  s.groups = 1;
  if (s.in_w >= 300) s.out_c = std::min<int64_t>(s.out_c, 4);
  return s;
}

Problem draw_problem(Draw& draw) {
  Problem p;
  const ConvShape s = draw_t2_shape(draw);
  p.shape = s;
  p.x = draw.integers<uint8_t>(s.batch * s.in_h * s.in_w * s.in_c, 0, 255);
  p.w = draw.integers<int8_t>(s.out_c * s.in_c * s.kernel_h * s.kernel_w, -1, 1);
  p.bias = draw.integers<int32_t>(s.out_c, -20000, 20000);
  p.multipliers = draw.reals(s.out_c, 0.001f, 0.02f);
  p.float_bias = draw.reals(s.out_c, -3, 3);
  p.table = draw.integers<uint8_t>(256, 0, 255);
  ConvT2Args& a = p.args;
  a.shape = s;
  a.x_zero = static_cast<int>(draw.in(0, 255));
  a.y_zero = static_cast<int>(draw.in(0, 255));
  a.y_stride = draw.one_in(3) ? s.out_c + draw.in(1, 9) : 0;
  a.residual.stride = draw.one_in(3) ? s.out_c + draw.in(1, 9) : 0;
  p.residual = draw.integers<uint8_t>(
      s.batch * s.out_h * s.out_w * std::max(a.residual.stride, s.out_c), 0, 255);
  a.residual.add = add_u8(0.02f, 120, 0.03f, 131, 0.04f, 99, draw.one_in(2) ? 128 : 0);
  return p;
}

/// y of the whole shape by `run(args)`, which has everything but packed weights and scratch.
template <class T, class Run>
std::vector<T> compute(const Problem& p, ConvT2Args a, const Run& run) {
  const ConvShape& s = p.shape;
  Array<T> y(s.batch * s.out_h * s.out_w * std::max(a.y_stride, s.out_c), T{77});
  a.x = p.x.data();
  a.y = y.data();
  run(a);
  return y.vector();
}

Array<uint8_t> pack(const ConvT2Kernel& kernel, const Problem& p) {
  Array<uint8_t> packed(static_cast<int64_t>(kernel.call->packed_bytes(p.shape)));
  kernel.call->pack(p.shape, {.data = p.w.data()}, packed.data());
  set_bias_t2(packed.data(), p.bias.data(), p.args.x_zero);
  set_multipliers_t2(packed.data(), p.multipliers.data(), p.shape.out_c);
  return packed;
}

int32_t naive(const Problem& p, int64_t pixel, int64_t oc) {
  const ConvShape& s = p.shape;
  const int64_t ox = pixel % s.out_w, oy = pixel / s.out_w % s.out_h;
  const int64_t n = pixel / (s.out_w * s.out_h);
  int32_t acc = p.bias[oc];
  for (int64_t ic = 0; ic < s.in_c; ++ic)
    for (int64_t ky = 0; ky < s.kernel_h; ++ky)
      for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
        const int64_t iy = oy * s.stride_h + ky * s.dilation_h - s.pad_top;
        const int64_t ix = ox * s.stride_w + kx * s.dilation_w - s.pad_left;
        if (iy < 0 || iy >= s.in_h || ix < 0 || ix >= s.in_w) continue;
        acc += (p.x[((n * s.in_h + iy) * s.in_w + ix) * s.in_c + ic] - p.args.x_zero) *
               p.w[((oc * s.in_c + ic) * s.kernel_h + ky) * s.kernel_w + kx];
      }
  return acc;
}

class ConvT2Row : public testing::TestWithParam<ConvT2Kernel> {};

TEST_P(ConvT2Row, EqualsSumsOfSingleProducts) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(81);
  for (int i = 0; i < problems(60) && !HasFailure(); ++i) {
    Problem p = draw_problem(draw);
    const ConvShape& s = p.shape;
    p.args.output = ConvS8Output::kI32;
    const Array<uint8_t> packed = pack(GetParam(), p);
    Array<uint8_t> scratch(static_cast<int64_t>(GetParam().call->scratch_bytes(s)));
    const auto y = compute<int32_t>(p, p.args, [&](ConvT2Args a) {
      a.packed = packed.data();
      a.scratch = scratch.data();
      const bool by_rows = draw.one_in(2);
      const int64_t count = by_rows ? work_rows(s) : GetParam().call->blocks(s);
      for (int64_t begin = 0, end; begin < count; begin = end) {
        end = std::min(count, begin + draw.in(1, count));
        a.range = by_rows ? WorkRange{begin, end, 0, -1} : WorkRange{0, -1, begin, end};
        GetParam().call->run(a);
      }
    });
    const int64_t stride = std::max(p.args.y_stride, s.out_c);
    int64_t differing = 0;
    for (size_t j = 0; j < y.size(); ++j) {
      const int64_t at = static_cast<int64_t>(j), c = at % stride;
      differing += y[j] != (c < s.out_c ? naive(p, at / stride, c) : 77);
    }
    EXPECT_EQ(differing, 0) << shape_text(s);
  }
}

/// Beyond sums: what conv_s8's scalar row, which a test of its own holds against the formulas,
/// makes of the same weights in whole bytes.
TEST_P(ConvT2Row, EqualsWholeBytesOnAnyNumberOfThreads) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  const ConvS8Kernel& whole = conv_s8_kernels().back();
  Draw draw(82);
  for (int i = 0; i < problems(60) && !HasFailure(); ++i) {
    Problem p = draw_problem(draw);
    const ConvShape& s = p.shape;
    const bool floats = draw.one_in(4);
    if (floats) p.args.output = ConvS8Output::kF32;
    if (draw.one_in(2)) p.args.float_bias = p.float_bias.data();
    if (draw.one_in(2)) p.args.table = p.table.data();
    if (draw.one_in(2)) p.args.residual.data = p.residual.data();
    Array<uint8_t> bytes(static_cast<int64_t>(whole.call->packed_bytes(s)));
    whole.call->pack(s, {.data = p.w.data()}, bytes.data());
    set_bias(bytes.data(), p.bias.data(), p.args.x_zero);
    set_multipliers(bytes.data(), p.multipliers.data(), s.out_c);
    const Array<uint8_t> packed = pack(GetParam(), p);
    const auto by_whole = [&](ConvT2Args a) {
      a.packed = bytes.data();
      whole.call->run(a);
    };
    for (const int threads : {1, 3}) {
      const auto by_row = [&](ConvT2Args a) {
        Array<uint8_t> scratch(static_cast<int64_t>(scratch_bytes(GetParam(), s, threads)));
        a.packed = packed.data();
        a.scratch = scratch.data();
        run_parts(GetParam(), a, threads);
      };
      if (floats)
        EXPECT_EQ(compute<float>(p, p.args, by_row), compute<float>(p, p.args, by_whole))
            << shape_text(s);
      else
        EXPECT_EQ(compute<uint8_t>(p, p.args, by_row), compute<uint8_t>(p, p.args, by_whole))
            << shape_text(s);
    }
  }
}

/// Two bits a weight, 1088 bytes a block of 32 channels beside.
TEST_P(ConvT2Row, KeepsTwoBitsAWeight) {
  ConvShape s = gemm_shape(1, 1024, 256);
  EXPECT_LE(GetParam().call->packed_bytes(s), size_t{1024 * 256 / 4 + 8 * 1400});
}

LAPIDARY_EACH_ROW(ConvT2Row, conv_t2_kernels());

}  // namespace
}  // namespace lapidary::kernels
