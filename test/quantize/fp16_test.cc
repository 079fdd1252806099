#include <limits>

#include "src/base/half.h"
#include "test/quantize/nets.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<uint16_t> bits_of(const Tensor& t) {
  std::vector<uint16_t> bits;
  for (const Half h : t.data<Half>()) bits.push_back(h.bits);
  return bits;
}

const Tensor& constant_named(const Graph& graph, const std::string& name) {
  const Tensor* found = graph.constant(graph.find_value(name));
  EXPECT_NE(found, nullptr) << name;
  static const Tensor none;
  return found ? *found : none;
}

/// x [N,4] -> MatMul w -> Relu -> y
Graph dense(Tensor w) {
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), w.dim(0)});
  const ValueId m = net.op("MatMul", {x, net.constant("w", std::move(w))}, "m");
  return net.finish({net.op("Relu", {m}, "y")});
}

TEST(Fp16, RoundsConstantsHalfToEven) {
  // numpy.float16 of the same numbers (quantize_reference.py, "halves"); 65520 rounds to infinity
  // and so is no number that fits.
  const std::vector<float> x = {0.1f, 1.0f / 3, 65504, 0x1p-24f, 0x1p-25f, 0x1p-25f * 1.0001f,
                                2049, 2051,     -0.0f};
  const Graph half = convert_to_fp16(dense(Tensor::of<float>({9, 1}, x)));
  EXPECT_THAT(bits_of(constant_named(half, "w_fp16")),
              ElementsAre(0x2e66, 0x3555, 0x7bff, 0x1, 0x0, 0x1, 0x6800, 0x6802, 0x8000));
}

TEST(Fp16, CastsStandOnlyAtTheEnds) {
  const Graph half = convert_to_fp16(dense(ramp({4, 4})));
  EXPECT_THAT(op_list(half), ElementsAre("Cast", "MatMul", "Relu", "Cast"));
  EXPECT_EQ(half.value(half.inputs()[0]).type.dtype, DType::kF32);
  EXPECT_EQ(half.value(half.outputs()[0]).type.dtype, DType::kF32);
  EXPECT_THAT(output_names(half), ElementsAre("y"));
  const Graph ends = convert_to_fp16(dense(ramp({4, 4})), {.keep_io = false});
  EXPECT_THAT(op_list(ends), ElementsAre("MatMul", "Relu"));
  EXPECT_EQ(ends.value(ends.inputs()[0]).type.dtype, DType::kF16);
  EXPECT_EQ(ends.value(ends.outputs()[0]).type.dtype, DType::kF16);
  EXPECT_EQ(name_of(ends, ends.inputs()[0]), "x");
  EXPECT_THAT(output_names(ends), ElementsAre("y"));
}

TEST(Fp16, ComputesWhatTheFloatGraphDoes) {
  const Graph full = dense(ramp({4, 4}));
  Graph half = convert_to_fp16(full);
  infer_types(half);
  // Multiples of 1/16 up to 2: products and sums are exact in FP16.
  const Tensor x = ramp({3, 4});
  const Tensor a = run_graph(full, {{"x", x}})[0], b = run_graph(half, {{"x", x}})[0];
  for (size_t i = 0; i < 12; ++i)
    EXPECT_NEAR(a.data<float>()[i], b.data<float>()[i], std::abs(a.data<float>()[i]) * 0x1p-10);
}

TEST(Fp16, ConstantsBeyond65504KeepTheirNodeFloat) {
  Tensor w = ramp({4, 4});
  w.mutable_data<float>()[5] = 65505;
  std::vector<KeptFloat> kept;
  const Graph half = convert_to_fp16(dense(w), {}, &kept);
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].node, "m");
  EXPECT_EQ(kept[0].reason, "a constant is beyond 65504");
  EXPECT_EQ(constant_named(half, "w").data<float>()[5], 65505);
  EXPECT_THAT(op_list(half), ElementsAre("MatMul", "Cast", "Relu", "Cast"));
  w.mutable_data<float>()[5] = 65504;
  convert_to_fp16(dense(w), {}, &(kept = {}));
  EXPECT_THAT(kept, IsEmpty());
  // An infinite mask value is FP16 too.
  w.mutable_data<float>()[5] = -INFINITY;
  convert_to_fp16(dense(w), {}, &(kept = {}));
  EXPECT_THAT(kept, IsEmpty());
}

TEST(Fp16, IslandsMeetWithOneCastEach) {
  // m1 -> (Relu, Sigmoid) skipped -> Add: both readers share one Cast up, each result one Cast
  // down.
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 4});
  const ValueId m = net.op("MatMul", {x, net.constant("w", ramp({4, 4}))}, "m");
  const ValueId a = net.op("Tanh", {m}, "a"), b = net.op("Sigmoid", {m}, "b");
  const Graph graph = net.finish({net.op("Add", {a, b}, "y")});
  std::vector<KeptFloat> kept;
  const Graph half = convert_to_fp16(graph, {.skip = {"a", "op:Sigmoid"}}, &kept);
  std::map<std::string, int> counts;
  for (const std::string& op : op_list(half)) ++counts[op];
  // x down, m up (once for two readers), a down, b down, y up
  EXPECT_EQ(counts["Cast"], 5);
  ASSERT_EQ(kept.size(), 2u);
  for (const KeptFloat& k : kept) EXPECT_EQ(k.reason, "skipped by a pattern");
  Graph typed = half;
  infer_types(typed);
  EXPECT_EQ(typed.value(typed.find_value("a")).type.dtype, DType::kF32);
  EXPECT_EQ(typed.value(typed.node(find_node(typed, "Add")).outputs[0]).type.dtype, DType::kF16);
  const Tensor in = ramp({2, 4});
  expect_near(run_graph(typed, {{"x", in}})[0], run_graph(graph, {{"x", in}})[0], 4e-3f);
}

/// x -> Relu -> QuantizeLinear -> QLinearLeakyRelu -> DequantizeLinear -> Tanh -> y
TEST(Fp16, IntegerOperatorsKeepFloatScales) {
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 4});
  const ValueId scale = net.constant("scale", Tensor::of<float>({}, {0.0123f}));
  const ValueId zero = net.constant("zero", Tensor::of<uint8_t>({}, {128}));
  const ValueId q = net.op("QuantizeLinear", {net.op("Relu", {x}, "r"), scale, zero}, "q");
  net.graph.set_opset("com.microsoft", 1);
  const ValueId l =
      net.build.op("QLinearLeakyRelu", {q, scale, zero, scale, zero}, {}, "leaky", "com.microsoft");
  const Graph graph =
      net.finish({net.op("Tanh", {net.op("DequantizeLinear", {l, scale, zero}, "d")}, "y")});
  std::vector<KeptFloat> kept;
  Graph half = convert_to_fp16(graph, {}, &kept);
  EXPECT_THAT(op_list(half), ElementsAre("Cast", "Relu", "Cast", "QuantizeLinear",
                                         "com.microsoft.QLinearLeakyRelu", "DequantizeLinear",
                                         "Cast", "Tanh", "Cast"));
  EXPECT_EQ(constant_named(half, "scale").dtype(), DType::kF32);
  EXPECT_THAT(kept, IsEmpty());  // they are no floats that stayed
  infer_types(half);
}

/// Rounded factors would give other sizes, rounded scales other integers.
TEST(Fp16, WeightsOnlyLeavesWhatAnOpTakesInFloatOnly) {
  Net net;
  const ValueId x = net.input("x", {1, 1, 5, 5});
  const ValueId factors = net.constant("factors", Tensor::of<float>({4}, {1, 1, 1.2f, 1.2f}));
  const ValueId resized = net.op("Resize", {x, ValueId(), factors}, "resized");
  const ValueId scales = net.constant("scales", Tensor::of<float>({6}, std::vector(6, 1e-9f)));
  const ValueId q = net.op("QuantizeLinear", {resized, scales}, "q", {{"axis", int64_t{3}}});
  const Graph graph =
      net.finish({net.op("DequantizeLinear", {q, scales}, "y", {{"axis", int64_t{3}}})});
  std::vector<KeptFloat> kept;
  const Graph half = convert_to_fp16(graph, {.weights_only = true}, &kept);
  EXPECT_THAT(op_list(half), ElementsAre("Resize", "QuantizeLinear", "DequantizeLinear"));
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].node, "resized");
  EXPECT_EQ(kept[0].reason, "has no FP16 form");
}

TEST(Fp16, TheVersionOfAnOpDecides) {
  // IsInf takes float16 from version 20 on; Celu in none.
  for (const int64_t opset : {19, 20}) {
    Net net;
    net.graph.set_opset("", opset);
    const ValueId x = net.input("x", {4});
    const Graph graph = net.finish({net.op("IsInf", {net.op("Celu", {x}, "c")}, "y")});
    std::vector<KeptFloat> kept;
    convert_to_fp16(graph, {}, &kept);
    std::vector<std::string> ops, expected = {"Celu"};
    for (const KeptFloat& k : kept) ops.push_back(k.op);
    if (opset < 20) expected.emplace_back("IsInf");
    EXPECT_EQ(ops, expected) << opset;
  }
}

TEST(Fp16, NormalizationStaysFloat) {
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 8});
  const ValueId m = net.op("MatMul", {x, net.constant("w", ramp({8, 8}))}, "m");
  const Graph graph = net.finish(
      {net.op("LayerNormalization", {m, net.constant("s", ramp({8})), net.constant("t", ramp({8}))},
              "norm", {{"axis", int64_t{-1}}})});
  std::vector<KeptFloat> kept;
  convert_to_fp16(graph, {}, &kept);
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].node, "norm");
  EXPECT_THAT(kept[0].reason, testing::HasSubstr("normalization"));
}

TEST(Fp16, WeightsOnly) {
  std::vector<KeptFloat> kept;
  Tensor w = ramp({4, 4});
  w.mutable_data<float>()[3] = 0.1f;
  const Graph full = dense(w);
  Graph half = convert_to_fp16(full, {.weights_only = true}, &kept);
  EXPECT_THAT(op_list(half), ElementsAre("Cast", "MatMul", "Relu"));
  EXPECT_THAT(kept, IsEmpty());
  EXPECT_EQ(half.value(half.inputs()[0]).type.dtype, DType::kF32);
  infer_types(half);
  EXPECT_EQ(half.value(half.find_value("m")).type.dtype, DType::kF32);
  const Tensor y = run_graph(half, {{"x", Tensor::of<float>({1, 4}, {1, 0, 0, 0})}})[0];
  EXPECT_EQ(y.data<float>()[3], 0.0999755859375f);  // 0.1 in FP16: 0x2e66
  w.mutable_data<float>()[0] = -70000;
  const Graph large = convert_to_fp16(dense(w), {.weights_only = true}, &kept);
  EXPECT_THAT(op_list(large), ElementsAre("MatMul", "Relu"));
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].reason, "a constant is beyond 65504");
  const Graph skipped = convert_to_fp16(full, {.weights_only = true, .skip = {"op:MatMul"}});
  EXPECT_THAT(op_list(skipped), ElementsAre("MatMul", "Relu"));
}

/// x -> MatMul w -> y, w an input too.
Graph with_listed_weight(int64_t ir_version) {
  Graph graph = dense(ramp({4, 4}));
  graph.model.ir_version = ir_version;
  graph.set_inputs({graph.inputs()[0], graph.find_value("w")});
  return graph;
}

TEST(Fp16, ConstantsThatIr3ListsAsInputsAreReplaced) {
  const Graph full = with_listed_weight(3);
  for (const bool weights_only : {false, true}) {
    const Graph half = convert_to_fp16(full, {.weights_only = weights_only});
    EXPECT_EQ(half.inputs().size(), 1u);
    EXPECT_GE(half.model.ir_version, 4);
    EXPECT_FALSE(half.find_value("w").valid());
    EXPECT_EQ(constant_named(half, "w_fp16").dtype(), DType::kF16);
  }
}

TEST(Fp16, ADefaultOfAnInputStaysReplaceable) {
  const Graph full = with_listed_weight(7);
  for (const bool keep_io : {true, false}) {
    Graph half = convert_to_fp16(full, {.keep_io = keep_io});
    infer_types(half);
    ASSERT_EQ(half.inputs().size(), 2u);
    const Value& w = half.value(half.inputs()[1]);
    EXPECT_EQ(w.name, "w");
    const DType type = keep_io ? DType::kF32 : DType::kF16;
    EXPECT_EQ(w.type.dtype, type);
    ASSERT_TRUE(w.constant);
    EXPECT_EQ(w.constant->dtype(), type);
    const Tensor x = Tensor(type, {1, 4});
    EXPECT_EQ(run_graph(half, {{"x", x}, {"w", *w.constant}})[0].dtype(), type);
  }
}

TEST(Fp16, AnInputMayGoStraightToAnOutput) {
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 4});
  const ValueId y = net.op("Relu", {x}, "y");
  const Graph graph = net.finish({y, net.op("Tanh", {y}, "z")});
  Graph half = convert_to_fp16(graph, {.skip = {"z"}, .keep_io = false});
  infer_types(half);
  const auto out = run_graph(half, {{"x", Tensor(DType::kF16, {2, 4})}});
  EXPECT_EQ(out[0].dtype(), DType::kF16);
  EXPECT_THAT(output_names(half), ElementsAre("y", "z"));
}

}  // namespace
}  // namespace lapidary
