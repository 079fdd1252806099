#include "test/ops/op_case.h"

// Expected values: ONNX Runtime 1.31 on the inputs written here.

namespace lapidary {
namespace {

TEST(Softmax, LastAxis) {
  const auto y = OpCase("Softmax", 13)
                     .in<float>({2, 3}, {1.93f, -1.72f, 0.99f, -1.58f, 1.65f, -0.22f})
                     .run_all();
  expect_tensor<float>(
      y[0], {2, 3},
      {0.70590615f, 0.018347297f, 0.2757466f, 0.033139084f, 0.83774465f, 0.12911628f});
}

TEST(Softmax, MiddleAxis) {
  const auto y = OpCase("Softmax", 13)
                     .in<float>({1, 3, 2}, {1.72f, 5.15f, 1.85f, 4.66f, 0.35f, -0.66f})
                     .attr("axis", int64_t{1})
                     .run_all();
  expect_tensor<float>(
      y[0], {1, 3, 2},
      {0.4178968f, 0.618956f, 0.47591272f, 0.37918872f, 0.10619049f, 0.0018552776f});
}

TEST(Softmax, RowsOfAMatrixBefore13) {
  const auto y =
      OpCase("Softmax", 11)
          .in<float>({2, 2, 2}, {2.67f, 3.45f, -1.11f, 0.15f, -2.87f, -0.4f, 1.78f, -0.17f})
          .attr("axis", int64_t{1})
          .run_all();
  expect_tensor<float>(y[0], {2, 2, 2},
                       {0.30443677f, 0.6641203f, 0.0069480664f, 0.02449486f, 0.007559315f,
                        0.08936956f, 0.7905905f, 0.11248054f});
}

TEST(LogSoftmax, Values) {
  const auto y = OpCase("LogSoftmax", 13)
                     .in<float>({2, 3}, {-1.14f, -2.81f, 0.74f, 1.6f, 1.19f, 0.51f})
                     .run_all();
  expect_tensor<float>(
      y[0], {2, 3},
      {-2.046628f, -3.7166278f, -0.16662797f, -0.69308054f, -1.1030805f, -1.7830806f});
}

TEST(Hardmax, FirstOfEquals) {
  const auto y = OpCase("Hardmax", 13).in<float>({2, 3}, {1, 3, 3, 0, -1, 0}).run_all();
  expect_tensor<float>(y[0], {2, 3}, {0, 1, 0, 1, 0, 0});
}

TEST(Softmax, LargeValuesDoNotOverflow) {
  expect_tensor<float>(OpCase("Softmax").in<float>({2}, {1000, 1000}).run(), {2}, {0.5f, 0.5f});
  expect_tensor<float>(OpCase("LogSoftmax").in<float>({2}, {-1000, 1000}).run(), {2}, {-2000, 0});
}

TEST(Softmax, WrongAxis) {
  for (int64_t axis : {int64_t{99}, int64_t{-3}, INT64_MIN})
    expect_error(OpCase("Softmax").in_type(DType::kF32, {2, 3}).attr("axis", axis).infer_error(),
                 ErrorCode::kInvalid, "axis " + std::to_string(axis));
}

}  // namespace
}  // namespace lapidary
