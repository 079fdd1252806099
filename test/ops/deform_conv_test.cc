#include "test/ops/op_case.h"

// Expected values: the definition of DeformConv-19 as plain loops in NumPy.

namespace lapidary {
namespace {

/// (i a mod b - c) scale for i = 0, 1, ...
std::vector<float> pattern(int count, int a, int b, int c, float scale = 1) {
  std::vector<float> out;
  for (int i = 0; i < count; ++i) out.push_back(static_cast<float>(i * a % b - c) * scale);
  return out;
}

/// Two groups, two offset groups, offsets in quarters up to 1.5, stride 2, padding 1.
OpCase two_groups(const Shape& offset_shape = {2, 16, 3, 3}) {
  OpCase c("DeformConv", 19);
  c.in<float>({2, 2, 4, 4}, pattern(64, 5, 17, 8)).in<float>({2, 1, 2, 2}, pattern(8, 3, 7, 3));
  c.in<float>(offset_shape, pattern(288, 7, 11, 5, 0.25f)).in<float>({2}, {1, -1});
  c.in<float>({2, 8, 3, 3}, pattern(144, 1, 4, 0, 0.5f));
  c.attr("group", int64_t{2}).attr("offset_group", int64_t{2});
  c.ints("strides", {2, 2}).ints("pads", {1, 1, 1, 1});
  return c;
}

TEST(DeformConv, GroupsMaskAndBias) {
  expect_tensor<float>(
      two_groups().run(), {2, 2, 3, 3},
      {-5.375f,  -17.1875f, 1,       4.1875f, 2.6875f,  1,      -0.125f, -8.75f,   -0.3125f,
       6.59375f, 3,         -4,      14,      -28.875f, -11.5f, 6.5f,    -12.25f,  8.25f,
       1,        -6.59375f, 5.4375f, -0.5f,   -8.375f,  21.25f, 1,       8.5f,     1,
       9.625f,   -1.75f,    -13,     -7.75f,  -21.875f, -9.25f, -3.25f,  -11.125f, -1});
}

TEST(DeformConv, WhatDoesNotFit) {
  EXPECT_EQ(two_groups().infer(), "float32[2,2,3,3]");
  expect_error(two_groups({2, 8, 3, 3}).infer_error(), ErrorCode::kInvalid,
               "input 2 is float32[2,8,3,3], expected float32[2,16,3,3]");
  const auto groups = [](int64_t count) {
    return OpCase("DeformConv", 19)
        .in_type(DType::kF32, {1, 2, 3, 3})
        .in_type(DType::kF32, {1, 2, 2, 2})
        .in_type(DType::kF32, {1, Dim(), 2, 2})
        .attr("offset_group", count)
        .infer_error();
  };
  expect_error(groups(0), ErrorCode::kInvalid, "offset_group is 0");
  expect_error(groups(3), ErrorCode::kInvalid, "does not divide 2 channels");
}

}  // namespace
}  // namespace lapidary
