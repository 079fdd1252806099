#include "test/ops/op_case.h"

// Expected values: ONNX Runtime 1.31.1 on the same node.

namespace lapidary {
namespace {

TEST(SoftmaxCrossEntropyLoss, MeanAndLogProbabilities) {
  const auto out = OpCase("SoftmaxCrossEntropyLoss", 13)
                       .in<float>({2, 3}, {1, 2, 0.5f, 0, -1, 3})
                       .in<int64_t>({2}, {2, 0})
                       .outputs(2)
                       .run_all();
  expect_tensor<float>(out[0], {}, {2.51512623f});
  expect_tensor<float>(
      out[1], {2, 3},
      {-1.46436882f, -0.46436879f, -1.96436882f, -3.06588387f, -4.06588411f, -0.0658839121f});
}

TEST(SoftmaxCrossEntropyLoss, WeightsAndAnIgnoredLabel) {
  const Tensor out = OpCase("SoftmaxCrossEntropyLoss", 13)
                         .in<float>({3, 3}, {1, 2, 0.5f, 0, -1, 3, 1, 1, 1})
                         .in<int64_t>({3}, {2, 0, 1})
                         .in<float>({3}, {1, 2, 0.5f})
                         .attr("ignore_index", int64_t{1})
                         .run();
  expect_tensor<float>(out, {}, {2.69871211f});
}

OpCase nll() {
  return OpCase("NegativeLogLikelihoodLoss", 13)
      .in<float>({2, 3, 2}, {0, -1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11})
      .in<int64_t>({2, 2}, {0, 1, 2, 1})
      .in<float>({3}, {1, 2, 0.5f});
}

TEST(NegativeLogLikelihoodLoss, Reductions) {
  expect_tensor<float>(nll().run(), {}, {5.27272749f});
  expect_tensor<float>(nll().attr("reduction", std::string("none")).run(), {2, 2}, {0, 6, 5, 18});
  expect_tensor<float>(nll().attr("reduction", std::string("sum")).run(), {}, {29});
}

TEST(NegativeLogLikelihoodLoss, Refusals) {
  expect_error(nll().attr("reduction", std::string("median")).infer_error(), ErrorCode::kInvalid,
               "median");
  expect_error(OpCase("NegativeLogLikelihoodLoss")
                   .in<float>({1, 2}, {0, 0})
                   .in<int64_t>({1}, {2})
                   .run_error(),
               ErrorCode::kInvalid, "label is 2");
  expect_error(OpCase("NegativeLogLikelihoodLoss")
                   .in_type(DType::kF32, {2, 3, 4})
                   .in_type(DType::kI64, {2, 3})
                   .infer_error(),
               ErrorCode::kInvalid, "4 and 3");
}

}  // namespace
}  // namespace lapidary
