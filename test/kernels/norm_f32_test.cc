#include "kernels/norm_f32/norm_f32.h"

#include "test/kernels/support.h"

namespace lapidary::kernels {
namespace {

struct Case {
  int64_t rows, cols;
  bool centred, scaled, biased;
};

Case draw_case(Draw& draw) {
  return {draw.in(1, 5), draw.one_in(3) ? draw.in(1, 300) : draw.in(1, 40), draw.one_in(2),
          !draw.one_in(4), draw.one_in(2)};
}

struct Data {
  Array<float> x, scale, bias;
  Array<uint8_t> bytes;
  Data(Draw& draw, const Case& c)
      : x(draw.reals(c.rows * c.cols, -3, 5)),
        scale(draw.reals(c.cols, -2, 2)),
        bias(draw.reals(c.cols, -1, 1)),
        bytes(draw.integers<uint8_t>(c.rows * c.cols, 0, 255)) {}
  NormF32Args args(const Case& c, bool bytes_in) const {
    NormF32Args p;
    p.rows = c.rows;
    p.cols = c.cols;
    p.centred = c.centred;
    p.epsilon = 1e-5f;
    if (c.scaled) p.scale = scale.data();
    if (c.biased) p.bias = bias.data();
    if (bytes_in) {
      p.x_bytes = bytes.data();
      p.x_scale = 0.037f;
      p.x_zero = 131;
    } else {
      p.x = x.data();
    }
    p.y_scale = 0.021f;
    p.y_zero = 117;
    return p;
  }
};

class NormF32Rows : public testing::TestWithParam<NormF32Kernel> {};

TEST_P(NormF32Rows, GiveTheBitsOfTheScalarRow) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(1);
  for (int i = 0; i < 300; ++i) {
    const Case c = draw_case(draw);
    const Data data(draw, c);
    const int64_t size = c.rows * c.cols;
    for (const bool bytes_in : {false, true}) {
      NormF32Args p = data.args(c, bytes_in);
      Array<float> y(size + 3, -7), expected(size + 3, -7);  // what lies behind stays
      p.y = y.data();
      GetParam().call->normalize(p);
      p.y = expected.data();
      norm_f32_kernels().back().call->normalize(p);
      EXPECT_EQ(y.vector(), expected.vector()) << c.rows << "x" << c.cols;
      p.y = nullptr;
      Array<uint8_t> q(size + 3, 9), expected_q(size + 3, 9);
      p.y_bytes = q.data();
      GetParam().call->normalize(p);
      p.y_bytes = expected_q.data();
      norm_f32_kernels().back().call->normalize(p);
      EXPECT_EQ(q.vector(), expected_q.vector()) << c.rows << "x" << c.cols;
    }
  }
}

TEST_P(NormF32Rows, AgreeWithFloat64) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(2);
  for (int i = 0; i < 100; ++i) {
    const Case c = draw_case(draw);
    const Data data(draw, c);
    NormF32Args p = data.args(c, false);
    Array<float> y(c.rows * c.cols);
    p.y = y.data();
    GetParam().call->normalize(p);
    for (int64_t r = 0; r < c.rows; ++r) {
      double mean = 0, square = 0;
      const float* x = p.x + r * c.cols;
      for (int64_t k = 0; k < c.cols && c.centred; ++k) mean += x[k] / double(c.cols);
      for (int64_t k = 0; k < c.cols; ++k) square += (x[k] - mean) * (x[k] - mean) / double(c.cols);
      for (int64_t k = 0; k < c.cols; ++k) {
        double v = (x[k] - mean) / std::sqrt(square + double(p.epsilon));
        if (c.scaled) v *= p.scale[k];
        if (c.biased) v += p.bias[k];
        // A row of one element is its own mean: all of x cancels.
        const double slack = c.cols == 1 && c.centred ? 2e-3 : 2e-5;
        EXPECT_NEAR(y[r * c.cols + k], v, slack) << c.rows << "x" << c.cols;
      }
    }
  }
}

TEST_P(NormF32Rows, KnownValues) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  // numpy in float64, rounded to float32: (x - mean) / sqrt(var + 1e-5) * s + b.
  const std::vector<float> values = {0.5f, -1.25f, 2.0f, 0.0f, 3.75f, -0.125f, 1.0f};
  Array<float> x(7), s(7), b(7), y(7);
  std::copy(values.begin(), values.end(), x.begin());
  const float scale[] = {1, 2, 0.5f, -1, 1, 1.5f, 1}, bias[] = {0, 0.25f, -0.5f, 1, 0, 0, 0.125f};
  std::copy(scale, scale + 7, s.begin());
  std::copy(bias, bias + 7, b.begin());
  NormF32Args p;
  p.rows = 1;
  p.cols = 7;
  p.x = x.data();
  p.y = y.data();
  p.scale = s.data();
  p.bias = b.data();
  p.epsilon = 1e-5f;
  GetParam().call->normalize(p);
  const float layer[] = {-0.224698216f, -2.51733589f,  -0.115647785f, 1.55583239f,
                         1.92767417f,   -0.957924008f, 0.231435999f};
  for (int64_t i = 0; i < 7; ++i) EXPECT_NEAR(y[i], layer[i], 5e-7f) << i;
  // x / sqrt(mean(x^2) + 1e-6) * s
  p.centred = false;
  p.bias = nullptr;
  p.epsilon = 1e-6f;
  GetParam().call->normalize(p);
  const float rms[] = {0.289429784f, -1.44714892f,  0.578859568f, 0,
                       2.17072344f,  -0.108536169f, 0.578859568f};
  for (int64_t i = 0; i < 7; ++i) EXPECT_NEAR(y[i], rms[i], 5e-7f) << i;
}

TEST_P(NormF32Rows, KnownBytes) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  // numpy: x = (q - 128) 0.05, y = (x - mean) / sqrt(var + 1e-5), rint(y / 0.02) + 120.
  Array<uint8_t> x(6), y(6);
  const uint8_t q[] = {0, 17, 128, 255, 130, 90};
  std::copy(q, q + 6, x.begin());
  NormF32Args p;
  p.rows = 1;
  p.cols = 6;
  p.x_bytes = x.data();
  p.x_scale = 0.05f;
  p.x_zero = 128;
  p.y_bytes = y.data();
  p.y_scale = 0.02f;
  p.y_zero = 120;
  p.epsilon = 1e-5f;
  GetParam().call->normalize(p);
  EXPECT_EQ(y.vector(), (std::vector<uint8_t>{59, 69, 135, 210, 136, 112}));
}

TEST_P(NormF32Rows, NanAndInfinityFillTheirRowAlone) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    Array<float> x(3 * 21, 1.0f), y(3 * 21);
    for (int64_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 5);
    x[21 + 19] = bad;
    NormF32Args p;
    p.rows = 3;
    p.cols = 21;
    p.x = x.data();
    p.y = y.data();
    p.epsilon = 1e-5f;
    GetParam().call->normalize(p);
    for (int64_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i / 21 == 1) << i;
  }
}

LAPIDARY_EACH_ROW(NormF32Rows, norm_f32_kernels());

}  // namespace
}  // namespace lapidary::kernels
