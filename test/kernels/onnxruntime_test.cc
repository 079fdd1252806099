// Values that ONNX Runtime 1.31.1 (CPU, graph optimizations off, a VNNI machine) returned for
// one-node models with inputs from numpy.random.seed(5); activations are written here as NHWC.
#include "kernels/conv_s8/conv_s8.h"
#include "kernels/dw_s8/dw_s8.h"
#include "kernels/pool/pool.h"
#include "kernels/quantize/quantize.h"
#include "test/kernels/support.h"

namespace lapidary::kernels {
namespace {

template <class T>
Array<T> array_of(std::initializer_list<T> values) {
  Array<T> a(static_cast<int64_t>(values.size()));
  std::copy(values.begin(), values.end(), a.begin());
  return a;
}

/// Runs a packed convolution or GEMM of the given kind.
template <class T>
std::vector<T> convolve(const ConvS8Kernel& kernel, const ConvShape& s,
                        const ConvS8Weights& weights, const int32_t* bias,
                        const std::vector<float>& multipliers, ConvS8Args a) {
  Array<uint8_t> packed(static_cast<int64_t>(kernel.call->packed_bytes(s)));
  Array<uint8_t> scratch(static_cast<int64_t>(scratch_bytes(kernel, s, 2)));
  kernel.call->pack(s, weights, packed.data());
  set_bias(packed.data(), bias, a.x_zero);
  set_multipliers(packed.data(), multipliers.data(), static_cast<int64_t>(multipliers.size()));
  Array<T> y(s.batch * s.out_h * s.out_w * s.out_c);
  a.shape = s;
  a.packed = packed.data();
  a.scratch = scratch.data();
  a.y = y.data();
  run_conv_s8(kernel, a, 2);
  return y.vector();
}

class OrtConvS8 : public testing::TestWithParam<ConvS8Kernel> {};

TEST_P(OrtConvS8, QLinearConvPerChannelStrideTwo) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  const auto x =
      array_of<uint8_t>({99,  212, 206, 86,  239, 125, 189, 146, 230, 254, 118, 121, 144, 137, 73,
                         106, 8,   41,  228, 233, 231, 190, 190, 129, 155, 210, 112, 103, 158, 144,
                         208, 206, 7,   5,   204, 58,  143, 0,   113, 208, 181, 132, 231, 110, 80,
                         164, 27,  105, 44,  179, 205, 27,  203, 31,  65,  2,   175, 68,  30,  38});
  const auto w = array_of<int8_t>(
      {-23, 83,   19,   -110, -15, 117, 7,   -28, -20, -19, 30,   62, -117, 107, -61,
       -4,  65,   55,   3,    -37, -50, 27,  29,  -95, 89,  -43,  7,  -112, -34, -114,
       90,  -97,  -119, -90,  -81, 16,  5,   34,  45,  59,  24,   13, -10,  107, 104,
       -97, -96,  -52,  44,   5,   14,  47,  -34, -46, 0,   103,  7,  86,   123, -112,
       -64, -120, 90,   -84,  -2,  37,  -34, 75,  5,   105, 22,   52, -59,  82,  60,
       -37, -99,  88,   -8,   97,  92,  79,  -58, -93, -17, -108, 49, 127,  -56, 32});
  const auto bias = array_of<int32_t>({-1766, 2133, 1847, -1639, 94});
  const ConvShape s = {.in_h = 5,
                       .in_w = 6,
                       .in_c = 2,
                       .out_h = 3,
                       .out_w = 3,
                       .out_c = 5,
                       .kernel_h = 3,
                       .kernel_w = 3,
                       .stride_h = 2,
                       .stride_w = 2,
                       .pad_top = 1,
                       .pad_left = 1};
  std::vector<float> m;
  for (const float ws : {0.011f, 0.023f, 0.007f, 0.031f, 0.017f})
    m.push_back(requant_multiplier(0.037f, ws, 1.9f));
  const auto y = convolve<uint8_t>(GetParam(), s, {.data = w.data()}, bias.data(), m,
                                   {.x = x.data(), .x_zero = 113, .y_zero = 121});
  EXPECT_THAT(y, testing::ElementsAre(126, 113, 121, 113, 119, 121, 123, 122, 148, 121, 121, 114,
                                      126, 138, 121, 123, 123, 121, 128, 120, 122, 101, 125, 124,
                                      130, 120, 121, 119, 99, 127, 127, 115, 122, 116, 122, 120,
                                      124, 121, 132, 124, 121, 130, 119, 125, 112));
}

const std::initializer_list<uint8_t> kA = {
    58,  211, 116, 235, 92, 211, 177, 4,  82, 243, 36,
    169, 20,  160, 10,  31, 15,  124, 22, 70, 137};  // [3, 7]
const std::initializer_list<uint8_t> kB = {63,  94,  14,  194, 122, 57, 147, 192, 8,   136,
                                           251, 121, 199, 12,  148, 59, 200, 202, 214, 252,
                                           200, 160, 143, 110, 197, 35, 190, 235};  // [7, 4]

TEST_P(OrtConvS8, QLinearMatMulOfUnsignedWeightsWithAZeroPoint) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  const auto a = array_of<uint8_t>(kA), b = array_of<uint8_t>(kB);
  const ConvS8Weights w = {
      .data = b.data(), .is_unsigned = true, .oc_stride = 1, .ic_stride = 4, .zero_point = 141};
  const auto y = convolve<uint8_t>(GetParam(), gemm_shape(3, 7, 4), w, nullptr,
                                   {requant_multiplier(0.02f, 0.013f, 0.31f)},
                                   {.x = a.data(), .x_zero = 100, .y_zero = 90});
  EXPECT_THAT(y, testing::ElementsAre(104, 64, 100, 86, 80, 98, 120, 100, 104, 88, 88, 79));
}

TEST_P(OrtConvS8, MatMulIntegerToFloat) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  const auto a = array_of<uint8_t>(kA), b = array_of<uint8_t>(kB);
  const ConvS8Weights w = {
      .data = b.data(), .is_unsigned = true, .oc_stride = 1, .ic_stride = 4, .zero_point = 141};
  const auto y = convolve<float>(GetParam(), gemm_shape(3, 7, 4), w, nullptr, {0.02f * 0.013f},
                                 {.x = a.data(), .output = ConvS8Output::kF32, .x_zero = 100});
  EXPECT_THAT(
      y, testing::ElementsAre(0x1.1f2c52p+2f, -0x1.0521acp+3f, 0x1.933872p+1f, -0x1.4fdc9cp+0f,
                              -0x1.95aee6p+1f, 0x1.4945b6p+1f, 0x1.24b8fap+3f, 0x1.94b7d4p+1f,
                              0x1.165a9ap+2f, -0x1.f8865ap-2f, -0x1.187bdcp-1f, -0x1.aa378ap+1f));
}

class OrtEltwiseS8 : public testing::TestWithParam<EltwiseS8Kernel> {};

const std::initializer_list<uint8_t> kLeft = {171, 100, 0,   130, 130, 241, 219, 193,
                                              173, 215, 255, 1,   151, 178, 86,  19,
                                              54,  152, 192, 77,  73,  129, 9,   64};
const std::initializer_list<uint8_t> kRight = {104, 151, 167, 121, 196, 239, 209, 91,
                                               36,  114, 97,  87,  69,  252, 164, 146,
                                               34,  30,  77,  97,  114, 35,  29,  1};
constexpr Grid kRow24 = {.rows = 1, .cols = 24, .a_row = 24, .b_row = 24, .y_row = 24};

TEST_P(OrtEltwiseS8, QLinearAdd) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  const auto a = array_of<uint8_t>(kLeft), b = array_of<uint8_t>(kRight);
  Array<uint8_t> y(24);
  GetParam().call->add({.grid = kRow24,
                        .a = a.data(),
                        .b = b.data(),
                        .y = y.data(),
                        .add = add_u8(0.021f, 100, 0.033f, 141, 0.047f, 117)});
  EXPECT_THAT(y.vector(),
              testing::ElementsAre(123, 124, 91, 116, 169, 249, 218, 123, 76, 149, 155, 35, 89, 230,
                                   127, 84, 21, 62, 113, 76, 86, 56, 0, 3));
}

TEST_P(OrtEltwiseS8, QLinearMul) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  const auto a = array_of<uint8_t>(kLeft), b = array_of<uint8_t>(kRight);
  Array<uint8_t> y(24);
  GetParam().call->mul({.grid = kRow24,
                        .a = a.data(),
                        .b = b.data(),
                        .y = y.data(),
                        .mul = mul_u8(0.021f, 100, 0.033f, 141, 0.081f, 117)});
  EXPECT_THAT(y.vector(),
              testing::ElementsAre(95, 117, 95, 112, 131, 235, 186, 77, 51, 90, 59, 163, 86, 191,
                                   114, 114, 159, 68, 67, 126, 123, 91, 204, 160));
}

class OrtPool : public testing::TestWithParam<PoolKernel> {};

const std::initializer_list<uint8_t> kImage = {  // [4, 5, 2]
    82,  85,  20,  217, 233, 246, 128, 57,  113, 229, 162, 145, 206, 94,
    179, 113, 158, 192, 40,  156, 74,  136, 197, 125, 250, 142, 79,  192,
    181, 31,  116, 173, 147, 133, 174, 154, 154, 169, 249, 211};

TEST_P(OrtPool, QLinearAveragePoolWithAndWithoutPadding) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  const auto x = array_of<uint8_t>(kImage);
  Array<uint8_t> y(12);
  PoolArgs p = {.shape = {.in_h = 4,
                          .in_w = 5,
                          .in_c = 2,
                          .out_h = 2,
                          .out_w = 3,
                          .out_c = 2,
                          .kernel_h = 3,
                          .kernel_w = 3,
                          .stride_h = 2,
                          .stride_w = 2,
                          .pad_top = 1,
                          .pad_left = 1},
                .x = x.data(),
                .y = y.data(),
                .x_scale = 0.05f,
                .y_scale = 0.029f,
                .x_zero = 31,
                .y_zero = 12};
  GetParam().call->average_u8(p);
  EXPECT_THAT(y.vector(),
              testing::ElementsAre(161, 192, 224, 223, 148, 232, 218, 190, 254, 210, 206, 232));
  p.count_include_pad = true;
  GetParam().call->average_u8(p);
  EXPECT_THAT(y.vector(),
              testing::ElementsAre(78, 92, 153, 152, 72, 110, 149, 131, 254, 210, 141, 159));
}

TEST_P(OrtPool, QLinearGlobalAveragePool) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  const auto x = array_of<uint8_t>(kImage);
  Array<uint8_t> y(2);
  GetParam().call->average_u8(
      {.shape = {.in_h = 4, .in_w = 5, .in_c = 2, .out_c = 2, .kernel_h = 4, .kernel_w = 5},
       .x = x.data(),
       .y = y.data(),
       .x_scale = 0.05f,
       .y_scale = 0.029f,
       .x_zero = 31,
       .y_zero = 12});
  EXPECT_THAT(y.vector(), testing::ElementsAre(212, 217));
}

class OrtQuantize : public testing::TestWithParam<QuantizeKernel> {};

TEST_P(OrtQuantize, QuantizeLinear) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  const auto x = array_of<float>({0, 0.05f, -0.05f, 0.15f, 0.25f, 1.0f, -7.3f, 12.7f, 12.75f,
                                  12.85f, 1e9f, -1e9f, 0.3f, -0.15f, 3.14159f});
  Array<uint8_t> y(15);
  QuantizeArgs p = {.cols = 15, .x = x.data(), .y = y.data(), .scale = 0.1f, .zero = 128};
  GetParam().call->quantize(p);
  EXPECT_THAT(y.vector(), testing::ElementsAre(128, 128, 128, 130, 130, 138, 55, 255, 255, 255, 255,
                                               0, 131, 126, 159));
  p.zero = -3, p.lo = -128, p.hi = 127;
  GetParam().call->quantize(p);
  std::vector<int> as_signed;
  for (const uint8_t byte : y) as_signed.push_back(static_cast<int8_t>(byte));
  EXPECT_THAT(as_signed, testing::ElementsAre(-3, -3, -3, -1, -1, 7, -76, 124, 125, 125, 127, -128,
                                              0, -5, 28));
}

TEST_P(OrtQuantize, DequantizeLinear) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  const auto x = array_of<uint8_t>({0, 1, 77, 128, 255});
  Array<float> y(5);
  GetParam().call->dequantize(
      {.cols = 5, .x = x.data(), .y = y.data(), .scale = 0.1f, .zero = 128});
  EXPECT_THAT(y.vector(), testing::ElementsAre(-0x1.99999ap+3f, -0x1.966666p+3f, -0x1.466666p+2f,
                                               0.0f, 0x1.966666p+3f));
}

/// 2 x 2 windows of {0, 1, 2; 3, 4, 5; 6, 7, 8} times {1, 2; 3, 4}, less 10 for each of 2 zero
/// points, by hand: 27, 37, 57, 67 from sum(x w) and -2 * (1 + 2 + 3 + 4).
TEST_P(OrtConvS8, ByHand) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  const auto x = array_of<uint8_t>({0, 1, 2, 3, 4, 5, 6, 7, 8});
  const auto w = array_of<int8_t>({1, 2, 3, 4});
  const ConvShape s = {.in_h = 3, .in_w = 3, .out_h = 2, .out_w = 2, .kernel_h = 2, .kernel_w = 2};
  const auto y = convolve<int32_t>(GetParam(), s, {.data = w.data()}, nullptr, {1.0f},
                                   {.x = x.data(), .output = ConvS8Output::kI32, .x_zero = 2});
  EXPECT_THAT(y, testing::ElementsAre(27 - 20, 37 - 20, 57 - 20, 67 - 20));
}

LAPIDARY_EACH_ROW(OrtConvS8, conv_s8_kernels());
LAPIDARY_EACH_ROW(OrtEltwiseS8, eltwise_s8_kernels());
LAPIDARY_EACH_ROW(OrtPool, pool_kernels());
LAPIDARY_EACH_ROW(OrtQuantize, quantize_kernels());

}  // namespace
}  // namespace lapidary::kernels
