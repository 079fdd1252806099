#include "kernels/exp_f32/exp_f32.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "src/base/rng.h"

namespace lapidary::kernels {
namespace {

std::vector<float> inputs() {
  std::vector<float> x = {0.0f,      -0.0f, 1.0f,   -1.0f, -86.59f,    -86.61f,
                          -100.0f,   88.7f, 88.73f, 1e30f, -1e30f,     INFINITY,
                          -INFINITY, NAN,   1e-30f, 64.0f, 0.34657359f};
  Rng rng(5);
  while (x.size() < 3001) x.push_back(static_cast<float>(rng.uniform() * 180 - 90));
  return x;
}

std::vector<float> run(void (*call)(const ExpF32Args&), const std::vector<float>& x,
                       float shift = 0) {
  std::vector<float> in = x, y(x.size());
  in.resize(x.size() + 16);
  call({.count = static_cast<int64_t>(x.size()), .x = in.data(), .y = y.data(), .shift = shift});
  return y;
}

TEST(ExpF32, RowsGiveTheBitsOfTheScalarRow) {
  const ExpF32Functions* scalar = exp_f32_kernels().back().call;
  for (const ExpF32Kernel& kernel : exp_f32_kernels()) {
    if (!cpu_has(kernel.row.isa)) continue;
    for (const auto member :
         {&ExpF32Functions::exp, &ExpF32Functions::sigmoid, &ExpF32Functions::silu,
          &ExpF32Functions::erf, &ExpF32Functions::gelu, &ExpF32Functions::tanh_gelu}) {
      const auto expected = run(scalar->*member, inputs()),
                 got = run(kernel.call->*member, inputs());
      for (size_t i = 0; i < got.size(); ++i)
        EXPECT_TRUE(std::bit_cast<uint32_t>(got[i]) == std::bit_cast<uint32_t>(expected[i]) ||
                    (std::isnan(got[i]) && std::isnan(expected[i])))
            << kernel.row.name << " of " << inputs()[i] << ": " << got[i] << ", not "
            << expected[i];
    }
  }
}

TEST(ExpF32, AgreesWithFloat64) {
  const ExpF32Functions* call = select_exp_f32().kernel->call;
  const auto x = inputs();
  const auto e = run(call->exp, x), s = run(call->sigmoid, x), u = run(call->silu, x);
  for (size_t i = 0; i < x.size(); ++i) {
    const double v = x[i];
    if (std::isnan(v)) {
      EXPECT_TRUE(std::isnan(e[i]) && std::isnan(s[i]) && std::isnan(u[i]));
      continue;
    }
    if (v < -86.6)
      EXPECT_EQ(e[i], 0.0f) << v;
    else if (v > 88.7228394)
      EXPECT_EQ(e[i], INFINITY) << v;
    else
      EXPECT_NEAR(e[i] / std::exp(v), 1.0, 2e-7) << v;
    if (std::fabs(v) < 80) {
      EXPECT_NEAR(s[i] * (1 + std::exp(-v)), 1.0, 4e-7) << v;
      EXPECT_NEAR(u[i], v / (1 + std::exp(-v)), 4e-7 * std::fabs(v / (1 + std::exp(-v)))) << v;
    }
  }
}

TEST(ExpF32, ErfAgreesWithFloat64) {
  std::vector<float> x = inputs();
  for (int i = -5000; i <= 5000; ++i) x.push_back(static_cast<float>(i) * 1e-3f);
  const auto y = run(select_exp_f32().kernel->call->erf, x);
  for (size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x[i])) {
      EXPECT_TRUE(std::isnan(y[i]));
      continue;
    }
    const double expected = std::erf(static_cast<double>(x[i]));
    EXPECT_NEAR(y[i], expected, 3e-7 * std::fabs(expected)) << x[i];
  }
  // From mpmath with 40 digits, rounded to float32.
  const auto stored = run(select_exp_f32().kernel->call->erf, {0.5f, -1.0f, 2.5f});
  EXPECT_FLOAT_EQ(stored[0], 0.52049988f);
  EXPECT_FLOAT_EQ(stored[1], -0.84270079f);
  EXPECT_FLOAT_EQ(stored[2], 0.99959305f);
}

TEST(ExpF32, GeluAgreesWithFloat64) {
  std::vector<float> x = inputs();
  for (int i = -8000; i <= 8000; ++i) x.push_back(static_cast<float>(i) * 1e-3f);
  const ExpF32Functions* call = select_exp_f32().kernel->call;
  const auto erf = run(call->gelu, x), tanh = run(call->tanh_gelu, x);
  for (size_t i = 0; i < x.size(); ++i) {
    const double v = x[i];
    const double by_erf = v / 2 * (1 + std::erf(v / std::sqrt(2.0)));
    const double cubic = std::sqrt(2 / std::acos(-1.0)) * (v + 0.044715 * v * v * v);
    const double by_tanh = v / 2 * (1 + std::tanh(cubic));
    if (std::isnan(by_erf)) {  // of NaN, and of -infinity: -infinity times 0
      EXPECT_TRUE(std::isnan(erf[i]) && std::isnan(tanh[i])) << v;
    } else if (std::isinf(by_erf)) {
      EXPECT_TRUE(erf[i] == INFINITY && tanh[i] == INFINITY) << v;
    } else {
      EXPECT_NEAR(erf[i], by_erf, 2e-7 * std::max(1.0, std::fabs(by_erf))) << v;
      EXPECT_NEAR(tanh[i], by_tanh, 4e-7 * std::max(1.0, std::fabs(by_tanh))) << v;
    }
  }
  // numpy in float64, rounded to float32.
  const float points[] = {0.5f, -1.0f, -3.0f, 2.5f};
  const float stored[] = {0.345731229f, -0.158655256f, -0.00404969417f, 2.48447585f};
  const float stored_tanh[] = {0.345714003f, -0.158808008f, -0.00363739207f, 2.48491573f};
  const std::vector<float> in(points, points + 4);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(run(call->gelu, in)[i], stored[i], 2e-7f) << points[i];
    EXPECT_NEAR(run(call->tanh_gelu, in)[i], stored_tanh[i], 2e-7f) << points[i];
  }
}

TEST(ExpF32, SubtractsTheShift) {
  // e^-1 and e^0, from numpy in float64 rounded to float32.
  const auto y = run(select_exp_f32().kernel->call->exp, {4.0f, 5.0f}, 5.0f);
  EXPECT_FLOAT_EQ(y[0], 0.36787945f);
  EXPECT_EQ(y[1], 1.0f);
}

}  // namespace
}  // namespace lapidary::kernels
