#include <limits>

#include "src/ops/fake_quantize.h"
#include "src/ops/packed_weights.h"
#include "test/ops/op_case.h"

// Stored values are those that test/ops/packed_reference.py prints, which draws the same inputs.

namespace lapidary {
namespace {

Tensor drawn(int64_t seed, Shape shape) {
  Tensor out(DType::kF32, std::move(shape));
  for (int64_t k = 0; k < out.size(); ++k) {
    const int64_t i = k + 17 * seed;
    out.mutable_data<float>()[static_cast<size_t>(k)] =
        static_cast<float>((13 * i * i + 37 * i + 11 * seed) % 101 - 50) / 64;
  }
  return out;
}

/// The bits `past` are set in every second byte.
Tensor bytes_drawn(int64_t seed, Shape shape, uint8_t past) {
  Tensor out(DType::kU8, std::move(shape));
  for (int64_t k = 0; k < out.size(); ++k) {
    const int64_t i = k + 5 * seed;
    const auto byte = static_cast<uint8_t>((7 * i * i + 31 * i + seed) % 251);
    out.mutable_data<uint8_t>()[static_cast<size_t>(k)] =
        static_cast<uint8_t>(byte | (k % 2 == 1 ? past : 0));
  }
  return out;
}

OpCase own(const std::string& op) { return OpCase(op, 1, std::string(kOwnDomain)); }

OpCase& with_affine(OpCase& c) {
  return c.in<float>({3}, {0.1f, -0.3f, 1.0f / 3}).in<float>({3}, {-0.7f, 0.05f, 2});
}

OpCase binary_conv(float pad_value) {
  Tensor x = drawn(1, {2, 11, 4, 3});
  x.mutable_data<float>()[0] = std::numeric_limits<float>::quiet_NaN();
  x.mutable_data<float>()[12] = -0.0f;
  x.mutable_data<float>()[25] = 0.0f;
  OpCase c = own("BinaryConv");
  c.in(x).in(bytes_drawn(2, {3, 12}, 0xF8));
  with_affine(c)
      .ints("kernel_shape", {3, 2})
      .ints("strides", {2, 1})
      .ints("dilations", {1, 2})
      .ints("pads", {1, 1, 0, 1})
      .attr("in_channels", int64_t{11})
      .attr("pad_value", pad_value);
  return c;
}

TEST(BinaryConv, LeavesOutWhatIsOutside) {
  expect_tensor<float>(binary_conv(0).run(), {2, 3, 2, 3},
                       {-1.29999995f,
                        -0.0999999642f,
                        -0.899999976f,
                        -2,
                        -0.699999988f,
                        -1.20000005f,
                        -0.550000012f,
                        0.650000036f,
                        0.650000036f,
                        -1.45000005f,
                        -1.75000012f,
                        -2.05000019f,
                        0.666666627f,
                        4,
                        3.33333349f,
                        1,
                        -3.33333349f,
                        2.33333325f,
                        -1.10000002f,
                        -1.10000002f,
                        -1.10000002f,
                        -0.800000012f,
                        -2.0999999f,
                        -1.20000005f,
                        0.0500000007f,
                        -1.1500001f,
                        1.25f,
                        0.950000048f,
                        0.0500000007f,
                        -2.05000019f,
                        -1.33333349f,
                        -0.666666746f,
                        5.33333349f,
                        5,
                        4,
                        2.33333325f},
                       0, 0);
}

TEST(BinaryConv, SeesOnesOutside) {
  expect_tensor<float>(binary_conv(1).run(), {2, 3, 2, 3},
                       {-1.9000001f,   -0.299999982f, -0.699999988f, -3.10000014f,  -0.699999988f,
                        -0.299999982f, 3.04999995f,   1.85000002f,   3.04999995f,   0.650000036f,
                        -1.75000012f,  0.650000036f,  0.666666627f,  3.33333349f,   4.66666698f,
                        0.666666627f,  -3.33333349f,  4.66666698f,   -1.70000005f,  -1.29999995f,
                        -0.899999976f, -1.9000001f,   -2.0999999f,   -0.299999982f, 3.6500001f,
                        0.0500000007f, 3.6500001f,    3.04999995f,   0.0500000007f, 0.650000036f,
                        -1.33333349f,  -1.33333349f,  6.66666698f,   4.66666698f,   4,
                        4.66666698f},
                       0, 0);
}

TEST(BinaryConv, RoundsTwice) {
  // 3 * 0.1f, rounded, less the same is 0; one rounding would leave the product's error.
  OpCase c = own("BinaryConv");
  c.in<float>({1, 3, 1, 1}, {1, 2, 3}).in<uint8_t>({1, 1}, {255});
  c.in<float>({1}, {0.1f}).in<float>({1}, {-(3 * 0.1f)});
  c.ints("kernel_shape", {1, 1}).ints("strides", {1, 1}).ints("dilations", {1, 1});
  c.ints("pads", {0, 0, 0, 0}).attr("in_channels", int64_t{3}).attr("pad_value", 0.0f);
  expect_tensor<float>(c.run(), {1, 1, 1, 1}, {0}, 0, 0);
}

TEST(BinaryConv, SaysWhatIsWrong) {
  const auto wrong = [](const std::string& name, const Attr& value) {
    OpCase c = own("BinaryConv");
    c.in_type(DType::kF32, {Dim::named("N"), 11, 4, 3}).in_type(DType::kU8, {3, 12});
    with_affine(c);
    for (const auto& [key, usual] :
         GraphBuilder::Attrs{{"kernel_shape", std::vector<int64_t>{3, 2}},
                             {"strides", std::vector<int64_t>{1, 1}},
                             {"dilations", std::vector<int64_t>{1, 1}},
                             {"pads", std::vector<int64_t>{0, 0, 0, 0}},
                             {"in_channels", int64_t{11}},
                             {"pad_value", 1.0f}})
      c.attr(key, key == name ? value : usual);
    return c;
  };
  using Ints = std::vector<int64_t>;
  EXPECT_EQ(wrong("", 1.0f).infer(), "float32[N,3,2,2]");
  expect_error(wrong("pad_value", 0.5f).infer_error(), ErrorCode::kInvalid, "0 or 1");
  expect_error(wrong("pads", Ints{0, 0, -1, 0}).infer_error(), ErrorCode::kInvalid, "-1");
  expect_error(wrong("strides", Ints{}).infer_error(), ErrorCode::kInvalid, "strides");
  expect_error(wrong("in_channels", int64_t{12}).infer_error(), ErrorCode::kInvalid,
               "in_channels is 12");
  expect_error(wrong("in_channels", int64_t{17}).infer_error(), ErrorCode::kInvalid, "18 bytes");
  expect_error(wrong("kernel_shape", Ints{4096, 4096}).infer_error(), ErrorCode::kInvalid, "exact");
}

TEST(BinaryMatMul, Values) {
  Tensor x = drawn(3, {2, 2, 10});
  x.mutable_data<float>()[34] = std::numeric_limits<float>::quiet_NaN();
  OpCase c = own("BinaryMatMul");
  c.in(x).in(bytes_drawn(4, {3, 2}, 0xFC));
  expect_tensor<float>(with_affine(c).run(), {2, 2, 3},
                       {-0.5f, 0.650000036f, 2, -1.10000002f, 0.0500000007f, 4, -0.899999976f,
                        -0.550000012f, -0.666666746f, -0.5f, -0.550000012f, 3.33333349f},
                       0, 0);
}

TEST(BinaryMatMul, SaysWhatIsWrong) {
  OpCase c = own("BinaryMatMul");
  c.in_type(DType::kF32, {4, 17}).in_type(DType::kU8, {3, 2});
  expect_error(with_affine(c).infer_error(), ErrorCode::kInvalid, "expected 3 bytes a row");
  OpCase d = own("BinaryMatMul");
  d.in_type(DType::kF32, {Dim::named("N"), 16}).in_type(DType::kU8, {3, 2});
  EXPECT_EQ(with_affine(d).infer(), "float32[N,3]");
}

TEST(UnpackBinary, Values) {
  OpCase c = own("UnpackBinary");
  c.in(bytes_drawn(5, {2, 2}, 0)).ints("shape", {2, 3, 3, 1});
  expect_tensor<float>(c.run(), {2, 3, 3, 1},
                       {1, 1, 1, -1, -1, -1, -1, 1, 1, -1, -1, 1, 1, -1, 1, -1, 1, -1}, 0, 0);
}

TEST(UnpackTernary, Values) {
  OpCase c = own("UnpackTernary");
  c.in<uint8_t>({2, 2}, {0b00100100, 0b00000001, 0b10000110, 0b00000010}).ints("shape", {2, 5});
  expect_tensor<int8_t>(c.run(), {2, 5}, {0, 1, -1, 0, 1, -1, 1, 0, -1, -1});
  OpCase third = own("UnpackTernary");
  third.in<uint8_t>({1, 1}, {3}).ints("shape", {1, 1});
  expect_tensor<int8_t>(third.run(), {1, 1}, {0});
}

TEST(UnpackTernary, SaysWhatIsWrong) {
  OpCase c = own("UnpackTernary");
  c.in_type(DType::kU8, {2, 3}).ints("shape", {2, 5});
  expect_error(c.infer_error(), ErrorCode::kInvalid, "2 bytes");
  OpCase d = own("UnpackTernary");
  d.in_type(DType::kU8, {2, 1}).ints("shape", {2});
  expect_error(d.infer_error(), ErrorCode::kInvalid, "two positive");
}

TEST(PackedWeights, PackingIsTheInverse) {
  const Shape shape = {3, 11, 2, 3};
  Tensor signs = drawn(7, shape);
  for (float& v : signs.mutable_data<float>()) v = v >= 0 ? 1.0f : -1.0f;
  EXPECT_TRUE(unpack_binary(pack_binary(signs), shape).equals(signs));
  EXPECT_TRUE(unpack_binary_conv(pack_binary_conv(signs), shape).equals(signs));
  Tensor ternary(DType::kI8, shape);
  for (int64_t i = 0; i < ternary.size(); ++i)
    ternary.mutable_data<int8_t>()[static_cast<size_t>(i)] = static_cast<int8_t>(i * i % 5 % 3 - 1);
  EXPECT_TRUE(unpack_ternary(pack_ternary(ternary), shape).equals(ternary));
  // Past the last bits are 1 and codes 0: a row has 66 bits or codes, a tap 11 bits.
  EXPECT_EQ(pack_binary(signs).data<uint8_t>()[8] >> 2, 63);
  EXPECT_EQ(pack_binary_conv(signs).data<uint8_t>()[1] >> 3, 31);
  EXPECT_EQ(pack_ternary(ternary).data<uint8_t>()[16] >> 4, 0);
}

}  // namespace
}  // namespace lapidary
