#include "test/ops/op_case.h"

// Expected values: ONNX Runtime 1.31 on the inputs written here (QLinear ops and QGemm: to the
// bit), or derived in the comment of a test.

namespace lapidary {
namespace {

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

}  // namespace
}  // namespace lapidary
