#include "kernels/conv_bf16/conv_bf16.h"
#include "kernels/conv_f16w/conv_f16w.h"
#include "kernels/work.h"
#include "src/base/half.h"
#include "test/kernels/conv_f32_problem.h"
#include "test/kernels/problems.h"

// The families that multiply narrower factors than FP32: conv_bf16 and conv_f16w.
namespace lapidary::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// v to `bits` significant bits, half to even, by arithmetic; exponents below `low` share its step.
float round_to_bits(float v, int bits, int low) {
  if (v == 0 || !std::isfinite(v)) return v;
  const int exponent = std::max(std::ilogb(v), low);
  return std::ldexp(std::nearbyint(std::ldexp(v, bits - 1 - exponent)), exponent - bits + 1);
}
float to_bf16(float v) { return std::abs(v) < 0x1p-126f ? 0.0f : round_to_bits(v, 8, -126); }
float to_f16(float v) { return round_to_bits(v, 11, -14); }

struct Family {
  const char* name;
  std::span<const ConvF32Kernel> (*kernels)();
  float (*round_x)(float);
  float (*round_w)(float);
};
const Family kBf16 = {"bf16", conv_bf16_kernels, to_bf16, to_bf16};
const Family kF16w = {"f16w", conv_f16w_kernels, [](float v) { return v; }, to_f16};

Problem draw_problem(const Family& family, Draw& draw, const ConvShape& shape) {
  Problem p = draw_problem(draw, shape);
  p.rounded_x = p.x;
  p.rounded_w = p.w;
  for (float& v : p.rounded_x) v = family.round_x(v);
  for (float& v : p.rounded_w) v = family.round_w(v);
  return p;
}

void equals_the_formula(const ConvF32Kernel& kernel, const Family& family,
                        ConvShape (*shape)(Draw&)) {
  Draw draw(11);
  for (int i = 0; i < problems(60) && !testing::Test::HasFailure(); ++i) {
    const Problem p = draw_problem(family, draw, shape(draw));
    if (&family == &kBf16 && select_conv_bf16(p.shape).kernel == nullptr) continue;
    check(kernel, family.kernels().back(), p, draw);
  }
}

ConvShape random_shape(Draw& draw) { return draw_shape(draw, false); }

void same_bits_on_threads(const ConvF32Kernel& kernel, const Family& family) {
  Draw draw(12);
  for (int i = 0; i < problems(12); ++i) {
    const Problem p = draw_problem(family, draw, random_shape(draw));
    if (&family == &kBf16 && select_conv_bf16(p.shape).kernel == nullptr) continue;
    const Array<float> whole = compute(kernel, p, draw);
    Array<uint8_t> packed(static_cast<int64_t>(kernel.call->packed_bytes(p.shape)));
    kernel.call->pack(p.shape, {.data = p.w.data(), .bias = p.bias.data()}, packed.data());
    for (const int threads : {1, 2, 3, 8}) {
      Array<uint8_t> scratch(static_cast<int64_t>(scratch_bytes(kernel, p.shape, threads)));
      Array<float> y(whole.size(), 77.0f);
      ConvF32Args a = p.args;
      a.x = p.x.data();
      a.packed = packed.data();
      a.y = y.data();
      a.scratch = scratch.data();
      run_parts(kernel, a, threads);  // however small: run_conv_f32 would not cut most of them
      EXPECT_EQ(y.vector(), whole.vector()) << shape_text(p.shape) << " threads " << threads;
    }
  }
}

/// x [m, k] times w [k, n] by the kernel.
std::vector<float> product(const ConvF32Kernel& kernel, int64_t m, const std::vector<float>& x,
                           const std::vector<float>& w) {
  const auto k = static_cast<int64_t>(x.size()) / m, n = static_cast<int64_t>(w.size()) / k;
  const ConvShape shape = gemm_shape(m, k, n);
  Array<float> in(m * k), weights(k * n), y(m * n, 77.0f);
  std::copy(x.begin(), x.end(), in.begin());
  std::copy(w.begin(), w.end(), weights.begin());
  Array<uint8_t> packed(static_cast<int64_t>(kernel.call->packed_bytes(shape)));
  Array<uint8_t> scratch(static_cast<int64_t>(kernel.call->scratch_bytes(shape)));
  kernel.call->pack(shape, {.data = weights.data(), .oc_stride = 1, .ic_stride = n}, packed.data());
  ConvF32Args a;
  a.shape = shape;
  a.x = in.data();
  a.packed = packed.data();
  a.y = y.data();
  a.scratch = scratch.data();
  kernel.call->run(a);
  return y.vector();
}

/// Same value, NaN equal to NaN, and the sign of zero.
testing::Matcher<float> is_exactly(float v) {
  return testing::AllOf(testing::NanSensitiveFloatEq(v),
                        testing::ResultOf([](float x) { return std::signbit(x); },
                                          std::isnan(v) ? testing::Matcher<bool>(testing::_)
                                                        : testing::Matcher<bool>(std::signbit(v))));
}

struct Rounding {
  float value, rounded;
};

// NumPy 2 with ml_dtypes: np.float32(v).astype(bfloat16), but below 2^-126, where r gives zero.
const std::vector<Rounding> kToBf16 = {
    {1.0f, 1.0f},
    {0x1.01p0f, 0x1.00p0f},      // a tie, to even
    {0x1.03p0f, 0x1.04p0f},      // a tie, to even
    {0x1.010002p0f, 0x1.02p0f},  // just above a tie
    {0x1.00fffep0f, 0x1.00p0f},  // just below
    {-0x1.03p0f, -0x1.04p0f},
    {3.14159274f, 3.140625f},
    {0x1.fep127f, 0x1.fep127f},  // the largest
    {0x1.fefffep127f, 0x1.fep127f},
    {0x1.ffp127f, kInf},  // a tie, to even: out of range
    {-3.402823466e38f, -kInf},
    {kInf, kInf},
    {kNan, kNan},
    {0x1p-126f, 0x1p-126f},  // the least normal
    {0x1.fffffcp-127f, 0.0f},
    {-1e-40f, 0.0f},
};

// NumPy: np.float32(v).astype(np.float16).astype(np.float32).
const std::vector<Rounding> kToF16 = {
    {1.0f, 1.0f},
    {0x1.002p0f, 0x1.000p0f},  // a tie, to even
    {0x1.006p0f, 0x1.008p0f},  // a tie, to even
    {0x1.002002p0f, 0x1.004p0f},
    {3.14159274f, 3.140625f},
    {65504.0f, 65504.0f},
    {65519.996f, 65504.0f},
    {65520.0f, kInf},
    {-1e9f, -kInf},
    {kNan, kNan},
    {0x1p-24f, 0x1p-24f},    // the least subnormal
    {0x1p-25f, 0.0f},        // a tie, to even
    {0x1.8p-24f, 0x1p-23f},  // a tie, to even
    {6.1e-5f, 6.0975551605224609e-05f},
};

class ConvBf16Row : public testing::TestWithParam<ConvF32Kernel> {};

TEST_P(ConvBf16Row, EqualsTheFormulaOnRandomShapes) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  equals_the_formula(GetParam(), kBf16, random_shape);
}

TEST_P(ConvBf16Row, EqualsTheFormulaWhereItsTilesChange) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  equals_the_formula(GetParam(), kBf16, draw_tile_shape);
}

TEST_P(ConvBf16Row, EqualsTheFormulaWhereAWholePairMakesKLong) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  // 3 x 85 elements and 3 x 86 lie on both sides of short_k_bytes, where blocks have other widths.
  const auto shape = [](Draw&) {
    ConvShape s;
    s.in_h = s.out_h = 5;
    s.in_w = s.out_w = 4;
    s.in_c = 85;
    s.out_c = 128;
    s.kernel_h = 3;
    s.pad_top = 1;
    return s;
  };
  equals_the_formula(GetParam(), kBf16, shape);
}

TEST_P(ConvBf16Row, GivesTheSameBitsOnAnyNumberOfThreads) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  same_bits_on_threads(GetParam(), kBf16);
}

TEST_P(ConvBf16Row, RoundsBothFactorsAsNumpyDoes) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  // One product each: value * 1 and 1 * value; 40 columns reach past a vector.
  for (const Rounding& r : kToBf16) {
    const std::vector<float> one(40, 1.0f), values(40, r.value);
    EXPECT_THAT(product(GetParam(), 1, {r.value}, one), testing::Each(is_exactly(r.rounded)));
    EXPECT_THAT(product(GetParam(), 1, {1.0f}, values), testing::Each(is_exactly(r.rounded)));
  }
}

TEST_P(ConvBf16Row, KeepsANaNToItsOwnRow) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  // Three columns of A: the last pair of each row is not whole.
  const std::vector<float> y =
      product(GetParam(), 3, {1, 2, 3, kNan, kInf, 1, 4, 5, 6}, std::vector<float>(3 * 5, 1.0f));
  for (int64_t i = 0; i < 5; ++i) {
    EXPECT_EQ(y[static_cast<size_t>(i)], 6.0f);
    EXPECT_TRUE(std::isnan(y[static_cast<size_t>(5 + i)]));
    EXPECT_EQ(y[static_cast<size_t>(10 + i)], 15.0f);
  }
}

TEST(ConvBf16, RefusesOddGroups) {
  ConvShape shape = gemm_shape(4, 6, 4);
  shape.groups = 2;
  EXPECT_EQ(select_conv_bf16(shape).kernel, nullptr);
  shape.in_c = 8;
  EXPECT_NE(select_conv_bf16(shape).kernel, nullptr);
}

class ConvF16wRow : public testing::TestWithParam<ConvF32Kernel> {};

TEST_P(ConvF16wRow, EqualsTheFormulaOnRandomShapes) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  equals_the_formula(GetParam(), kF16w, random_shape);
}

TEST_P(ConvF16wRow, EqualsTheFormulaWhereItsTilesChange) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  equals_the_formula(GetParam(), kF16w, draw_tile_shape);
}

TEST_P(ConvF16wRow, GivesTheSameBitsOnAnyNumberOfThreads) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  same_bits_on_threads(GetParam(), kF16w);
}

TEST_P(ConvF16wRow, RoundsWeightsAsNumpyDoes) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  for (const Rounding& r : kToF16) {
    const std::vector<float> values(40, r.value);
    EXPECT_THAT(product(GetParam(), 1, {1.0f}, values), testing::Each(is_exactly(r.rounded)));
  }
}

TEST_P(ConvF16wRow, TakesHalfTheBytes) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  if (GetParam().row.isa == Isa::kScalar) return;  // keeps them as floats
  const ConvShape shape = gemm_shape(1, 256, 256);
  EXPECT_LT(GetParam().call->packed_bytes(shape), 256 * 256 * 2 + 4096);
}

TEST(ConvF16w, SaysWhatFits) {
  const float fits[] = {0.0f, -0.0f, 1.0f, 65504.0f, 0x1p-24f, 0x1.004p0f};
  EXPECT_TRUE(fits_f16(fits, 6));
  for (const float v : {0x1.002p0f, 65520.0f, 0x1p-25f, 0.1f}) {
    const float with_one[] = {1.0f, v};
    EXPECT_FALSE(fits_f16(with_one, 2)) << v;
  }
}

LAPIDARY_EACH_ROW(ConvBf16Row, conv_bf16_kernels());
LAPIDARY_EACH_ROW(ConvF16wRow, conv_f16w_kernels());

}  // namespace
}  // namespace lapidary::kernels
