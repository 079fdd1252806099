#include "quantize/weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "src/base/rng.h"
#include "test/calibrate/samples.h"
#include "test/calibrate/tiny.h"

namespace lapidary {
namespace {

QuantScheme symmetric(int bits, int64_t axis = 0) {
  return {.bits = bits, .is_signed = true, .symmetric = true, .narrow_range = true, .axis = axis};
}

/// The weights of quantize_reference.py: nearly normal, nearly normal and small, one outlier.
Tensor drawn_weights() {
  Rng rng(7);
  Tensor w(DType::kF32, {3, 40});
  const auto x = w.mutable_data<float>();
  for (size_t i = 0; i < x.size(); ++i) {
    const double value = bell(rng);
    x[i] = static_cast<float>(i / 40 == 1 ? value * 0.01 : value);
  }
  x[85] = 12;
  return w;
}

double squared_error(const Tensor& w, const QuantParams& params, size_t row) {
  const Tensor back = dequantize_tensor(quantize_tensor(w, params), params);
  double sum = 0;
  for (size_t i = row * 40; i < row * 40 + 40; ++i)
    sum += std::pow(
        static_cast<double>(back.data<float>()[i]) - static_cast<double>(w.data<float>()[i]), 2);
  return sum;
}

struct Row {
  int bits;
  double scale, minmax_error, least_error;
};
// quantize_reference.py, "weights"
constexpr Row kRows[] = {
    {8, 0.01782923420583169, 0.0009626511249258638, 0.0009626511249258638},
    {8, 0.00016478651151882382, 7.960369953777928e-08, 7.960369953777928e-08},
    {8, 0.09448818897637795, 0.02228744495892767, 0.022041811150974533},
    {4, 0.32347324916294645, 0.3258135542463586, 0.2988636009354975},
    {4, 0.0029896981375558034, 3.010247701883543e-05, 2.7841486676998672e-05},
    {4, 1.7142857142857142, 6.093986026952233, 5.912851758556983},
};

TEST(Weights, MinmaxScalesAreTheLargestMagnitudes) {
  const Tensor w = drawn_weights();
  ASSERT_EQ(w.data<float>()[0], -1.001068115234375f);
  for (size_t i = 0; i < 6; ++i) {
    const Row& r = kRows[i];
    const QuantParams params = weight_qparams(w, {symmetric(r.bits), "minmax"});
    ASSERT_EQ(params.scale.size(), 3u);
    EXPECT_NEAR(params.scale[i % 3], r.scale, 1e-6 * r.scale);
    EXPECT_EQ(params.zero_point[i % 3], 0);
    EXPECT_NEAR(squared_error(w, params, i % 3), r.minmax_error, 1e-3 * r.minmax_error);
  }
}

TEST(Weights, MseScalesReachTheLeastError) {
  const Tensor w = drawn_weights();
  for (size_t i = 0; i < 6; ++i) {
    const Row& r = kRows[i];
    const QuantParams params = weight_qparams(w, {symmetric(r.bits), "mse"});
    EXPECT_LE(squared_error(w, params, i % 3), 1.02 * r.least_error) << i;
    EXPECT_GE(squared_error(w, params, i % 3), 0.99 * r.least_error) << i;
  }
  // 4 bits: the range seen is not the best one.
  const auto minmax = weight_qparams(w, {symmetric(4), "minmax"});
  const auto mse = weight_qparams(w, {symmetric(4), "mse"});
  for (size_t c = 0; c < 3; ++c) EXPECT_LT(mse.scale[c], 0.99f * minmax.scale[c]) << c;
}

TEST(Weights, OnAnyAxisOrNone) {
  const Tensor w = Tensor::of<float>({2, 3}, {1, -2, 0.5f, -4, 1, 0.25f});
  EXPECT_EQ(weight_qparams(w, {symmetric(8, 0)}).scale,
            (std::vector<float>{2.0f / 127, 4.0f / 127}));
  EXPECT_EQ(weight_qparams(w, {symmetric(8, 1)}).scale,
            (std::vector<float>{4.0f / 127, 2.0f / 127, 0.5f / 127}));
  EXPECT_EQ(weight_qparams(w, {symmetric(8, -1)}).scale, (std::vector<float>{4.0f / 127}));
  EXPECT_EQ(error_of([&] {
              weight_qparams(w, {symmetric(8), "entropy"});
            }).code,
            ErrorCode::kUsage);
}

TEST(Weights, ChannelsOfZerosHaveScaleOne) {
  const Tensor w = Tensor::of<float>({3, 2}, {0, 0, 127, 1, 0, -0.0f});
  EXPECT_EQ(weight_qparams(w, {symmetric(8)}).scale, (std::vector<float>{1, 1, 1}));
  EXPECT_EQ(zero_slices(w, 0), (std::vector<int64_t>{0, 2}));
  EXPECT_TRUE(zero_slices(w, 1).empty());
}

TEST(Weights, ChannelsNextToZeroKeepAFloor) {
  // 1e-20 / 127 would make the bias 2^-24 times too fine.
  const Tensor w = Tensor::of<float>({2, 1}, {127, 1e-20f});
  EXPECT_EQ(weight_qparams(w, {symmetric(8)}).scale, (std::vector<float>{1, 0x1p-24f}));
}

TEST(GuardBias, RaisesOnlyScalesThatOverflow) {
  // |b| <= s_x s_w 2^30: for s_x = 2^-20 that is s_w 1024.
  QuantParams weight;
  weight.axis = 0;
  weight.scale = {0.5f, 0.5f, 0.5f};
  weight.zero_point = {0, 0, 0};
  const std::vector<float> bias = {512, -513, 1e-3f};
  EXPECT_EQ(guard_bias(weight, 0x1p-20f, bias), 1);
  EXPECT_EQ(weight.scale[0], 0.5f);
  EXPECT_NEAR(weight.scale[1], 513.0 / 1024, 1e-6);
  EXPECT_GE(weight.scale[1], 513.0f / 1024);
  EXPECT_EQ(weight.scale[2], 0.5f);
  const QuantParams stored = bias_qparams(weight, 0x1p-20f);
  EXPECT_EQ(stored.storage, DType::kI32);
  EXPECT_EQ(stored.scale[0], 0x1p-21f);
  EXPECT_EQ(stored.axis, 0);
  for (size_t c = 0; c < 3; ++c)
    EXPECT_LE(std::fabs(std::nearbyint(bias[c] / stored.scale[c])), 0x1p30) << c;
}

TEST(GuardBias, OneScaleForAll) {
  QuantParams weight;
  weight.scale = {0.5f};
  weight.zero_point = {0};
  const std::vector<float> bias = {1, 2048, 1024};
  guard_bias(weight, 0x1p-20f, bias);
  EXPECT_NEAR(weight.scale[0], 2, 1e-5);
  EXPECT_EQ(bias_qparams(weight, 1).axis, -1);
}

}  // namespace
}  // namespace lapidary
