#include "kernels/softmax_f32/softmax_f32.h"

#include "test/kernels/support.h"

namespace lapidary::kernels {
namespace {

class SoftmaxF32Rows : public testing::TestWithParam<SoftmaxF32Kernel> {};

struct Case {
  int64_t rows, cols, x_row, y_row, mask_row;
  float factor;
  bool masked;
};

Case draw_case(Draw& draw) {
  Case c;
  c.rows = draw.in(1, 6);
  c.cols = draw.one_in(3) ? draw.in(1, 200) : draw.in(1, 40);
  c.x_row = c.cols + draw.in(0, 20);
  c.y_row = c.cols + draw.in(0, 20);
  c.mask_row = draw.one_in(2) ? 0 : c.cols + draw.in(0, 9);
  c.factor = draw.one_in(2) ? 1.0f : 0.25f;
  c.masked = draw.one_in(2);
  return c;
}

SoftmaxF32Args args_of(const Case& c, const Array<float>& x, const Array<float>& mask) {
  SoftmaxF32Args p;
  p.rows = c.rows;
  p.cols = c.cols;
  p.x_row = c.x_row;
  p.y_row = c.y_row;
  p.x = x.data();
  p.factor = c.factor;
  if (c.masked) p.mask = mask.data();
  p.mask_row = c.mask_row;
  return p;
}

TEST_P(SoftmaxF32Rows, GiveTheBitsOfTheScalarRow) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(1);
  for (int i = 0; i < 300; ++i) {
    const Case c = draw_case(draw);
    const Array<float> x = draw.reals(c.rows * c.x_row, -20, 20);
    const Array<float> mask = draw.reals(c.rows * (c.mask_row + c.cols), -9, 0);
    SoftmaxF32Args p = args_of(c, x, mask);
    Array<float> y(c.rows * c.y_row, -7), expected(c.rows * c.y_row, -7);
    p.y = y.data();
    GetParam().call->softmax(p);
    p.y = expected.data();
    softmax_f32_kernels().back().call->softmax(p);
    EXPECT_EQ(y.vector(), expected.vector()) << c.rows << "x" << c.cols;
  }
}

TEST_P(SoftmaxF32Rows, AgreeWithFloat64) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(2);
  for (int i = 0; i < 100; ++i) {
    const Case c = draw_case(draw);
    const Array<float> x = draw.reals(c.rows * c.x_row, -20, 20);
    const Array<float> mask = draw.reals(c.rows * (c.mask_row + c.cols), -9, 0);
    SoftmaxF32Args p = args_of(c, x, mask);
    Array<float> y(c.rows * c.y_row);
    p.y = y.data();
    GetParam().call->softmax(p);
    for (int64_t r = 0; r < c.rows; ++r) {
      std::vector<double> t;
      for (int64_t k = 0; k < c.cols; ++k)
        t.push_back(double(x[r * c.x_row + k]) * double(c.factor) +
                    (c.masked ? double(mask[r * c.mask_row + k]) : 0.0));
      const double top = *std::max_element(t.begin(), t.end());
      double sum = 0;
      for (double& v : t) sum += v = std::exp(v - top);
      for (int64_t k = 0; k < c.cols; ++k)
        EXPECT_NEAR(y[r * c.y_row + k], t[static_cast<size_t>(k)] / sum, 4e-6);
    }
  }
}

TEST_P(SoftmaxF32Rows, KnownValuesInPlace) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  // numpy in float64, rounded to float32.
  Array<float> x(5), mask(5);
  const float values[] = {1, 2, -0.5f, 4, 0.25f}, masks[] = {0, -1, 0.5f, -INFINITY, 0};
  std::copy(values, values + 5, x.begin());
  std::copy(masks, masks + 5, mask.begin());
  SoftmaxF32Args p;
  p.rows = 1;
  p.cols = 5;
  p.x = p.y = x.data();
  p.factor = 0.5f;
  p.mask = mask.data();
  GetParam().call->softmax(p);
  const float expected[] = {0.32545507f, 0.197398484f, 0.253464669f, 0, 0.223681778f};
  for (int64_t i = 0; i < 5; ++i) EXPECT_NEAR(x[i], expected[i], 1e-7f) << i;
}

TEST_P(SoftmaxF32Rows, NanAndInfinityFillTheirRowAlone) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  for (const float bad : {NAN, INFINITY}) {
    Array<float> x(3 * 21, 1.0f), y(3 * 21);
    x[21 + 19] = bad;
    SoftmaxF32Args p;
    p.rows = 3;
    p.cols = 21;
    p.x = x.data();
    p.y = y.data();
    GetParam().call->softmax(p);
    for (int64_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i / 21 == 1) << i;
  }
}

LAPIDARY_EACH_ROW(SoftmaxF32Rows, softmax_f32_kernels());

}  // namespace
}  // namespace lapidary::kernels
