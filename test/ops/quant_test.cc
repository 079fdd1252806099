#include "src/ops/quant.h"

#include "test/ops/op_case.h"

// Expected values: ONNX Runtime 1.31 on the inputs written here (QLinear ops and QGemm: to the
// bit), or derived in the comment of a test.

namespace lapidary {
namespace {

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
