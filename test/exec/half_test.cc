#include <algorithm>

#include "lapidary/error.h"
#include "src/base/half.h"
#include "test/exec/compare.h"

namespace lapidary::exec {
namespace {

using Ints = std::vector<int64_t>;

Tensor as_half(const Tensor& floats) {
  Tensor out(DType::kF16, floats.shape());
  for (size_t i = 0; i < floats.data<float>().size(); ++i)
    out.mutable_data<Half>()[i] = to_half(floats.data<float>()[i]);
  return out;
}

std::vector<std::string> kernels_of(Executor& executor) {
  std::vector<std::string> names;
  for (const StepInfo& step : executor.steps()) names.push_back(step.kernel);
  return names;
}

std::string precision_of(Executor& executor, const std::string& op) {
  for (const StepInfo& step : executor.steps())
    if (step.op.starts_with(op)) return step.precision;
  return "no such step";
}

MATCHER_P(HasPrefix, prefix, "") { return arg.starts_with(prefix); }

/// x [2,16,8,8] -> Conv 3x3 (FP16 weights) + Relu -> depthwise Conv -> mean -> Gemm -> y [2,10], of
/// FP16 values; `edges`: inputs and outputs are FP32, with Casts.
struct HalfNet {
  Graph graph = new_graph();
  GraphBuilder b{graph};
  Executor::Values inputs;

  ValueId weights(Shape shape, uint64_t seed) {
    Tensor floats = random_floats(std::move(shape), seed);
    for (float& v : floats.mutable_data<float>()) v *= 0.01f;
    return b.constant("w", as_half(floats));
  }
  ValueId cast(ValueId x, DType to, const std::string& name = {}) {
    return b.op("Cast", {x}, {{"to", static_cast<int64_t>(to)}}, name);
  }
  explicit HalfNet(bool edges) {
    const Tensor x = random_floats({2, 16, 8, 8}, 1);
    inputs.emplace("x", edges ? x : as_half(x));
    ValueId v = b.input("x", edges ? DType::kF32 : DType::kF16, {2, 16, 8, 8});
    if (edges) v = cast(v, DType::kF16);
    v = b.op("Conv", {v, weights({24, 16, 3, 3}, 2), weights({24}, 3)},
             {{"pads", Ints{1, 1, 1, 1}}});
    v = b.op("Relu", {v});
    v = b.op("Conv", {v, weights({24, 1, 3, 3}, 4)}, {{"group", int64_t{24}}});
    v = b.op("GlobalAveragePool", {v});
    v = b.op("Flatten", {v});
    v = b.op("Gemm", {v, weights({10, 24}, 5), weights({10}, 6)}, {{"transB", int64_t{1}}},
             edges ? "" : "y");
    if (edges) v = cast(v, DType::kF32, "y");
    b.output(v);
  }
};

class HalfGraphs : public testing::TestWithParam<bool> {};

TEST_P(HalfGraphs, RunOnKernelsWithHalfWeights) {
  const HalfNet net(GetParam());
  const auto expected = Executor(net.graph, {.executor = ExecutorKind::kReference}).run(net.inputs);
  under_each_isa([&] {
    Executor fast(net.graph);
    const auto got = fast.run(net.inputs);
    ASSERT_EQ(got.at("y").dtype(), GetParam() ? DType::kF32 : DType::kF16);
    ASSERT_EQ(got.at("y").shape(), expected.at("y").shape());
    for (int64_t i = 0; i < 20; ++i) {
      const auto at = static_cast<size_t>(i);
      const auto value = [&](const Tensor& t) {
        return GetParam() ? t.data<float>()[at] : from_half(t.data<Half>()[at]);
      };
      // The reference rounds each result to 2^-11 of it.
      EXPECT_NEAR(value(got.at("y")), value(expected.at("y")), 2e-3) << i;
    }
    EXPECT_THAT(kernels_of(fast), testing::Not(testing::Contains("reference")));
    EXPECT_THAT(kernels_of(fast), testing::Contains(HasPrefix("conv_f16w")).Times(2));
    EXPECT_EQ(precision_of(fast, "Conv+Relu"), "float32");
  });
}

TEST_P(HalfGraphs, InHalfArithmeticGiveWhatTheReferenceGives) {
  // Every result is rounded in both: only sums in another order may differ, by a step of 2^-11.
  const HalfNet net(GetParam());
  const auto expected = Executor(net.graph, {.executor = ExecutorKind::kReference}).run(net.inputs);
  Executor fast(net.graph, {.float_arithmetic = FloatArithmetic::kF16});
  const auto got = fast.run(net.inputs);
  int differing = 0;
  for (size_t i = 0; i < 20; ++i) {
    const auto value = [&](const Tensor& t) {
      return GetParam() ? t.data<float>()[i] : from_half(t.data<Half>()[i]);
    };
    differing += value(got.at("y")) != value(expected.at("y"));
    EXPECT_NEAR(value(got.at("y")), value(expected.at("y")), 1e-3);
  }
  EXPECT_LE(differing, 5);
  EXPECT_EQ(precision_of(fast, "Round"), "float16");
}

INSTANTIATE_TEST_SUITE_P(Edges, HalfGraphs, testing::Bool(), [](const auto& info) {
  return std::string(info.param ? "Float32" : "Float16");
});

TEST(HalfWeights, BehindACastRunOnHalfKernels) {
  Graph graph = new_graph();
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {1, 8, 6, 6});
  const ValueId w = b.constant("w", as_half(random_floats({16, 8, 3, 3}, 2)));
  const ValueId full = b.op("Cast", {w}, {{"to", static_cast<int64_t>(DType::kF32)}});
  b.output(b.op("Conv", {x, full}, {}, "y"));
  expect_same(graph, {{"x", random_floats({1, 8, 6, 6}, 1)}}, "conv_f16w");
}

TEST(HalfWeights, BehindACastDoNotMakeTheArithmeticHalf) {
  const Tensor x = random_floats({1, 8}, 1), w = random_floats({8, 4}, 2);
  const auto product = [&](bool stored_half) {
    Graph graph = new_graph();
    GraphBuilder b(graph);
    const ValueId in = b.input("x", DType::kF32, {1, 8});
    ValueId weight = b.constant("w", stored_half ? as_half(w) : w);
    if (stored_half) weight = b.op("Cast", {weight}, {{"to", static_cast<int64_t>(DType::kF32)}});
    b.output(b.op("MatMul", {in, weight}, {}, "y"));
    Executor executor(graph, {.float_arithmetic = FloatArithmetic::kF16});
    return executor.run({{"x", x}}).at("y");
  };
  const Tensor stored = product(true);
  for (const float v : stored.data<float>()) EXPECT_EQ(v, from_half(to_half(v)));  // rounded
  EXPECT_TRUE(stored.equals(product(false)));
}

TEST(HalfWeights, OfAHalfGraphAreTapped) {
  const HalfNet net(true);
  Executor fast(net.graph);
  std::vector<std::string> seen;
  fast.tap({"Relu_out"},
           [&](const TapView& view) { seen.push_back(dtype_name(view.tensor.dtype)); });
  fast.run(net.inputs);
  EXPECT_EQ(seen, std::vector<std::string>{"float32"});
}

/// y = sqrt((x w + b)^2 + 0.3): x [2,4], w [4,3].
struct FloatNet {
  Graph graph = new_graph();
  Executor::Values inputs;
  FloatNet() {
    GraphBuilder b(graph);
    const ValueId x = b.input("x", DType::kF32, {2, 4});
    inputs.emplace("x", Tensor::of<float>({2, 4}, {.1f, .2f, .3f, .4f, 1.1f, -1.2f, 1.3f, -1.4f}));
    const ValueId w =
        b.constant("w", Tensor::of<float>({4, 3}, {.11f, .23f, -.37f, .41f, .53f, .67f, -.71f, .83f,
                                                   .97f, 1.03f, -1.09f, 1.13f}));
    const ValueId bias = b.constant("b", Tensor::of<float>({3}, {.013f, .027f, -.031f}));
    const ValueId c = b.constant("c", Tensor::of<float>({1}, {.3f}));
    const ValueId sum = b.op("Add", {b.op("MatMul", {x, w}), bias});
    b.output(b.op("Sqrt", {b.op("Add", {b.op("Mul", {sum, sum}), c})}, {}, "y"));
  }
  std::vector<float> run(ExecOptions options) const {
    const auto y = Executor(graph, options).run(inputs).at("y");
    return {y.data<float>().begin(), y.data<float>().end()};
  }
};

void expect_near(const std::vector<float>& got, const std::vector<float>& expected, float by) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], by) << i;
}

// NumPy 2.x, h(v) = v.astype(float16).astype(float32):
//   h(sqrt(h(h(s * s) + h(0.3)))), s = h(h(x) @ h(w) + h(b)): MatMul and Add become one Gemm
const std::vector<float> kByNumpyInF16 = {0x1.41p-1f,  0x1.19p-1f,  0x1.f44p-1f,
                                          0x1.638p+1f, 0x1.288p+1f, 0x1.a84p+0f};

TEST(FloatArithmetic, F16IsWhatNumpyComputes) {
  const FloatNet net;
  under_each_isa(
      [&] { EXPECT_EQ(net.run({.float_arithmetic = FloatArithmetic::kF16}), kByNumpyInF16); });
  EXPECT_EQ(
      net.run({.executor = ExecutorKind::kReference, .float_arithmetic = FloatArithmetic::kF16}),
      kByNumpyInF16);
}

TEST(FloatArithmetic, F16StorageRoundsWeightsOnly) {
  // NumPy: s = x @ h(w) + b; sqrt(s * s + 0.3), which differs from FP32's 0.62691706 from the 5th
  // digit on.
  under_each_isa([] {
    expect_near(FloatNet().run({.float_arithmetic = FloatArithmetic::kF16Storage}),
                {0.62696671f, 0.54859686f, 0.97696733f, 2.7777779f, 2.3148513f, 1.6558058f}, 5e-7f);
  });
}

TEST(FloatArithmetic, Bf16RoundsTheFactorsOfProductsOnly) {
  // NumPy and ml_dtypes: s = x.astype(bfloat16) @ w.astype(bfloat16) + b in FP32.
  under_each_isa([] {
    expect_near(FloatNet().run({.float_arithmetic = FloatArithmetic::kBf16}),
                {0.62700206f, 0.5486812f, 0.97905111f, 2.7781124f, 2.311074f, 1.666388f}, 5e-7f);
  });
}

TEST(FloatArithmetic, Bf16SaysWhatItIs) {
  Graph graph = new_graph();
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {1, 3, 9, 9});
  ValueId v = b.op("Conv", {x, b.constant("w", random_floats({12, 3, 3, 3}, 2))});
  v = b.op("Relu", {v});
  v = b.op("Conv", {v, b.constant("w", random_floats({12, 1, 3, 3}, 3))}, {{"group", int64_t{12}}},
           "depthwise");
  v = b.op("Conv", {v, b.constant("w", random_floats({40, 3, 1, 1}, 4))}, {{"group", int64_t{4}}},
           "odd_groups");
  b.output(v);
  Executor executor(graph, {.float_arithmetic = FloatArithmetic::kBf16});
  // Multiples of 1/8 below 4 are BF16: the reference's values but for the order of sums.
  const Executor::Values inputs = {{"x", random_floats({1, 3, 9, 9}, 1)}};
  const auto got = executor.run(inputs);
  const auto expected = Executor(graph, {.executor = ExecutorKind::kReference}).run(inputs);
  EXPECT_LE(relative_difference(got.at("odd_groups"), expected.at("odd_groups")), 1e-5);
  std::vector<std::string> precisions;
  for (const StepInfo& step : executor.steps())
    if (step.op.starts_with("Conv")) precisions.push_back(step.precision);
  EXPECT_EQ(precisions, (std::vector<std::string>{"bfloat16", "float32", "float32"}));
}

TEST(FloatArithmetic, Bf16TakesOddGroupsWhereTheyAreJoined) {
  Graph graph = new_graph();
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {1, 12, 5, 5});
  const ValueId w = b.constant("w", random_floats({12, 3, 1, 1}, 2));
  b.output(b.op("Conv", {x, w}, {{"group", int64_t{4}}}, "y"));
  Executor executor(graph, {.float_arithmetic = FloatArithmetic::kBf16});
  const Executor::Values inputs = {{"x", random_floats({1, 12, 5, 5}, 1)}};
  const auto got = executor.run(inputs);
  const auto expected = Executor(graph, {.executor = ExecutorKind::kReference}).run(inputs);
  EXPECT_LE(relative_difference(got.at("y"), expected.at("y")), 1e-5);
  EXPECT_EQ(precision_of(executor, "Conv"), "bfloat16");
}

TEST(FloatArithmetic, ScalesOfIntegersStayAsTheyAre) {
  // 0.1 is not FP16: rounded, it would give another code for this FP16 input.
  Graph graph = new_graph();
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {1});
  const ValueId scale = b.constant("s", Tensor::scalar(0.1f));
  const ValueId zero = b.constant("z", Tensor::scalar(uint8_t{0}));
  b.output(b.op("QuantizeLinear", {x, scale, zero}, {}, "y"));
  const auto got = Executor(graph, {.float_arithmetic = FloatArithmetic::kF16})
                       .run({{"x", Tensor::of<float>({1}, {12.6484375f})}});
  EXPECT_EQ(got.at("y").data<uint8_t>()[0], 126);  // 126.48; 126.515 with 0.09997559
}

TEST(FloatArithmetic, FactorsOfResizeStayAsTheyAre) {
  // floor(10 * 2.2) = 22; FP16's 2.1992 would give 21.
  Graph graph = new_graph();
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {1, 1, 1, 10});
  const ValueId scales = b.constant("s", Tensor::of<float>({4}, {1, 1, 1, 2.2f}));
  b.output(b.op("Resize", {x, ValueId{}, scales},
                {{"mode", std::string("nearest")},
                 {"coordinate_transformation_mode", std::string("asymmetric")},
                 {"nearest_mode", std::string("floor")}},
                "y"));
  const auto got = Executor(graph, {.float_arithmetic = FloatArithmetic::kF16})
                       .run({{"x", random_floats({1, 1, 1, 10}, 1)}});
  EXPECT_EQ(got.at("y").shape(), (Shape{1, 1, 1, 22}));
}

TEST(FloatArithmetic, RefusesWhatItDoesNotCompute) {
  const FloatNet net;
  EXPECT_THROW(Executor(net.graph, {.executor = ExecutorKind::kReference, .winograd = 4}), Error);
  for (const auto floats : {FloatArithmetic::kBf16, FloatArithmetic::kF16Storage})
    EXPECT_THROW(
        Executor(net.graph, {.executor = ExecutorKind::kReference, .float_arithmetic = floats}),
        Error);
}

}  // namespace
}  // namespace lapidary::exec
