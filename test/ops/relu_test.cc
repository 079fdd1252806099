#include "test/ops/op_case.h"

namespace lapidary {
namespace {

TEST(Relu, Values) {
  expect_tensor<float>(OpCase("Relu").in<float>({4}, {-1, 0, 2.5f, NAN}).run(), {4},
                       {0, 0, 2.5f, NAN});
  expect_tensor<int8_t>(OpCase("Relu").in<int8_t>({2}, {-128, 7}).run(), {2}, {0, 7});
}

TEST(Relu, IntegersNeedOpset14) {
  expect_error(OpCase("Relu", 13).in<int32_t>({1}, {1}).run_error(), ErrorCode::kInvalid, "int32");
}

TEST(Relu, KeepsSymbols) {
  EXPECT_EQ(OpCase("Relu").in_type(DType::kF16, {Dim::named("N"), 3}).infer(), "float16[N,3]");
}

}  // namespace
}  // namespace lapidary
