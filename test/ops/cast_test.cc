#include "test/ops/op_case.h"

namespace lapidary {
namespace {

OpCase cast(DType to) { return OpCase("Cast", 21).attr("to", static_cast<int64_t>(to)); }

TEST(Cast, FloatsAreTruncatedTowardZero) {
  expect_tensor<int32_t>(cast(DType::kI32).in<float>({4}, {-1.9f, 1.9f, 2.5f, -0.5f}).run(), {4},
                         {-1, 1, 2, 0});
}

// The standard leaves these open; they must be defined.
TEST(Cast, FloatsOutsideTheRangeGoToItsEnd) {
  const std::vector<float> x{1e20f, -1e20f, NAN, INFINITY};
  expect_tensor<int64_t>(cast(DType::kI64).in<float>({4}, x).run(), {4},
                         {INT64_MAX, INT64_MIN, 0, INT64_MAX});
  expect_tensor<uint8_t>(cast(DType::kU8).in<float>({4}, x).run(), {4}, {255, 0, 0, 255});
  EXPECT_THAT(cast(DType::kI4).in<float>({4}, x).run().data<int8_t>(),
              testing::ElementsAre(7, -8, 0, 7));
}

TEST(Cast, IntegersDropHighBits) {
  expect_tensor<int8_t>(cast(DType::kI8).in<int16_t>({2}, {200, -129}).run(), {2}, {-56, 127});
  EXPECT_THAT(cast(DType::kI4).in<int32_t>({2}, {9, -9}).run().data<int8_t>(),
              testing::ElementsAre(-7, 7));
  EXPECT_THAT(cast(DType::kU4).in<int32_t>({2}, {17, -1}).run().data<uint8_t>(),
              testing::ElementsAre(1, 15));
}

TEST(Cast, BoolIsAnythingButZero) {
  EXPECT_TRUE(cast(DType::kBool)
                  .in<float>({4}, {0, -0.0f, 0.1f, NAN})
                  .run()
                  .equals(Tensor::of<bool>({4}, {false, false, true, true})));
  expect_tensor<float>(cast(DType::kF32).in<bool>({2}, {true, false}).run(), {2}, {1, 0});
}

TEST(Cast, HalfPrecision) {
  // 65520 rounds to infinity, 2^-25 to zero (ties to even), 1 + 2^-11 to 1.
  const Tensor half =
      cast(DType::kF16).in<float>({4}, {65519, 65520, 0x1p-25f, 1 + 0x1p-11f}).run();
  EXPECT_THAT(half.data<Half>(),
              testing::ElementsAre(Half{0x7BFF}, Half{0x7C00}, Half{0}, Half{0x3C00}));
  const Tensor brain = cast(DType::kBF16).in<float>({2}, {1, 3.14159274f}).run();
  EXPECT_THAT(brain.data<BFloat16>(), testing::ElementsAre(BFloat16{0x3F80}, BFloat16{0x4049}));
}

TEST(Cast, Strings) {
  const Tensor text =
      cast(DType::kString).in<float>({4}, {0.47892547f, -1.5f, NAN, -INFINITY}).run();
  EXPECT_THAT(text.data<std::string>(), testing::ElementsAre("0.47892547", "-1.5", "NaN", "-INF"));
  const std::vector<std::string> in{"1e-5", "+INF", "nan", "-3.5", "1E400"};
  expect_tensor<float>(cast(DType::kF32).in<std::string>({5}, in).run(), {5},
                       {1e-5f, INFINITY, NAN, -3.5f, INFINITY});
  expect_error(cast(DType::kF32).in<std::string>({1}, {"Hello"}).run_error(), ErrorCode::kInvalid,
               "Hello");
}

TEST(Cast, Targets) {
  expect_error(cast(static_cast<DType>(99)).in<float>({1}, {1}).run_error(), ErrorCode::kInvalid,
               "99");
  expect_error(OpCase("Cast").in<float>({1}, {1}).run_error(), ErrorCode::kInvalid,
               "'to' is missing");
  const OpCase float4 = cast(DType::kF4E2M1).in<float>({1}, {1});
  EXPECT_EQ(float4.infer(), "float4e2m1[1]");
  expect_error(float4.run_error(), ErrorCode::kUnsupported, "float4e2m1");
}

TEST(CastLike, TakesTheOtherType) {
  expect_tensor<int32_t>(OpCase("CastLike").in<float>({1}, {2.7f}).in<int32_t>({0}, {}).run(), {1},
                         {2});
}

TEST(Clip, BoundsAreAttributesThenInputs) {
  const std::vector<float> x{-2, 0, 3, NAN};
  expect_tensor<float>(
      OpCase("Clip", 6).in<float>({4}, x).attr("min", -1.0f).attr("max", 2.0f).run(), {4},
      {-1, 0, 2, NAN});
  expect_tensor<float>(
      OpCase("Clip", 13).in<float>({4}, x).in<float>({}, {-1}).in<float>({}, {2}).run(), {4},
      {-1, 0, 2, NAN});
  expect_tensor<float>(OpCase("Clip", 13).in<float>({4}, x).absent().in<float>({}, {2}).run(), {4},
                       {-2, 0, 2, NAN});
  expect_tensor<float>(OpCase("Clip", 13).in<float>({4}, x).run(), {4}, x);
  expect_tensor<int8_t>(OpCase("Clip", 13).in<int8_t>({2}, {-9, 9}).in<int8_t>({}, {-3}).run(), {2},
                        {-3, 9});
}

TEST(Clip, TheUpperBoundWins) {
  const Tensor y =
      OpCase("Clip", 13).in<float>({2}, {0, 9}).in<float>({}, {5}).in<float>({}, {1}).run();
  expect_tensor<float>(y, {2}, {1, 1});
}

TEST(Clip, BoundsMustBeScalarsOfTheSameType) {
  const auto clip = [] { return OpCase("Clip", 13).in_type(DType::kF32, {4}); };
  expect_error(clip().in_type(DType::kF32, {2}).infer_error(), ErrorCode::kInvalid, "scalar");
  expect_error(clip().in_type(DType::kI32, {}).infer_error(), ErrorCode::kInvalid, "int32");
}

TEST(Dropout, PassesThroughWhenNobodyTrains) {
  const auto y =
      OpCase("Dropout", 13).in<float>({2}, {1, 2}).in<float>({}, {0.5f}).outputs(2).run_all();
  expect_tensor<float>(y[0], {2}, {1, 2});
  EXPECT_TRUE(y[1].equals(Tensor::of<bool>({2}, {true, true})));
  const auto old = OpCase("Dropout", 7).in<float>({2}, {1, 2}).outputs(2).run_all();
  expect_tensor<float>(old[1], {2}, {1, 1});
}

TEST(Dropout, TrainingIsRandomAndRefused) {
  const auto train = [](float ratio) {
    return OpCase("Dropout", 13).in<float>({1}, {1}).in<float>({}, {ratio}).in<bool>({}, {true});
  };
  expect_error(train(0.5f).run_error(), ErrorCode::kUnsupported, "random");
  expect_tensor<float>(train(0).run(), {1}, {1});
}

TEST(Identity, KeepsWhatItGets) {
  const Tensor text = Tensor::of<std::string>({2}, {"a", "b"});
  EXPECT_TRUE(OpCase("Identity").in(text).run().equals(text));
}

}  // namespace
}  // namespace lapidary
