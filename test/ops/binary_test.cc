#include "test/ops/op_case.h"

namespace lapidary {
namespace {

template <class T>
Tensor run(const std::string& op, std::vector<T> a, std::vector<T> b, int opset = 21) {
  const auto n = static_cast<int64_t>(a.size()), m = static_cast<int64_t>(b.size());
  OpCase c(op, opset);
  return c.in(Tensor::of<T>({n}, a)).in(Tensor::of<T>({m}, b)).run();
}

TEST(Binary, Arithmetic) {
  expect_tensor<float>(run<float>("Add", {1, 2}, {10}), {2}, {11, 12});
  expect_tensor<float>(run<float>("Sub", {1, 2}, {10}), {2}, {-9, -8});
  expect_tensor<float>(run<float>("Mul", {1, 2}, {10}), {2}, {10, 20});
  expect_tensor<float>(run<float>("Div", {1, 2}, {10}), {2}, {0.1f, 0.2f});
  expect_tensor<float>(run<float>("Pow", {2, 9}, {3, 0.5f}), {2}, {8, 3});
}

TEST(Binary, BroadcastsBothWays) {
  const Tensor y =
      OpCase("Add").in<float>({2, 1, 3}, {0, 1, 2, 3, 4, 5}).in<float>({2, 1}, {10, 20}).run();
  expect_tensor<float>(y, {2, 2, 3}, {10, 11, 12, 20, 21, 22, 13, 14, 15, 23, 24, 25});
}

TEST(Binary, IntegersWrap) {
  expect_tensor<int8_t>(run<int8_t>("Add", {127, -128}, {1, -1}), {2}, {-128, 127});
  expect_tensor<uint8_t>(run<uint8_t>("Sub", {0, 5}, {1, 3}), {2}, {255, 2});
  expect_tensor<int32_t>(run<int32_t>("Mul", {65536, 3}, {65536, -4}), {2}, {0, -12});
  expect_tensor<int32_t>(run<int32_t>("Div", {INT32_MIN, 7}, {-1, -2}), {2}, {INT32_MIN, -3});
  expect_error(OpCase("Div").in<int64_t>({1}, {1}).in<int64_t>({1}, {0}).run_error(),
               ErrorCode::kInvalid, "division by zero");
}

TEST(Binary, PowTakesTheTypeOfTheBase) {
  const Tensor y = OpCase("Pow").in<int32_t>({3}, {1, 2, -3}).in<float>({3}, {4, 5, 3}).run();
  expect_tensor<int32_t>(y, {3}, {1, 32, -27});
  expect_tensor<int64_t>(run<int64_t>("Pow", {2, 5, -1}, {10, -1, -3}), {3}, {1024, 0, -1});
}

TEST(Binary, Mod) {
  // Python's % takes the divisor's sign, C's fmod the dividend's.
  expect_tensor<int32_t>(run<int32_t>("Mod", {-4, 7, 5, 4, -7, 8}, {2, -3, 8, -2, 3, 5}), {6},
                         {0, -2, 5, 0, 2, 3});
  const Tensor y = OpCase("Mod")
                       .in<float>({3}, {-4.3f, 7.2f, 5})
                       .in<float>({3}, {2.1f, -3.4f, 8})
                       .attr("fmod", int64_t{1})
                       .run();
  expect_tensor<float>(y, {3}, {-0.1f, 0.4f, 5}, 1e-5);
  expect_error(OpCase("Mod").in<float>({1}, {1}).in<float>({1}, {1}).run_error(),
               ErrorCode::kInvalid, "fmod");
}

TEST(Binary, BitsAndLogic) {
  expect_tensor<uint8_t>(run<uint8_t>("BitwiseAnd", {0xF0, 0x3C}, {0xCC}), {2}, {0xC0, 0x0C});
  expect_tensor<uint8_t>(run<uint8_t>("BitwiseOr", {0xF0, 0x3C}, {0xCC}), {2}, {0xFC, 0xFC});
  expect_tensor<uint8_t>(run<uint8_t>("BitwiseXor", {0xF0, 0x3C}, {0xCC}), {2}, {0x3C, 0xF0});
  expect_tensor<uint8_t>(OpCase("BitwiseNot").in<uint8_t>({2}, {0x0F, 0xFF}).run(), {2}, {0xF0, 0});
  const auto shift = [](const char* direction) {
    return OpCase("BitShift")
        .in<uint8_t>({3}, {16, 4, 1})
        .in<uint8_t>({3}, {1, 2, 9})
        .attr("direction", std::string(direction))
        .run();
  };
  expect_tensor<uint8_t>(shift("LEFT"), {3}, {32, 16, 0});
  expect_tensor<uint8_t>(shift("RIGHT"), {3}, {8, 1, 0});
  const std::vector<bool> a{false, false, true, true}, b{false, true, false, true};
  const auto logic = [&](const char* op) {
    return OpCase(op).in<bool>({4}, a).in<bool>({4}, b).run();
  };
  EXPECT_TRUE(logic("And").equals(Tensor::of<bool>({4}, {false, false, false, true})));
  EXPECT_TRUE(logic("Or").equals(Tensor::of<bool>({4}, {false, true, true, true})));
  EXPECT_TRUE(logic("Xor").equals(Tensor::of<bool>({4}, {false, true, true, false})));
  EXPECT_TRUE(OpCase("Not")
                  .in<bool>({2}, {true, false})
                  .run()
                  .equals(Tensor::of<bool>({2}, {false, true})));
}

TEST(Binary, Comparisons) {
  const auto compare = [](const char* op) {
    const Tensor y = OpCase(op).in<float>({4}, {1, 2, 3, NAN}).in<float>({4}, {2, 2, 2, NAN}).run();
    const auto bits = y.data<bool>();
    std::string out;
    for (bool v : bits) out += v ? '1' : '0';
    return out;
  };
  EXPECT_EQ(compare("Equal"), "0100");
  EXPECT_EQ(compare("Less"), "1000");
  EXPECT_EQ(compare("LessOrEqual"), "1100");
  EXPECT_EQ(compare("Greater"), "0010");
  EXPECT_EQ(compare("GreaterOrEqual"), "0110");
  EXPECT_TRUE(OpCase("Equal")
                  .in<std::string>({2}, {"a", "b"})
                  .in<std::string>({2}, {"a", "c"})
                  .run()
                  .equals(Tensor::of<bool>({2}, {true, false})));
}

TEST(Binary, WhereBroadcastsThreeWays) {
  const Tensor y = OpCase("Where")
                       .in<bool>({2, 1}, {true, false})
                       .in<int64_t>({3}, {1, 2, 3})
                       .in<int64_t>({}, {9})
                       .run();
  expect_tensor<int64_t>(y, {2, 3}, {1, 2, 3, 9, 9, 9});
}

TEST(Binary, IsNaNAndIsInf) {
  const std::vector<float> x{1, NAN, INFINITY, -INFINITY};
  EXPECT_TRUE(OpCase("IsNaN").in<float>({4}, x).run().equals(
      Tensor::of<bool>({4}, {false, true, false, false})));
  EXPECT_TRUE(OpCase("IsInf").in<float>({4}, x).run().equals(
      Tensor::of<bool>({4}, {false, false, true, true})));
  EXPECT_TRUE(OpCase("IsInf")
                  .in<float>({4}, x)
                  .attr("detect_negative", int64_t{0})
                  .run()
                  .equals(Tensor::of<bool>({4}, {false, false, true, false})));
}

TEST(Variadic, Values) {
  const auto three = [](const char* op) {
    return OpCase(op)
        .in<float>({3}, {3, NAN, 2})
        .in<float>({1}, {4})
        .in<float>({3}, {1, 5, 6})
        .run();
  };
  expect_tensor<float>(three("Max"), {3}, {4, NAN, 6});
  expect_tensor<float>(three("Min"), {3}, {1, NAN, 2});
  expect_tensor<float>(three("Sum"), {3}, {8, NAN, 12});
  expect_tensor<float>(three("Mean"), {3}, {8.0f / 3, NAN, 4});
}

TEST(PRelu, SlopePerChannel) {
  const Tensor y =
      OpCase("PRelu").in<float>({1, 2, 2}, {-1, 2, -3, 4}).in<float>({2, 1}, {0.5f, 0.1f}).run();
  expect_tensor<float>(y, {1, 2, 2}, {-0.5f, 2, -0.3f, 4});
  expect_error(OpCase("PRelu").in_type(DType::kF32, {2}).in_type(DType::kF32, {3, 2}).infer_error(),
               ErrorCode::kInvalid, "slope");
}

TEST(Binary, ShapesBroadcastWithSymbols) {
  const auto infer = [](std::vector<Dim> a, std::vector<Dim> b) {
    return OpCase("Add")
        .in_type(DType::kF32, std::move(a))
        .in_type(DType::kF32, std::move(b))
        .infer();
  };
  const Dim n = Dim::named("N"), m = Dim::named("M");
  EXPECT_EQ(infer({n, 1}, {n, 5}), "float32[N,5]");
  EXPECT_EQ(infer({n, 4}, {4}), "float32[N,4]");
  EXPECT_EQ(infer({n}, {m}), "float32[?]");
  EXPECT_EQ(infer({n}, {7}), "float32[7]");
  EXPECT_EQ(infer({n}, {1}), "float32[N]");
  EXPECT_EQ(infer({0}, {1}), "float32[0]");
}

// Adding float32 to int64, and shapes that do not fit: both types are named.
TEST(Binary, NamesBothSidesOfAMismatch) {
  const auto types =
      OpCase("Add").in_type(DType::kF32, {2}).in_type(DType::kI64, {2}).infer_error();
  expect_error(types, ErrorCode::kInvalid, "float32[2]");
  expect_error(types, ErrorCode::kInvalid, "int64[2]");
  const auto shapes =
      OpCase("Mul").in_type(DType::kF32, {4, 5}).in_type(DType::kF32, {4, 6}).infer_error();
  expect_error(shapes, ErrorCode::kInvalid, "'in0' float32[4,5]");
  expect_error(shapes, ErrorCode::kInvalid, "'in1' float32[4,6]");
}

}  // namespace
}  // namespace lapidary
