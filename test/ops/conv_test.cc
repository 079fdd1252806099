#include "test/ops/op_case.h"

namespace lapidary {
namespace {

// x = 0..24 as 5x5, a 3x3 kernel of ones: sums of 3x3 neighbourhoods (the Conv example of the ONNX
// spec).
OpCase ones3x3() {
  return OpCase("Conv")
      .in<float>({1, 1, 5, 5}, ramp(25))
      .in<float>({1, 1, 3, 3}, std::vector<float>(9, 1));
}

TEST(Conv, PaddedSums) {
  expect_tensor<float>(ones3x3().ints("pads", {1, 1, 1, 1}).run(), {1, 1, 5, 5},
                       {12,  21, 27, 33,  24,  33,  54,  63, 72,  51,  63,  99, 108,
                        117, 81, 93, 144, 153, 162, 111, 72, 111, 117, 123, 84});
}

TEST(Conv, Unpadded) {
  expect_tensor<float>(ones3x3().run(), {1, 1, 3, 3}, {54, 63, 72, 99, 108, 117, 144, 153, 162});
}

TEST(Conv, SymbolsStayWhereThePaddingKeepsTheSize) {
  const auto x = std::vector<Dim>{Dim::named("N"), 3, Dim::named("H"), 32};
  EXPECT_EQ(OpCase("Conv")
                .in_type(DType::kF32, x)
                .in_type(DType::kF32, {8, 3, 3, 3})
                .ints("pads", {1, 1, 1, 1})
                .infer(),
            "float32[N,8,H,32]");
}

TEST(Conv, RefusesWhatIsNoConvolution) {
  const auto wrong = [](auto&& change) {
    OpCase c("Conv");
    c.in_type(DType::kF32, {1, 4, 8, 8}).in_type(DType::kF32, {6, 4, 3, 3});
    change(c);
    return c.infer_error();
  };
  expect_error(wrong([](OpCase& c) { c.ints("strides", {0, 1}); }), ErrorCode::kInvalid, "strides");
  expect_error(wrong([](OpCase& c) {
                 c.ints("strides", {-1, 1});
               }),
               ErrorCode::kInvalid, "strides");
  expect_error(wrong([](OpCase& c) { c.ints("strides", {1}); }), ErrorCode::kInvalid, "expected 2");
  expect_error(wrong([](OpCase& c) {
                 c.ints("dilations", {0, 1});
               }),
               ErrorCode::kInvalid, "dilations");
  expect_error(wrong([](OpCase& c) { c.attr("group", int64_t{0}); }), ErrorCode::kInvalid, "group");
  expect_error(wrong([](OpCase& c) { c.attr("group", int64_t{-1}); }), ErrorCode::kInvalid,
               "group");
  expect_error(wrong([](OpCase& c) { c.attr("group", int64_t{3}); }), ErrorCode::kInvalid, "group");
  expect_error(wrong([](OpCase& c) {
                 c.ints("pads", {-100, 0, 0, 0});
               }),
               ErrorCode::kInvalid, "pads");
  expect_error(wrong([](OpCase& c) {
                 c.ints("pads", {int64_t{1} << 62, 0, 0, 0});
               }),
               ErrorCode::kInvalid, "pads");
  expect_error(wrong([](OpCase& c) {
                 c.ints("kernel_shape", {5, 5});
               }),
               ErrorCode::kInvalid, "kernel_shape");
  expect_error(
      OpCase("Conv").in_type(DType::kF32, {4}).in_type(DType::kF32, {6, 4, 3, 3}).infer_error(),
      ErrorCode::kInvalid, "rank");
  expect_error(OpCase("Conv")
                   .in_type(DType::kF32, {1, 3, 8, 8})
                   .in_type(DType::kF32, {6, 4, 3, 3})
                   .infer_error(),
               ErrorCode::kInvalid, "the input has 3");
}

// Two times 2^31 - 1 on each side: the planes have 2^64 elements.
TEST(Conv, OutputsBeyondMemoryAreAResourceError) {
  const int64_t most = INT32_MAX;
  expect_error(OpCase("Conv")
                   .in<float>({1, 1, 1, 1}, {1})
                   .in<float>({1, 1, 1, 1}, {1})
                   .ints("pads", {most, most, most, most})
                   .run_error(),
               ErrorCode::kResource, "");
}

TEST(Conv, WeightAndBiasMustFit) {
  const auto conv = [](std::vector<Dim> w, std::vector<Dim> b) {
    return OpCase("Conv")
        .in_type(DType::kF32, {1, 4, 8, 8})
        .in_type(DType::kF32, std::move(w))
        .in_type(DType::kF32, std::move(b))
        .infer_error();
  };
  expect_error(conv({6, 4, 3}, {6}), ErrorCode::kInvalid, "ranks must be equal");
  expect_error(conv({}, {6}), ErrorCode::kInvalid, "rank");
  expect_error(conv({6, 4, 3, 3}, {5}), ErrorCode::kInvalid, "5 elements");
  expect_error(conv({6, 4, 9, 3}, {6}), ErrorCode::kInvalid, "does not fit");
  EXPECT_FALSE(conv({6, 4, 3, 3}, {6}).has_value());
}

TEST(ConvTranspose, RefusesWhatIsNoConvolution) {
  const auto wrong = [](auto&& change) {
    OpCase c("ConvTranspose");
    c.in_type(DType::kF32, {1, 4, 8, 8}).in_type(DType::kF32, {4, 6, 3, 3});
    change(c);
    return c.infer_error();
  };
  EXPECT_FALSE(wrong([](OpCase&) {}).has_value());
  expect_error(wrong([](OpCase& c) { c.attr("group", int64_t{0}); }), ErrorCode::kInvalid, "group");
  expect_error(wrong([](OpCase& c) { c.attr("group", int64_t{3}); }), ErrorCode::kInvalid, "group");
  expect_error(wrong([](OpCase& c) { c.ints("strides", {0, 1}); }), ErrorCode::kInvalid, "strides");
  expect_error(wrong([](OpCase& c) {
                 c.ints("pads", {9, 9, 9, 9});
               }),
               ErrorCode::kInvalid, "the output along spatial axis 0");
  expect_error(wrong([](OpCase& c) {
                 c.ints("output_padding", {1, 0});
               }),
               ErrorCode::kInvalid, "output_padding");
  expect_error(wrong([](OpCase& c) {
                 c.ints("output_shape", {-4, 8});
               }),
               ErrorCode::kInvalid, "output_shape");
  expect_error(wrong([](OpCase& c) {
                 c.ints("kernel_shape", {2, 2});
               }),
               ErrorCode::kInvalid, "kernel_shape");
  expect_error(wrong([](OpCase& c) { c.in_type(DType::kF32, {5}); }), ErrorCode::kInvalid, "bias");
}

TEST(ConvTranspose, Shapes) {
  const auto infer = [](GraphBuilder::Attrs attrs) {
    OpCase c("ConvTranspose");
    c.in_type(DType::kF32, {Dim::named("N"), 4, 8, Dim::named("W")});
    c.in_type(DType::kF32, {4, 3, 3, 3});
    for (const auto& [name, value] : attrs) c.attr(name, value);
    return c.infer();
  };
  EXPECT_EQ(infer({{"strides", std::vector<int64_t>{2, 2}}}), "float32[N,3,17,?]");
  EXPECT_EQ(infer({{"output_shape", std::vector<int64_t>{20, 30}}}), "float32[N,3,20,30]");
}

}  // namespace
}  // namespace lapidary
