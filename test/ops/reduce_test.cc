#include "test/ops/op_case.h"

namespace lapidary {
namespace {

const std::vector<float> kX{1, -2, 3, -4, 5, -6};  // [2, 3]

OpCase reduce(const std::string& op, std::vector<int64_t> axes, bool keep) {
  OpCase c(op, 18);
  c.in<float>({2, 3}, kX).in<int64_t>({static_cast<int64_t>(axes.size())}, axes);
  return c.attr("keepdims", int64_t{keep});
}

// Each by hand from the definition.
TEST(Reduce, AlongTheLastAxis) {
  const auto rows = [](const char* op) { return reduce(op, {1}, false).run(); };
  expect_tensor<float>(rows("ReduceSum"), {2}, {2, -5});
  expect_tensor<float>(rows("ReduceMean"), {2}, {2.0f / 3, -5.0f / 3});
  expect_tensor<float>(rows("ReduceProd"), {2}, {-6, 120});
  expect_tensor<float>(rows("ReduceMax"), {2}, {3, 5});
  expect_tensor<float>(rows("ReduceMin"), {2}, {-2, -6});
  expect_tensor<float>(rows("ReduceL1"), {2}, {6, 15});
  expect_tensor<float>(rows("ReduceL2"), {2}, {std::sqrt(14.0f), std::sqrt(77.0f)});
  expect_tensor<float>(rows("ReduceSumSquare"), {2}, {14, 77});
  expect_tensor<float>(rows("ReduceLogSum"), {2}, {std::log(2.0f), NAN});
  // log(e + e^-2 + e^3), log(e^-4 + e^5 + e^-6)
  expect_tensor<float>(rows("ReduceLogSumExp"), {2}, {3.13284523f, 5.00014009f});
}

TEST(Reduce, AlongOthersAndAll) {
  expect_tensor<float>(reduce("ReduceSum", {0}, true).run(), {1, 3}, {-3, 3, -3});
  expect_tensor<float>(reduce("ReduceMax", {-2}, false).run(), {3}, {1, 5, 3});
  expect_tensor<float>(reduce("ReduceSum", {0, 1}, false).run(), {}, {-3});
  expect_tensor<float>(OpCase("ReduceSum", 18).in<float>({2, 3}, kX).run(), {1, 1}, {-3});
}

TEST(Reduce, EmptyAxesCanMeanNothingToDo) {
  expect_tensor<float>(reduce("ReduceSum", {}, true).run(), {1, 1}, {-3});
  expect_tensor<float>(reduce("ReduceSum", {}, true).attr("noop_with_empty_axes", int64_t{1}).run(),
                       {2, 3}, kX);
}

TEST(Reduce, AxesAreAnAttributeAtFirst) {
  const auto old = [](const char* op, int opset) {
    return OpCase(op, opset).in<float>({2, 3}, kX).ints("axes", {1}).attr("keepdims", int64_t{0});
  };
  expect_tensor<float>(old("ReduceSum", 11).run(), {2}, {2, -5});
  expect_tensor<float>(old("ReduceMax", 13).run(), {2}, {3, 5});
  expect_error(old("ReduceSum", 13).run_error(), ErrorCode::kInvalid, "unknown attribute 'axes'");
}

TEST(Reduce, IntegersAndBool) {
  expect_tensor<int32_t>(OpCase("ReduceSum", 18).in<int32_t>({3}, {INT32_MAX, 1, 1}).run(), {1},
                         {INT32_MIN + 1});
  const Tensor any = OpCase("ReduceMax", 20).in<bool>({3}, {false, true, false}).run();
  EXPECT_TRUE(any.equals(Tensor::of<bool>({1}, {true})));
}

TEST(Reduce, OfNothing) {
  const auto none = [](const char* op) {
    return OpCase(op, 20).in<float>({0}, {}).attr("keepdims", int64_t{0}).run();
  };
  expect_tensor<float>(none("ReduceSum"), {}, {0});
  expect_tensor<float>(none("ReduceProd"), {}, {1});
  expect_tensor<float>(none("ReduceMax"), {}, {-INFINITY});
  expect_tensor<float>(none("ReduceMin"), {}, {INFINITY});
}

TEST(Reduce, Shapes) {
  const auto infer = [](std::vector<int64_t> axes, int64_t keep) {
    return OpCase("ReduceMean", 18)
        .in_type(DType::kF32, {Dim::named("N"), 8, Dim::named("H")})
        .in<int64_t>({static_cast<int64_t>(axes.size())}, axes)
        .attr("keepdims", keep)
        .infer();
  };
  EXPECT_EQ(infer({1}, 0), "float32[N,H]");
  EXPECT_EQ(infer({-1, 1}, 1), "float32[N,1,1]");
  const auto unknown = [](int64_t keep) {
    return OpCase("ReduceMean", 18)
        .in_type(DType::kF32, {2, 3})
        .in_type(DType::kI64, {1})
        .attr("keepdims", keep)
        .infer();
  };
  EXPECT_EQ(unknown(1), "float32[?,?]");
  EXPECT_EQ(unknown(0), "float32[?]");
}

TEST(Reduce, WrongAxes) {
  expect_error(reduce("ReduceSum", {2}, true).infer_error(), ErrorCode::kInvalid, "axes element 2");
  expect_error(reduce("ReduceSum", {1, -1}, true).infer_error(), ErrorCode::kInvalid, "twice");
}

}  // namespace
}  // namespace lapidary
