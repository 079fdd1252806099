#include "test/ops/op_case.h"

// Expected values: ONNX Runtime 1.31 on the inputs written here (or what the comment of a test
// derives).

namespace lapidary {
namespace {

TEST(BatchNormalization, Inference) {
  const auto y = OpCase("BatchNormalization", 15)
                     .in<float>({2, 3, 2}, {0.6f, 1.58f, 0.33f, 1.11f, -0.94f, -0.76f, -1.88f,
                                            2.72f, 0.32f, -0.98f, -2.66f, -0.31f})
                     .in<float>({3}, {2.89f, 0.92f, -1.45f})
                     .in<float>({3}, {2.86f, 2.86f, 1.96f})
                     .in<float>({3}, {1.58f, 2.31f, 1.09f})
                     .in<float>({3}, {1.65f, 1.66f, 3.1f})
                     .attr("epsilon", 0.001f)
                     .run_all();
  expect_tensor<float>(y[0], {2, 3, 2},
                       {0.65580285f, 2.86f, 1.4465898f, 2.0033877f, 3.6315262f, 3.4833121f,
                        -4.922165f, 5.4240656f, 1.4394513f, 0.51145476f, 5.047795f, 3.1127768f});
}

TEST(LayerNormalization, LastAxisWithStatistics) {
  const auto y =
      OpCase("LayerNormalization", 17)
          .in<float>({2, 3, 4}, {0.46f, 4.05f,  -4.08f, 1.41f, 1.96f,  -0.69f, 0.9f,  1.5f,
                                 1.15f, -1.08f, -0.28f, 2.04f, 2.55f,  0.2f,   0.15f, 0.4f,
                                 2.08f, -2.11f, -2.66f, 0.25f, -2.21f, -1.17f, 0.17f, 0.97f})
          .in<float>({4}, {-2.14f, 1.6f, -3.55f, 1.09f})
          .in<float>({4}, {-3.16f, -2.55f, 1.28f, -0.81f})
          .attr("epsilon", 0.001f)
          .outputs(3)
          .run_all();
  expect_tensor<float>(
      y[0], {2, 3, 4},
      {-3.16f,     -0.5914887f,  6.7753553f,  -0.4569293f, -5.3869243f, -5.1173587f,
       1.3420128f, -0.17622066f, -4.380666f,  -4.576275f,  3.4365206f,  0.61080176f,
       -6.848504f, -3.5491886f,  3.6743057f,  -1.2728741f, -6.190608f,  -3.813499f,
       5.1112986f, -0.3164983f,  -0.2702968f, -3.3487396f, -0.8408346f, 0.55481416f});
  expect_tensor<float>(
      y[1], {2, 3, 1},
      {0.46000007f, 0.91749996f, 0.45749995f, 0.82500005f, -0.60999995f, -0.56000006f});
  expect_tensor<float>(
      y[2], {2, 3, 1},
      {0.34096643f, 0.99819547f, 0.8236889f, 0.9991885f, 0.52645797f, 0.81838095f});
}

TEST(LayerNormalization, TwoAxes) {
  const auto y = OpCase("LayerNormalization", 17)
                     .in<float>({2, 2, 3}, {-1.59f, -0.89f, 0.93f, -0.11f, -0.06f, 2.11f, -1.43f,
                                            -0.94f, -1.04f, 2.34f, 1.98f, 2.57f})
                     .in<float>({2, 3}, {-0.07f, -0.31f, 1.71f, -0.79f, 1.66f, 1.45f})
                     .attr("axis", int64_t{1})
                     .run_all();
  expect_tensor<float>(y[0], {2, 2, 3},
                       {0.09661097f, 0.24688545f, 1.2335099f, 0.11529105f, -0.17304082f, 2.4728153f,
                        0.08124974f, 0.27210292f, -1.5997018f, -0.8029116f, 1.3420358f, 1.666284f});
}

TEST(InstanceNormalization, Values) {
  const auto y = OpCase("InstanceNormalization", 17)
                     .in<float>({2, 2, 3}, {-1.4f, -0.17f, -0.24f, 3.47f, 5.18f, -0.2f, 0.03f,
                                            -4.56f, 0.42f, -0.01f, -2.15f, 1.57f})
                     .in<float>({2}, {-3.13f, -0.43f})
                     .in<float>({2}, {0.28f, -2.5f})
                     .attr("epsilon", 0.01f)
                     .run_all();
  expect_tensor<float>(
      y[0], {2, 2, 3},
      {4.632925f, -2.0876994f, -1.7052248f, -2.6250448f, -2.9523304f, -1.9226248f, -1.6559461f,
       4.6911917f, -2.1952453f, -2.5525413f, -1.9501921f, -2.9972663f});
}

TEST(LRN, Values) {
  const auto y = OpCase("LRN", 17)
                     .in<float>({1, 5, 2, 1}, {1.71f, 2.11f, -2.77f, -2.82f, 1.2f, -0.06f, -2.42f,
                                               -0.59f, -0.22f, -0.29f})
                     .attr("size", int64_t{3})
                     .attr("alpha", 0.1f)
                     .attr("beta", 0.6f)
                     .attr("bias", 1.5f)
                     .run_all();
  expect_tensor<float>(y[0], {1, 5, 2, 1},
                       {1.1809678f, 1.4295113f, -1.883903f, -1.9104599f, 0.7919479f, -0.042497918f,
                        -1.732862f, -0.4599237f, -0.16019176f, -0.22607496f});
}

TEST(LpNormalization, Two) {
  const auto y = OpCase("LpNormalization", 17)
                     .in<float>({2, 3}, {1.65f, 0.77f, 3.54f, 2.75f, 1.36f, 2.15f})
                     .attr("axis", int64_t{-1})
                     .run_all();
  expect_tensor<float>(y[0], {2, 3},
                       {0.41448653f, 0.19342704f, 0.889262f, 0.73406184f, 0.36302695f, 0.5739029f});
}

TEST(LpNormalization, One) {
  const auto y = OpCase("LpNormalization", 17)
                     .in<float>({2, 3}, {2.65f, 1.41f, -2.45f, 1.72f, 0.14f, 3.24f})
                     .attr("axis", int64_t{0})
                     .attr("p", int64_t{1})
                     .run_all();
  expect_tensor<float>(
      y[0], {2, 3},
      {0.60640734f, 0.90967745f, -0.43057996f, 0.3935927f, 0.090322584f, 0.56942004f});
}

TEST(MeanVarianceNormalization, Values) {
  const auto y =
      OpCase("MeanVarianceNormalization", 17)
          .in<float>({2, 2, 2, 2}, {0.19f, 1.05f, 0.66f, 3.36f, 0.35f, -0.54f, 0.62f, -0.88f, 0.32f,
                                    -0.01f, 0.54f, 3.85f, -0.81f, 0.07f, -0.4f, 1.35f})
          .run_all();
  expect_tensor<float>(
      y[0], {2, 2, 2, 2},
      {-0.7535667f, -0.13928486f, -0.41785446f, 1.5107045f, 0.52387637f, -0.7030972f, 0.89610434f,
       -1.1718289f, -0.6607101f, -0.89642286f, -0.50356823f, 1.8607024f, -1.0753253f, 0.1378622f,
       -0.5100902f, 1.9024985f});
}

// Two groups of two channels on 1..4, one element each: means 1.5 and 3.5, deviations 0.5.
TEST(GroupNormalization, PerChannelSince21PerGroupBefore) {
  const auto run = [](int opset, std::vector<float> scale, std::vector<float> bias) {
    const auto n = static_cast<int64_t>(scale.size());
    return OpCase("GroupNormalization", opset)
        .in<float>({1, 4, 1}, {1, 2, 3, 4})
        .in<float>({n}, scale)
        .in<float>({n}, bias)
        .attr("num_groups", int64_t{2})
        .attr("epsilon", 0.0f)
        .run();
  };
  expect_tensor<float>(run(21, {1, 2, 3, 4}, {0, 0, 10, 10}), {1, 4, 1}, {-1, 2, 7, 14});
  expect_tensor<float>(run(18, {2, 3}, {0, 10}), {1, 4, 1}, {-2, 2, 7, 13});
}

// mean(x^2) of (3, 4) is 12.5.
TEST(RMSNormalization, Values) {
  const Tensor y = OpCase("RMSNormalization", 23)
                       .in<float>({1, 2}, {3, 4})
                       .in<float>({2}, {1, 2})
                       .attr("epsilon", 0.0f)
                       .run();
  expect_tensor<float>(y, {1, 2}, {0.848528137f, 2.26274170f});
}

// Batch 1, 3 of one channel: mean 2, variance 1; running = 0.9 old + 0.1 new.
TEST(BatchNormalization, TrainingMovesTheRunningStatistics) {
  const auto y = OpCase("BatchNormalization", 15)
                     .in<float>({2, 1}, {1, 3})
                     .in<float>({1}, {2})
                     .in<float>({1}, {5})
                     .in<float>({1}, {10})
                     .in<float>({1}, {20})
                     .attr("training_mode", int64_t{1})
                     .attr("epsilon", 0.0f)
                     .outputs(3)
                     .run_all();
  expect_tensor<float>(y[0], {2, 1}, {3, 7});
  expect_tensor<float>(y[1], {1}, {9.2f});
  expect_tensor<float>(y[2], {1}, {18.1f});
}

OpCase batch_norm(float variance, float epsilon) {
  OpCase c("BatchNormalization", 15);
  c.in<float>({1, 2, 1}, {1, 3});
  for (int i = 0; i < 3; ++i) c.in<float>({2}, {1, 1});
  return c.in<float>({2}, {1, variance}).attr("epsilon", epsilon);
}

TEST(BatchNormalization, NamesTheChannelOfABadVariance) {
  expect_error(batch_norm(-1, 1e-5f).run_error(), ErrorCode::kInvalid,
               "variance of channel 1 is -1");
  expect_error(batch_norm(NAN, 1e-5f).run_error(), ErrorCode::kInvalid, "channel 1");
  expect_error(batch_norm(0, 0).run_error(), ErrorCode::kInvalid, "channel 1");
}

TEST(Normalization, WrongSizes) {
  OpCase bn("BatchNormalization", 15);
  bn.in_type(DType::kF32, {1, 3, 4});
  for (int i = 0; i < 4; ++i) bn.in_type(DType::kF32, {2});
  expect_error(bn.infer_error(), ErrorCode::kInvalid, "expected 3 elements");
  const auto group = [](int64_t groups) {
    return OpCase("GroupNormalization", 21)
        .in_type(DType::kF32, {1, 4, 2})
        .in_type(DType::kF32, {4})
        .in_type(DType::kF32, {4})
        .attr("num_groups", groups)
        .infer_error();
  };
  expect_error(group(3), ErrorCode::kInvalid, "does not divide");
  expect_error(group(0), ErrorCode::kInvalid, "num_groups is 0");
  expect_error(OpCase("LayerNormalization", 17)
                   .in_type(DType::kF32, {1, 4})
                   .in_type(DType::kF32, {4})
                   .attr("axis", int64_t{5})
                   .infer_error(),
               ErrorCode::kInvalid, "axis 5");
}

TEST(LayerNormalization, Shapes) {
  const auto types = OpCase("LayerNormalization", 17)
                         .in_type(DType::kF16, {Dim::named("N"), 7, 8})
                         .in_type(DType::kF16, {8})
                         .outputs(3)
                         .infer_all();
  EXPECT_EQ(types[0].text(), "float16[N,7,8]");
  EXPECT_EQ(types[1].text(), "float32[N,7,1]");
  EXPECT_EQ(types[2].text(), "float32[N,7,1]");
}

}  // namespace
}  // namespace lapidary
