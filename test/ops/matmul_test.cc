#include "test/ops/op_case.h"

// Expected values: ONNX Runtime 1.31 on the inputs written here.

namespace lapidary {
namespace {

TEST(MatMul, Batches) {
  const auto y =
      OpCase("MatMul", 17)
          .in<float>({2, 1, 2, 3}, {-3.67f, 0.73f, 2.38f, -1.63f, 2.98f, 1.07f, -1.1f, 0.41f,
                                    -3.07f, -1.13f, 3.65f, -1.79f})
          .in<float>({3, 3, 2}, {3.69f, -0.16f, 1.99f, 0.09f, -4.48f, -1.15f, 0.38f, -2.3f, -2.69f,
                                 0.73f, -1.3f, -3.39f, -1.37f, 1.72f, -0.95f, 1.87f, 3.05f, 0.07f})
          .run_all();
  expect_tensor<float>(y[0], {2, 3, 2, 2},
                       {-22.752f,    -2.0841f,   -4.8781f,   -0.7015f,    -6.4523f,   0.9056992f,
                        -10.0266f,   2.2970996f, 11.5934f,   -4.7807f,    2.6656f,    2.8439f,
                        10.5105f,    3.7433999f, 11.113f,    2.5677998f,  2.4700997f, 13.2366f,
                        -7.9209003f, 11.3316f,   -8.245999f, -1.3402001f, -7.3789f,   4.7566004f});
}

TEST(MatMul, VectorOnTheLeft) {
  const auto y = OpCase("MatMul", 17)
                     .in<float>({3}, {-2.26f, -2.6f, -0.05f})
                     .in<float>({2, 3, 2}, {1.76f, 0.54f, 1.09f, -0.89f, 0.6f, -0.94f, -0.65f,
                                            -2.58f, -3.14f, -0.96f, -2.22f, -1.92f})
                     .run_all();
  expect_tensor<float>(y[0], {2, 2}, {-6.8416f, 1.1405998f, 9.7439995f, 8.422799f});
}

TEST(MatMul, VectorOnTheRight) {
  const auto y = OpCase("MatMul", 17)
                     .in<float>({2, 2, 3}, {1.34f, -0.21f, 5.83f, 1.85f, -1.27f, 1.56f, 0.71f,
                                            -1.37f, 2.21f, -1.55f, -6.12f, 1.59f})
                     .in<float>({3}, {-1.23f, 2.97f, -1.3f})
                     .run_all();
  expect_tensor<float>(y[0], {2, 2}, {-9.8509f, -8.075399f, -7.8152f, -18.336899f});
}

TEST(Gemm, TransposedWithBias) {
  const auto y = OpCase("Gemm", 17)
                     .in<float>({3, 2}, {-2.36f, 3.1f, -2.15f, 0.41f, 2.9f, 0.23f})
                     .in<float>({4, 3}, {-0.16f, 0.2f, 1.68f, -1.61f, 1.22f, 1.15f, 4.67f, -0.67f,
                                         -1.83f, 1.47f, -0.79f, 0.58f})
                     .in<float>({4}, {0.27f, 2.34f, -1.31f, -0.18f})
                     .attr("transA", int64_t{1})
                     .attr("transB", int64_t{1})
                     .attr("alpha", 0.5f)
                     .attr("beta", 2.0f)
                     .run_all();
  expect_tensor<float>(
      y[0], {2, 4},
      {2.9498f, 6.9357996f, -10.063849f, -0.4043499f, 0.52620006f, 2.56685f, 4.2707f, 1.8232499f});
}

TEST(Gemm, ColumnBias) {
  const auto y = OpCase("Gemm", 17)
                     .in<float>({2, 3}, {-5.1f, -1.78f, 3.07f, -1.36f, -1.4f, -2.44f})
                     .in<float>({3, 2}, {1.16f, 0.36f, -2.37f, 1.33f, 0.52f, 1.51f})
                     .in<float>({2, 1}, {-1.28f, 3.48f})
                     .run_all();
  expect_tensor<float>(y[0], {2, 2}, {-1.3810003f, -0.84770024f, 3.9515998f, -2.5560002f});
}

TEST(Gemm, WithoutBias) {
  const auto y = OpCase("Gemm", 17)
                     .in<float>({2, 3}, {0.82f, -0.23f, -1.04f, -0.49f, 1.72f, -0.54f})
                     .in<float>({3, 2}, {2.16f, 1.16f, 2.69f, 1.63f, -0.13f, -3.82f})
                     .run_all();
  expect_tensor<float>(y[0], {2, 2}, {1.2877f, 4.5491f, 3.6386f, 4.2980003f});
}

TEST(MatMul, Shapes) {
  const auto infer = [](std::vector<Dim> a, std::vector<Dim> b) {
    return OpCase("MatMul")
        .in_type(DType::kF32, std::move(a))
        .in_type(DType::kF32, std::move(b))
        .infer();
  };
  const Dim n = Dim::named("N");
  EXPECT_EQ(infer({n, 7, 3}, {3, 5}), "float32[N,7,5]");
  EXPECT_EQ(infer({n, 1, 7, 3}, {8, 3, 5}), "float32[N,8,7,5]");
  EXPECT_EQ(infer({3}, {3}), "float32[]");
  EXPECT_EQ(infer({n}, {4, n, 5}), "float32[4,5]");
}

TEST(MatMul, NamesBothShapes) {
  const auto error =
      OpCase("MatMul").in_type(DType::kF32, {4, 5}).in_type(DType::kF32, {4, 5}).infer_error();
  expect_error(error, ErrorCode::kInvalid, "float32[4,5] x float32[4,5]: inner sizes 5 and 4");
}

TEST(MatMul, IntegersWrap) {
  const Tensor y =
      OpCase("MatMul").in<int32_t>({1, 2}, {1 << 30, 1}).in<int32_t>({2, 1}, {4, 7}).run();
  expect_tensor<int32_t>(y, {1, 1}, {7});
}

TEST(Gemm, NeedsBiasBelowVersion11) {
  const auto gemm = [](int opset) {
    return OpCase("Gemm", opset).in_type(DType::kF32, {2, 3}).in_type(DType::kF32, {3, 4});
  };
  expect_error(gemm(9).infer_error(), ErrorCode::kInvalid, "input C");
  EXPECT_EQ(gemm(11).infer(), "float32[2,4]");
}

TEST(Gemm, BiasMustBroadcast) {
  expect_error(OpCase("Gemm")
                   .in_type(DType::kF32, {2, 3})
                   .in_type(DType::kF32, {3, 4})
                   .in_type(DType::kF32, {3})
                   .infer_error(),
               ErrorCode::kInvalid, "4");
}

TEST(Macs, CountsProducts) {
  Graph graph;
  const auto count = [](const char* op, std::vector<TensorType> in, TensorType out,
                        Node node = {}) {
    return find_op("", op)->macs(AttrView(node, 13), in, std::vector<TensorType>{out});
  };
  const auto t = [](Shape s) { return tensor_type(DType::kF32, s); };
  // 8 x 6 x 5 x 5 outputs, 3 x 3 x 3 products each
  EXPECT_EQ(count("Conv", {t({8, 3, 7, 7}), t({6, 3, 3, 3})}, t({8, 6, 5, 5})), 8 * 6 * 25 * 27);
  EXPECT_EQ(count("ConvTranspose", {t({1, 3, 4, 4}), t({3, 5, 2, 2})}, t({1, 5, 5, 5})), 48 * 20);
  EXPECT_EQ(count("MatMul", {t({2, 7, 3}), t({3, 5})}, t({2, 7, 5})), 2 * 7 * 5 * 3);
  EXPECT_EQ(count("Gemm", {t({4, 3}), t({3, 5})}, t({4, 5})), 60);
  Node transposed;
  transposed.attrs = {{"transA", int64_t{1}}};
  EXPECT_EQ(count("Gemm", {t({3, 4}), t({3, 5})}, t({4, 5}), transposed), 60);
}

}  // namespace
}  // namespace lapidary
