#include "src/base/float8.h"

#include "test/ops/op_case.h"

// Codes by onnx.helper.float32_to_float8e4m3 and float32_to_float8e5m2 of onnx 1.16.2.

namespace lapidary {
namespace {

const std::vector<float> kValues{0,     -0.0f, 1,       -1,       0.47892547f,    448, 464,
                                 465,   -1000, 0x1p-9f, 0x1p-10f, 0.00097656256f, 240, 57344,
                                 61441, 1e-5f, 1.3e-5f, INFINITY, -INFINITY};

struct Format {
  DType dtype;
  std::vector<uint8_t> codes;
};
const std::vector<Format> kFormats{{DType::kF8E4M3FN,
                                    {0x00, 0x80, 0x38, 0xB8, 0x2F, 0x7E, 0x7E, 0x7E, 0xFE, 0x01,
                                     0x00, 0x01, 0x77, 0x7E, 0x7E, 0x00, 0x00, 0x7E, 0xFE}},
                                   {DType::kF8E4M3FNUZ,
                                    {0x00, 0x00, 0x40, 0xC0, 0x37, 0x7F, 0x7F, 0x7F, 0xFF, 0x02,
                                     0x01, 0x01, 0x7F, 0x7F, 0x7F, 0x00, 0x00, 0x7F, 0xFF}},
                                   {DType::kF8E5M2,
                                    {0x00, 0x80, 0x3C, 0xBC, 0x38, 0x5F, 0x5F, 0x5F, 0xE4, 0x18,
                                     0x14, 0x14, 0x5C, 0x7B, 0x7B, 0x01, 0x01, 0x7B, 0xFB}},
                                   {DType::kF8E5M2FNUZ,
                                    {0x00, 0x00, 0x40, 0xC0, 0x3C, 0x63, 0x63, 0x63, 0xE8, 0x1C,
                                     0x18, 0x18, 0x60, 0x7F, 0x7F, 0x01, 0x02, 0x7F, 0xFF}}};

Tensor codes(DType dtype, const std::vector<uint8_t>& values) {
  Tensor out(dtype, {static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), static_cast<uint8_t*>(out.mutable_raw()));
  return out;
}

Tensor cast(DType to, const std::vector<float>& values, int64_t saturate) {
  return OpCase("Cast")
      .in<float>({static_cast<int64_t>(values.size())}, values)
      .attr("to", static_cast<int64_t>(to))
      .attr("saturate", saturate)
      .run();
}

TEST(Float8, CastSaturates) {
  for (const Format& f : kFormats)
    EXPECT_TRUE(cast(f.dtype, kValues, 1).equals(codes(f.dtype, f.codes))) << dtype_name(f.dtype);
}

// The table of Cast-19: infinity where there is one, else NaN.
TEST(Float8, CastWithoutSaturation) {
  const std::vector<float> beyond{1e6f, -1e6f, INFINITY, -INFINITY, NAN};
  const auto expect = [&](DType dtype, const std::vector<uint8_t>& expected) {
    EXPECT_TRUE(cast(dtype, beyond, 0).equals(codes(dtype, expected))) << dtype_name(dtype);
  };
  expect(DType::kF8E4M3FN, {0x7F, 0xFF, 0x7F, 0xFF, 0x7F});
  expect(DType::kF8E4M3FNUZ, {0x80, 0x80, 0x80, 0x80, 0x80});
  expect(DType::kF8E5M2, {0x7C, 0xFC, 0x7C, 0xFC, 0x7F});
  expect(DType::kF8E5M2FNUZ, {0x80, 0x80, 0x80, 0x80, 0x80});
}

// Every code survives a round trip; NaN compares by being NaN.
TEST(Float8, EveryCodeIsItsOwnValue) {
  for (const Format& f : kFormats)
    for (int code = 0; code < 256; ++code) {
      const auto c = static_cast<uint8_t>(code);
      const float value = from_float8(c, f.dtype);
      if (std::isnan(value)) continue;
      EXPECT_EQ(to_float8(value, f.dtype, false), c) << dtype_name(f.dtype);
    }
}

TEST(Float8, LinearQuantization) {
  // 3 / 2 = 1.5 = 0x3C, 1000 / 2 beyond 448, -0.25 / 2 = -0.125 = 0xA0
  const Tensor q = OpCase("QuantizeLinear")
                       .in<float>({3}, {3, 1000, -0.25f})
                       .in<float>({}, {2})
                       .in(codes(DType::kF8E4M3FN, {0}))
                       .run();
  EXPECT_TRUE(q.equals(codes(DType::kF8E4M3FN, {0x3C, 0x7E, 0xA0})));
  expect_tensor<float>(OpCase("DequantizeLinear").in(q).in<float>({}, {2}).run(), {3},
                       {3, 896, -0.25f});
  expect_error(OpCase("QuantizeLinear")
                   .in<float>({1}, {3})
                   .in<float>({}, {2})
                   .in(codes(DType::kF8E4M3FN, {0x38}))
                   .run_error(),
               ErrorCode::kInvalid, "expected 0");
}

}  // namespace
}  // namespace lapidary
