#include "kernels/eltwise_f32/eltwise_f32.h"
#include "kernels/eltwise_s8/eltwise_s8.h"
#include "test/kernels/support.h"

namespace lapidary::kernels {
namespace {

/// Distances of a grid of rows x cols with broadcasting and gaps.
struct Sizes {
  Grid grid;
  int64_t a, b, y;
};

Sizes draw_sizes(Draw& draw) {
  Sizes s;
  Grid& g = s.grid;
  g.rows = draw.in(1, 5);
  g.cols = draw.in(1, 150);
  const bool flat = draw.one_in(2);
  const auto operand = [&](int64_t* row, int64_t* step) {
    *step = flat || !draw.one_in(4) ? 1 : 0;
    *row = flat ? g.cols : draw.one_in(4) ? 0 : (*step == 0 ? 1 : g.cols + draw.in(0, 5));
    return (g.rows - 1) * *row + (g.cols - 1) * *step + 1;
  };
  s.a = operand(&g.a_row, &g.a_step);
  s.b = operand(&g.b_row, &g.b_step);
  g.y_row = flat ? g.cols : g.cols + draw.in(0, 5);
  s.y = (g.rows - 1) * g.y_row + g.cols;
  return s;
}

enum class Over { kNeither, kA, kB };

/// Which operand the result is written over: often one where its distances are the result's.
Over draw_over(Draw& draw, const Grid& g) {
  if (g.y_row != g.cols || draw.one_in(3)) return Over::kNeither;
  const bool may_a = g.a_step == 1 && g.a_row == g.cols, may_b = g.b_step == 1 && g.b_row == g.cols;
  if (may_a && (!may_b || draw.one_in(2))) return Over::kA;
  return may_b ? Over::kB : Over::kNeither;
}

/// call(y = 77, or a copy of the operand that it replaces).
template <class T, class Args>
Array<T> result_of(void (*call)(const Args&), Args args, const Sizes& s, const Array<T>& a,
                   const Array<T>& b, Over over) {
  Array<T> y = over == Over::kA ? a : over == Over::kB ? b : Array<T>(s.y, T{77});
  args.grid = s.grid;
  args.a = over == Over::kA ? y.data() : a.data();
  args.b = over == Over::kB ? y.data() : b.data();
  args.y = y.data();
  call(args);
  return y;
}

/// y[at] == value(a, b) for the grid's elements, and untouched between them.
template <class T, class Value>
int64_t count_differing(const Grid& g, const Array<T>& a, const Array<T>& b, const Array<T>& y,
                        T untouched, const Value& value) {
  int64_t differing = 0;
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t r = i / g.y_row, c = i % g.y_row;
    const T expected =
        c < g.cols
            ? static_cast<T>(value(a[r * g.a_row + c * g.a_step], b[r * g.b_row + c * g.b_step]))
            : untouched;
    differing += std::memcmp(&y.data()[i], &expected, sizeof(T)) != 0;
  }
  return differing;
}

class EltwiseS8Row : public testing::TestWithParam<EltwiseS8Kernel> {};

TEST_P(EltwiseS8Row, AddIsTheFormula) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(21);
  for (int i = 0; i < 200; ++i) {
    const Sizes s = draw_sizes(draw);
    const Array<uint8_t> a = draw.integers<uint8_t>(s.a, 0, 255),
                         b = draw.integers<uint8_t>(s.b, 0, 255);
    AddU8 p =
        add_u8(draw.real(0.001f, 0.2f), static_cast<int>(draw.in(0, 255)), draw.real(0.001f, 0.2f),
               static_cast<int>(draw.in(0, 255)), draw.real(0.01f, 0.2f),
               static_cast<int>(draw.in(0, 255)), draw.one_in(2) ? 128 : 0);
    if (draw.one_in(3))
      p.lo = static_cast<int>(draw.in(0, 128)), p.hi = static_cast<int>(draw.in(128, 255));
    AddU8Args args;
    args.add = p;
    const auto y = result_of(GetParam().call->add, args, s, a, b, draw_over(draw, s.grid));
    EXPECT_EQ(count_differing<uint8_t>(s.grid, a, b, y, 77,
                                       [&](int u, int v) {
                                         const float left = static_cast<float>(u - p.shift),
                                                     right = static_cast<float>(v - p.shift);
                                         const float sum =
                                             std::fma(left, p.ra, std::fma(right, p.rb, p.f));
                                         return clamp_rint(sum, p.shift, p.lo, p.hi);
                                       }),
              0);
  }
}

TEST_P(EltwiseS8Row, AddRoundsTheValuesNotTheirBytes) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  // -58 * 0.03 + 87 * 0.07 = 72.5 * 0.06, -59 and 52 with zero points 3, -5, 7 likewise 42.5: exact
  // fractions rounded to float32 after each step give 73 and 43, on bytes 128 more 72 and 42.
  const auto sum = [&](int a, int b, int za, int zb, int zy) {
    const Array<uint8_t> left(1, static_cast<uint8_t>(a + 128)),
        right(1, static_cast<uint8_t>(b + 128));
    Array<uint8_t> y(1, 77);
    GetParam().call->add({.grid = {.cols = 1},
                          .a = left.data(),
                          .b = right.data(),
                          .y = y.data(),
                          .add = add_u8(0.03f, za + 128, 0.07f, zb + 128, 0.06f, zy + 128, 128)});
    return y[0] - 128;
  };
  EXPECT_EQ(sum(-58, 87, 0, 0, 0), 73);
  EXPECT_EQ(sum(-59, 52, 3, -5, 7), 43);
}

TEST_P(EltwiseS8Row, MulIsTheFormula) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(22);
  for (int i = 0; i < 200; ++i) {
    const Sizes s = draw_sizes(draw);
    const Array<uint8_t> a = draw.integers<uint8_t>(s.a, 0, 255),
                         b = draw.integers<uint8_t>(s.b, 0, 255);
    const MulU8 p =
        mul_u8(draw.real(0.001f, 0.2f), static_cast<int>(draw.in(0, 255)), draw.real(0.001f, 0.2f),
               static_cast<int>(draw.in(0, 255)), draw.real(0.01f, 0.2f),
               static_cast<int>(draw.in(0, 255)), draw.one_in(2) ? 128 : 0);
    MulU8Args args;
    args.mul = p;
    const auto y = result_of(GetParam().call->mul, args, s, a, b, draw_over(draw, s.grid));
    EXPECT_EQ(count_differing<uint8_t>(
                  s.grid, a, b, y, 77,
                  [&](int u, int v) {
                    const float product = static_cast<float>((u - p.a_zero) * (v - p.b_zero)) * p.m;
                    const float sum = product + static_cast<float>(p.y_zero - p.shift);
                    return clamp_rint(sum, p.shift, p.lo, p.hi);
                  }),
              0);
  }
}

void check_lut(const EltwiseS8Kernel& kernel) {
  Draw draw(23);
  const Array<uint8_t> table = draw.integers<uint8_t>(256, 0, 255);
  for (int i = 0; i < 60; ++i) {
    const int64_t rows = draw.in(1, 4), cols = draw.in(1, 300);
    const int64_t x_row = cols + draw.in(0, 1) * 3, y_row = cols + draw.in(0, 1) * 5;
    const Array<uint8_t> x = draw.integers<uint8_t>(rows * x_row, 0, 255);
    Array<uint8_t> y(rows * y_row, 77);
    kernel.call->lut({.rows = rows,
                      .cols = cols,
                      .x_row = x_row,
                      .y_row = y_row,
                      .x = x.data(),
                      .y = y.data(),
                      .table = table.data()});
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < y_row; ++c)
        ASSERT_EQ(y[r * y_row + c], c < cols ? table[x[r * x_row + c]] : 77);
  }
}

TEST_P(EltwiseS8Row, LutLooksUpEveryByte) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  check_lut(GetParam());
  const WithoutVbmi without;
  check_lut(GetParam());
}

class EltwiseF32Row : public testing::TestWithParam<EltwiseF32Kernel> {};

/// NaN, infinities and both zeros among ordinary numbers.
Array<float> draw_reals(Draw& draw, int64_t count) {
  Array<float> a = draw.reals(count, -8, 8);
  const float special[] = {0.0f, -0.0f, std::numeric_limits<float>::quiet_NaN(),
                           std::numeric_limits<float>::infinity(),
                           -std::numeric_limits<float>::infinity()};
  for (float& v : a)
    if (draw.one_in(8)) v = special[draw.in(0, 4)];
  return a;
}

bool same(float a, float b) { return std::isnan(a) ? std::isnan(b) : a == b; }

float activate(float v, const ActivationF32& p) {
  if (std::isnan(v)) return v;
  return std::min(p.hi, std::max(p.lo, v < 0 ? p.slope * v : v));
}

float apply(BinaryOp op, float a, float b) {
  switch (op) {
    case BinaryOp::kAdd:
      return a + b;
    case BinaryOp::kSub:
      return a - b;
    case BinaryOp::kMul:
      return a * b;
    case BinaryOp::kDiv:
      return a / b;
    case BinaryOp::kMin:
      return std::isnan(a) || std::isnan(b) ? NAN : std::min(a, b);
    case BinaryOp::kMax:
      return std::isnan(a) || std::isnan(b) ? NAN : std::max(a, b);
    case BinaryOp::kPRelu:
      return a < 0 ? a * b : a;
  }
  return 0;
}

TEST_P(EltwiseF32Row, BinaryIsTheFormula) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(24);
  for (int i = 0; i < 280; ++i) {
    const auto op = static_cast<BinaryOp>(i % 7);
    const Sizes s = draw_sizes(draw);
    const Grid& g = s.grid;
    const Array<float> a = draw_reals(draw, s.a), b = draw_reals(draw, s.b);
    ActivationF32 act;
    if (draw.one_in(3)) act.slope = 0.25f;
    if (draw.one_in(3)) act.lo = 0.0f;
    if (draw.one_in(3)) act.hi = 6.0f;
    BinaryF32Args args;
    args.op = op;
    args.activation = act;
    const auto y = result_of(GetParam().call->binary, args, s, a, b, draw_over(draw, g));
    for (int64_t j = 0; j < y.size(); ++j) {
      const int64_t r = j / g.y_row, c = j % g.y_row;
      const float expected =
          c < g.cols
              ? activate(apply(op, a[r * g.a_row + c * g.a_step], b[r * g.b_row + c * g.b_step]),
                         act)
              : 77.0f;
      ASSERT_TRUE(same(expected, y[j])) << expected << " " << y[j] << " op " << i % 7;
    }
  }
}

TEST_P(EltwiseF32Row, UnaryIsTheActivation) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(25);
  const ActivationF32 activations[] = {
      {}, {.lo = 0}, {.lo = 0, .hi = 6}, {.slope = 0.1f}, {.slope = 2.0f, .lo = -3, .hi = 3}};
  for (const ActivationF32& act : activations) {
    const Array<float> x = draw_reals(draw, 133);
    Array<float> y(133);
    GetParam().call->unary({.count = 133, .x = x.data(), .y = y.data(), .activation = act});
    for (int64_t i = 0; i < 133; ++i) ASSERT_TRUE(same(activate(x[i], act), y[i])) << x[i];
  }
}

TEST_P(EltwiseF32Row, HardSigmoidIsTheFormula) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(26);
  for (const bool times_x : {false, true})
    for (const int64_t count : {1, 15, 133}) {
      const Array<float> x = draw_reals(draw, count);
      const float alpha = draw.real(0.1f, 0.5f), beta = draw.real(0.1f, 0.9f);
      Array<float> y(count + 1, 77.0f);
      GetParam().call->hard_sigmoid({.count = count,
                                     .x = x.data(),
                                     .y = y.data(),
                                     .alpha = alpha,
                                     .beta = beta,
                                     .times_x = times_x});
      for (int64_t i = 0; i < count; ++i) {
        const float linear = alpha * x[i] + beta;
        const float h = std::isnan(linear) ? NAN : std::min(1.0f, std::max(0.0f, linear));
        ASSERT_TRUE(same(times_x ? h * x[i] : h, y[i])) << x[i] << " gives " << y[i];
      }
      ASSERT_EQ(y[count], 77.0f);
    }
}

TEST_P(EltwiseF32Row, AffineIsTheFormula) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(27);
  for (int i = 0; i < 60; ++i) {
    const int64_t rows = draw.in(1, 5), cols = draw.in(1, 70), step = draw.in(0, 1);
    const bool over = draw.one_in(2);
    const Array<float> x = draw_reals(draw, rows * cols);
    const Array<float> a = draw.reals(cols, -2, 2), b = draw.reals(cols, -2, 2);
    Array<float> y = over ? x : Array<float>(rows * cols, 77.0f);
    AffineF32Args args;
    args.rows = rows;
    args.cols = cols;
    args.a_step = step;
    args.x = over ? y.data() : x.data();
    args.a = a.data();
    args.b = b.data();
    args.y = y.data();
    if (draw.one_in(2)) args.activation = {.slope = 0.25f, .lo = -3, .hi = 6};
    GetParam().call->affine(args);
    for (int64_t j = 0; j < rows * cols; ++j) {
      const int64_t c = j % cols * step;
      ASSERT_TRUE(same(activate(a[c] * x[j] + b[c], args.activation), y[j])) << x[j];
    }
  }
}

LAPIDARY_EACH_ROW(EltwiseS8Row, eltwise_s8_kernels());
LAPIDARY_EACH_ROW(EltwiseF32Row, eltwise_f32_kernels());

}  // namespace
}  // namespace lapidary::kernels
