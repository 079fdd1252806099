#include "test/ops/op_case.h"

// Expected values: ONNX Runtime 1.31.1 on the same node.

namespace lapidary {
namespace {

struct GridCase {
  std::string mode, padding;
  int64_t align_corners;
  std::vector<float> expected;
};

class GridSample : public testing::TestWithParam<GridCase> {};

TEST_P(GridSample, MatchesOnnxRuntime) {
  const GridCase& c = GetParam();
  const Tensor out =
      OpCase("GridSample", 20)
          .in<float>({1, 1, 3, 4}, ramp(12))
          .in<float>({1, 2, 3, 2}, {-1.2f, -1, -0.3f, 0.2f, 0.5f, 0.9f, 1.1f, -0.4f, 0, 0, 1, 1.6f})
          .attr("mode", c.mode)
          .attr("padding_mode", c.padding)
          .attr("align_corners", c.align_corners)
          .run();
  expect_tensor<float>(out, {1, 1, 2, 3}, c.expected, 1e-5, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(
    Modes, GridSample,
    testing::Values(
        GridCase{"linear", "zeros", 0, {0, 6.1f, 6.825f, 1.38f, 5.5f, 0}},
        GridCase{"linear", "zeros", 1, {0, 5.85f, 9.85f, 4.59f, 5.5f, 4.4f}},
        GridCase{"linear", "border", 0, {0, 6.1f, 10.5f, 4.6f, 5.5f, 11}},
        GridCase{"linear", "border", 1, {0, 5.85f, 9.85f, 5.4f, 5.5f, 11}},
        GridCase{"linear", "reflection", 0, {0, 6.1f, 10.5f, 4.6f, 5.5f, 9.4f}},
        GridCase{"linear", "reflection", 1, {0.3f, 5.85f, 9.85f, 5.25f, 5.5f, 8.6f}},
        GridCase{"nearest", "zeros", 0, {0, 5, 10, 0, 6, 0}},
        GridCase{"nearest", "zeros", 1, {0, 5, 10, 7, 6, 0}},
        GridCase{"nearest", "border", 0, {0, 5, 10, 3, 6, 11}},
        GridCase{"nearest", "reflection", 1, {0, 5, 10, 7, 6, 7}},
        GridCase{"cubic",
                 "zeros",
                 0,
                 {-0.0341249704f, 6.87281799f, 8.23982048f, 1.332407f, 5.5f, -0.604125202f}},
        GridCase{"cubic",
                 "border",
                 1,
                 {-0.110249758f, 6.15937281f, 10.0310316f, 5.09727812f, 5.5f, 11.2879982f}},
        GridCase{"cubic",
                 "reflection",
                 0,
                 {-0.817499876f, 6.41424608f, 11.2762518f, 4.42150116f, 5.5f, 9.92350101f}},
        GridCase{"cubic",
                 "reflection",
                 1,
                 {0.121498823f, 6.25537157f, 10.3091888f, 4.69593430f, 5.5f, 9.27199936f}}));

TEST(GridSampleChecks, NonFiniteCoordinatesLieOutside) {
  const Tensor out = OpCase("GridSample", 20)
                         .in<float>({1, 1, 2, 2}, {1, 2, 3, 4})
                         .in<float>({1, 1, 2, 2}, {std::nanf(""), 0, INFINITY, 1e30f})
                         .run();
  expect_tensor<float>(out, {1, 1, 1, 2}, {0, 0});
}

TEST(GridSampleChecks, Refusals) {
  const auto grid = [](Dim parts) {
    return OpCase("GridSample", 20)
        .in_type(DType::kF32, {1, 1, 4, 4})
        .in_type(DType::kF32, {1, 2, 2, parts});
  };
  EXPECT_EQ(grid(2).infer(), "float32[1,1,2,2]");
  expect_error(grid(3).infer_error(), ErrorCode::kInvalid, "3 and 2");
  expect_error(grid(2).attr("mode", std::string("area")).infer_error(), ErrorCode::kInvalid,
               "area");
}

OpCase roi(int64_t opset, int64_t samples) {
  OpCase c("RoiAlign", opset);
  c.in<float>({1, 1, 5, 5}, ramp(25))
      .in<float>({1, 4}, {0.5f, 1, 3.2f, 4})
      .in<int64_t>({1}, {0})
      .attr("output_height", int64_t{2})
      .attr("output_width", int64_t{2})
      .attr("sampling_ratio", samples);
  return c;
}

TEST(RoiAlign, AverageMaximumAndUnshifted) {
  expect_tensor<float>(roi(16, 0).run(), {1, 1, 2, 2}, {6.925f, 8.275f, 14.425f, 15.775f});
  OpCase maximum = roi(16, 2);
  maximum.attr("mode", std::string("max"));
  expect_tensor<float>(maximum.run(), {1, 1, 2, 2}, {6.7890625f, 5.15625f, 13.825f, 10.2265625f});
  expect_tensor<float>(roi(10, 2).run(), {1, 1, 2, 2}, {9.925f, 11.275f, 17.425f, 18.775f});
}

TEST(RoiAlign, RefusesWrongBatchIndicesAndEndlessRegions) {
  const auto region = [](float end, int64_t image) {
    return OpCase("RoiAlign", 16)
        .in<float>({1, 1, 2, 2}, {1, 2, 3, 4})
        .in<float>({1, 4}, {0, 0, end, 1})
        .in<int64_t>({1}, {image})
        .run_error();
  };
  expect_error(region(1, 1), ErrorCode::kInvalid, "batch index 1");
  expect_error(region(1, -1), ErrorCode::kInvalid, "batch index -1");
  expect_error(region(1e30f, 0), ErrorCode::kResource, "region");
}

TEST(MaxUnpool, PutsElementsBack) {
  const auto unpool = [] {
    return OpCase("MaxUnpool", 11)
        .in<float>({1, 1, 2, 2}, {1, 2, 3, 4})
        .in<int64_t>({1, 1, 2, 2}, {5, 7, 13, 15})
        .ints("kernel_shape", {2, 2})
        .ints("strides", {2, 2});
  };
  expect_tensor<float>(unpool().run(), {1, 1, 4, 4},
                       {0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 3, 0, 4});
  // By hand, as the spec's example: indices count in the 4x4 array, which fills a corner of the
  // 5x5.
  expect_tensor<float>(unpool().in<int64_t>({4}, {1, 1, 5, 5}).run(), {1, 1, 5, 5},
                       {0, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 4, 0, 0, 0, 0, 0, 0});
  expect_error(unpool().in<int64_t>({4}, {1, 1, 3, 3}).infer_error(), ErrorCode::kInvalid,
               "smaller");
  expect_error(OpCase("MaxUnpool", 11)
                   .in<float>({1, 1, 1}, {1})
                   .in<int64_t>({1, 1, 1}, {9})
                   .ints("kernel_shape", {2})
                   .run_error(),
               ErrorCode::kInvalid, "index is 9");
}

TEST(Col2Im, AddsOverlaps) {
  const auto fold = [](const std::vector<int64_t>& block) {
    return OpCase("Col2Im", 18)
        .in<float>({1, 4, 4}, ramp(16))
        .in<int64_t>({2}, {3, 3})
        .in<int64_t>({2}, block);
  };
  expect_tensor<float>(fold({2, 2}).run(), {1, 1, 3, 3}, {0, 5, 5, 10, 30, 20, 10, 25, 15});
  expect_error(fold({3, 1}).infer_error(), ErrorCode::kInvalid, "");
  expect_error(fold({0, 2}).infer_error(), ErrorCode::kInvalid, "positive");
}

TEST(AffineGrid, Corners) {
  const auto grid = [](int64_t align) {
    return OpCase("AffineGrid", 20)
        .in<float>({1, 2, 3}, {1, 0.5f, 0.25f, -0.5f, 1, 0})
        .in<int64_t>({4}, {1, 1, 2, 3})
        .attr("align_corners", align)
        .run();
  };
  expect_tensor<float>(grid(0), {1, 2, 3, 2},
                       {-0.666666687f, -0.166666657f, 0, -0.5f, 0.666666687f, -0.833333373f,
                        -0.166666687f, 0.833333373f, 0.5f, 0.5f, 1.16666675f, 0.166666657f});
  expect_tensor<float>(
      grid(1), {1, 2, 3, 2},
      {-1.25f, -0.5f, -0.25f, -1, 0.75f, -1.5f, -0.25f, 1.5f, 0.75f, 1, 1.75f, 0.5f});
}

TEST(CenterCropPad, CropsAndPads) {
  expect_tensor<float>(
      OpCase("CenterCropPad", 18).in<float>({3, 5}, ramp(15)).in<int64_t>({2}, {5, 2}).run(),
      {5, 2}, {0, 0, 1, 2, 6, 7, 11, 12, 0, 0});
  expect_error(
      OpCase("CenterCropPad", 18).in<float>({3}, ramp(3)).in<int64_t>({1}, {-1}).infer_error(),
      ErrorCode::kInvalid, "negative");
}

TEST(Det, OfEachMatrix) {
  expect_tensor<float>(
      OpCase("Det")
          .in<float>({2, 3, 3}, {1, 2, 3, 4, 5, 7, 2, 9, 1, 0, 1, 0, 2, 0, 0, 0, 0, 3})
          .run(),
      {2}, {40, -6});
  expect_tensor<float>(OpCase("Det").in<float>({2, 2}, {1, 2, 2, 4}).run(), {}, {0});
  expect_error(OpCase("Det").in_type(DType::kF32, {2, 3}).infer_error(), ErrorCode::kInvalid,
               "3 and 2");
}

// X, boxes: the ONNX spec's example "suppress by IOU".
TEST(NonMaxSuppression, SuppressesOverlaps) {
  const auto nms = [](int64_t most, float overlap, float least) {
    return OpCase("NonMaxSuppression", 11)
        .in<float>({1, 6, 4}, {0, 0,  1, 1,  0, 0.1f, 1, 1.1f,  0, -0.1f, 1, 0.9f,
                               0, 10, 1, 11, 1, 11,   0, 10.1f, 0, 100,   1, 101})
        .in<float>({1, 1, 6}, {0.9f, 0.75f, 0.6f, 0.95f, 0.5f, 0.3f})
        .in<int64_t>({1}, {most})
        .in<float>({1}, {overlap})
        .in<float>({1}, {least})
        .run();
  };
  expect_tensor<int64_t>(nms(3, 0.5f, 0), {3, 3}, {0, 0, 3, 0, 0, 0, 0, 0, 5});
  expect_tensor<int64_t>(nms(3, 0.5f, 0.4f), {2, 3}, {0, 0, 3, 0, 0, 0});
  expect_tensor<int64_t>(nms(1, 0.5f, 0), {1, 3}, {0, 0, 3});
  EXPECT_EQ(nms(10, 1.0f, 0).dim(0), 6);
  EXPECT_EQ(nms(0, 0.5f, 0).dim(0), 0);
}

// x[i] = 37 i mod 101 - 50; regions inside, beyond and outside the image.
TEST(MaxRoiPool, RoundsRegionsOutwards) {
  std::vector<float> x;
  for (int i = 0; i < 120; ++i) x.push_back(static_cast<float>(i * 37 % 101 - 50));
  const std::vector<float> rois{0, 1, 0, 4, 3, 1, -2, 1.5f, 9, 8, 0, 3, 3, 3, 3, 1, 8, 1, 9, 2};
  const auto pooled = [&](float scale) {
    return OpCase("MaxRoiPool")
        .in<float>({2, 2, 5, 6}, x)
        .in<float>({4, 5}, rois)
        .ints("pooled_shape", {2, 3})
        .attr("spatial_scale", scale)
        .run();
  };
  expect_tensor<float>(
      pooled(1), {4, 2, 2, 3},
      {44, 44, 17, 47, 20, 37, 43, 43, 16, 46, 19, 36, 45, 38, 0, 0, 0, 0, 44, 37, 0, 0, 0, 0,
       20, 20, 20, 20, 20, 20, 19, 19, 19, 19, 19, 19, 0,  0,  0, 0, 0, 0, 0,  0,  0, 0, 0, 0});
  expect_tensor<float>(
      pooled(0.5f), {4, 2, 2, 3},
      {7,   44,  44,  27,  44, 44, 6,   43, 43,  26,  43,  43,  25,  42,  35,  45,
       45,  38,  24,  41,  34, 44, 44,  37, -37, -37, -37, -37, -37, -37, -38, -38,
       -38, -38, -38, -38, 15, 15, -49, 15, 15,  -49, 14,  14,  -50, 14,  14,  -50});
}

TEST(MaxRoiPool, BadRegions) {
  const auto error = [](const std::vector<float>& region) {
    return OpCase("MaxRoiPool")
        .in<float>({1, 1, 2, 2}, ramp(4))
        .in<float>({1, 5}, region)
        .ints("pooled_shape", {1, 1})
        .run_error();
  };
  expect_error(error({1, 0, 0, 1, 1}), ErrorCode::kInvalid, "image 1 of region 0");
  expect_error(error({NAN, 0, 0, 1, 1}), ErrorCode::kInvalid, "image nan");
  expect_error(error({0, 0, 0, 1e30f, 1}), ErrorCode::kInvalid, "a region from 0");
  expect_error(OpCase("MaxRoiPool")
                   .in_type(DType::kF32, {1, 1, 2, 2})
                   .in_type(DType::kF32, {1, 5})
                   .ints("pooled_shape", {0, 1})
                   .infer_error(),
               ErrorCode::kInvalid, "pooled_shape is [0,1]");
}

}  // namespace
}  // namespace lapidary
