#include "test/ops/op_case.h"

namespace lapidary {
namespace {

struct Row {
  std::string op;
  int opset;
  GraphBuilder::Attrs attrs;
  std::vector<float> x, y;
};

const std::vector<float> kX{-2.5f, -1, -0.3f, 0, 0.4f, 1.7f, 3};

// By the standard's formulas in 15-digit arithmetic (mpmath), written with 8 digits.
const std::vector<Row> kRows{
    {"Abs", 13, {}, kX, {2.5f, 1.0f, 0.3f, 0.0f, 0.4f, 1.7f, 3.0f}},
    {"Ceil", 13, {}, kX, {-2.0f, -1.0f, 0.0f, 0.0f, 1.0f, 2.0f, 3.0f}},
    {"Floor", 13, {}, kX, {-3.0f, -1.0f, -1.0f, 0.0f, 0.0f, 1.0f, 3.0f}},
    {"Round", 11, {}, kX, {-2.0f, -1.0f, 0.0f, 0.0f, 0.0f, 2.0f, 3.0f}},
    {"Reciprocal",
     13,
     {},
     kX,
     {-0.4f, -1.0f, -3.3333333f, INFINITY, 2.5f, 0.58823529f, 0.33333333f}},
    {"Neg", 13, {}, kX, {2.5f, 1.0f, 0.3f, 0.0f, -0.4f, -1.7f, -3.0f}},
    {"Sign", 13, {}, kX, {-1.0f, -1.0f, -1.0f, 0.0f, 1.0f, 1.0f, 1.0f}},
    {"Exp",
     13,
     {},
     kX,
     {0.082084999f, 0.36787944f, 0.74081822f, 1.0f, 1.4918247f, 5.4739474f, 20.085537f}},
    {"Erf",
     13,
     {},
     kX,
     {-0.99959305f, -0.84270079f, -0.32862676f, 0.0f, 0.42839236f, 0.98379046f, 0.99997791f}},
    {"Sin",
     7,
     {},
     kX,
     {-0.59847214f, -0.84147098f, -0.29552021f, 0.0f, 0.38941834f, 0.99166481f, 0.14112001f}},
    {"Cos",
     7,
     {},
     kX,
     {-0.80114362f, 0.54030231f, 0.95533649f, 1.0f, 0.92106099f, -0.12884449f, -0.9899925f}},
    {"Tan",
     7,
     {},
     kX,
     {0.7470223f, -1.5574077f, -0.30933625f, 0.0f, 0.42279322f, -7.6966021f, -0.14254654f}},
    {"Atan",
     7,
     {},
     kX,
     {-1.1902899f, -0.78539816f, -0.29145679f, 0.0f, 0.38050638f, 1.0390723f, 1.2490458f}},
    {"Sinh",
     9,
     {},
     kX,
     {-6.0502045f, -1.1752012f, -0.30452029f, 0.0f, 0.41075233f, 2.6456319f, 10.017875f}},
    {"Cosh",
     9,
     {},
     kX,
     {6.1322895f, 1.5430806f, 1.0453385f, 1.0f, 1.0810724f, 2.8283155f, 10.067662f}},
    {"Asinh",
     9,
     {},
     kX,
     {-1.6472311f, -0.88137359f, -0.29567305f, 0.0f, 0.39003532f, 1.3008204f, 1.8184465f}},
    {"Sigmoid",
     13,
     {},
     kX,
     {0.07585818f, 0.26894142f, 0.42555748f, 0.5f, 0.59868766f, 0.84553473f, 0.95257413f}},
    {"Tanh",
     13,
     {},
     kX,
     {-0.9866143f, -0.76159416f, -0.29131261f, 0.0f, 0.37994896f, 0.93540907f, 0.99505475f}},
    {"Softplus",
     1,
     {},
     kX,
     {0.078889734f, 0.31326169f, 0.55435524f, 0.69314718f, 0.91301525f, 1.867786f, 3.0485874f}},
    {"Softsign",
     1,
     {},
     kX,
     {-0.71428571f, -0.5f, -0.23076923f, 0.0f, 0.28571429f, 0.62962963f, 0.75f}},
    {"Mish",
     18,
     {},
     kX,
     {-0.1968162f, -0.30340146f, -0.15113318f, 0.0f, 0.28903053f, 1.6207681f, 2.986535f}},
    {"HardSwish",
     14,
     {},
     kX,
     {-0.20833333f, -0.33333333f, -0.135f, 0.0f, 0.22666667f, 1.3316667f, 3.0f}},
    {"LeakyRelu", 16, {}, kX, {-0.025f, -0.01f, -0.003f, 0.0f, 0.4f, 1.7f, 3.0f}},
    {"LeakyRelu", 16, {{"alpha", 0.2f}}, kX, {-0.5f, -0.2f, -0.06f, 0.0f, 0.4f, 1.7f, 3.0f}},
    {"Elu",
     6,
     {{"alpha", 2.0f}},
     kX,
     {-1.83583f, -1.2642411f, -0.51836356f, 0.0f, 0.4f, 1.7f, 3.0f}},
    {"Selu",
     6,
     {},
     kX,
     {-1.6137858f, -1.1113307f, -0.45566732f, 0.0f, 0.42028039f, 1.7861917f, 3.152103f}},
    {"Celu",
     12,
     {{"alpha", 2.0f}},
     kX,
     {-1.4269904f, -0.78693868f, -0.27858405f, 0.0f, 0.4f, 1.7f, 3.0f}},
    {"ThresholdedRelu", 10, {{"alpha", 1.0f}}, kX, {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 1.7f, 3.0f}},
    {"HardSigmoid", 6, {}, kX, {0.0f, 0.3f, 0.44f, 0.5f, 0.58f, 0.84f, 1.0f}},
    {"HardSigmoid",
     6,
     {{"alpha", 0.25f}, {"beta", 0.6f}},
     kX,
     {0.0f, 0.35f, 0.525f, 0.6f, 0.7f, 1.0f, 1.0f}},
    {"Swish",
     24,
     {},
     kX,
     {-0.18964545f, -0.26894142f, -0.12766724f, 0.0f, 0.23947506f, 1.437409f, 2.8577224f}},
    {"Swish",
     24,
     {{"alpha", 1.5f}},
     kX,
     {-0.057443425f, -0.18242552f, -0.11680823f, 0.0f, 0.25826252f, 1.576875f, 2.9670392f}},
    {"Gelu",
     20,
     {},
     kX,
     {-0.015524163f, -0.15865525f, -0.11462657f, 0.0f, 0.2621687f, 1.6242387f, 2.9959503f}},
    {"Gelu",
     20,
     {{"approximate", std::string("tanh")}},
     kX,
     {-0.015084266f, -0.15880801f, -0.11462908f, 0.0f, 0.26216117f, 1.6241059f, 2.9963626f}},
    {"Shrink",
     9,
     {{"lambd", 1.2f}, {"bias", 0.5f}},
     kX,
     {-2.0f, 0.0f, 0.0f, 0.0f, 0.0f, 1.2f, 2.5f}},
    {"Sqrt", 13, {}, {0.0f, 0.25f, 1.0f, 2.0f, 10.0f}, {0.0f, 0.5f, 1.0f, 1.4142136f, 3.1622777f}},
    {"Log",
     13,
     {},
     {0.0f, 0.25f, 1.0f, 2.0f, 10.0f},
     {-INFINITY, -1.3862944f, 0.0f, 0.69314718f, 2.3025851f}},
    {"Acosh", 9, {}, {1.0f, 1.5f, 2.0f, 10.0f}, {0.0f, 0.96242365f, 1.3169579f, 2.9932228f}},
    {"Asin",
     7,
     {},
     {-1.0f, -0.5f, 0.0f, 0.5f, 1.0f},
     {-1.5707963f, -0.52359878f, 0.0f, 0.52359878f, 1.5707963f}},
    {"Acos",
     7,
     {},
     {-1.0f, -0.5f, 0.0f, 0.5f, 1.0f},
     {3.1415927f, 2.0943951f, 1.5707963f, 1.0471976f, 0.0f}},
    {"Atanh",
     9,
     {},
     {-0.9f, -0.5f, 0.0f, 0.5f, 0.9f},
     {-1.4722195f, -0.54930614f, 0.0f, 0.54930614f, 1.4722195f}},
};

TEST(Unary, Values) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.op);
    OpCase c(row.op, row.opset);
    for (const auto& [name, value] : row.attrs) c.attr(name, value);
    const auto count = static_cast<int64_t>(row.x.size());
    expect_tensor<float>(c.in<float>({count}, row.x).run(), {count}, row.y, 2e-6, 1e-7);
  }
}

TEST(Unary, HalfPrecisionIsComputedInFloat32) {
  // float16: sigmoid(1) = 0.7310586 -> 0x39D9 = 0.73095703; bfloat16: 0x3F3B = 0.73046875.
  const Tensor half = OpCase("Sigmoid").in(Tensor::of<Half>({1}, {Half{0x3C00}})).run();
  EXPECT_EQ(half.data<Half>()[0].bits, 0x39D9);
  const Tensor brain = OpCase("Sigmoid").in(Tensor::of<BFloat16>({1}, {BFloat16{0x3F80}})).run();
  EXPECT_EQ(brain.data<BFloat16>()[0].bits, 0x3F3B);
}

TEST(Unary, IntegersWrapAtTheLowest) {
  expect_tensor<int8_t>(OpCase("Abs").in<int8_t>({3}, {-128, -5, 7}).run(), {3}, {-128, 5, 7});
  expect_tensor<int32_t>(OpCase("Neg").in<int32_t>({2}, {INT32_MIN, 4}).run(), {2},
                         {INT32_MIN, -4});
  expect_error(OpCase("Neg").in<uint8_t>({1}, {1}).run_error(), ErrorCode::kInvalid, "signed");
}

TEST(Unary, SigmoidAndSoftplusStayFiniteFarOut) {
  expect_tensor<float>(OpCase("Sigmoid").in<float>({2}, {-200, 200}).run(), {2}, {0, 1});
  expect_tensor<float>(OpCase("Softplus").in<float>({2}, {-200, 200}).run(), {2}, {0, 200});
}

TEST(Unary, RoundIsHalfToEven) {
  expect_tensor<float>(
      OpCase("Round").in<float>({6}, {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f}).run(), {6},
      {0, 2, 2, 0, -2, -2});
}

TEST(Unary, Refusals) {
  expect_error(OpCase("Sqrt").in<int32_t>({1}, {4}).run_error(), ErrorCode::kInvalid, "int32");
  expect_error(
      OpCase("Gelu").in<float>({1}, {4}).attr("approximate", std::string("erf")).run_error(),
      ErrorCode::kInvalid, "approximate");
}

TEST(Unary, TypesPassThrough) {
  for (const Row& row : kRows)
    EXPECT_EQ(OpCase(row.op, row.opset).in_type(DType::kF32, {Dim::named("N"), 7, Dim()}).infer(),
              "float32[N,7,?]")
        << row.op;
}

}  // namespace
}  // namespace lapidary
