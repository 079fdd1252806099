#include "test/ops/op_case.h"

// Expected values: ONNX Runtime 1.31 on the inputs written here (QLinear ops and QGemm: to the
// bit), or derived in the comment of a test.

namespace lapidary {
namespace {

TEST(QLinearAdd, U8) {
  const auto y =
      OpCase("QLinearAdd", 1, "com.microsoft")
          .in<uint8_t>({2, 8},
                       {31, 153, 25, 62, 176, 68, 184, 35, 151, 169, 114, 184, 32, 33, 166, 69})
          .in<float>({}, {0.0234f})
          .in<uint8_t>({}, {78})
          .in<uint8_t>({2, 8},
                       {156, 27, 75, 106, 222, 199, 68, 183, 164, 51, 162, 96, 241, 34, 185, 82})
          .in<float>({}, {0.0626f})
          .in<uint8_t>({}, {119})
          .in<float>({}, {0.0206f})
          .in<uint8_t>({}, {88})
          .run_all();
  expect_tensor<uint8_t>(y[0], {2, 8},
                         {147, 0, 0, 30, 255, 255, 53, 234, 255, 0, 255, 139, 255, 0, 255, 0});
}

TEST(QLinearAdd, U8Broadcast) {
  const auto y = OpCase("QLinearAdd", 1, "com.microsoft")
                     .in<uint8_t>({2, 1}, {83, 193})
                     .in<float>({}, {0.0408f})
                     .in<uint8_t>({}, {94})
                     .in<uint8_t>({2, 6}, {47, 168, 152, 30, 228, 165, 205, 98, 49, 242, 179, 18})
                     .in<float>({}, {0.0425f})
                     .in<uint8_t>({}, {24})
                     .in<float>({}, {0.0906f})
                     .in<uint8_t>({}, {98})
                     .run_all();
  expect_tensor<uint8_t>(y[0], {2, 6}, {104, 161, 153, 96, 189, 159, 227, 177, 154, 245, 215, 140});
}

TEST(QLinearMul, U8) {
  const auto y = OpCase("QLinearMul", 1, "com.microsoft")
                     .in<uint8_t>({2, 8}, {135, 118, 66, 85, 141, 24, 168, 81, 244, 224, 136, 196,
                                           39, 79, 44, 171})
                     .in<float>({}, {0.0815f})
                     .in<uint8_t>({}, {53})
                     .in<uint8_t>({8}, {204, 243, 14, 84, 42, 75, 244, 37})
                     .in<float>({}, {0.0801f})
                     .in<uint8_t>({}, {35})
                     .in<float>({}, {0.3337f})
                     .in<uint8_t>({}, {8})
                     .run_all();
  expect_tensor<uint8_t>(y[0], {2, 8},
                         {255, 255, 3, 39, 20, 0, 255, 9, 255, 255, 0, 145, 6, 28, 0, 13});
}

TEST(QLinearSigmoid, U8) {
  const auto y = OpCase("QLinearSigmoid", 1, "com.microsoft")
                     .in<uint8_t>({16}, {223, 53, 20, 242, 239, 249, 224, 164, 61, 84, 181, 133, 1,
                                         202, 221, 225})
                     .in<float>({}, {0.0766f})
                     .in<uint8_t>({}, {53})
                     .in<float>({}, {0.00390625f})
                     .in<uint8_t>({}, {0})
                     .run_all();
  expect_tensor<uint8_t>(
      y[0], {16}, {255, 128, 19, 255, 255, 255, 255, 255, 166, 234, 255, 255, 5, 255, 255, 255});
}

TEST(QLinearLeakyRelu, U8) {
  const auto y = OpCase("QLinearLeakyRelu", 1, "com.microsoft")
                     .in<uint8_t>({16}, {173, 203, 195, 6, 222, 225, 62, 26, 197, 39, 230, 116, 22,
                                         64, 255, 165})
                     .in<float>({}, {0.0272f})
                     .in<uint8_t>({}, {35})
                     .in<float>({}, {0.0785f})
                     .in<uint8_t>({}, {79})
                     .attr("alpha", 0.2f)
                     .run_all();
  expect_tensor<uint8_t>(
      y[0], {16}, {127, 137, 134, 77, 144, 145, 88, 78, 135, 80, 147, 107, 78, 89, 155, 124});
}

TEST(QLinearSoftmax, U8) {
  const auto y = OpCase("QLinearSoftmax", 1, "com.microsoft")
                     .in<uint8_t>({2, 6}, {28, 246, 85, 102, 182, 73, 6, 147, 98, 166, 226, 236})
                     .in<float>({}, {0.0627f})
                     .in<uint8_t>({}, {84})
                     .in<float>({}, {0.00390625f})
                     .in<uint8_t>({}, {0})
                     .attr("axis", int64_t{-1})
                     .attr("opset", int64_t{13})
                     .run_all();
  expect_tensor<uint8_t>(y[0], {2, 6}, {0, 251, 0, 0, 5, 0, 0, 1, 0, 2, 88, 165});
}

TEST(QLinearConcat, U8) {
  const auto y = OpCase("QLinearConcat", 1, "com.microsoft")
                     .in<float>({}, {0.0368f})
                     .in<uint8_t>({}, {56})
                     .in<uint8_t>({2, 3}, {125, 185, 46, 163, 88, 18})
                     .in<float>({}, {0.0369f})
                     .in<uint8_t>({}, {4})
                     .in<uint8_t>({2, 2}, {42, 170, 126, 70})
                     .in<float>({}, {0.0243f})
                     .in<uint8_t>({}, {48})
                     .attr("axis", int64_t{1})
                     .run_all();
  expect_tensor<uint8_t>(y[0], {2, 5}, {177, 237, 98, 52, 137, 215, 140, 70, 108, 71});
}

TEST(QLinearGlobalAveragePool, U8) {
  const auto y =
      OpCase("QLinearGlobalAveragePool", 1, "com.microsoft")
          .in<uint8_t>({1, 2, 3, 2}, {145, 135, 125, 168, 59, 87, 123, 213, 56, 25, 242, 14})
          .in<float>({}, {0.0737f})
          .in<uint8_t>({}, {34})
          .in<float>({}, {0.0388f})
          .in<uint8_t>({}, {72})
          .attr("channels_last", int64_t{0})
          .run_all();
  expect_tensor<uint8_t>(y[0], {1, 2, 1, 1}, {235, 220});
}

TEST(QLinearAveragePool, U8) {
  const auto y =
      OpCase("QLinearAveragePool", 1, "com.microsoft")
          .in<uint8_t>({1, 1, 3, 4}, {110, 239, 86, 130, 251, 209, 146, 165, 25, 131, 54, 128})
          .in<float>({}, {0.0993f})
          .in<uint8_t>({}, {72})
          .in<float>({}, {0.0241f})
          .in<uint8_t>({}, {44})
          .ints("kernel_shape", {2, 2})
          .ints("pads", {1, 1, 0, 0})
          .attr("count_include_pad", int64_t{1})
          .run_all();
  expect_tensor<uint8_t>(y[0], {1, 1, 3, 4},
                         {83, 255, 230, 118, 255, 255, 255, 255, 180, 255, 255, 255});
}

TEST(QLinearAdd, S8) {
  const auto y =
      OpCase("QLinearAdd", 1, "com.microsoft")
          .in<int8_t>({2, 8},
                      {-11, -5, -79, -108, -10, 13, -28, 64, 115, 34, -50, -113, 99, 49, -122, 79})
          .in<float>({}, {0.0365f})
          .in<int8_t>({}, {-47})
          .in<int8_t>({2, 8},
                      {77, 61, 117, 26, 109, -22, -83, -23, 107, 87, -14, -73, 115, 73, -70, -33})
          .in<float>({}, {0.0723f})
          .in<int8_t>({}, {-11})
          .in<float>({}, {0.0973f})
          .in<int8_t>({}, {40})
          .run_all();
  expect_tensor<int8_t>(y[0], {2, 8},
                        {119, 109, 123, 45, 127, 54, -6, 73, 127, 127, 37, -31, 127, 127, -32, 71});
}

TEST(QLinearAdd, S8Broadcast) {
  const auto y = OpCase("QLinearAdd", 1, "com.microsoft")
                     .in<int8_t>({2, 1}, {-123, -79})
                     .in<float>({}, {0.0316f})
                     .in<int8_t>({}, {0})
                     .in<int8_t>({2, 6}, {-65, 25, -104, -83, -19, -71, 36, 4, -29, 12, 116, 9})
                     .in<float>({}, {0.0799f})
                     .in<int8_t>({}, {56})
                     .in<float>({}, {0.1628f})
                     .in<int8_t>({}, {45})
                     .run_all();
  expect_tensor<int8_t>(y[0], {2, 6}, {-38, 6, -57, -47, -16, -41, 20, 4, -12, 8, 59, 7});
}

TEST(QLinearMul, S8) {
  const auto y = OpCase("QLinearMul", 1, "com.microsoft")
                     .in<int8_t>({2, 8}, {-48, -76, 66, -103, -115, -49, -123, -69, -111, -77, -47,
                                          -65, 58, 37, -120, -56})
                     .in<float>({}, {0.0636f})
                     .in<int8_t>({}, {-15})
                     .in<int8_t>({8}, {-72, 88, -16, 16, -57, -66, -121, -106})
                     .in<float>({}, {0.0556f})
                     .in<int8_t>({}, {48})
                     .in<float>({}, {0.4244f})
                     .in<int8_t>({}, {39})
                     .run_all();
  expect_tensor<int8_t>(y[0], {2, 8},
                        {72, 19, -4, 62, 126, 71, 127, 108, 127, 18, 56, 52, -25, -10, 127, 92});
}

TEST(QLinearSigmoid, S8) {
  const auto y = OpCase("QLinearSigmoid", 1, "com.microsoft")
                     .in<int8_t>({16}, {0, 30, -120, -82, -127, -109, 25, -116, 79, -59, -27, 8, -6,
                                        -90, -82, 30})
                     .in<float>({}, {0.0383f})
                     .in<int8_t>({}, {36})
                     .in<float>({}, {0.00390625f})
                     .in<int8_t>({}, {0})
                     .run_all();
  expect_tensor<int8_t>(y[0], {16}, {52, 113, 1, 3, 0, 1, 101, 1, 127, 7, 21, 65, 43, 2, 3, 113});
}

TEST(QLinearLeakyRelu, S8) {
  const auto y =
      OpCase("QLinearLeakyRelu", 1, "com.microsoft")
          .in<int8_t>({16}, {74, 38, 7, 120, 68, -2, -63, 48, 17, -58, 99, -34, -124, -6, 110, -97})
          .in<float>({}, {0.0998f})
          .in<int8_t>({}, {11})
          .in<float>({}, {0.0356f})
          .in<int8_t>({}, {12})
          .attr("alpha", 0.2f)
          .run_all();
  expect_tensor<int8_t>(y[0], {16},
                        {127, 88, 10, 127, 127, 5, -29, 116, 29, -27, 127, -13, -64, 2, 127, -49});
}

TEST(QLinearSoftmax, S8) {
  const auto y = OpCase("QLinearSoftmax", 1, "com.microsoft")
                     .in<int8_t>({2, 6}, {-3, -124, 47, 87, 24, -59, 31, -53, 93, 31, -87, -22})
                     .in<float>({}, {0.0501f})
                     .in<int8_t>({}, {27})
                     .in<float>({}, {0.00390625f})
                     .in<int8_t>({}, {-128})
                     .attr("axis", int64_t{-1})
                     .attr("opset", int64_t{13})
                     .run_all();
  expect_tensor<int8_t>(y[0], {2, 6},
                        {-126, -128, -99, 87, -119, -128, -118, -128, 106, -118, -128, -127});
}

TEST(QLinearConcat, S8) {
  const auto y = OpCase("QLinearConcat", 1, "com.microsoft")
                     .in<float>({}, {0.0921f})
                     .in<int8_t>({}, {13})
                     .in<int8_t>({2, 3}, {114, 87, -15, 81, -37, -97})
                     .in<float>({}, {0.0947f})
                     .in<int8_t>({}, {51})
                     .in<int8_t>({2, 2}, {126, 69, -49, 103})
                     .in<float>({}, {0.0953f})
                     .in<int8_t>({}, {-3})
                     .attr("axis", int64_t{1})
                     .run_all();
  expect_tensor<int8_t>(y[0], {2, 5}, {78, 50, -55, 127, 88, 44, -77, -128, -35, 123});
}

TEST(QLinearGlobalAveragePool, S8) {
  const auto y =
      OpCase("QLinearGlobalAveragePool", 1, "com.microsoft")
          .in<int8_t>({1, 2, 3, 2}, {-4, 17, -36, -42, -114, -121, -16, 11, -73, 104, 57, -79})
          .in<float>({}, {0.0943f})
          .in<int8_t>({}, {14})
          .in<float>({}, {0.036f})
          .in<int8_t>({}, {-17})
          .attr("channels_last", int64_t{0})
          .run_all();
  expect_tensor<int8_t>(y[0], {1, 2, 1, 1}, {-128, -52});
}

TEST(QLinearAveragePool, S8) {
  const auto y = OpCase("QLinearAveragePool", 1, "com.microsoft")
                     .in<int8_t>({1, 1, 3, 4}, {-64, 79, -33, 98, 0, -68, 9, -56, 112, 124, 33, 15})
                     .in<float>({}, {0.0348f})
                     .in<int8_t>({}, {-23})
                     .in<float>({}, {0.0309f})
                     .in<int8_t>({}, {-35})
                     .ints("kernel_shape", {2, 2})
                     .ints("pads", {1, 1, 0, 0})
                     .attr("count_include_pad", int64_t{1})
                     .run_all();
  expect_tensor<int8_t>(y[0], {1, 1, 3, 4}, {-47, -18, -9, -4, -40, -24, -13, -4, 9, 38, 18, -9});
}

TEST(QLinearWhere, U8) {
  const auto y = OpCase("QLinearWhere", 1, "com.microsoft")
                     .in<bool>({4}, {true, false, true, false})
                     .in<uint8_t>({2, 4}, {169, 251, 198, 171, 83, 38, 32, 0})
                     .in<float>({}, {0.0315f})
                     .in<uint8_t>({}, {59})
                     .in<uint8_t>({1}, {115})
                     .in<float>({}, {0.0674f})
                     .in<uint8_t>({}, {117})
                     .in<float>({}, {0.0855f})
                     .in<uint8_t>({}, {113})
                     .run_all();
  expect_tensor<uint8_t>(y[0], {2, 4}, {154, 111, 164, 111, 122, 111, 103, 111});
}

TEST(QLinearWhere, S8) {
  const auto y = OpCase("QLinearWhere", 1, "com.microsoft")
                     .in<bool>({4}, {true, false, true, false})
                     .in<int8_t>({2, 4}, {10, 107, 61, 95, -65, 94, -12, 123})
                     .in<float>({}, {0.0775f})
                     .in<int8_t>({}, {-39})
                     .in<int8_t>({1}, {-89})
                     .in<float>({}, {0.0617f})
                     .in<int8_t>({}, {35})
                     .in<float>({}, {0.0713f})
                     .in<int8_t>({}, {-7})
                     .run_all();
  expect_tensor<int8_t>(y[0], {2, 4}, {46, -114, 102, -114, -35, -114, 22, -114});
}

}  // namespace
}  // namespace lapidary
