#include "kernels/batch_norm_f32/batch_norm_f32.h"

#include <cfloat>
#include <cmath>
#include <vector>

#include "test/kernels/support.h"

namespace lapidary::kernels {
namespace {

using Floats = std::vector<float>;
using Kind = BatchNormThen::Kind;

struct Problem {
  int64_t rows, cols;
  Floats x, g, factor, offset, mean, slope, shift;  ///< nothing readable behind them
  BatchNormThen then;

  explicit Problem(Draw& draw) : rows(draw.in(1, 70)), cols(draw.in(1, 90)) {
    const auto some = [&](int64_t count, float low, float high) {
      Floats out;
      for (int64_t i = 0; i < count; ++i) out.push_back(draw.real(low, high));
      out.shrink_to_fit();
      return out;
    };
    x = some(rows * cols, -3, 5);
    g = some(rows * cols, -1, 1);
    factor = some(cols, -2, 2);
    offset = some(cols, -1, 1);
    mean = some(cols, 0, 2);
    slope = some(cols, -1, 1);
    shift = some(cols, -1, 1);
    then.kind = static_cast<Kind>(draw.in(0, 2));
    then.hi = draw.one_in(2) ? INFINITY : 3;
    then.most = then.hi;
    then.least = draw.one_in(2) ? FLT_MIN : 0;
    then.scale = draw.one_in(9) ? std::ldexp(1.5f, -70) : draw.real(0.01f, 0.5f);
    then.bottom = -static_cast<int>(draw.in(0, 8));
    then.top = then.bottom + 7;
    then.sum = static_cast<FakeQuantSum>(draw.in(0, 3));
    if (draw.one_in(3)) offset[0] = factor[0] = 0;  // h = 0, where a Relu's gradient is 0
  }
};

struct Made {
  Floats mean, squares, y, e, ex, s, z, dx;
};
Made run(const BatchNormF32Kernel& kernel, const Problem& p) {
  const auto cols = static_cast<size_t>(p.cols);
  Made out{Floats(cols), Floats(cols),    Floats(p.x.size()), Floats(cols),
           Floats(cols), Floats(cols, 7), Floats(cols, 7),    Floats(p.x.size())};
  const auto& call = *kernel.call;
  call.moments({p.rows, p.cols, p.x.data(), out.mean.data(), out.squares.data()});
  call.forward(
      {p.rows, p.cols, p.x.data(), p.factor.data(), p.offset.data(), out.y.data(), p.then});
  call.sums({p.rows, p.cols, p.g.data(), p.x.data(), p.factor.data(), p.offset.data(),
             p.mean.data(), out.e.data(), out.ex.data(), out.s.data(), out.z.data(), p.then});
  call.backward({p.rows, p.cols, p.g.data(), p.x.data(), p.factor.data(), p.offset.data(),
                 p.mean.data(), p.slope.data(), p.shift.data(), out.dx.data(), p.then});
  return out;
}

class BatchNormF32Row : public testing::TestWithParam<BatchNormF32Kernel> {};

TEST_P(BatchNormF32Row, HasTheBitsOfTheScalarRow) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(61);
  for (int i = 0; i < 200; ++i) {
    const Problem p(draw);
    const Made made = run(GetParam(), p), expected = run(batch_norm_f32_kernels().back(), p);
    ASSERT_EQ(made.mean, expected.mean);
    ASSERT_EQ(made.squares, expected.squares);
    ASSERT_EQ(made.y, expected.y);
    ASSERT_EQ(made.e, expected.e);
    ASSERT_EQ(made.ex, expected.ex);
    ASSERT_EQ(made.s, expected.s);
    ASSERT_EQ(made.z, expected.z);
    ASSERT_EQ(made.dx, expected.dx);
  }
}

TEST_P(BatchNormF32Row, IsTheFormula) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(62);
  for (int i = 0; i < 100; ++i) {
    Problem p(draw);
    p.then.scale = 0.25f;
    const Made made = run(GetParam(), p);
    const auto cols = static_cast<size_t>(p.cols);
    for (size_t c = 0; c < cols; ++c) {
      double sum = 0, squares = 0, e = 0, ex = 0;
      for (size_t j = c; j < p.x.size(); j += cols) sum += p.x[j];
      for (size_t j = c; j < p.x.size(); j += cols) {
        squares += std::pow(p.x[j] - sum / static_cast<double>(p.rows), 2);
        const float h = std::fma(p.x[j], p.factor[c], p.offset[c]);
        const float level = std::nearbyint(h / p.then.scale);
        const auto top = static_cast<float>(p.then.top), low = static_cast<float>(p.then.bottom);
        float y = h;
        bool passes = true;
        if (p.then.kind == Kind::kClamp) {
          y = std::min(std::max(h, 0.0f), p.then.hi);
          passes = h <= p.then.hi && (p.then.least == 0 ? h >= 0 : h > 0);
        } else if (p.then.kind == Kind::kFakeQuantize) {
          y = std::min(std::max(level, low), top) * p.then.scale;
          passes = level >= low && level <= top;
        }
        ASSERT_EQ(made.y[j], y);
        const double g = passes ? p.g[j] : 0, d = p.x[j] - p.mean[c];
        e += g;
        ex += g * d;
        ASSERT_NEAR(made.dx[j], g * p.factor[c] + p.slope[c] * d + p.shift[c], 1e-5);
      }
      const auto rows = static_cast<double>(p.rows);
      ASSERT_NEAR(made.mean[c], sum / rows, 1e-5);
      ASSERT_NEAR(made.squares[c], squares, 1e-4 * (1 + squares));
      ASSERT_NEAR(made.e[c], e, 1e-5 * rows);
      ASSERT_NEAR(made.ex[c], ex, 5e-5 * rows);
    }
  }
}

TEST_P(BatchNormF32Row, NaNStays) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(63);
  for (int i = 0; i < 30; ++i) {
    Problem p(draw);
    p.x.back() = NAN;
    EXPECT_TRUE(std::isnan(run(GetParam(), p).y.back()));
  }
}

LAPIDARY_EACH_ROW(BatchNormF32Row, batch_norm_f32_kernels());

}  // namespace
}  // namespace lapidary::kernels
