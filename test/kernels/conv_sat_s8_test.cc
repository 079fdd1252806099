#include "kernels/conv_sat_s8/conv_sat_s8.h"

#include "test/kernels/support.h"

namespace lapidary::kernels {
namespace {

/// A convolution, s8 weights OIHW.
struct Problem {
  ConvShape shape;
  Array<uint8_t> x;
  Array<int8_t> w;
  Array<int32_t> bias, w_zeros;
  int x_zero = 0;
};

struct Result {
  std::vector<int32_t> acc;
  int64_t saturated = 0;
};

Result run(const ConvSatS8Kernel& kernel, const Problem& p, int threads = 1) {
  const ConvShape& s = p.shape;
  Array<uint8_t> packed(static_cast<int64_t>(kernel.call->packed_bytes(s)));
  Array<uint8_t> scratch(static_cast<int64_t>(scratch_bytes(kernel, s, threads)));
  kernel.call->pack(s, {.data = p.w.data(), .zero_points = p.w_zeros.data()}, packed.data());
  set_bias(packed.data(), p.bias.data(), p.x_zero);
  Array<int32_t> y(s.batch * s.out_h * s.out_w * s.out_c, 77);
  Result out;
  ConvSatS8Args a;
  a.shape = s;
  a.x = p.x.data();
  a.packed = packed.data();
  a.y = y.data();
  a.output = ConvS8Output::kI32;
  a.x_zero = p.x_zero;
  a.saturated = &out.saturated;
  a.scratch = scratch.data();
  run_conv_sat_s8(kernel, a, threads);
  out.acc = y.vector();
  return out;
}

/// The contract, one output at a time.
Result naive(const Problem& p) {
  const ConvShape& s = p.shape;
  const int64_t icg = s.in_c / s.groups;
  Result out;
  for (int64_t pixel = 0; pixel < s.batch * s.out_h * s.out_w; ++pixel) {
    const int64_t ox = pixel % s.out_w, oy = pixel / s.out_w % s.out_h,
                  n = pixel / (s.out_w * s.out_h);
    for (int64_t oc = 0; oc < s.out_c; ++oc) {
      std::vector<int> x, w;
      for (int64_t ky = 0; ky < s.kernel_h; ++ky)
        for (int64_t kx = 0; kx < s.kernel_w; ++kx)
          for (int64_t i = 0; i < icg; ++i) {
            const int64_t iy = oy * s.stride_h + ky * s.dilation_h - s.pad_top;
            const int64_t ix = ox * s.stride_w + kx * s.dilation_w - s.pad_left;
            const bool inside = iy >= 0 && iy < s.in_h && ix >= 0 && ix < s.in_w;
            const int64_t ic = oc / (s.out_c / s.groups) * icg + i;
            x.push_back(inside ? p.x[((n * s.in_h + iy) * s.in_w + ix) * s.in_c + ic] : p.x_zero);
            w.push_back(p.w[((oc * icg + i) * s.kernel_h + ky) * s.kernel_w + kx]);
          }
      int64_t acc = p.bias[oc];
      for (size_t k = 0; k < x.size(); ++k)
        acc -= int64_t{p.x_zero} * (w[k] - p.w_zeros[oc]) + int64_t{p.w_zeros[oc]} * x[k];
      for (size_t k = 0; k < x.size(); k += 2) {
        const int pair = x[k] * w[k] + (k + 1 < x.size() ? x[k + 1] * w[k + 1] : 0);
        out.saturated += pair < -32768 || pair > 32767;
        acc += std::clamp(pair, -32768, 32767);
      }
      out.acc.push_back(static_cast<int32_t>(acc));
    }
  }
  return out;
}

Problem plain(const ConvShape& s) {
  const int64_t filter = s.in_c / s.groups * s.kernel_h * s.kernel_w;
  return {.shape = s,
          .x = Array<uint8_t>(s.batch * s.in_h * s.in_w * s.in_c, 255),
          .w = Array<int8_t>(s.out_c * filter, 0),
          .bias = Array<int32_t>(s.out_c, 0),
          .w_zeros = Array<int32_t>(s.out_c, 0)};
}

class ConvSatS8Row : public testing::TestWithParam<ConvSatS8Kernel> {};

TEST_P(ConvSatS8Row, PairsOfNeighboursSaturate) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  // 2 * 255 * 127 = 64770 -> 32767; 2 * 255 * -128 = -65280 -> -32768; what fits stays:
  // 255 * 127 + 2 * 191 = 32767 and 255 * -128 + 1 * -128 = -32768 are no saturation.
  Problem p = plain(gemm_shape(1, 8, 3));
  const int8_t columns[3][8] = {{127, 127, 0, 127, 127, 0, 0, 0},
                                {-128, -128, 127, 0, 0, 0, 0, 0},
                                {0, 0, 0, 0, 127, 2, -128, -128}};
  std::copy(&columns[0][0], &columns[0][0] + 24, p.w.begin());
  p.x[5] = 191;
  p.x[7] = 1;
  const Result r = run(GetParam(), p);
  EXPECT_EQ(r.acc, (std::vector<int32_t>{32767 + 2 * 32385, -32768 + 32385, 32767 - 32768}));
  EXPECT_EQ(r.saturated, 2);
}

TEST_P(ConvSatS8Row, NeighboursAreInTheOrderRowColumnChannel) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  // Two taps of three channels: t0c2 and t1c0 are a pair, t0c1 and t0c2 are not.
  ConvShape s;
  s.in_w = s.kernel_w = 2;
  s.in_c = 3;
  s.out_c = 2;
  Problem p = plain(s);  // OIHW: channel, then tap
  p.w[2 * 2 + 0] = p.w[0 * 2 + 1] = 127;
  p.w[6 + 1 * 2 + 0] = p.w[6 + 2 * 2 + 0] = 127;
  const Result r = run(GetParam(), p);
  EXPECT_EQ(r.acc, (std::vector<int32_t>{32767, 64770}));
  EXPECT_EQ(r.saturated, 1);
}

TEST_P(ConvSatS8Row, EqualsAnotherProgram) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  // By a NumPy program that pairs the columns of an im2col matrix.
  ConvShape s;
  s.in_h = s.in_w = s.out_h = s.out_w = 4;
  s.in_c = 3;
  s.out_c = 2;
  s.kernel_h = s.kernel_w = 3;
  s.pad_top = s.pad_left = 1;
  Problem p = plain(s);
  p.x_zero = 7;
  for (int64_t i = 0; i < p.x.size(); ++i) {
    const int64_t v = (i * 37 + 11) % 256;
    p.x[i] = static_cast<uint8_t>(v > 128 ? 255 : v);
  }
  for (int64_t i = 0; i < p.w.size(); ++i) {
    const int64_t v = (i * 89 + 5) % 256 - 128;
    p.w[i] = static_cast<int8_t>(v > 0 ? 127 : v);
  }
  const Result r = run(GetParam(), p);
  EXPECT_EQ(r.acc,
            (std::vector<int32_t>{61347,  17827,  44499, 14687, -37097, 77959,  -9263,  59632,
                                  153922, -8523,  17266, 31474, 74142,  45552,  -53315, 112490,
                                  110117, 2103,   7572,  54528, 61826,  48079,  -29312, 155040,
                                  102792, -29817, 42698, 41874, 7236,   -31383, -6440,  111562}));
  EXPECT_EQ(r.saturated, 81);
}

Problem draw_problem(Draw& draw, const ConvShape& s) {
  Problem p = plain(s);
  const bool extreme = draw.one_in(2);
  p.x = draw.integers<uint8_t>(p.x.size(), extreme ? 200 : 0, 255);
  p.w = draw.integers<int8_t>(p.w.size(), -128, 127);
  if (extreme)
    for (int8_t& w : p.w) w = w < 0 ? -128 : 127;
  p.bias = draw.integers<int32_t>(s.out_c, -20000, 20000);
  if (draw.one_in(3)) p.w_zeros = draw.integers<int32_t>(s.out_c, -9, 9);
  p.x_zero = static_cast<int>(draw.in(0, 255));
  return p;
}

TEST_P(ConvSatS8Row, EqualsTheContractOnRandomShapes) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(7);
  int64_t saturated = 0;
  for (int i = 0; i < 60 && !testing::Test::HasFailure(); ++i) {
    const Problem p = draw_problem(draw, draw_shape(draw));
    const Result expected = naive(p);
    saturated += expected.saturated;
    for (const int threads : {1, 3}) {
      const Result got = run(GetParam(), p, threads);
      EXPECT_EQ(got.acc, expected.acc);
      EXPECT_EQ(got.saturated, expected.saturated);
    }
  }
  EXPECT_GT(saturated, 1000);
}

TEST_P(ConvSatS8Row, SevenBitWeightsGiveTheExactRowsBytes) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  // |w| <= 63: 2 * 255 * 63 = 32130 fits. Everything behind the sum as conv_s8 has it.
  const ConvS8Kernel& exact = conv_s8_kernels().back();
  Draw draw(11);
  for (int i = 0; i < 40 && !testing::Test::HasFailure(); ++i) {
    const ConvShape s = draw_shape(draw);
    Problem p = draw_problem(draw, s);
    p.w = draw.integers<int8_t>(p.w.size(), -63, 63);
    const Array<float> multipliers = draw.reals(s.out_c, 0.0002f, 0.004f);
    const Array<uint8_t> table = draw.integers<uint8_t>(256, 0, 255);
    const int64_t stride = s.out_c + draw.in(0, 5), pixels = s.batch * s.out_h * s.out_w;
    const Array<uint8_t> residual = draw.integers<uint8_t>(pixels * s.out_c, 0, 255);
    const AddU8 add = add_u8(0.05f, 100, 0.07f, 30, 0.06f, 120);
    int64_t saturated = 0;
    const auto bytes = [&](const auto& kernel) {
      Array<uint8_t> packed(static_cast<int64_t>(kernel.call->packed_bytes(s)));
      Array<uint8_t> scratch(static_cast<int64_t>(kernel.call->scratch_bytes(s)));
      kernel.call->pack(s, {.data = p.w.data(), .zero_points = p.w_zeros.data()}, packed.data());
      set_bias(packed.data(), p.bias.data(), p.x_zero);
      set_multipliers(packed.data(), multipliers.data(), s.out_c);
      Array<uint8_t> y(pixels * stride, 77);
      ConvSatS8Args a;
      a.shape = s;
      a.x = p.x.data();
      a.packed = packed.data();
      a.y = y.data();
      a.y_stride = stride;
      a.x_zero = p.x_zero;
      a.y_zero = 101;
      a.lo = 9;
      if (i % 2 == 0) a.table = table.data();
      if (i % 3 == 0) a.residual = {.data = residual.data(), .add = add};
      a.saturated = &saturated;
      a.scratch = scratch.data();
      for (int64_t block = 0; block < kernel.call->blocks(s); ++block) {
        a.range = {0, -1, block, block + 1};
        kernel.call->run(a);
      }
      return y.vector();
    };
    EXPECT_EQ(bytes(GetParam()), bytes(exact));
    EXPECT_EQ(saturated, 0);
  }
}

TEST(ConvSatS8, PairSumsCountOddFilters) { EXPECT_EQ(pair_sums(gemm_shape(2, 7, 3)), 2 * 3 * 4); }

LAPIDARY_EACH_ROW(ConvSatS8Row, conv_sat_s8_kernels());

}  // namespace
}  // namespace lapidary::kernels
