#include <gtest/gtest.h>

#include "test/ops/op_case.h"

namespace lapidary {
namespace {

// A sum of YOLOX-Nano next to a tie, found by comparing the model with ONNX Runtime 1.31, which
// makes 92. With the three steps of zc - (ra za + rb zb) rounded apart it would be 91 (91.49999
// before rounding).
TEST(QLinearAdd, FusesOneProductOfItsConstant) {
  const Tensor sum = OpCase("QLinearAdd", 1, "com.microsoft")
                         .in<uint8_t>({1}, {54})
                         .in(Tensor::scalar(0.00644442067f))
                         .in(Tensor::scalar<uint8_t>(43))
                         .in<uint8_t>({1}, {73})
                         .in(Tensor::scalar(0.00842291862f))
                         .in(Tensor::scalar<uint8_t>(33))
                         .in(Tensor::scalar(0.0105923479f))
                         .in(Tensor::scalar<uint8_t>(53))
                         .run();
  EXPECT_EQ(sum.data<uint8_t>()[0], 92);
}

}  // namespace
}  // namespace lapidary
