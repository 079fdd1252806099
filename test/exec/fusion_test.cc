#include <algorithm>

#include "test/exec/compare.h"

namespace lapidary::exec {
namespace {

using Ints = std::vector<int64_t>;

/// Transformer pieces over x [2, 9, 24].
struct Net {
  Graph graph = new_graph();
  GraphBuilder b{graph};
  Executor::Values inputs;
  ValueId x;

  explicit Net(Shape shape = {2, 9, 24}) { x = input("x", std::move(shape), 1); }
  ValueId input(const std::string& name, Shape shape, uint64_t seed) {
    inputs.emplace(name, random_floats(shape, seed));
    std::vector<Dim> dims(shape.begin(), shape.end());
    dims[0] = Dim::named("N_" + name);  // as models have it
    return b.input(name, DType::kF32, dims);
  }
  ValueId number(float v) { return b.constant("k", Tensor::scalar(v)); }
  ValueId floats(Shape shape, uint64_t seed) {
    return b.constant("c", random_floats(std::move(shape), seed));
  }
  ValueId op(const std::string& type, std::vector<ValueId> in, GraphBuilder::Attrs attrs = {}) {
    return b.op(type, std::move(in), std::move(attrs));
  }
  ValueId mean(ValueId v, int64_t axis = -1) {
    return op("ReduceMean", {v}, {{"axes", Ints{axis}}});
  }
  /// Decomposed; `inner` gets what is squared.
  ValueId layer_norm(ValueId v, int64_t cols, int64_t axis = -1, ValueId* inner = nullptr) {
    const ValueId d = op("Sub", {v, mean(v, axis)});
    if (inner != nullptr) *inner = d;
    const ValueId spread = op("Add", {mean(op("Pow", {d, number(2)}), axis), number(1e-5f)});
    const ValueId unit = op("Div", {d, op("Sqrt", {spread})});
    return op("Add", {op("Mul", {unit, floats({cols}, 5)}), floats({cols}, 6)});
  }
  ValueId rms_norm(ValueId v, int64_t cols) {
    const ValueId spread = op("Add", {mean(op("Mul", {v, v})), number(1e-5f)});
    const ValueId inverse = op("Div", {number(1), op("Sqrt", {spread})});
    return op("Mul", {op("Mul", {v, inverse}), floats({cols}, 7)});
  }
  ValueId gelu(ValueId v) {
    const ValueId e = op("Erf", {op("Div", {v, number(std::sqrt(2.0f))})});
    return op("Mul", {op("Mul", {v, op("Add", {e, number(1)})}), number(0.5f)});
  }
  /// [N, T, heads D] as [N, heads, T, D], or, transposed, as [N, heads, D, T].
  ValueId heads(ValueId v, int64_t n, int64_t t, int64_t count, int64_t depth, bool transposed) {
    const ValueId shape = b.constant("s", Tensor::of<int64_t>({4}, {n, t, count, depth}));
    return op("Transpose", {op("Reshape", {v, shape})},
              {{"perm", transposed ? Ints{0, 2, 3, 1} : Ints{0, 2, 1, 3}}});
  }
};

int steps_of(const Graph& graph, const Executor::Values& inputs, const std::string& op) {
  Executor fast(graph);
  fast.run(inputs);
  int count = 0;
  for (const StepInfo& step : fast.steps()) count += step.op == op;
  return count;
}

TEST(Fusion, LayerNormIsOneStep) {
  under_each_isa([] {
    Net net;
    net.b.output(net.layer_norm(net.x, 24));
    expect_same(net.graph, net.inputs, "norm_f32", 1e-6);
    EXPECT_EQ(Executor(net.graph).steps().size(), 1u);
  });
}

TEST(Fusion, RmsNormIsOneStep) {
  under_each_isa([] {
    Net net;
    net.b.output(net.rms_norm(net.x, 24));
    expect_same(net.graph, net.inputs, "norm_f32", 1e-6);
    EXPECT_EQ(Executor(net.graph).steps().size(), 1u);
  });
}

TEST(Fusion, LayerNormalizationOverTwoAxes) {
  Net net;
  net.graph.set_opset("", 17);
  net.b.output(net.op("LayerNormalization", {net.x, net.floats({9, 24}, 3), net.floats({9, 24}, 4)},
                      {{"axis", int64_t{1}}}));
  expect_same(net.graph, net.inputs, "norm_f32", 1e-6);
}

TEST(Fusion, NormalizationIsNoStepWhereItsStatisticsAreAsked) {
  Net net;
  net.graph.set_opset("", 17);
  const auto made =
      net.b.ops("LayerNormalization", 2, {net.x, net.floats({24}, 3), net.floats({24}, 4)});
  net.b.output(made[0]);
  net.b.output(made[1]);
  expect_same(net.graph, net.inputs, "", 1e-6);
  EXPECT_EQ(steps_of(net.graph, net.inputs, "LayerNorm"), 0);
}

TEST(Fusion, NormalizationIsNoStepOnAnotherAxis) {
  Net net({2, 24, 9});
  net.b.output(net.layer_norm(net.x, 9, 1));
  expect_same(net.graph, net.inputs, "", 1e-5);
  EXPECT_EQ(steps_of(net.graph, net.inputs, "LayerNorm"), 0);
}

TEST(Fusion, NormalizationIsNoStepWhereAnInnerValueIsRead) {
  Net net;
  ValueId centred;
  const ValueId y = net.layer_norm(net.x, 24, -1, &centred);
  net.b.output(y);
  net.b.output(net.op("Neg", {centred}));
  expect_same(net.graph, net.inputs, "", 1e-5);
  EXPECT_EQ(steps_of(net.graph, net.inputs, "LayerNorm"), 0);
}

TEST(Fusion, ATappedInnerValueIsComputed) {
  Net net;
  ValueId centred;
  net.b.output(net.layer_norm(net.x, 24, -1, &centred));
  Executor fast(net.graph);
  int seen = 0;
  fast.tap({net.graph.value(centred).name}, [&](const TapView&) { ++seen; });
  fast.run(net.inputs);
  EXPECT_EQ(seen, 1);
  for (const StepInfo& step : fast.steps()) EXPECT_NE(step.op, "LayerNorm");
}

TEST(Fusion, NanAndInfinityAsInTheReference) {
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    Net net;
    net.inputs.at("x").mutable_data<float>()[30] = bad;
    net.b.output(net.layer_norm(net.x, 24));
    net.b.output(net.rms_norm(net.x, 24));
    net.b.output(net.gelu(net.x));
    net.b.output(net.op("Softmax", {net.x}));
    expect_same(net.graph, net.inputs, "", 1e-5);
  }
}

TEST(Fusion, GeluIsOneStep) {
  under_each_isa([] {
    Net net;
    net.b.output(net.gelu(net.x));
    expect_same(net.graph, net.inputs, "exp_f32", 1e-6);
    EXPECT_EQ(Executor(net.graph).steps().size(), 1u);
  });
}

TEST(Fusion, GeluFollowsTheLayoutOfAConvolution) {
  Net net({2, 8, 5, 6});
  const ValueId y = net.op("Conv", {net.x, net.floats({16, 8, 1, 1}, 2)});
  net.b.output(net.op("Conv", {net.gelu(y), net.floats({4, 16, 1, 1}, 3)}));
  expect_same(net.graph, net.inputs, "exp_f32", 1e-5);
}

struct AttentionCase {
  const char* name;
  int64_t n, t, s, heads, depth, width;
  bool transposed_k;  ///< by one Transpose from [N, S, heads, D]
  Shape mask;         ///< empty: none
  bool merge;         ///< a Transpose behind
};
class AttentionSteps : public testing::TestWithParam<AttentionCase> {};

/// softmax(q k^T / 4 + mask) v
ValueId attention(Net& net, const AttentionCase& c) {
  const ValueId q = net.heads(net.x, c.n, c.t, c.heads, c.depth, false);
  ValueId k = net.heads(net.input("keys", {c.n, c.s, c.heads * c.depth}, 11), c.n, c.s, c.heads,
                        c.depth, c.transposed_k);
  const ValueId v = net.heads(net.input("values", {c.n, c.s, c.heads * c.width}, 12), c.n, c.s,
                              c.heads, c.width, false);
  if (!c.transposed_k) k = net.op("Transpose", {k}, {{"perm", Ints{0, 1, 3, 2}}});
  ValueId scores = net.op("Mul", {net.op("MatMul", {q, k}), net.number(0.03125f)});
  if (!c.mask.empty()) scores = net.op("Add", {scores, net.input("mask", c.mask, 13)});
  const ValueId y = net.op("MatMul", {net.op("Softmax", {scores}, {{"axis", int64_t{-1}}}), v});
  return c.merge ? net.op("Transpose", {y}, {{"perm", Ints{0, 2, 1, 3}}}) : y;
}

TEST_P(AttentionSteps, AgreeWithTheReference) {
  const AttentionCase& c = GetParam();
  under_each_isa([&] {
    for (const int threads : {1, 2, 3, 8}) {
      Net net({c.n, c.t, c.heads * c.depth});
      net.b.output(attention(net, c));
      expect_same(net.graph, net.inputs, "gemm_f32", 2e-6, threads);
      EXPECT_EQ(steps_of(net.graph, net.inputs, "attention"), 1);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, AttentionSteps,
    testing::Values(AttentionCase{"Square", 1, 17, 17, 4, 24, 24, true, {}, true},
                    AttentionCase{"NoMerge", 2, 5, 5, 3, 8, 8, true, {}, false},
                    AttentionCase{"TurnedTwice", 1, 9, 9, 2, 16, 16, false, {}, true},
                    AttentionCase{"Cross", 2, 3, 40, 2, 8, 20, true, {}, true},
                    AttentionCase{"Mask", 2, 9, 9, 2, 8, 8, true, {9, 9}, true},
                    AttentionCase{"MaskOfKeys", 2, 9, 11, 2, 8, 8, true, {2, 1, 1, 11}, true},
                    AttentionCase{"MaskOfHeads", 2, 9, 9, 2, 8, 8, true, {1, 2, 9, 9}, false},
                    AttentionCase{"Long", 1, 130, 130, 1, 16, 16, true, {130, 130}, true}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Fusion, AttentionIsNoStepWhereTheWeightsAreRead) {
  Net net;
  const ValueId q = net.heads(net.x, 2, 9, 2, 12, false), k = net.heads(net.x, 2, 9, 2, 12, true);
  const ValueId p = net.op("Softmax", {net.op("MatMul", {q, k})}, {{"axis", int64_t{-1}}});
  net.b.output(net.op("MatMul", {p, net.heads(net.x, 2, 9, 2, 12, false)}));
  net.b.output(net.op("Neg", {p}));
  expect_same(net.graph, net.inputs, "", 1e-5);
  EXPECT_EQ(steps_of(net.graph, net.inputs, "attention"), 0);
}

// -- between bytes

/// Q and DQ around float pieces; every quantized tensor is an output, so that it can be compared.
struct BytesNet : Net {
  DType type;
  explicit BytesNet(DType t, Shape shape = {2, 9, 24}) : Net(std::move(shape)), type(t) {}
  ValueId zero(int u8) {
    return b.constant("z", type == DType::kU8 ? Tensor::scalar(static_cast<uint8_t>(u8))
                                              : Tensor::scalar(static_cast<int8_t>(u8 - 128)));
  }
  ValueId quantize(ValueId v, float scale, int zero_point, const std::string& name = {}) {
    return b.op("QuantizeLinear", {v, number(scale), zero(zero_point)}, {}, name);
  }
  ValueId dequantize(ValueId q, float scale, int zero_point) {
    return op("DequantizeLinear", {q, number(scale), zero(zero_point)});
  }
};

const DType kBoth[] = {DType::kU8, DType::kI8};

/// The plan of the graph, and one where `inner` is tapped so that its region is not fused: the same
/// bytes. Returns the steps of the first.
std::vector<StepInfo> expect_bits_of_unfused(const Graph& graph, const Executor::Values& inputs,
                                             const std::string& inner) {
  std::vector<StepInfo> steps;
  Executor::Values expected;
  under_each_isa([&] {
    for (const int threads : {1, 2, 3, 8}) {
      Executor fused(graph, {.threads = threads}), unfused(graph, {.threads = threads});
      unfused.tap({inner}, [](const TapView&) {});
      const auto got = fused.run(inputs), plain = unfused.run(inputs);
      if (expected.empty()) expected = plain;
      steps = fused.steps();
      for (const auto& [name, tensor] : expected) {
        EXPECT_TRUE(plain.at(name).equals(tensor)) << name;
        EXPECT_TRUE(got.at(name).equals(tensor)) << name;
      }
    }
  });
  return steps;
}

TEST(FusionOfBytes, LayerNormGivesTheBitsOfItsParts) {
  for (const DType type : kBoth) {
    BytesNet net(type);
    const ValueId in = net.dequantize(net.quantize(net.x, 0.03f, 131), 0.03f, 131);
    const ValueId y = net.layer_norm(in, 24);
    net.b.output(net.quantize(y, 0.05f, 117, "q"));
    // Tapping the region's input and output cuts the ends off: the float region alone.
    const auto steps = expect_bits_of_unfused(net.graph, net.inputs, net.graph.value(y).name);
    EXPECT_EQ(steps.size(), 2u + (type == DType::kI8));  // s8 outputs leave the biased form
    EXPECT_EQ(std::count_if(steps.begin(), steps.end(),
                            [](const StepInfo& s) { return s.op == "LayerNorm"; }),
              1);
  }
}

TEST(FusionOfBytes, GeluIsATableOfTheSameBits) {
  for (const DType type : kBoth) {
    BytesNet net(type);
    const ValueId in = net.dequantize(net.quantize(net.x, 0.03f, 131), 0.03f, 131);
    const ValueId y = net.gelu(in);
    net.b.output(net.quantize(y, 0.02f, 9, "q"));
    const auto steps = expect_bits_of_unfused(net.graph, net.inputs, net.graph.value(y).name);
    EXPECT_EQ(std::count_if(steps.begin(), steps.end(),
                            [](const StepInfo& s) { return s.kernel.starts_with("eltwise_s8"); }),
              1);
  }
}

TEST(FusionOfBytes, AProductTakesTheTableOfGeluAlong) {
  BytesNet net(DType::kU8, {7, 24});
  const ValueId in = net.dequantize(net.quantize(net.x, 0.03f, 131), 0.03f, 131);
  const ValueId w = net.op("DequantizeLinear",
                           {net.b.constant("w", random_bytes(DType::kI8, {24, 20}, 4)),
                            net.number(0.004f), net.b.constant("wz", Tensor(DType::kI8, {}))});
  const ValueId sum =
      net.dequantize(net.quantize(net.op("MatMul", {in, w}), 0.05f, 128), 0.05f, 128);
  const ValueId y = net.gelu(sum);
  net.b.output(net.quantize(y, 0.03f, 7, "q"));
  const auto steps = expect_bits_of_unfused(net.graph, net.inputs, net.graph.value(y).name);
  EXPECT_EQ(steps.size(), 2u);  // QuantizeLinear, and all the rest
}

TEST(FusionOfBytes, AttentionGivesTheBitsOfItsParts) {
  for (const DType type : kBoth)
    for (const bool masked : {false, true}) {
      BytesNet net(type, {2, 9, 24});
      const auto both = [&](ValueId v, float scale, int zero) {
        return net.dequantize(net.quantize(v, scale, zero), scale, zero);
      };
      const ValueId q = both(net.heads(net.x, 2, 9, 2, 12, false), 0.03f, 131);
      const ValueId k =
          both(net.heads(net.input("keys", {2, 11, 24}, 2), 2, 11, 2, 12, true), 0.031f, 120);
      const ValueId v =
          both(net.heads(net.input("values", {2, 11, 24}, 3), 2, 11, 2, 12, false), 0.029f, 128);
      const ValueId scores = net.op("MatMul", {q, k});
      ValueId t = net.op("Mul", {scores, net.number(0.1f)});
      if (masked) t = net.op("Add", {t, net.input("mask", {9, 11}, 4)});
      const ValueId p = net.op("Softmax", {t}, {{"axis", int64_t{-1}}});
      // A scale that no QLinearSoftmax has: the softmax stays between float and bytes.
      const ValueId y = net.op("MatMul", {both(p, 0.004f, type == DType::kU8 ? 0 : 128), v});
      const ValueId merged = net.op("Transpose", {y}, {{"perm", Ints{0, 2, 1, 3}}});
      net.b.output(net.quantize(merged, 0.03f, 125, "y"));
      const auto steps = expect_bits_of_unfused(net.graph, net.inputs, net.graph.value(t).name);
      EXPECT_EQ(std::count_if(
                    steps.begin(), steps.end(),
                    [](const StepInfo& s) { return s.op == "attention" && s.precision == "int8"; }),
                1);
    }
}

TEST(FusionOfBytes, AFloatBiasIsAddedByTheProduct) {
  for (const DType type : kBoth) {
    BytesNet net(type, {2, 9, 24});
    const ValueId in = net.dequantize(net.quantize(net.x, 0.03f, 131), 0.03f, 131);
    const ValueId w = net.op("DequantizeLinear",
                             {net.b.constant("w", random_bytes(DType::kI8, {24, 20}, 4)),
                              net.number(0.004f), net.b.constant("wz", Tensor(DType::kI8, {}))});
    const ValueId product = net.op("MatMul", {in, w});
    net.b.output(net.b.op("Add", {net.floats({20}, 8), product}, {}, "y"));
    const auto steps = expect_bits_of_unfused(net.graph, net.inputs, net.graph.value(product).name);
    EXPECT_EQ(std::count_if(steps.begin(), steps.end(),
                            [](const StepInfo& s) { return s.op == "MatMulIntegerToFloat+Add"; }),
              1);
  }
}

}  // namespace
}  // namespace lapidary::exec
