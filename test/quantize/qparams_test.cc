#include "quantize/qparams.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "test/calibrate/tiny.h"

namespace lapidary {
namespace {

constexpr QuantScheme kUint8{.bits = 8};
constexpr QuantScheme kInt8{.bits = 8, .is_signed = true};
constexpr QuantScheme kSymmetric{.bits = 8, .is_signed = true, .symmetric = true};
constexpr QuantScheme kNarrow{
    .bits = 8, .is_signed = true, .symmetric = true, .narrow_range = true};
constexpr QuantScheme kMiddle{.bits = 8, .symmetric = true};

struct Row {
  QuantScheme scheme;
  Range range;
  float scale;
  int32_t zero;
};

TEST(Qparams, FollowTheFormulas) {
  const Row rows[] = {
      // s = (high - low) / 255, z = rint(qmin - low / s)
      {kUint8, {-1, 3}, 4.0f / 255, 64},  // 63.75
      {kUint8, {0, 6}, 6.0f / 255, 0},
      {kUint8, {-5.1, 0}, 5.1f / 255, 255},
      {kInt8, {-1, 3}, 4.0f / 255, -64},  // -64.25
      {kInt8, {0, 6}, 6.0f / 255, -128},
      // zero is made part of the range
      {kUint8, {1, 5}, 5.0f / 255, 0},
      {kUint8, {-5, -1}, 5.0f / 255, 255},
      {kInt8, {2, 4}, 4.0f / 255, -128},
      // s = max(-low, high) / 127, z = 0 or the middle
      {kSymmetric, {-1, 3}, 3.0f / 127, 0},
      {kNarrow, {-4, 3}, 4.0f / 127, 0},
      {kMiddle, {-1, 3}, 3.0f / 127, 128},
      {kSymmetric, {2, 3}, 3.0f / 127, 0},
      // nothing to cover: scale 1, zero at 0
      {kUint8, {0, 0}, 1, 0},
      {kInt8, {0, 0}, 1, 0},
      {kNarrow, {0, 0}, 1, 0},
      {kMiddle, {0, 0}, 1, 128},
      // ranges too small for a scale whose products are normal numbers
      {kUint8, {0, 1e-42}, 0x1p-60f, 0},
      {kNarrow, {-1e-30, 1e-42}, 0x1p-60f, 0},
      {kUint8, {-1e-25, 0}, 0x1p-60f, 0},
      // fewer bits
      {{.bits = 4}, {-1, 2}, 0.2f, 5},
      {{.bits = 7, .is_signed = true, .symmetric = true, .narrow_range = true},
       {-1, 1},
       1.0f / 63,
       0},
      {{.bits = 16}, {0, 65535}, 1, 0},
  };
  for (const Row& row : rows) {
    const QuantParams params = choose_qparams(row.range, row.scheme);
    EXPECT_FLOAT_EQ(params.scale.at(0), row.scale) << row.range.low << ' ' << row.range.high;
    EXPECT_EQ(params.zero_point.at(0), row.zero) << row.range.low << ' ' << row.range.high;
    EXPECT_TRUE(params.per_tensor());
  }
}

TEST(Qparams, TheWidestRangeHasAScale) {
  constexpr double kMost = std::numeric_limits<float>::max();
  const QuantParams params = choose_qparams(Range{-kMost, kMost}, kUint8);
  EXPECT_FLOAT_EQ(params.scale[0], static_cast<float>(kMost / 127.5));
  EXPECT_EQ(params.zero_point[0], 128);  // 127.5 to even
  EXPECT_TRUE(std::isfinite(choose_qparams(Range{-kMost, kMost}, {.bits = 2}).scale[0]));
}

TEST(Qparams, RefuseRangesThatAreNone) {
  const double inf = INFINITY, nan = NAN;
  for (const Range& range :
       {Range{-inf, 0}, Range{0, inf}, Range{nan, 1}, Range{-1, nan}, Range{2, 1}})
    EXPECT_EQ(error_of([&] { choose_qparams(range, kUint8); }).code, ErrorCode::kInvalid);
  for (const int bits : {0, 1, 17, 32})
    EXPECT_EQ(error_of([&] {
                choose_qparams(Range{0, 1}, QuantScheme{.bits = bits});
              }).code,
              ErrorCode::kUsage);
}

TEST(Qparams, LimitsOfTheIntegers) {
  EXPECT_EQ(kUint8.qmin(), 0);
  EXPECT_EQ(kUint8.qmax(), 255);
  EXPECT_EQ(kSymmetric.qmin(), -128);
  EXPECT_EQ(kNarrow.qmin(), -127);
  EXPECT_EQ(kNarrow.qmax(), 127);
  EXPECT_EQ(kUint8.storage(), DType::kU8);
  EXPECT_EQ(kNarrow.storage(), DType::kI8);
  EXPECT_EQ((QuantScheme{.bits = 4}).storage(), DType::kU8);
  EXPECT_EQ((QuantScheme{.bits = 9, .is_signed = true}).storage(), DType::kI16);
}

TEST(Qparams, ZeroIsExactInEveryRange) {
  for (int i = 0; i < 200; ++i) {
    const Range range{-i * 0.0371, (200 - i) * 0.0173};
    for (const QuantScheme& scheme : {kUint8, kInt8, kSymmetric, kMiddle}) {
      const QuantParams params = choose_qparams(range, scheme);
      const Tensor q = quantize_tensor(Tensor::of<float>({1}, {0}), params);
      EXPECT_EQ(dequantize_tensor(q, params).data<float>()[0], 0.0f);
      // and the ends are missed by half a step at most
      const Range covered = covered_range(params);
      const double step = static_cast<double>(params.scale[0]);
      EXPECT_LE(covered.low, range.low + 0.501 * step);
      EXPECT_GE(covered.high, range.high - 0.501 * step);
    }
  }
}

TEST(Qparams, OfACoveredRangeAreTheSame) {
  for (int i = 1; i < 100; ++i) {
    const QuantParams params = choose_qparams(Range{-i * 0.031, (100 - i) * 0.077}, kUint8);
    const QuantParams again = choose_qparams(covered_range(params), kUint8);
    EXPECT_EQ(again.zero_point, params.zero_point);
    EXPECT_EQ(again.scale, params.scale);
  }
}

TEST(QuantizeTensor, RoundsHalfToEvenAndSaturates) {
  QuantParams params;
  params.scale = {0.5f};
  params.zero_point = {3};
  // x / s: 0.5 -> 0, 1.5 -> 2, 2.5 -> 2, -0.5 -> -0, -1.5 -> -2; the zero point comes after
  // rounding
  const Tensor x = Tensor::of<float>({8}, {0.25f, 0.75f, 1.25f, -0.25f, -0.75f, 1000, -1000, 126});
  const Tensor q = quantize_tensor(x, params);
  const std::vector<uint8_t> expected = {3, 5, 5, 3, 1, 255, 0, 255};
  EXPECT_TRUE(q.equals(Tensor::of<uint8_t>({8}, expected)));
  const Tensor back = dequantize_tensor(q, params);
  EXPECT_TRUE(back.equals(Tensor::of<float>({8}, {0, 1, 1, 0, -1, 126, -1.5f, 126})));
}

TEST(QuantizeTensor, KeepsToTheNarrowRange) {
  QuantParams params = choose_qparams(Range{-1, 1}, kNarrow);
  const Tensor q = quantize_tensor(Tensor::of<float>({3}, {-1, -5, 5}), params);
  EXPECT_TRUE(q.equals(Tensor::of<int8_t>({3}, {-127, -127, 127})));
  params = choose_qparams(Range{-1, 2}, QuantScheme{.bits = 4});
  EXPECT_TRUE(quantize_tensor(Tensor::of<float>({3}, {-9, 9, 0}), params)
                  .equals(Tensor::of<uint8_t>({3}, {0, 15, 5})));
}

TEST(QuantizeTensor, HasAScalePerSlice) {
  const std::vector<Range> ranges = {{-1, 1}, {-2, 2}, {0, 0}};
  QuantScheme scheme = kNarrow;
  scheme.axis = 1;
  const QuantParams params = choose_qparams(ranges, scheme);
  EXPECT_EQ(params.scale, (std::vector<float>{1.0f / 127, 2.0f / 127, 1}));
  const Tensor x = Tensor::of<float>({2, 3, 1}, {1, 1, 0, -0.5f, -2, 0});
  EXPECT_TRUE(
      quantize_tensor(x, params).equals(Tensor::of<int8_t>({2, 3, 1}, {127, 64, 0, -64, -127, 0})));
  const Slices slices = slices_of(Shape{2, 3, 4, 5}, 1);
  EXPECT_EQ(slices.outer, 2);
  EXPECT_EQ(slices.count, 3);
  EXPECT_EQ(slices.inner, 20);
}

}  // namespace
}  // namespace lapidary
