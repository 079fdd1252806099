#include "src/ops/quant.h"

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

TEST(QLinearConv, U8PerChannel) {
  const auto y =
      OpCase("QLinearConv", 17)
          .in<uint8_t>({1, 2, 3, 4}, {89,  121, 157, 163, 71,  15,  155, 166, 100, 9, 0,   97,
                                      183, 113, 246, 144, 197, 146, 52,  154, 40,  6, 232, 84})
          .in<float>({}, {0.0764f})
          .in<uint8_t>({}, {22})
          .in<int8_t>({3, 2, 2, 2}, {-22,  -93,  83,  110, 11,   -63, 17,  69,  45,   -65, 123, 118,
                                     -127, -122, -98, -93, -106, -18, -76, -25, -123, 102, 124, 2})
          .in<float>({3}, {0.0527f, 0.0894f, 0.0527f})
          .in<int8_t>({3}, {0, 0, 0})
          .in<float>({}, {0.9f})
          .in<uint8_t>({}, {19})
          .in<int32_t>({3}, {527, -1013, -1071})
          .ints("pads", {1, 0, 0, 1})
          .run_all();
  expect_tensor<uint8_t>(y[0], {1, 3, 3, 4},
                         {135, 201, 196, 83, 22, 0, 89, 77, 12, 12, 0,  46, 0, 0, 11, 52, 0,  0,
                          0,   0,   0,   0,  0,  0, 70, 18, 78, 34, 10, 65, 0, 0, 0,  0,  99, 0});
}

TEST(QLinearConv, U8Depthwise) {
  const auto y = OpCase("QLinearConv", 17)
                     .in<uint8_t>({1, 2, 3, 3}, {74, 182, 108, 232, 78, 159, 120, 85, 105, 243, 20,
                                                 48, 223, 93, 248, 142, 144, 79})
                     .in<float>({}, {0.0918f})
                     .in<uint8_t>({}, {12})
                     .in<uint8_t>({2, 1, 2, 2}, {127, 92, 23, 97, 156, 65, 114, 237})
                     .in<float>({}, {0.0723f})
                     .in<uint8_t>({}, {38})
                     .in<float>({}, {0.3f})
                     .in<uint8_t>({}, {38})
                     .attr("group", int64_t{2})
                     .run_all();
  expect_tensor<uint8_t>(y[0], {1, 2, 2, 2}, {255, 255, 255, 255, 255, 255, 255, 255});
}

TEST(QLinearMatMul, U8) {
  const auto y =
      OpCase("QLinearMatMul", 17)
          .in<uint8_t>({2, 5}, {71, 94, 241, 108, 159, 97, 51, 172, 57, 243})
          .in<float>({}, {0.0139f})
          .in<uint8_t>({}, {124})
          .in<int8_t>({5, 3}, {89, -125, 89, 46, -72, 98, 122, 36, 96, -22, 56, 44, -101, -77, -14})
          .in<float>({}, {0.0782f})
          .in<int8_t>({}, {0})
          .in<float>({}, {0.7f})
          .in<uint8_t>({}, {105})
          .run_all();
  expect_tensor<uint8_t>(y[0], {2, 3}, {113, 120, 109, 89, 101, 90});
}

TEST(QGemm, U8) {
  const auto y = OpCase("QGemm", 1, "com.microsoft")
                     .in<uint8_t>({2, 5}, {141, 74, 15, 238, 195, 124, 105, 232, 56, 85})
                     .in<float>({}, {0.0193f})
                     .in<uint8_t>({}, {44})
                     .in<int8_t>({3, 5}, {-65, -36, 78, -125, -9, 127, -61, -94, 121, -42, 14, -51,
                                          34, -11, 87})
                     .in<float>({3}, {0.0899f, 0.0268f, 0.0997f})
                     .in<int8_t>({3}, {0, 0, 0})
                     .in<int32_t>({3}, {-644, -1013, -430})
                     .in<float>({}, {0.7f})
                     .in<uint8_t>({}, {90})
                     .attr("transB", int64_t{1})
                     .run_all();
  expect_tensor<uint8_t>(y[0], {2, 3}, {1, 112, 116, 102, 81, 110});
}

TEST(QGemm, U8ToFloat) {
  const auto y = OpCase("QGemm", 1, "com.microsoft")
                     .in<uint8_t>({2, 5}, {251, 181, 85, 200, 20, 172, 213, 210, 40, 131})
                     .in<float>({}, {0.0892f})
                     .in<uint8_t>({}, {95})
                     .in<int8_t>({5, 3}, {127, -73, -94, -47, -31, 16, -40, 94, -111, 90, -86, -4,
                                          113, 17, 96})
                     .in<float>({}, {0.024f})
                     .in<int8_t>({}, {0})
                     .in<int32_t>({3}, {1213, -1601, 1726})
                     .attr("alpha", 1.7f)
                     .run_all();
  expect_tensor<float>(y[0], {2, 3},
                       {66.81137f, -97.89878f, -65.770515f, -0.13101695f, 19.186707f, -46.26718f},
                       0, 0);
}

TEST(MatMulIntegerToFloat, U8) {
  const auto y = OpCase("MatMulIntegerToFloat", 1, "com.microsoft")
                     .in<uint8_t>({2, 5}, {174, 221, 15, 59, 23, 161, 134, 187, 153, 165})
                     .in<int8_t>({5, 3}, {36, -110, -1, -113, 48, -71, -79, -102, -30, -4, -10, 60,
                                          -101, 19, 42})
                     .in<float>({}, {0.0541f})
                     .in<float>({3}, {0.0504f, 0.0215f, 0.0958f})
                     .in<uint8_t>({}, {115})
                     .in<int8_t>({3}, {0, 0, 0})
                     .in<float>({3}, {0.43f, 1.85f, -1.45f})
                     .run_all();
  expect_tensor<float>(y[0], {2, 3},
                       {21.048853f, 10.701572f, -62.65345f, -30.60189f, -10.853925f, 2.8257935f}, 0,
                       0);
}

TEST(MatMulInteger, U8) {
  const auto y = OpCase("MatMulInteger", 17)
                     .in<uint8_t>({2, 5}, {37, 21, 250, 154, 233, 124, 92, 193, 109, 11})
                     .in<int8_t>({5, 3}, {-73, 40, 26, 28, -111, -33, 63, -96, 72, 47, 91, -116,
                                          -57, -42, -21})
                     .in<uint8_t>({}, {3})
                     .in<int8_t>({}, {0})
                     .run_all();
  expect_tensor<int32_t>(y[0], {2, 3}, {7570, -20269, -4272, 10155, -13969, 1425});
}

TEST(ConvInteger, U8) {
  const auto y = OpCase("ConvInteger", 17)
                     .in<uint8_t>({1, 1, 3, 3}, {231, 78, 107, 63, 48, 158, 185, 175, 64})
                     .in<uint8_t>({2, 1, 2, 2}, {181, 45, 105, 231, 193, 44, 169, 85})
                     .in<uint8_t>({}, {68})
                     .in<uint8_t>({}, {9})
                     .ints("pads", {0, 1, 0, 0})
                     .run_all();
  expect_tensor<int32_t>(
      y[0], {1, 2, 2, 3},
      {4758, 23476, 21184, 25794, 33406, 9184, 5325, 28022, 6845, 8717, 25232, 16286});
}

TEST(QuantizeLinear, U8) {
  const auto y =
      OpCase("QuantizeLinear", 17)
          .in<float>({10}, {-4, -0.35f, -0.25f, -0.15f, 0, 0.05f, 0.15f, 0.25f, 3.14f, 100})
          .in<float>({}, {0.1f})
          .in<uint8_t>({}, {99})
          .run_all();
  expect_tensor<uint8_t>(y[0], {10}, {59, 95, 97, 97, 99, 99, 101, 101, 130, 255});
}

TEST(QuantizeLinear, U8PerAxis) {
  const auto y = OpCase("QuantizeLinear", 17)
                     .in<float>({2, 3, 2}, {2.74f, 3.54f, -3.17f, 5.29f, 0.4f, 2.63f, -1.34f, 0.79f,
                                            0.58f, 0.37f, 1.85f, 1.41f})
                     .in<float>({3}, {0.1485f, 0.1562f, 0.1257f})
                     .in<uint8_t>({3}, {132, 110, 193})
                     .attr("axis", int64_t{1})
                     .run_all();
  expect_tensor<uint8_t>(y[0], {2, 3, 2},
                         {150, 156, 90, 144, 196, 214, 123, 137, 114, 112, 208, 204});
}

TEST(QuantizeLinear, U8Blocked) {
  const auto y = OpCase("QuantizeLinear", 21)
                     .in<float>({1, 5}, {-0.41f, -0.16f, -2.06f, -2.42f, 3.29f})
                     .in<float>({1, 2}, {0.1155f, 0.1792f})
                     .in<uint8_t>({1, 2}, {230, 238})
                     .attr("axis", int64_t{1})
                     .attr("block_size", int64_t{3})
                     .run_all();
  expect_tensor<uint8_t>(y[0], {1, 5}, {226, 229, 212, 224, 255});
}

TEST(DequantizeLinear, U8) {
  const auto y = OpCase("DequantizeLinear", 17)
                     .in<uint8_t>({6}, {141, 31, 55, 201, 223, 226})
                     .in<float>({}, {0.0211f})
                     .in<uint8_t>({}, {112})
                     .run_all();
  expect_tensor<float>(y[0], {6}, {0.6119f, -1.7091f, -1.2027f, 1.8779f, 2.3421f, 2.4054f});
}

TEST(DequantizeLinear, U8PerAxis) {
  const auto y = OpCase("DequantizeLinear", 17)
                     .in<uint8_t>({3, 2}, {105, 196, 58, 145, 39, 45})
                     .in<float>({3}, {0.0404f, 0.0761f, 0.0268f})
                     .in<uint8_t>({3}, {26, 155, 16})
                     .attr("axis", int64_t{0})
                     .run_all();
  expect_tensor<float>(y[0], {3, 2}, {3.1915998f, 6.8679996f, -7.3817f, -0.761f, 0.6164f, 0.7772f});
}

TEST(DequantizeLinear, U8Blocked) {
  const auto y = OpCase("DequantizeLinear", 21)
                     .in<uint8_t>({5, 2}, {136, 68, 135, 181, 46, 209, 211, 151, 138, 153})
                     .in<float>({2, 2}, {0.0665f, 0.0388f, 0.0763f, 0.0458f})
                     .in<uint8_t>({2, 2}, {176, 31, 236, 174})
                     .attr("axis", int64_t{0})
                     .attr("block_size", int64_t{3})
                     .run_all();
  expect_tensor<float>(y[0], {5, 2},
                       {-2.66f, 1.4356f, -2.7265f, 5.82f, -8.645f, 6.9064f, -1.9075f, -1.0534f,
                        -7.4774003f, -0.9618f});
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

TEST(QLinearConv, S8PerChannel) {
  const auto y =
      OpCase("QLinearConv", 17)
          .in<int8_t>({1, 2, 3, 4}, {-107, -65, -11, 122,  101, 80,  106, 76,  15,  -65, 11, -104,
                                     -44,  64,  22,  -115, -11, -60, 38,  -54, 115, -5,  65, 45})
          .in<float>({}, {0.0255f})
          .in<int8_t>({}, {-47})
          .in<int8_t>({3, 2, 2, 2}, {-76, 48,  50, 121, -79, 25,  93,  86, -100, -57, 126, -66,
                                     58,  123, 91, 96,  30,  -13, 116, 80, 33,   36,  -90, 71})
          .in<float>({3}, {0.063f, 0.0715f, 0.0948f})
          .in<int8_t>({3}, {0, 0, 0})
          .in<float>({}, {0.9f})
          .in<int8_t>({}, {41})
          .in<int32_t>({3}, {-279, 1269, 946})
          .ints("pads", {1, 0, 0, 1})
          .run_all();
  expect_tensor<int8_t>(y[0], {1, 3, 3, 4}, {49, 76, 81, 44,  96,  89,  91, 37, 61, 77, 44, 35,
                                             53, 68, 30, 74,  111, 99,  45, 31, 56, 37, 68, 20,
                                             41, 32, 61, 113, 113, 127, 92, 91, 37, 74, 55, 13});
}

TEST(QLinearConv, S8Depthwise) {
  const auto y = OpCase("QLinearConv", 17)
                     .in<int8_t>({1, 2, 3, 3}, {-87, 117, -73, -118, -34, -64, -128, -37, 98, 18,
                                                -22, -12, -52, 113, 45, -80, -88, -50})
                     .in<float>({}, {0.0169f})
                     .in<int8_t>({}, {-61})
                     .in<int8_t>({2, 1, 2, 2}, {-83, -41, 24, -77, -115, -109, 112, -99})
                     .in<float>({}, {0.0177f})
                     .in<int8_t>({}, {0})
                     .in<float>({}, {0.3f})
                     .in<int8_t>({}, {33})
                     .attr("group", int64_t{2})
                     .run_all();
  expect_tensor<int8_t>(y[0], {1, 2, 2, 2}, {24, 20, 33, 19, 4, 32, 14, -3});
}

TEST(QLinearMatMul, S8) {
  const auto y =
      OpCase("QLinearMatMul", 17)
          .in<int8_t>({2, 5}, {101, 74, 20, -97, -106, 4, -48, -74, 36, -84})
          .in<float>({}, {0.058f})
          .in<int8_t>({}, {28})
          .in<int8_t>({5, 3}, {98, 117, -107, -38, -75, 120, -4, 49, 116, -57, -36, 12, 94, 24, 10})
          .in<float>({}, {0.0507f})
          .in<int8_t>({}, {0})
          .in<float>({}, {0.7f})
          .in<int8_t>({}, {6})
          .run_all();
  expect_tensor<int8_t>(y[0], {2, 3}, {6, 31, -19, -36, -15, -76});
}

TEST(QGemm, S8) {
  const auto y = OpCase("QGemm", 1, "com.microsoft")
                     .in<int8_t>({2, 5}, {67, 9, -78, -94, 6, 90, -120, 4, 6, 30})
                     .in<float>({}, {0.0164f})
                     .in<int8_t>({}, {63})
                     .in<int8_t>({3, 5}, {-88, -103, -28, 18, -118, 110, 17, 14, 121, 118, -44, -47,
                                          37, 125, 126})
                     .in<float>({3}, {0.0796f, 0.0402f, 0.0852f})
                     .in<int8_t>({3}, {0, 0, 0})
                     .in<int32_t>({3}, {-1152, -1563, -1858})
                     .in<float>({}, {0.7f})
                     .in<int8_t>({}, {-8})
                     .attr("transB", int64_t{1})
                     .run_all();
  expect_tensor<int8_t>(y[0], {2, 3}, {14, -36, -71, 29, -21, -24});
}

TEST(QGemm, S8ToFloat) {
  const auto y =
      OpCase("QGemm", 1, "com.microsoft")
          .in<int8_t>({2, 5}, {-49, 38, 108, -74, 69, 84, -4, 23, -32, 23})
          .in<float>({}, {0.0276f})
          .in<int8_t>({}, {56})
          .in<int8_t>({5, 3}, {67, -80, -108, -113, 42, 43, -75, 106, 83, -95, -86, 67, 22, 68, 49})
          .in<float>({}, {0.0569f})
          .in<int8_t>({}, {0})
          .in<int32_t>({3}, {-1185, -890, 292})
          .attr("alpha", 1.7f)
          .run_all();
  expect_tensor<float>(
      y[0], {2, 3}, {6.807857f, 64.95496f, 18.95788f, 46.93417f, -10.209116f, -41.551956f}, 0, 0);
}

TEST(MatMulIntegerToFloat, S8) {
  const auto y =
      OpCase("MatMulIntegerToFloat", 1, "com.microsoft")
          .in<int8_t>({2, 5}, {106, -114, -70, 113, 100, -94, 22, -90, 100, 52})
          .in<int8_t>({5, 3}, {94, 0, -99, 73, -49, 36, -5, -104, 21, -13, 63, 122, 36, -50, 30})
          .in<float>({}, {0.0898f})
          .in<float>({3}, {0.0176f, 0.0467f, 0.0996f})
          .in<int8_t>({}, {-41})
          .in<int8_t>({3}, {0, 0, 0})
          .in<float>({3}, {2.63f, -0.29f, 3.39f})
          .run_all();
  expect_tensor<float>(
      y[0], {2, 3}, {21.134262f, 38.480385f, 50.14965f, 4.806321f, 25.886824f, 240.21135f}, 0, 0);
}

TEST(MatMulInteger, S8) {
  const auto y =
      OpCase("MatMulInteger", 17)
          .in<int8_t>({2, 5}, {47, -5, -101, 47, 87, 79, 82, -78, -35, -19})
          .in<int8_t>({5, 3}, {7, -13, 3, -51, 77, 46, 52, 9, 114, -22, -2, 69, 7, -52, -89})
          .in<int8_t>({}, {13})
          .in<int8_t>({}, {0})
          .run_all();
  expect_tensor<int32_t>(y[0], {2, 3}, {-5002, -6770, -17962, -6957, 5396, -7466});
}

TEST(ConvInteger, S8) {
  const auto y = OpCase("ConvInteger", 17)
                     .in<int8_t>({1, 1, 3, 3}, {-47, 72, 42, -42, 96, -120, -106, -128, -114})
                     .in<int8_t>({2, 1, 2, 2}, {74, 43, 80, 90, 54, -72, -122, -21})
                     .in<int8_t>({}, {-32})
                     .in<int8_t>({}, {0})
                     .ints("pads", {0, 1, 0, 0})
                     .run_all();
  expect_tensor<int32_t>(
      y[0], {1, 2, 2, 3},
      {-1545, 14082, 13198, -7090, -9796, -9372, 1290, -9766, -13480, 2274, 1288, 26682});
}

TEST(QuantizeLinear, S8) {
  const auto y =
      OpCase("QuantizeLinear", 17)
          .in<float>({10}, {-4, -0.35f, -0.25f, -0.15f, 0, 0.05f, 0.15f, 0.25f, 3.14f, 100})
          .in<float>({}, {0.1f})
          .in<int8_t>({}, {-5})
          .run_all();
  expect_tensor<int8_t>(y[0], {10}, {-45, -9, -7, -7, -5, -5, -3, -3, 26, 127});
}

TEST(QuantizeLinear, S8PerAxis) {
  const auto y = OpCase("QuantizeLinear", 17)
                     .in<float>({2, 3, 2}, {-1.69f, 2.1f, -3.05f, -1.48f, 0.02f, 2.41f, -1.13f,
                                            -4.19f, 0.93f, 0.04f, -2.07f, -1.99f})
                     .in<float>({3}, {0.056f, 0.1346f, 0.1183f})
                     .in<int8_t>({3}, {114, -45, 120})
                     .attr("axis", int64_t{1})
                     .run_all();
  expect_tensor<int8_t>(y[0], {2, 3, 2}, {84, 127, -68, -56, 120, 127, 94, 39, -38, -45, 103, 103});
}

TEST(QuantizeLinear, S8Blocked) {
  const auto y = OpCase("QuantizeLinear", 21)
                     .in<float>({1, 5}, {4.67f, 0.02f, -0.65f, 1.44f, 0.31f})
                     .in<float>({1, 2}, {0.1307f, 0.0646f})
                     .in<int8_t>({1, 2}, {12, 19})
                     .attr("axis", int64_t{1})
                     .attr("block_size", int64_t{3})
                     .run_all();
  expect_tensor<int8_t>(y[0], {1, 5}, {48, 12, 7, 41, 24});
}

TEST(DequantizeLinear, S8) {
  const auto y = OpCase("DequantizeLinear", 17)
                     .in<int8_t>({6}, {110, 38, -38, -43, -32, -124})
                     .in<float>({}, {0.0732f})
                     .in<int8_t>({}, {-30})
                     .run_all();
  expect_tensor<float>(y[0], {6}, {10.248f, 4.9776f, -0.5856f, -0.9516f, -0.1464f, -6.8808002f});
}

TEST(DequantizeLinear, S8PerAxis) {
  const auto y = OpCase("DequantizeLinear", 17)
                     .in<int8_t>({3, 2}, {20, 84, -108, -126, 0, 72})
                     .in<float>({3}, {0.0472f, 0.076f, 0.0644f})
                     .in<int8_t>({3}, {-91, -85, -44})
                     .attr("axis", int64_t{0})
                     .run_all();
  expect_tensor<float>(y[0], {3, 2}, {5.2392f, 8.26f, -1.7479999f, -3.116f, 2.8336f, 7.4704003f});
}

TEST(DequantizeLinear, S8Blocked) {
  const auto y = OpCase("DequantizeLinear", 21)
                     .in<int8_t>({5, 2}, {-88, 67, -61, -64, 4, 38, 66, -54, 122, 33})
                     .in<float>({2, 2}, {0.0617f, 0.0642f, 0.0861f, 0.0832f})
                     .in<int8_t>({2, 2}, {49, 122, 111, -71})
                     .attr("axis", int64_t{0})
                     .attr("block_size", int64_t{3})
                     .run_all();
  expect_tensor<float>(y[0], {5, 2},
                       {-8.4529f, -3.531f, -6.787f, -11.9412f, -2.7765f, -5.3928f, -3.8744998f,
                        1.4144f, 0.9471f, 8.6528f});
}

TEST(DynamicQuantizeLinear, Positive) {
  const auto y = OpCase("DynamicQuantizeLinear", 17)
                     .in<float>({4}, {1, 0.5f, 2.2f, 3.3f})
                     .outputs(3)
                     .run_all();
  expect_tensor<uint8_t>(y[0], {4}, {77, 39, 170, 255});
  expect_tensor<float>(y[1], {}, {0.012941176f});
  expect_tensor<uint8_t>(y[2], {}, {0});
}

TEST(DynamicQuantizeLinear, BothSigns) {
  const auto y = OpCase("DynamicQuantizeLinear", 17)
                     .in<float>({4}, {-1.5f, 0.5f, 2.2f, -3.3f})
                     .outputs(3)
                     .run_all();
  expect_tensor<uint8_t>(y[0], {4}, {83, 176, 255, 0});
  expect_tensor<float>(y[1], {}, {0.021568628f});
  expect_tensor<uint8_t>(y[2], {}, {153});
}

TEST(DynamicQuantizeLinear, AllZero) {
  const auto y = OpCase("DynamicQuantizeLinear", 17).in<float>({3}, {0, 0, 0}).outputs(3).run_all();
  expect_tensor<uint8_t>(y[0], {3}, {0, 0, 0});
  expect_tensor<float>(y[1], {}, {1});
  expect_tensor<uint8_t>(y[2], {}, {0});
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

// Codes by hand: x / 0.5 + 3, saturated to -8..7 and 0..15.
TEST(QuantizeLinear, FourAndSixteenBits) {
  const auto quantize = [](DType dtype, const std::string& domain) {
    Tensor zero(dtype, {});
    if (dtype_size(dtype) == 1) zero.mutable_data<int8_t>()[0] = 3;
    return OpCase("QuantizeLinear", domain.empty() ? 21 : 1, domain)
        .in<float>({4}, {-100, 0.25f, 0.75f, 100})
        .in<float>({}, {0.5f})
        .in(zero)
        .run();
  };
  for (const char* domain : {"", "com.microsoft"}) {
    const Tensor i4 = quantize(DType::kI4, domain), u4 = quantize(DType::kU4, domain);
    EXPECT_EQ(dtype_name(i4.dtype()), "int4");
    EXPECT_THAT(i4.data<int8_t>(), testing::ElementsAre(-8, 3, 5, 7));
    EXPECT_THAT(u4.data<uint8_t>(), testing::ElementsAre(0, 3, 5, 15));
    EXPECT_THAT(quantize(DType::kI16, domain).data<int16_t>(),
                testing::ElementsAre(-200, 0, 2, 200));
    EXPECT_THAT(quantize(DType::kU16, domain).data<uint16_t>(), testing::ElementsAre(0, 0, 2, 200));
  }
}

TEST(QuantizeLinear, TypeOfTheOutput) {
  const auto infer = [](auto&& change) {
    OpCase c("QuantizeLinear", 21);
    c.in_type(DType::kF32, {Dim::named("N"), 4}).in<float>({}, {0.5f});
    change(c);
    return c;
  };
  EXPECT_EQ(infer([](OpCase&) {}).infer(), "uint8[N,4]");
  EXPECT_EQ(infer([](OpCase& c) { c.in<int8_t>({}, {1}); }).infer(), "int8[N,4]");
  EXPECT_EQ(infer([](OpCase& c) { c.attr("output_dtype", int64_t{22}); }).infer(), "int4[N,4]");
  expect_error(infer([](OpCase& c) {
                 c.in<int8_t>({}, {1}).attr("output_dtype", int64_t{2});
               }).infer_error(),
               ErrorCode::kInvalid, "output_dtype");
}

TEST(QuantizeLinear, Float4IsRefusedWhereItMustBeComputed) {
  const OpCase c = OpCase("QuantizeLinear", 21)
                       .in_type(DType::kF32, {2})
                       .in<float>({}, {0.5f})
                       .attr("output_dtype", int64_t{23});
  EXPECT_EQ(c.infer(), "float4e2m1[2]");
  expect_error(OpCase("QuantizeLinear", 21)
                   .in<float>({2}, {1, 2})
                   .in<float>({}, {0.5f})
                   .attr("output_dtype", int64_t{23})
                   .run_error(),
               ErrorCode::kUnsupported, "float4e2m1");
}

TEST(DequantizeLinear, HalfPrecisionScaleGivesHalfPrecision) {
  const Tensor y = OpCase("DequantizeLinear", 21)
                       .in<int8_t>({2}, {3, -5})
                       .in(Tensor::of<Half>({}, {Half{0x3800}}))  // 0.5
                       .run();
  EXPECT_THAT(y.data<Half>(), testing::ElementsAre(Half{0x3E00}, Half{0xC100}));  // 1.5, -2.5
}

TEST(DequantizeLinear, Int32Bias) {
  const Tensor y =
      OpCase("DequantizeLinear", 13).in<int32_t>({2}, {70000, -3}).in<float>({}, {0.5f}).run();
  expect_tensor<float>(y, {2}, {35000, -1.5f});
}

// Scales that no quantizer may write.
TEST(Quantization, BadScales) {
  for (float scale : {0.0f, -1.0f, NAN, INFINITY, 1e-42f}) {
    expect_error(
        OpCase("QuantizeLinear").in_type(DType::kF32, {2}).in<float>({}, {scale}).infer_error(),
        ErrorCode::kInvalid, "scale 0 is");
    expect_error(OpCase("DequantizeLinear").in<int8_t>({1}, {1}).in<float>({}, {scale}).run_error(),
                 ErrorCode::kInvalid, "scale 0 is");
    expect_error(OpCase("QLinearConv")
                     .in_type(DType::kU8, {1, 1, 2, 2})
                     .in<float>({}, {1})
                     .in<uint8_t>({}, {0})
                     .in_type(DType::kI8, {2, 1, 1, 1})
                     .in<float>({2}, {1, scale})
                     .in<int8_t>({2}, {0, 0})
                     .in<float>({}, {1})
                     .in<uint8_t>({}, {0})
                     .infer_error(),
                 ErrorCode::kInvalid, "scale 1 is");
    expect_error(OpCase("QLinearAdd", 1, "com.microsoft")
                     .in_type(DType::kU8, {1})
                     .in<float>({}, {scale})
                     .in<uint8_t>({}, {0})
                     .in_type(DType::kU8, {1})
                     .in<float>({}, {1})
                     .in<uint8_t>({}, {0})
                     .in<float>({}, {1})
                     .infer_error(),
                 ErrorCode::kInvalid, "scale 0 is");
  }
}

TEST(Quantization, ScalesAndZeroPointsMustFit) {
  const auto quantize = [](Shape scale, Shape zero_point,
                           std::vector<std::pair<std::string, int64_t>> attrs) {
    OpCase c("QuantizeLinear", 21);
    c.in_type(DType::kF32, {2, 6});
    c.in(
        Tensor::of<float>(scale, std::vector<float>(static_cast<size_t>(element_count(scale)), 1)));
    c.in(Tensor(DType::kU8, zero_point));
    for (const auto& [name, value] : attrs) c.attr(name, value);
    return c;
  };
  EXPECT_EQ(quantize({6}, {6}, {}).infer(), "uint8[2,6]");
  EXPECT_EQ(quantize({2, 2}, {2, 2}, {{"block_size", 3}}).infer(), "uint8[2,6]");
  expect_error(quantize({5}, {5}, {}).infer_error(), ErrorCode::kInvalid, "5 scales along axis 1");
  expect_error(quantize({6}, {6}, {{"axis", 9}}).infer_error(), ErrorCode::kInvalid, "axis 9");
  expect_error(quantize({6}, {5}, {}).infer_error(), ErrorCode::kInvalid, "zero point");
  expect_error(quantize({2, 3}, {2, 3}, {{"block_size", 3}}).infer_error(), ErrorCode::kInvalid,
               "block_size 3");
  expect_error(quantize({2, 2}, {2, 2}, {}).infer_error(), ErrorCode::kInvalid, "rank");
  expect_error(quantize({6}, {6}, {{"block_size", -1}}).infer_error(), ErrorCode::kInvalid,
               "block_size is -1");
}

TEST(Quantization, BlocksShareAScale) {
  const QuantLayout layout{
      .kind = QuantLayout::Kind::kBlocks, .outer = 2, .dim = 5, .inner = 2, .block = 2};
  // Element [o, d, i] of [2, 5, 2] uses scale [o, d / 2, i] of [2, 3, 2].
  EXPECT_EQ(layout.scale_index(0), 0);
  EXPECT_EQ(layout.scale_index((1 * 5 + 4) * 2 + 1), (1 * 3 + 2) * 2 + 1);
  EXPECT_EQ(layout.scale_index((0 * 5 + 3) * 2 + 1), (0 * 3 + 1) * 2 + 1);
}

TEST(Quantization, ShapesKeepSymbols) {
  const auto u8 = [](OpCase& c) { c.in<float>({}, {0.5f}).in<uint8_t>({}, {3}); };
  OpCase conv("QLinearConv", 10);
  conv.in_type(DType::kU8, {Dim::named("N"), 3, 8, 8});
  u8(conv);
  conv.in_type(DType::kI8, {16, 3, 3, 3}).in<float>({}, {0.1f}).in<int8_t>({}, {0});
  u8(conv);
  EXPECT_EQ(conv.infer(), "uint8[N,16,6,6]");
  OpCase concat("QLinearConcat", 1, "com.microsoft");
  u8(concat);
  for (int64_t channels : {3, 5}) {
    concat.in_type(DType::kU8, {Dim::named("N"), channels});
    u8(concat);
  }
  EXPECT_EQ(concat.attr("axis", int64_t{1}).infer(), "uint8[N,8]");
}

}  // namespace
}  // namespace lapidary
