#include "kernels/fake_quant_f32/fake_quant_f32.h"

#include "kernels/quantize/quantize.h"
#include "test/kernels/support.h"

namespace lapidary::kernels {
namespace {

struct Problem {
  int64_t count;
  int qmin, qmax, zero;
  float scale;
  std::vector<float> x, g;  ///< vectors: nothing readable behind them

  explicit Problem(Draw& draw, bool plain = false) {
    count = draw.one_in(4) ? draw.in(4000, 9000) : draw.in(1, 80);
    const bool is_signed = draw.one_in(2);
    const auto bits = static_cast<int>(draw.in(2, 8));
    qmin = is_signed ? -(1 << (bits - 1)) : 0;
    qmax = qmin + (1 << bits) - 1;
    zero = static_cast<int>(draw.in(qmin, qmax));
    scale = draw.one_in(2) ? 0.25f : draw.real(0.001f, 0.1f);
    if (!plain && draw.one_in(10)) scale = std::ldexp(scale, draw.one_in(2) ? 90 : -90);
    const auto reach = static_cast<float>(3 << bits);
    for (int64_t i = 0; i < count; ++i) {
      float v = draw.real(-reach, reach) * scale;
      if (draw.one_in(3))
        v = (static_cast<float>(draw.in(-static_cast<int64_t>(reach), int64_t(reach))) + 0.5f) *
            scale;
      if (!plain && draw.one_in(40)) v = draw.one_in(2) ? 1e30f : -INFINITY;
      if (!plain && draw.one_in(60)) v = draw.one_in(2) ? -0.0f : NAN;
      x.push_back(v);
      g.push_back(draw.real(-1, 1));
    }
    x.shrink_to_fit();
    g.shrink_to_fit();
  }
  FakeQuantArgs forward(std::vector<float>& y) const {
    return {count, x.data(), y.data(), scale, qmin - zero, qmax - zero};
  }
  int64_t blocks() const { return (count + kFakeQuantBlock - 1) / kFakeQuantBlock; }
};

struct Backward {
  std::vector<float> dx, s, z;
};
Backward backward(const FakeQuantF32Kernel& kernel, const Problem& p, FakeQuantSum sum) {
  const auto blocks = static_cast<size_t>(p.blocks());
  Backward out{std::vector<float>(p.x.size(), 77), std::vector<float>(blocks, 77),
               std::vector<float>(blocks, 77)};
  kernel.call->backward({.count = p.count,
                         .g = p.g.data(),
                         .x = p.x.data(),
                         .dx = out.dx.data(),
                         .scale = p.scale,
                         .lo = p.qmin - p.zero,
                         .hi = p.qmax - p.zero,
                         .sum = sum,
                         .s = out.s.data(),
                         .z = out.z.data()});
  return out;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class FakeQuantF32Row : public testing::TestWithParam<FakeQuantF32Kernel> {};

TEST_P(FakeQuantF32Row, ForwardIsTheQuantizationOfEveryOtherRow) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(51);
  for (int i = 0; i < 200; ++i) {
    const Problem p(draw);
    std::vector<float> y(p.x.size(), 77);
    GetParam().call->forward(p.forward(y));
    Array<float> x(p.count);
    Array<uint8_t> q(p.count);
    std::copy(p.x.begin(), p.x.end(), x.begin());
    quantize_kernels().back().call->quantize({.cols = p.count,
                                              .x = x.data(),
                                              .y = q.data(),
                                              .scale = p.scale,
                                              .zero = p.zero,
                                              .lo = p.qmin,
                                              .hi = p.qmax});
    for (int64_t j = 0; j < p.count; ++j) {
      const int level = p.qmin < 0 ? static_cast<int8_t>(q[j]) : q[j];
      const float expected = static_cast<float>(level - p.zero) * p.scale;
      const float made = y[static_cast<size_t>(j)];
      if (std::isnan(x[j])) {
        ASSERT_TRUE(std::isnan(made));
        continue;
      }
      ASSERT_EQ(made, expected) << x[j] << " scale " << p.scale;
      ASSERT_EQ(std::signbit(made), std::signbit(expected)) << x[j];
    }
  }
}

TEST_P(FakeQuantF32Row, MasksWhereTheQuantizationSaturates) {
  // The floats around each tie at the ends, where an ulp of the quotient decides.
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(52);
  for (int i = 0; i < 300; ++i) {
    Problem p(draw, true);
    p.scale = draw.real(0.5f, 2.0f) * std::exp2(static_cast<float>(draw.in(-20, 20)));
    p.x.clear();
    for (const int end : {p.qmin, p.qmax + 1}) {
      float v = (static_cast<float>(end - p.zero) - 0.5f) * p.scale;
      for (int k = 0; k < 3; ++k) v = std::nextafter(v, -INFINITY);
      for (int k = 0; k < 7; ++k, v = std::nextafter(v, INFINITY)) p.x.push_back(v);
    }
    p.g.assign(p.x.size(), 1);
    p.count = static_cast<int64_t>(p.x.size());
    const auto dx = backward(GetParam(), p, FakeQuantSum::kNone).dx;
    for (size_t j = 0; j < p.x.size(); ++j) {
      const double level = std::nearbyint(p.x[j] / p.scale) + p.zero;
      ASSERT_EQ(dx[j], level >= p.qmin && level <= p.qmax ? 1 : 0) << p.x[j] / p.scale;
    }
  }
}

TEST_P(FakeQuantF32Row, BackwardHasTheBitsOfTheScalarRow) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(53);
  for (int i = 0; i < 100; ++i) {
    const Problem p(draw);
    for (const FakeQuantSum sum : {FakeQuantSum::kNone, FakeQuantSum::kScale,
                                   FakeQuantSum::kScaleAndZero, FakeQuantSum::kAbove}) {
      const Backward made = backward(GetParam(), p, sum);
      const Backward expected = backward(fake_quant_f32_kernels().back(), p, sum);
      ASSERT_TRUE(same_bits(made.dx, expected.dx));
      ASSERT_TRUE(same_bits(made.s, expected.s));
      ASSERT_TRUE(same_bits(made.z, expected.z));
    }
  }
}

TEST_P(FakeQuantF32Row, SumsAreThoseOfTheFormula) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(54);
  for (int i = 0; i < 60; ++i) {
    const Problem p(draw, true);
    double s = 0, z = 0, above = 0, terms = 0;
    for (size_t j = 0; j < p.x.size(); ++j) {
      const double u = p.x[j] / p.scale, r = std::nearbyint(u), level = r + p.zero, g = p.g[j];
      const bool low = level<p.qmin, high = level> p.qmax;
      const double term = low ? p.qmin - p.zero : high ? p.qmax - p.zero : r - u;
      s += g * term;
      z += low || high ? g : 0;
      above += high ? g : 0;
      terms += std::abs(g * term) + std::abs(g);
    }
    const auto sum = [](const std::vector<float>& blocks) {
      double total = 0;
      for (const float b : blocks) total += b;
      return total;
    };
    const double tolerance = 1e-5 * terms;
    EXPECT_NEAR(sum(backward(GetParam(), p, FakeQuantSum::kScale).s), s, tolerance);
    EXPECT_NEAR(sum(backward(GetParam(), p, FakeQuantSum::kScaleAndZero).s), s, tolerance);
    EXPECT_NEAR(sum(backward(GetParam(), p, FakeQuantSum::kScaleAndZero).z), z, tolerance);
    EXPECT_NEAR(sum(backward(GetParam(), p, FakeQuantSum::kAbove).s), above, tolerance);
  }
}

TEST_P(FakeQuantF32Row, ColumnsAreRunsOfOneScaleEach) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  const FakeQuantF32Functions& scalar = *fake_quant_f32_kernels().back().call;
  Draw draw(55);
  for (int i = 0; i < 60; ++i) {
    const int64_t rows = draw.in(1, 20), cols = draw.in(1, 40);
    const auto size = static_cast<size_t>(rows * cols), n = static_cast<size_t>(cols);
    std::vector<float> x(size), g(size), scale(n), lo(n), hi(n);
    for (size_t c = 0; c < n; ++c) {
      scale[c] = draw.real(0.01f, 0.1f);
      lo[c] = static_cast<float>(draw.in(-8, 0));
      hi[c] = static_cast<float>(draw.in(1, 9));
    }
    for (float& v : x) v = draw.one_in(30) ? NAN : draw.real(-1, 1);
    for (float& v : g) v = draw.real(-1, 1);
    std::vector<float> y(size, 77);
    GetParam().call->columns_forward(
        {rows, cols, x.data(), y.data(), scale.data(), lo.data(), hi.data()});
    for (size_t j = 0; j < size; ++j) {
      const size_t c = j % n;
      float one = 0;
      scalar.forward({1, &x[j], &one, scale[c], int(lo[c]), int(hi[c])});
      ASSERT_TRUE(std::memcmp(&one, &y[j], 4) == 0 || (std::isnan(one) && std::isnan(y[j])));
    }
    const auto columns_backward = [&](const FakeQuantF32Functions& call, FakeQuantSum sum) {
      Backward out{std::vector<float>(size, 77), std::vector<float>(n, 0.25f),
                   std::vector<float>(n, 0.5f)};
      call.columns_backward({rows, cols, g.data(), x.data(), out.dx.data(), scale.data(), lo.data(),
                             hi.data(), sum, out.s.data(), out.z.data()});
      return out;
    };
    for (const FakeQuantSum sum : {FakeQuantSum::kNone, FakeQuantSum::kScale,
                                   FakeQuantSum::kScaleAndZero, FakeQuantSum::kAbove}) {
      const Backward made = columns_backward(*GetParam().call, sum);
      const Backward expected = columns_backward(scalar, sum);
      ASSERT_TRUE(same_bits(made.dx, expected.dx));
      ASSERT_TRUE(same_bits(made.s, expected.s));
      ASSERT_TRUE(same_bits(made.z, expected.z));
    }
  }
}

LAPIDARY_EACH_ROW(FakeQuantF32Row, fake_quant_f32_kernels());

}  // namespace
}  // namespace lapidary::kernels
