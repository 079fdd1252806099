#include "test/ops/op_case.h"

// The types of scales, by the schemas of the onnx package 1.16.2 and of ONNX Runtime 1.31
// (com.microsoft): what is refused here no other engine loads.

namespace lapidary {
namespace {

struct Case {
  std::string op, domain;
  int64_t opset;
  std::string inputs;  ///< a letter each: q uint8 [2,2,2,2], w uint8 [2,2], s scale, z zero point,
                       ///< b bool [1]
  GraphBuilder::Attrs attrs = {};
};

std::string name_of(const Case& c) { return c.op + (c.domain.empty() ? "" : "_ms"); }

/// The case with its `changed`-th scale (from 0) of another type.
OpCase build(const Case& c, int changed = -1, DType type = DType::kF32) {
  OpCase out(c.op, c.opset, c.domain);
  int scales = 0;
  for (const char input : c.inputs) {
    switch (input) {
      case 'q':
        out.in_type(DType::kU8, {2, 2, 2, 2});
        break;
      case 'w':
        out.in_type(DType::kU8, {2, 2});
        break;
      case 'b':
        out.in_type(DType::kBool, {1});
        break;
      case 'z':
        out.in<uint8_t>({}, {0});
        break;
      default:
        out.in_type(scales++ == changed ? type : DType::kF32, {});
    }
  }
  for (const auto& [name, value] : c.attrs) out.attr(name, value);
  return out;
}

class ScaleType : public testing::TestWithParam<Case> {};

TEST_P(ScaleType, IsFloat32) {
  ASSERT_FALSE(build(GetParam()).infer_error().has_value())
      << build(GetParam()).infer_error()->what();
  const auto scales = static_cast<int>(std::ranges::count(GetParam().inputs, 's'));
  ASSERT_GT(scales, 0);
  for (int i = 0; i < scales; ++i)
    for (const DType type : {DType::kF16, DType::kBF16, DType::kF64, DType::kI32})
      expect_error(build(GetParam(), i, type).infer_error(), ErrorCode::kInvalid,
                   "is " + dtype_name(type) + "[], expected float32");
}

const char kMs[] = "com.microsoft";
INSTANTIATE_TEST_SUITE_P(
    Ops, ScaleType,
    testing::Values(
        Case{"QLinearConv", "", 10, "qszqszsz"}, Case{"QLinearMatMul", "", 10, "wszwszsz"},
        Case{"QGemm", kMs, 1, "wszwsz"}, Case{"QLinearAdd", kMs, 1, "qszqszsz"},
        Case{"QLinearMul", kMs, 1, "qszqszsz"}, Case{"QLinearSigmoid", kMs, 1, "qszsz"},
        Case{"QLinearLeakyRelu", kMs, 1, "qszsz"},
        Case{"QLinearSoftmax", kMs, 1, "qszsz", {{"opset", int64_t{13}}}},
        Case{"QLinearConcat", kMs, 1, "szqszqsz", {{"axis", int64_t{1}}}},
        Case{"QLinearWhere", kMs, 1, "bqszqszsz"},
        Case{"QLinearAveragePool", kMs, 1, "qszsz", {{"kernel_shape", std::vector<int64_t>{2, 2}}}},
        Case{"QLinearGlobalAveragePool", kMs, 1, "qszsz"}, Case{"DequantizeLinear", "", 13, "qsz"}),
    [](const auto& info) { return name_of(info.param); });

TEST(ScaleTypes, OfQGemmsResult) {
  OpCase c("QGemm", 1, kMs);
  c.in_type(DType::kU8, {2, 2}).in<float>({}, {1}).in<uint8_t>({}, {0});
  c.in_type(DType::kU8, {2, 2}).in<float>({}, {1}).in<uint8_t>({}, {0});
  c.absent().in_type(DType::kF16, {}).in<uint8_t>({}, {0});
  expect_error(c.infer_error(), ErrorCode::kInvalid, "expected float32");
}

TEST(ScaleTypes, OfQLinearMatMulAreOneOfThreeFrom21On) {
  const auto product = [](int64_t opset, DType a, DType b, DType y) {
    OpCase c("QLinearMatMul", opset);
    c.in_type(DType::kU8, {2, 2}).in_type(a, {}).in<uint8_t>({}, {0});
    c.in_type(DType::kU8, {2, 2}).in_type(b, {}).in<uint8_t>({}, {0});
    c.in_type(y, {}).in<uint8_t>({}, {0});
    return c.infer_error();
  };
  const DType full = DType::kF32, half = DType::kF16, brain = DType::kBF16;
  for (const DType type : {full, half, brain}) EXPECT_FALSE(product(21, type, type, type));
  expect_error(product(21, DType::kF64, DType::kF64, DType::kF64), ErrorCode::kInvalid, "bfloat16");
  expect_error(product(21, half, full, half), ErrorCode::kInvalid, "one element type");
  expect_error(product(21, half, half, full), ErrorCode::kInvalid, "one element type");
  expect_error(product(20, half, half, half), ErrorCode::kInvalid, "expected float32");
}

TEST(ScaleTypes, OfMatMulIntegerToFloatAreThoseOfItsResult) {
  const auto product = [](DType a, DType b, DType bias) {
    OpCase c("MatMulIntegerToFloat", 1, kMs);
    c.in_type(DType::kU8, {2, 2}).in_type(DType::kU8, {2, 2}).in_type(a, {}).in_type(b, {});
    c.absent().absent().in_type(bias, {2});
    return c.infer_error();
  };
  for (const DType type : {DType::kF32, DType::kF16}) EXPECT_FALSE(product(type, type, type));
  expect_error(product(DType::kF64, DType::kF64, DType::kF64), ErrorCode::kInvalid, "float16");
  expect_error(product(DType::kF16, DType::kF32, DType::kF16), ErrorCode::kInvalid, "element type");
  expect_error(product(DType::kF16, DType::kF16, DType::kF32), ErrorCode::kInvalid, "element type");
}

TEST(ScaleTypes, OfQuantizeLinearByVersion) {
  const auto quantize = [](int64_t opset, DType x, DType scale, const char* domain = "") {
    return OpCase("QuantizeLinear", opset, domain).in_type(x, {4}).in_type(scale, {}).infer_error();
  };
  const DType full = DType::kF32, half = DType::kF16, brain = DType::kBF16, whole = DType::kI32;
  EXPECT_FALSE(quantize(13, full, full));
  EXPECT_FALSE(quantize(13, whole, full));
  expect_error(quantize(13, full, half), ErrorCode::kInvalid, "expected float32");
  for (const DType type : {full, half, brain, whole}) EXPECT_FALSE(quantize(19, type, type));
  expect_error(quantize(21, half, full), ErrorCode::kInvalid, "element type");
  expect_error(quantize(21, full, DType::kF64), ErrorCode::kInvalid, "bfloat16");
  EXPECT_FALSE(quantize(23, half, full));
  EXPECT_FALSE(quantize(1, half, half, kMs));
  expect_error(quantize(1, half, full, kMs), ErrorCode::kInvalid, "element type");
}

TEST(ScaleTypes, OfDequantizeLinearFrom19On) {
  for (const DType type : {DType::kF32, DType::kF16, DType::kBF16})
    EXPECT_FALSE(
        OpCase("DequantizeLinear", 19).in_type(DType::kI8, {4}).in_type(type, {}).infer_error());
  expect_error(OpCase("DequantizeLinear", 19)
                   .in_type(DType::kI8, {4})
                   .in_type(DType::kF64, {})
                   .infer_error(),
               ErrorCode::kInvalid, "bfloat16");
}

}  // namespace
}  // namespace lapidary
