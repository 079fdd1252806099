#include "src/base/float_types.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace lapidary {
namespace {

std::vector<uint16_t> bits(const Tensor& t) {
  const auto* from = static_cast<const uint16_t*>(t.raw());
  return {from, from + t.size()};
}

TEST(FloatTypes, RoundHalfToEven) {
  // FP16 has 11 bits: 2049 lies between 2048 and 2050, 65520 between 65504 and what would be 65536.
  const Tensor x = Tensor::of<float>({4}, {2049, 2051, 65520, 0.1f});
  EXPECT_EQ(bits(to_float_type(x, DType::kF16)),
            (std::vector<uint16_t>{0x6800, 0x6802, 0x7c00, 0x2e66}));
  // bfloat16 has 8: 257 lies between 256 and 258.
  EXPECT_EQ(bits(to_float_type(Tensor::of<double>({2}, {257, -0.5}), DType::kBF16)),
            (std::vector<uint16_t>{0x4380, 0xbf00}));
}

TEST(FloatTypes, WidenExactly) {
  const Tensor half = to_float_type(Tensor::of<float>({2}, {0.1f, -3}), DType::kF16);
  EXPECT_EQ(to_float_type(half, DType::kF32).data<float>()[0], 0.0999755859375f);
  EXPECT_EQ(to_float_type(half, DType::kF64).data<double>()[1], -3);
}

TEST(FloatTypes, OnlyFloatsConvert) {
  const Tensor bytes = Tensor::of<uint8_t>({2}, std::vector<uint8_t>{1, 2});
  EXPECT_EQ(as_wanted(bytes, DType::kF32).dtype(), DType::kU8);
  const Tensor x = Tensor::of<float>({1}, {1});
  EXPECT_EQ(as_wanted(x, DType::kI8).dtype(), DType::kF32);
  EXPECT_EQ(as_wanted(x, DType::kUndefined).dtype(), DType::kF32);
  EXPECT_EQ(as_wanted(x, DType::kF16).dtype(), DType::kF16);
}

}  // namespace
}  // namespace lapidary
