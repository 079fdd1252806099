#include "test/ops/op_case.h"

// Expected values: ONNX Runtime 1.31 on the inputs written here.

namespace lapidary {
namespace {

TEST(AveragePool, Padded) {
  const auto y =
      OpCase("AveragePool", 17)
          .in<float>({1, 1, 4, 4}, {-2.36f, -1.39f, -0.08f, 1.09f, -0.09f, -1, -1.73f, 1.02f, 2.88f,
                                    0.65f, 0.38f, 0.89f, -1.89f, -0.62f, -0.54f, 0.59f})
          .ints("kernel_shape", {3, 3})
          .ints("strides", {2, 2})
          .ints("pads", {1, 1, 1, 1})
          .run_all();
  expect_tensor<float>(y[0], {1, 1, 2, 2},
                       {-1.2099999f, -0.34833327f, -0.011666636f, -0.040000014f});
}

TEST(AveragePool, PaddingCounts) {
  const auto y =
      OpCase("AveragePool", 17)
          .in<float>({1, 1, 4, 4}, {-0.06f, -2.43f, 2.25f, 3.38f, -0.53f, 0.8f, 0.53f, 1.57f,
                                    -2.96f, 3.23f, -0.94f, 2.53f, 0.16f, -0.78f, -0.28f, 1.79f})
          .ints("kernel_shape", {3, 3})
          .ints("strides", {2, 2})
          .ints("pads", {1, 1, 1, 1})
          .attr("count_include_pad", int64_t{1})
          .run_all();
  expect_tensor<float>(y[0], {1, 1, 2, 2}, {-0.24666667f, 0.6777778f, -0.008888854f, 0.93888885f});
}

TEST(AveragePool, CeilMode) {
  const auto y =
      OpCase("AveragePool", 17)
          .in<float>({1, 1, 4, 4}, {-1.73f, -0.75f, -0.96f, -3.43f, 2.6f, 1.16f, -0.04f, 2.33f,
                                    -1.91f, -0.15f, 3.45f, 1.96f, -4.45f, -6.66f, -2.08f, 2.12f})
          .ints("kernel_shape", {3, 3})
          .ints("strides", {2, 2})
          .attr("ceil_mode", int64_t{1})
          .run_all();
  expect_tensor<float>(y[0], {1, 1, 2, 2}, {0.18555555f, 0.5516667f, -1.9666667f, 1.3625f});
}

TEST(AveragePool, CeilModeWhereTheLastWindowWouldBePaddingOnly) {
  const auto y = OpCase("AveragePool", 17)
                     .in<float>({1, 1, 4}, {-0.94f, -0.44f, 1.22f, -1.77f})
                     .ints("kernel_shape", {1})
                     .ints("strides", {2})
                     .ints("pads", {0, 0})
                     .attr("ceil_mode", int64_t{1})
                     .run_all();
  expect_tensor<float>(y[0], {1, 1, 2}, {-0.94f, 1.22f});
}

TEST(AveragePool, Dilated) {
  const auto y = OpCase("AveragePool", 19)
                     .in<float>({1, 1, 5}, {0.43f, 1.58f, 0.93f, 0.79f, -1.2f})
                     .ints("kernel_shape", {2})
                     .ints("dilations", {2})
                     .run_all();
  expect_tensor<float>(y[0], {1, 1, 3}, {0.68f, 1.1850001f, -0.13500002f});
}

TEST(MaxPool, PaddedWithIndices) {
  const auto y =
      OpCase("MaxPool", 17)
          .in<float>({1, 2, 4, 3}, {1.03f, -0.86f, 2.61f,  5.14f,  -1.48f, -4.35f, -0.85f, 0.75f,
                                    2.1f,  2.16f,  -1.57f, -1.59f, 2.53f,  -2.18f, 2.18f,  -0.45f,
                                    1.53f, 1.41f,  1.55f,  1.64f,  -1.98f, 0.6f,   0.03f,  0.62f})
          .ints("kernel_shape", {2, 2})
          .ints("strides", {2, 1})
          .ints("pads", {0, 1, 0, 0})
          .outputs(2)
          .run_all();
  expect_tensor<float>(
      y[0], {1, 2, 2, 3},
      {5.14f, 5.14f, 2.61f, 2.16f, 2.16f, 2.1f, 2.53f, 2.53f, 2.18f, 1.55f, 1.64f, 1.64f});
  expect_tensor<int64_t>(y[1], {1, 2, 2, 3}, {3, 3, 2, 9, 9, 8, 12, 12, 14, 18, 19, 19});
}

/// Of a window with a NaN the first NaN is the maximum, wherever it lies.
TEST(MaxPool, ANanIsTheMaximum) {
  for (size_t place = 0; place < 9; ++place) {
    std::vector<float> x{1, 2, 3, 4, 5, 6, 7, 8, 9};
    x[place] = NAN;
    const auto y = OpCase("MaxPool", 17)
                       .in<float>({1, 1, 3, 3}, x)
                       .ints("kernel_shape", {3, 3})
                       .outputs(2)
                       .run_all();
    EXPECT_TRUE(std::isnan(y[0].data<float>()[0])) << place;
    EXPECT_EQ(y[1].data<int64_t>()[0], static_cast<int64_t>(place));
    const auto global = OpCase("GlobalMaxPool", 1).in<float>({1, 1, 3, 3}, x).run_all();
    EXPECT_TRUE(std::isnan(global[0].data<float>()[0])) << place;
  }
}

TEST(MaxPool, ColumnMajorIndices) {
  const auto y = OpCase("MaxPool", 17)
                     .in<float>({1, 1, 3, 4}, {2.47f, -0.54f, -1.42f, -1.46f, -0.62f, 1.51f, -1.63f,
                                               2.32f, 0.58f, -0.45f, -2.66f, 0.49f})
                     .ints("kernel_shape", {2, 2})
                     .ints("strides", {1, 2})
                     .attr("storage_order", int64_t{1})
                     .outputs(2)
                     .run_all();
  expect_tensor<float>(y[0], {1, 1, 2, 2}, {2.47f, 2.32f, 1.51f, 2.32f});
  expect_tensor<int64_t>(y[1], {1, 1, 2, 2}, {0, 10, 4, 10});
}

TEST(MaxPool, SameUpperDilated) {
  const auto y = OpCase("MaxPool", 17)
                     .in<float>({1, 1, 6}, {1.38f, -3.53f, 2.38f, 3.3f, 0.68f, 0.98f})
                     .ints("kernel_shape", {2})
                     .ints("dilations", {2})
                     .attr("ceil_mode", int64_t{1})
                     .ints("strides", {3})
                     .run_all();
  expect_tensor<float>(y[0], {1, 1, 2}, {2.38f, 3.3f});
}

TEST(MaxPool, Bytes) {
  const auto y = OpCase("MaxPool", 17)
                     .in<uint8_t>({1, 1, 4}, {3, 250, 7, 9})
                     .ints("kernel_shape", {2})
                     .run_all();
  expect_tensor<uint8_t>(y[0], {1, 1, 3}, {250, 250, 9});
}

TEST(LpPool, Values) {
  const auto y = OpCase("LpPool", 17)
                     .in<float>({1, 1, 3, 3},
                                {4.83f, 2.46f, -1.8f, -0.03f, -0.31f, -0.3f, -4.73f, 1.51f, -1.27f})
                     .ints("kernel_shape", {2, 2})
                     .attr("p", int64_t{3})
                     .run_all();
  expect_tensor<float>(y[0], {1, 1, 2, 2}, {5.034368f, 2.7490678f, 4.781185f, 1.7703077f});
}

TEST(GlobalPool, Average) {
  const auto y =
      OpCase("GlobalAveragePool", 17)
          .in<float>({2, 2, 2, 3}, {0.33f,  -0.27f, 1.74f,  -0.59f, -1.59f, 1.06f,  2.81f, -0.64f,
                                    2.74f,  0.52f,  -1.07f, 3.05f,  -1.64f, 2.03f,  -1,    0.9f,
                                    -2.47f, -1.68f, 2.13f,  0.38f,  0.08f,  -0.88f, 0.89f, -2.79f})
          .run_all();
  expect_tensor<float>(y[0], {2, 2, 1, 1}, {0.11333331f, 1.235f, -0.6433334f, -0.031666677f});
}

TEST(GlobalPool, Max) {
  const auto y = OpCase("GlobalMaxPool", 17)
                     .in<float>({2, 2, 3}, {-2.24f, -0.32f, -1.67f, -1.4f, -0.14f, -0.28f, -0.45f,
                                            3.33f, 2.02f, 2.46f, -0.06f, -1.01f})
                     .run_all();
  expect_tensor<float>(y[0], {2, 2, 1}, {-0.32f, -0.14f, 3.33f, 2.46f});
}

TEST(GlobalPool, Lp) {
  const auto y = OpCase("GlobalLpPool", 17)
                     .in<float>({1, 2, 3}, {-2.91f, -0.7f, -4.17f, -1.17f, 1.53f, 3.24f})
                     .attr("p", int64_t{2})
                     .run_all();
  expect_tensor<float>(y[0], {1, 2, 1}, {5.1329327f, 3.7692704f});
}

OpCase pool(const std::string& op) {
  return OpCase(op, 21).in_type(DType::kF32, {Dim::named("N"), 3, 8, Dim::named("W")});
}

TEST(Pool, Shapes) {
  EXPECT_EQ(pool("MaxPool").ints("kernel_shape", {3, 3}).ints("pads", {1, 1, 1, 1}).infer(),
            "float32[N,3,8,W]");
  EXPECT_EQ(pool("AveragePool").ints("kernel_shape", {2, 2}).ints("strides", {2, 2}).infer(),
            "float32[N,3,4,?]");
  EXPECT_EQ(pool("GlobalAveragePool").infer(), "float32[N,3,1,1]");
}

TEST(Pool, Refusals) {
  expect_error(pool("MaxPool").infer_error(), ErrorCode::kInvalid, "'kernel_shape' is missing");
  expect_error(pool("MaxPool").ints("kernel_shape", {3}).infer_error(), ErrorCode::kInvalid,
               "expected 2");
  expect_error(pool("MaxPool").ints("kernel_shape", {0, 1}).infer_error(), ErrorCode::kInvalid,
               "kernel");
  expect_error(pool("MaxPool").ints("kernel_shape", {9, 1}).infer_error(), ErrorCode::kInvalid,
               "does not fit");
  expect_error(
      pool("MaxPool").ints("kernel_shape", {2, 2}).ints("pads", {2, 0, 0, 0}).infer_error(),
      ErrorCode::kInvalid, "pads");
  expect_error(pool("MaxPool").ints("kernel_shape", {2, 2}).ints("strides", {0, 1}).infer_error(),
               ErrorCode::kInvalid, "strides");
  expect_error(pool("MaxPool")
                   .ints("kernel_shape", {2, 2})
                   .attr("auto_pad", std::string("FULL"))
                   .infer_error(),
               ErrorCode::kInvalid, "auto_pad");
  expect_error(pool("LpPool").ints("kernel_shape", {2, 2}).attr("p", int64_t{0}).infer_error(),
               ErrorCode::kInvalid, "p is 0");
}

}  // namespace
}  // namespace lapidary
