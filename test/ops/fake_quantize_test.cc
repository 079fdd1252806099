#include "src/ops/fake_quantize.h"

#include "src/base/rng.h"
#include "test/ops/op_case.h"

namespace lapidary {
namespace {

OpCase fake_quantize(int64_t qmin, int64_t qmax) {
  OpCase made("FakeQuantize", 1, std::string(kOwnDomain));
  return made.attr("qmin", qmin).attr("qmax", qmax);
}

TEST(FakeQuantize, RoundsHalfToEvenAndSaturates) {
  // x / 0.5 = -9, -1, 0.5, 1.5, 2.5, 7, 8; to 4 unsigned bits with zero point 3: 0..15 stand for
  // -1.5 .. 6.
  const Tensor y = fake_quantize(0, 15)
                       .in<float>({8}, {-4.5f, -0.5f, 0.25f, 0.75f, 1.25f, 3.5f, 6, 6.5f})
                       .in<float>({}, {0.5f})
                       .in<float>({}, {3})
                       .run();
  EXPECT_THAT(y.data<float>(), testing::ElementsAre(-1.5f, -0.5f, 0, 1, 1, 3.5f, 6, 6));
}

TEST(FakeQuantize, ScalesPerChannelOfAnAxis) {
  const Tensor y = fake_quantize(-7, 7)
                       .attr("axis", int64_t{1})
                       .in<float>({2, 2, 2}, {1.4f, 8, 1.4f, 8, -1.6f, -9, -1.6f, -9})
                       .in<float>({2}, {1, 0.5f})
                       .run();
  EXPECT_THAT(y.data<float>(), testing::ElementsAre(1, 7, 1.5f, 3.5f, -2, -7, -1.5f, -3.5f));
}

TEST(FakeQuantize, RoundsALearnedZeroPointAndKeepsZeroExact) {
  const auto at = [](float zero_point) {
    return fake_quantize(0, 3)
        .in<float>({3}, {-9, 0, 9})
        .in<float>({}, {1})
        .in<float>({}, {zero_point})
        .run()
        .data<float>()[0];
  };
  EXPECT_EQ(at(1.4f), -1);
  EXPECT_EQ(at(1.5f), -2);
  EXPECT_EQ(at(2.5f), -2);
  EXPECT_EQ(at(7), -3);  // 3: the largest at which 0 is among the levels
  EXPECT_EQ(at(-2), 0);  // 0: the least
}

TEST(FakeQuantize, NanStaysOne) {
  const Tensor y = fake_quantize(0, 255).in<float>({1}, {NAN}).in<float>({}, {1}).run();
  EXPECT_TRUE(std::isnan(y.data<float>()[0]));
}

TEST(FakeQuantize, AScaleSteppedOverZeroCountsAsTheLeast) {
  for (const float scale : {-0.5f, 0.0f, 1e-30f}) {
    const Tensor y = fake_quantize(0, 255).in<float>({1}, {1}).in<float>({}, {scale}).run();
    EXPECT_EQ(y.data<float>()[0], 255 * 0x1p-60f);
  }
}

/// Random numbers, halves of the scale among them, and some far away.
std::vector<float> numbers(Rng& rng, size_t count, const std::vector<float>& scale, size_t inner) {
  std::vector<float> x(count);
  for (size_t i = 0; i < count; ++i) {
    const float s = scale[i / inner % scale.size()];
    const auto k = static_cast<float>(static_cast<int>(rng.below(700)) - 350);
    x[i] = i % 3 == 0   ? (k + 0.5f) * s
           : i % 7 == 1 ? k * 1e6f
                        : static_cast<float>(rng.uniform() * 600 - 300) * s;
  }
  return x;
}

TEST(FakeQuantize, HasTheBitsOfQuantizeAndDequantize) {
  Rng rng(3);
  for (const bool is_signed : {false, true})
    for (const bool per_axis : {false, true})
      for (int round = 0; round < 20; ++round) {
        const int64_t channels = per_axis ? 5 : 1;
        std::vector<float> scale;
        std::vector<int32_t> zero;
        for (int64_t c = 0; c < channels; ++c) {
          scale.push_back(static_cast<float>(rng.uniform() * 0.1 + 1e-3));
          zero.push_back(static_cast<int32_t>(rng.below(256)) - (is_signed ? 128 : 0));
        }
        const auto x = numbers(rng, 2 * 5 * 30, scale, 30);
        const Shape shape{2, 5, 30}, params = per_axis ? Shape{5} : Shape{};
        OpCase fake = fake_quantize(is_signed ? -128 : 0, is_signed ? 127 : 255);
        OpCase quantize("QuantizeLinear", 17), dequantize("DequantizeLinear", 17);
        std::vector<uint8_t> u8(zero.begin(), zero.end());
        std::vector<int8_t> s8(zero.begin(), zero.end());
        const auto zeros = [&](OpCase& c) {
          is_signed ? c.in<int8_t>(params, s8) : c.in<uint8_t>(params, u8);
        };
        quantize.in<float>(shape, x).in<float>(params, scale);
        zeros(quantize);
        if (per_axis) quantize.attr("axis", int64_t{1}), dequantize.attr("axis", int64_t{1});
        if (per_axis) fake.attr("axis", int64_t{1});
        dequantize.in(quantize.run()).in<float>(params, scale);
        zeros(dequantize);
        const Tensor y = fake.in<float>(shape, x)
                             .in<float>(params, scale)
                             .in<float>(params, {zero.begin(), zero.end()})
                             .run();
        ASSERT_TRUE(y.equals(dequantize.run())) << round;
      }
}

TEST(FakeQuantize, IsOfXsType) {
  const auto typed = [] {
    return fake_quantize(0, 15).in_type(DType::kF32, {Dim::named("N"), 3, 8});
  };
  EXPECT_EQ(typed().in_type(DType::kF32, {}).infer(), "float32[N,3,8]");
  EXPECT_EQ(typed().in_type(DType::kF32, {1}).in_type(DType::kF32, {1}).infer(), "float32[N,3,8]");
  EXPECT_EQ(typed().attr("axis", int64_t{-2}).in_type(DType::kF32, {3}).infer(), "float32[N,3,8]");
}

TEST(FakeQuantize, RefusesWhatDoesNotFit) {
  const auto message = [](OpCase c) {
    const auto error = c.infer_error();
    return error ? std::string(error->what()) : std::string();
  };
  const auto x = [](OpCase c) { return c.in_type(DType::kF32, {2, 3}); };
  EXPECT_THAT(message(x(fake_quantize(0, 15)).in_type(DType::kF32, {3})),
              testing::HasSubstr("expected one element"));
  EXPECT_THAT(message(x(fake_quantize(0, 15)).attr("axis", int64_t{1}).in_type(DType::kF32, {2})),
              testing::HasSubstr("expected 3 elements"));
  EXPECT_THAT(message(x(fake_quantize(5, 5)).in_type(DType::kF32, {})),
              testing::HasSubstr("qmin 5 and qmax 5"));
  EXPECT_THAT(message(x(fake_quantize(0, 70000)).in_type(DType::kF32, {})),
              testing::HasSubstr("qmax 70000"));
  EXPECT_THAT(message(x(fake_quantize(0, 1).attr("gradient", "sgd")).in_type(DType::kF32, {})),
              testing::HasSubstr("gradient is 'sgd'"));
  EXPECT_THAT(message(fake_quantize(0, 1).in_type(DType::kF16, {2}).in_type(DType::kF32, {})),
              testing::HasSubstr("float16"));
}

}  // namespace
}  // namespace lapidary
