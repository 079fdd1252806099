#include "test/ops/op_case.h"

// Expected values: ONNX Runtime 1.31.1 on the same node, unless a comment says otherwise.

namespace lapidary {
namespace {

OpCase image(const std::string& mode, int64_t opset = 19) {
  OpCase c("Resize", opset);
  c.in<float>({1, 1, 2, 3}, {1, 2, 7, 3, 4, 100}).attr("mode", mode);
  return c;
}

OpCase ramp3x4(const std::string& mode, int64_t opset = 19) {
  OpCase c("Resize", opset);
  c.in<float>({1, 1, 3, 4}, ramp(12)).attr("mode", mode);
  return c;
}

OpCase& scales(OpCase& c, const std::vector<float>& values) {
  return c.absent().in<float>({static_cast<int64_t>(values.size())}, values);
}

OpCase& sizes(OpCase& c, const std::vector<int64_t>& values) {
  return c.absent().absent().in<int64_t>({static_cast<int64_t>(values.size())}, values);
}

TEST(Resize, LinearHalfPixel) {
  OpCase c = image("linear");
  expect_tensor<float>(scales(c, {1, 1, 2, 2}).run(), {1, 1, 4, 6},
                       {1,        1.25f,   1.75f,    3.25f,  5.75f, 7,     1.5f,  1.75f,
                        2.25f,    9.4375f, 23.3125f, 30.25f, 2.5f,  2.75f, 3.25f, 21.8125f,
                        58.4375f, 76.75f,  3,        3.25f,  3.75f, 28,    76,    100});
}

TEST(Resize, LinearAlignCorners) {
  OpCase c = image("linear");
  c.attr("coordinate_transformation_mode", std::string("align_corners"));
  expect_tensor<float>(sizes(c, {1, 1, 3, 5}).run(), {1, 1, 3, 5},
                       {1, 1.5f, 2, 4.5f, 7, 2, 2.5f, 3, 28.25f, 53.5f, 3, 3.5f, 4, 52, 100});
}

TEST(Resize, LinearAsymmetric) {
  OpCase c = image("linear");
  c.attr("coordinate_transformation_mode", std::string("asymmetric"));
  expect_tensor<float>(
      scales(c, {1, 1, 1.5f, 1.7f}).run(), {1, 1, 3, 5},
      {1, 1.58823526f, 2.88235259f, 5.82352924f, 7, 2.33333325f, 2.92156863f, 14.9215651f,
       53.549015f, 69, 3, 3.58823538f, 20.9411697f, 77.4117584f, 100});
}

TEST(Resize, PytorchHalfPixelTakesTheFirstElementForOne) {
  OpCase c = image("linear");
  c.attr("coordinate_transformation_mode", std::string("pytorch_half_pixel"));
  expect_tensor<float>(sizes(c, {1, 1, 1, 2}).run(), {1, 1, 1, 2}, {1.25f, 5.75f});
}

TEST(Resize, Cubic) {
  OpCase c = ramp3x4("cubic");
  expect_tensor<float>(
      scales(c, {1, 1, 1.5f, 2}).run(), {1, 1, 4, 8},
      {-0.452691138f, -0.155815989f, 0.32074669f, 0.949653149f, 1.35590339f, 1.98480988f,
       2.46137261f,   2.75824761f,   1.51953125f, 1.81640625f,  2.29296875f, 2.921875f,
       3.328125f,     3.95703125f,   4.43359375f, 4.73046875f,  4.81583118f, 5.11270571f,
       5.58926868f,   6.21817493f,   6.62442541f, 7.25333214f,  7.72989511f, 8.02676964f,
       7.38990307f,   7.68677807f,   8.16334057f, 8.79224777f,  9.19849682f, 9.82740307f,
       10.3039656f,   10.6008406f},
      1e-5, 1e-5);
}

TEST(Resize, CubicWithoutWhatLiesOutside) {
  OpCase c = ramp3x4("cubic");
  c.attr("cubic_coeff_a", -0.5f).attr("exclude_outside", int64_t{1});
  expect_tensor<float>(
      scales(c, {1, 1, 1.5f, 2}).run(), {1, 1, 4, 8},
      {-0.35139209f, -0.0952736288f, 0.446766853f, 0.986843228f, 1.48684323f, 2.02691936f,
       2.56896019f,  2.82507849f,    1.55882359f,  1.81494212f,  2.35698247f, 2.89705873f,
       3.39705873f,  3.93713522f,    4.47917557f,  4.73529339f,  4.66233492f, 4.91845417f,
       5.46049452f,  6.0005703f,     6.5005703f,   7.04064655f,  7.58268785f, 7.8388052f,
       7.50038671f,  7.75650692f,    8.29854679f,  8.83862209f,  9.33862305f, 9.87870026f,
       10.4207401f,  10.676857f},
      1e-5, 1e-5);
}

TEST(Resize, NearestRoundings) {
  const auto nearest = [](const char* rounding) {
    OpCase c = ramp3x4("nearest");
    c.attr("nearest_mode", std::string(rounding));
    return scales(c, {1, 1, 2, 0.5f}).run();
  };
  expect_tensor<float>(nearest("round_prefer_floor"), {1, 1, 6, 2},
                       {0, 2, 0, 2, 4, 6, 4, 6, 8, 10, 8, 10});
  expect_tensor<float>(nearest("round_prefer_ceil"), {1, 1, 6, 2},
                       {1, 3, 1, 3, 5, 7, 5, 7, 9, 11, 9, 11});
  expect_tensor<float>(nearest("ceil"), {1, 1, 6, 2}, {1, 3, 5, 7, 5, 7, 9, 11, 9, 11, 9, 11});
  OpCase c = ramp3x4("nearest");
  c.attr("nearest_mode", std::string("floor"))
      .attr("coordinate_transformation_mode", std::string("asymmetric"));
  expect_tensor<float>(scales(c, {1, 1, 0.7f, 1.7f}).run(), {1, 1, 2, 6},
                       {0, 0, 1, 1, 2, 2, 4, 4, 5, 5, 6, 6});
}

TEST(Resize, CropAndResizeExtrapolates) {
  OpCase c = ramp3x4("linear");
  c.attr("coordinate_transformation_mode", std::string("tf_crop_and_resize"))
      .attr("extrapolation_value", -1.0f)
      .in<float>({8}, {0, 0, 0.25f, 0.2f, 1, 1, 0.9f, 1.2f})
      .absent()
      .in<int64_t>({4}, {1, 1, 2, 3});
  expect_tensor<float>(c.run(), {1, 1, 2, 3}, {2.6f, 4.1f, -1, 7.8f, 9.3f, -1});
}

// By hand: shrinking by 0.6 the linear kernel reaches 1/0.6; the weights of output 0, at 1/3, are
// 1 - 0.6 d over the elements -1, 0, 1 (and 2: 0), the edge repeated: (0.2, 0.8, 0.6) / 1.6.
TEST(Resize, AntialiasStretchesTheKernel) {
  OpCase c("Resize", 19);
  c.in<float>({1, 1, 1, 4}, {0, 1, 2, 3})
      .attr("mode", std::string("linear"))
      .attr("antialias", int64_t{1});
  expect_tensor<float>(scales(c, {1, 1, 1, 0.6f}).run(), {1, 1, 1, 2}, {0.375f, 2.0f}, 1e-5, 1e-5);
}

TEST(Resize, AntialiasCubicWithoutWhatLiesOutside) {
  OpCase c("Resize", 19);
  c.in<float>({1, 1, 4, 4}, ramp(16))
      .attr("mode", std::string("cubic"))
      .attr("antialias", int64_t{1})
      .attr("exclude_outside", int64_t{1});
  expect_tensor<float>(scales(c, {1, 1, 0.6f, 0.6f}).run(), {1, 1, 2, 2},
                       {1.60714149f, 3.39097667f, 8.74248123f, 10.5263166f}, 1e-5, 1e-5);
}

TEST(Resize, IntegersLoseTheirFraction) {
  OpCase u8("Resize", 19);
  u8.in<uint8_t>({1, 1, 2, 3}, {1, 2, 7, 3, 4, 100}).attr("mode", std::string("linear"));
  expect_tensor<uint8_t>(
      scales(u8, {1, 1, 2, 2}).run(), {1, 1, 4, 6},
      {1, 1, 1, 3, 5, 7, 1, 1, 2, 9, 23, 30, 2, 2, 3, 21, 58, 76, 3, 3, 3, 28, 76, 100});
  OpCase i8("Resize", 19);
  i8.in<int8_t>({1, 1, 2, 3}, {-1, -2, -7, 3, 4, 100}).attr("mode", std::string("linear"));
  expect_tensor<int8_t>(
      scales(i8, {1, 1, 2, 2}).run(), {1, 1, 4, 6},
      {-1, -1, -1, -3, -5, -7, 0, 0, 0, 4, 14, 19, 2, 2, 2, 20, 55, 73, 3, 3, 3, 28, 76, 100});
}

TEST(Resize, CubicOvershootOfIntegersSaturates) {
  OpCase c("Resize", 19);  // a step: the cubic runs above 255 and below 0 beside it
  c.in<uint8_t>({1, 1, 1, 4}, {0, 0, 255, 255}).attr("mode", std::string("cubic"));
  const Tensor out = scales(c, {1, 1, 1, 2}).run();
  EXPECT_EQ(out.data<uint8_t>()[2], 0);
  EXPECT_EQ(out.data<uint8_t>()[5], 255);
}

TEST(Resize, AxesAndAspectRatio) {
  OpCase c("Resize", 19);
  c.in<float>({1, 2, 2, 1}, ramp(4)).ints("axes", {2, 3});
  expect_tensor<float>(sizes(c, {3, 2}).run(), {1, 2, 3, 2}, {0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3});
  const auto keep = [](const char* policy) {
    OpCase k("Resize", 19);
    k.in<float>({1, 1, 2, 4}, ramp(8))
        .ints("axes", {2, 3})
        .attr("keep_aspect_ratio_policy", std::string(policy));
    return sizes(k, {5, 6}).run();
  };
  expect_tensor<float>(keep("not_larger"), {1, 1, 3, 6},
                       {0, 0, 1, 2, 2, 3, 0, 0, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7});
  EXPECT_EQ(shape_text(keep("not_smaller").shape()), "[1,1,5,10]");
}

// Version 10 rounds down where an axis grows and up where it shrinks.
TEST(Resize, Version10) {
  const auto run = [](const std::vector<float>& by) {
    return ramp3x4("nearest", 10).in<float>({4}, by).run();
  };
  expect_tensor<float>(run({1, 1, 1.5f, 1.7f}), {1, 1, 4, 6},
                       {0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2, 4, 4, 5, 5, 6, 6, 8, 8, 9, 9, 10, 10});
  expect_tensor<float>(run({1, 1, 0.7f, 0.6f}), {1, 1, 2, 2}, {0, 2, 8, 10});
  expect_tensor<float>(run({1, 1, 1.5f, 0.6f}), {1, 1, 4, 2}, {0, 2, 0, 2, 4, 6, 8, 10});
}

TEST(Upsample, AttributeAndInputForm) {
  OpCase c("Upsample", 7);
  c.in<float>({1, 1, 2, 3}, {1, 2, 7, 3, 4, 100})
      .attr("mode", std::string("nearest"))
      .attr("scales", std::vector<float>{1, 1, 2, 3});
  expect_tensor<float>(c.run(), {1, 1, 4, 9},
                       {1, 1, 1, 2, 2, 2, 7,   7,   7,   1, 1, 1, 2, 2, 2, 7,   7,   7,
                        3, 3, 3, 4, 4, 4, 100, 100, 100, 3, 3, 3, 4, 4, 4, 100, 100, 100});
  OpCase linear("Upsample", 9);
  linear.in<float>({1, 1, 2, 3}, {1, 2, 7, 3, 4, 100})
      .in<float>({4}, {1, 1, 2, 2})
      .attr("mode", std::string("linear"));
  expect_tensor<float>(linear.run(), {1, 1, 4, 6},
                       {1, 1.5f, 2, 4.5f, 7,   7,   2, 2.5f, 3, 28.25f, 53.5f, 53.5f,
                        3, 3.5f, 4, 52,   100, 100, 3, 3.5f, 4, 52,     100,   100});
  expect_error(OpCase("Upsample", 10).in<float>({1}, {1}).in<float>({1}, {2}).run_error(),
               ErrorCode::kUnsupported, "Upsample");
}

TEST(Resize, Types) {
  const std::vector<Dim> in = {Dim::named("N"), 3, 10, Dim::named("W")};
  EXPECT_EQ(
      OpCase("Resize").in_type(DType::kF32, in).absent().in<float>({4}, {1, 1, 0.7f, 2}).infer(),
      "float32[N,3,7,?]");
  EXPECT_EQ(OpCase("Resize").in_type(DType::kF32, in).absent().in_type(DType::kF32, {4}).infer(),
            "float32[?,?,?,?]");
}

TEST(Resize, RefusesWhatIsNoResize) {
  OpCase zero = image("linear");
  expect_error(scales(zero, {1, 1, 0, 2}).infer_error(), ErrorCode::kInvalid, "scale");
  OpCase nan = image("linear");
  expect_error(scales(nan, {1, 1, std::nanf(""), 2}).infer_error(), ErrorCode::kInvalid, "scale");
  OpCase few = image("linear");
  expect_error(scales(few, {1, 2}).infer_error(), ErrorCode::kInvalid, "expected 4");
  OpCase huge = image("linear");
  expect_error(scales(huge, {1, 1, 1e30f, 2}).infer_error(), ErrorCode::kResource, "scaled");
  OpCase wide = image("linear");
  const int64_t much = int64_t{1} << 38;
  expect_error(sizes(wide, {1, 1, much, much}).infer_error(), ErrorCode::kResource, "64 bits");
  OpCase both = image("linear");
  scales(both, {1, 1, 2, 2}).in<int64_t>({4}, {1, 1, 4, 6});
  expect_error(both.infer_error(), ErrorCode::kInvalid, "both");
  expect_error(image("linear").infer_error(), ErrorCode::kInvalid, "none");
  OpCase word = image("bilinear");
  expect_error(scales(word, {1, 1, 2, 2}).infer_error(), ErrorCode::kInvalid, "bilinear");
}

}  // namespace
}  // namespace lapidary
