#include "src/passes/lower_qdq.h"

#include <gmock/gmock.h>

#include "test/passes/qdq_builder.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Params kIn{0.5f, 3}, kOut{0.125f, 7};

Tensor weights_s8() { return Tensor::of<int8_t>({2, 1, 1, 1}, {5, -7}); }

struct ConvCase {
  Params in = kIn, out = kOut;
  Tensor weight = weights_s8();
  std::vector<float> scales{0.25f, 0.75f};
  Tensor bias = Tensor::of<int32_t>({2}, {11, -13});
};

ValueId add_conv(QdqBuilder& g, const ConvCase& c) {
  const ValueId x = g.input("x", {1, 1, 4, 4}, c.in);
  const ValueId w = g.weight("w", c.weight, c.scales);
  const ValueId b = g.weight("b", c.bias, {0.125f, 0.375f});
  return g.op("Conv", {x, w, b}, {{"kernel_shape", std::vector<int64_t>{1, 1}}});
}

std::string reason_of_conv(const ConvCase& c, const LoweringOptions& options = {}) {
  QdqBuilder g;
  g.output(add_conv(g, c), c.out);
  const LoweringReport report = g.lower(options);
  EXPECT_THAT(g.inner_ops(), ElementsAre("Conv"));
  EXPECT_EQ(report.lowered, 0);
  return report.find("Conv_node")->reason;
}

TEST(LowerConv, BecomesQLinearConvWithItsAttributesAndBias) {
  QdqBuilder g;
  g.output(add_conv(g, {}), kOut);
  const LoweringReport report = g.lower();
  EXPECT_THAT(op_list(g.graph), ElementsAre("QuantizeLinear", "QLinearConv", "DequantizeLinear"));
  const NodeId conv = find_node(g.graph, "QLinearConv");
  EXPECT_THAT(input_names(g.graph, conv),
              ElementsAre("x_q", "s_1", "z_1", "w", "w_s", "w_z", "s_2", "z_2", "b"));
  EXPECT_NE(g.graph.node(conv).attr("kernel_shape"), nullptr);
  EXPECT_EQ(g.graph.node(conv).name, "Conv_node");
  EXPECT_EQ(g.graph.value(g.graph.node(conv).outputs[0]).name, "y_q");
  EXPECT_THAT(output_names(g.graph), ElementsAre("y"));
  EXPECT_EQ(report.lowered, 1);
  EXPECT_EQ(report.find("Conv_node")->lowered_to, "QLinearConv");
  EXPECT_THAT(report.find("Conv_node")->reason, IsEmpty());
}

TEST(LowerConv, TakesAnInt8InputOnlyWithAnInt8Weight) {
  const Params s8{0.5f, 0, DType::kI8};
  QdqBuilder g;
  g.output(add_conv(g, {.in = s8, .out = s8}), s8);
  EXPECT_EQ(g.lower().lowered, 1);
  const ConvCase mixed{.in = s8, .out = s8, .weight = Tensor::of<uint8_t>({2, 1, 1, 1}, {5, 7})};
  EXPECT_THAT(reason_of_conv(mixed), HasSubstr("int8 weight"));
  EXPECT_THAT(reason_of_conv({.in = s8, .out = s8}, {.int8_activations = false}),
              HasSubstr("not allowed"));
}

TEST(LowerConv, StaysFloatForOtherTypes) {
  const Params u16{0.5f, 3, DType::kU16};
  EXPECT_THAT(reason_of_conv({.in = u16, .out = u16}), HasSubstr("uint16"));
  EXPECT_THAT(reason_of_conv({.out = {0.5f, 3, DType::kI8}}), HasSubstr("different types"));
  EXPECT_THAT(reason_of_conv({.bias = Tensor::of<int8_t>({2}, {1, 2})}), HasSubstr("not int32"));
}

TEST(LowerConv, StaysFloatForScalesAlongAnotherAxis) {
  QdqBuilder g;
  const ValueId x = g.input("x", {1, 2, 4, 4});
  const ValueId w = g.weight("w", Tensor(DType::kI8, {3, 2, 1, 1}), {0.1f, 0.2f}, 1);
  g.output(g.op("Conv", {x, w}), kOut);
  EXPECT_THAT(g.lower().find("Conv_node")->reason, HasSubstr("axis 1"));
}

TEST(LowerConv, StaysFloatWhereItsOutputHasAnotherReader) {
  QdqBuilder g;
  const ValueId y = add_conv(g, {});
  g.output(y, kOut);
  g.build.output(g.op("Erf", {y}));
  EXPECT_THAT(g.lower().find("Conv_node")->reason, HasSubstr("other nodes"));
}

TEST(LowerConv, StaysFloatWhereItMakesAGraphOutput) {
  QdqBuilder g;
  const ValueId y = add_conv(g, {});
  g.output(y, kOut);
  g.build.output(y);
  EXPECT_THAT(g.lower().find("Conv_node")->reason, HasSubstr("output of the graph"));
}

TEST(LowerConv, StaysFloatWithoutOutputQuantization) {
  QdqBuilder g;
  g.build.output(g.op("Erf", {add_conv(g, {})}));
  EXPECT_THAT(g.lower().find("Conv_node")->reason, HasSubstr("not quantized"));
}

TEST(LowerConv, TakesIdentityAndZeroPaddingAlong) {
  QdqBuilder g;
  const ValueId pads = g.build.constant("pads", Tensor::of<int64_t>({8}, {0, 0, 1, 1, 0, 0, 1, 1}));
  const ValueId x = g.op("Identity", {g.op("Pad", {g.input("x", {1, 1, 4, 4}), pads})});
  const ValueId w = g.weight("w", weights_s8());
  g.output(g.op("Conv", {x, w}), kOut);
  EXPECT_EQ(g.lower().lowered, 1);
  EXPECT_EQ(ints_of(g.graph, "QLinearConv", "pads"), (std::vector<int64_t>{1, 1, 1, 1}));
}

TEST(LowerConv, FoldsTheQuantizationOfAFloatWeight) {
  QdqBuilder g;
  const ValueId x = g.input("x", {1, 1, 4, 4});
  const ValueId w = g.build.constant("w", Tensor::of<float>({1, 1, 1, 2}, {0.6f, -1.0f}));
  const Params p{0.25f, 0, DType::kI8};
  g.output(g.op("Conv", {x, g.dq(g.q(w, p, "w_q"), p, "w_dq")}), kOut);
  EXPECT_EQ(g.lower().lowered, 1);
  const NodeId conv = find_node(g.graph, "QLinearConv");
  const Tensor* integers = g.graph.constant(g.graph.node(conv).inputs[3]);
  ASSERT_NE(integers, nullptr);
  EXPECT_THAT(integers->data<int8_t>(), ElementsAre(2, -4));  // 0.6 / 0.25 = 2.4
}

TEST(LowerBias, BecomesInt32AtInputScaleTimesWeightScale) {
  QdqBuilder g;
  const ValueId x = g.input("x", {1, 1, 4, 4}, kIn);
  const ValueId w = g.weight("w", weights_s8(), {0.25f, 0.75f});
  const ValueId b = g.build.constant("b", Tensor::of<float>({2}, {1.0f, -0.5625f}));
  g.output(g.op("Relu", {g.op("Conv", {x, w, b})}), {0.125f, 0});
  EXPECT_EQ(g.lower().find("Conv_node")->lowered_to, "QLinearConv");
  const NodeId conv = find_node(g.graph, "QLinearConv");
  // 1 / (0.5 * 0.25) = 8; -0.5625 / (0.5 * 0.75) = -1.5, to even -2.
  EXPECT_THAT(g.graph.constant(g.graph.node(conv).inputs[8])->data<int32_t>(), ElementsAre(8, -2));
}

TEST(LowerBias, AFloatWeightBetweenQuantizedTensorsBecomesInt8) {
  QdqBuilder g;
  const ValueId x = g.input("x", {1, 1, 4, 4}, kIn);
  const ValueId w = g.build.constant("w", Tensor::of<float>({2, 1, 1, 1}, {-0.5f, 2.05f}));
  const ValueId b = g.build.constant("b", Tensor::of<float>({2}, {1.0f, -0.5f}));
  g.output(g.op("Conv", {x, w, b}), kOut);
  EXPECT_EQ(g.lower().find("Conv_node")->lowered_to, "QLinearConv");
  const Node& conv = g.graph.node(find_node(g.graph, "QLinearConv"));
  // (2.05 + 0.5) / 255 = 0.01; zero -128 + 50; -0.5 -> -50 - 78, 2.05 -> 205 - 78.
  EXPECT_FLOAT_EQ(g.graph.constant(conv.inputs[4])->data<float>()[0], 0.01f);
  EXPECT_EQ(g.graph.constant(conv.inputs[5])->data<int8_t>()[0], -78);
  EXPECT_THAT(g.graph.constant(conv.inputs[3])->data<int8_t>(), ElementsAre(-128, 127));
  EXPECT_THAT(g.graph.constant(conv.inputs[8])->data<int32_t>(), ElementsAre(200, -100));
}

TEST(LowerBias, StaysFloatWithoutOutputQuantization) {
  QdqBuilder g;
  const ValueId x = g.input("x", {1, 2});
  const ValueId w = g.weight("w", Tensor(DType::kI8, {2, 2}));
  const ValueId b = g.build.constant("b", Tensor::of<float>({2}, {1, 2}));
  g.build.output(g.op("Gemm", {x, w, b}));
  EXPECT_THAT(g.lower().find("Gemm_node")->reason, HasSubstr("input 2 ('b') is not dequantized"));
}

TEST(LowerBias, SaysWhereItsScaleIsNotTheProduct) {
  QdqBuilder g;
  ConvCase c;
  c.in.scale = 0.625f;
  g.output(add_conv(g, c), kOut);
  EXPECT_THAT(g.lower().find("Conv_node")->reason, HasSubstr("not read"));
}

TEST(LowerClamp, ReluGoesWhereTheZeroPointIsTheSmallestCode) {
  QdqBuilder g;
  g.output(g.op("Relu", {add_conv(g, {})}), {0.125f, 0});
  const LoweringReport report = g.lower();
  EXPECT_THAT(g.inner_ops(), ElementsAre("QLinearConv"));
  EXPECT_EQ(report.find("Relu_node")->lowered_to, "QuantizeLinear");
}

TEST(LowerClamp, ReluStaysAndKeepsTheConvFloatOtherwise) {
  QdqBuilder g;
  g.output(g.op("Relu", {add_conv(g, {})}), {0.125f, 7});
  EXPECT_THAT(g.lower().find("Conv_node")->reason, HasSubstr("Relu behind it clamps inside"));
  EXPECT_THAT(g.inner_ops(), ElementsAre("Conv", "Relu"));
}

ValueId clip(QdqBuilder& g, ValueId x, float low, float high) {
  return g.op("Clip", {x, g.build.constant("lo", Tensor::scalar(low)),
                       g.build.constant("hi", Tensor::scalar(high))});
}

TEST(LowerClamp, ClipGoesWhereTheCodesEndInside) {
  QdqBuilder g;
  g.output(clip(g, add_conv(g, {}), 0, 6), {6.0f / 255, 0});
  EXPECT_EQ(g.lower().find("Conv_node")->lowered_to, "QLinearConv");
}

TEST(LowerClamp, ClipStaysWhereTheCodesReachFurther) {
  QdqBuilder g;
  g.output(clip(g, add_conv(g, {}), 0, 6), {6.1f / 255, 0});
  EXPECT_THAT(g.inner_ops(), ElementsAre("Conv", "Clip"));
}

TEST(LowerClamp, ReluAndClipGoTogether) {
  QdqBuilder g;
  g.output(clip(g, g.op("Relu", {add_conv(g, {})}), -1, 6), {6.0f / 255, 0});
  EXPECT_EQ(g.lower().find("Conv_node")->lowered_to, "QLinearConv");
}

TEST(LowerMatMul, BecomesQLinearMatMul) {
  QdqBuilder g;
  const ValueId a = g.input("a", {2, 3}), b = g.weight("b", Tensor(DType::kI8, {3, 2}), {1, 2}, 1);
  g.output(g.op("MatMul", {a, b}), kOut);
  g.lower();
  const NodeId node = find_node(g.graph, "QLinearMatMul");
  EXPECT_THAT(input_names(g.graph, node),
              ElementsAre("a_q", "s_1", "z_1", "b", "b_s", "b_z", "s_2", "z_2"));
}

TEST(LowerMatMul, WithoutOutputQuantizationBecomesMatMulIntegerToFloat) {
  QdqBuilder g;
  const ValueId a = g.input("a", {2, 3}), b = g.weight("b", Tensor(DType::kI8, {3, 2}));
  g.build.output(g.op("MatMul", {a, b}));
  g.lower();
  const NodeId node = find_node(g.graph, "MatMulIntegerToFloat");
  EXPECT_THAT(input_names(g.graph, node), ElementsAre("a_q", "b", "s_1", "b_s", "z_1", "b_z"));
  EXPECT_EQ(g.graph.opset("com.microsoft"), 1);
  EXPECT_THAT(output_names(g.graph), ElementsAre("MatMul_node"));
}

TEST(LowerMatMul, StaysFloatBeforeAReluWithoutQ) {
  QdqBuilder g;
  const ValueId a = g.input("a", {2, 3}), b = g.weight("b", Tensor(DType::kI8, {3, 2}));
  g.build.output(g.op("Erf", {g.op("Relu", {g.op("MatMul", {a, b})})}));
  EXPECT_THAT(g.lower().find("MatMul_node")->reason, HasSubstr("not followed by QuantizeLinear"));
}

TEST(LowerMatMul, StaysFloatWhereOnlyTheWeightIsQuantized) {
  QdqBuilder g;
  const ValueId a = g.build.input("a", DType::kF32, {2, 3});
  const ValueId b = g.weight("b", Tensor(DType::kI8, {3, 2}));
  g.build.output(g.op("MatMul", {a, b}));
  EXPECT_THAT(g.lower().find("MatMul_node")->reason, HasSubstr("only its weight"));
}

TEST(LowerMatMul, WithConstantAddBecomesQGemm) {
  QdqBuilder g;
  const ValueId a = g.input("a", {Dim::named("N"), 3}, kIn);
  const ValueId b = g.weight("b", Tensor(DType::kI8, {3, 2}));
  const ValueId bias = g.build.constant("bias", Tensor::of<float>({2}, {1, 2}));
  g.output(g.op("Add", {g.op("MatMul", {a, b}), bias}), kOut);
  const LoweringReport report = g.lower();
  EXPECT_THAT(g.inner_ops(), ElementsAre("com.microsoft.QGemm"));
  EXPECT_EQ(report.find("Add_node")->lowered_to, "Gemm");
  const NodeId gemm = find_node(g.graph, "QGemm");
  EXPECT_EQ(g.graph.node(gemm).name, "MatMul_node");
  // 1 / (0.5 * 0.25), 2 / (0.5 * 0.25)
  EXPECT_THAT(g.graph.constant(g.graph.node(gemm).inputs[6])->data<int32_t>(), ElementsAre(8, 16));
}

TEST(LowerMatMul, OfThreeKnownAxesGoesThroughReshapes) {
  QdqBuilder g;
  const ValueId a = g.input("a", {4, 2, 3}, kIn), b = g.weight("b", Tensor(DType::kI8, {3, 5}));
  const ValueId bias = g.build.constant("bias", Tensor(DType::kF32, {5}));
  g.output(g.op("Add", {bias, g.op("MatMul", {a, b})}), kOut);
  g.lower();
  EXPECT_THAT(g.inner_ops(), ElementsAre("Reshape", "com.microsoft.QGemm", "Reshape"));
}

TEST(LowerMatMul, OfThreeAxesWithAnUnknownOneStaysBesideItsAdd) {
  QdqBuilder g;
  const ValueId a = g.input("a", {Dim::named("N"), 2, 3}, kIn);
  const ValueId b = g.weight("b", Tensor(DType::kI8, {3, 5}));
  const ValueId bias = g.build.constant("bias", Tensor(DType::kF32, {5}));
  g.output(g.op("Add", {g.op("MatMul", {a, b}), bias}), kOut);
  g.lower();
  EXPECT_THAT(g.inner_ops(), ElementsAre("com.microsoft.MatMulIntegerToFloat", "Add"));
}

TEST(LowerGemm, BecomesQGemmWithoutBeta) {
  QdqBuilder g;
  const ValueId a = g.input("a", {2, 3}), b = g.weight("b", Tensor(DType::kI8, {2, 3}), {1, 2}, 0);
  const ValueId c = g.weight("c", Tensor(DType::kI32, {2}), {0.5f, 1.0f});
  g.output(g.op("Gemm", {a, b, c}, {{"transB", int64_t{1}}, {"beta", 1.0f}, {"alpha", 1.0f}}),
           kOut);
  g.lower();
  const NodeId node = find_node(g.graph, "QGemm");
  EXPECT_THAT(input_names(g.graph, node),
              ElementsAre("a_q", "s_1", "z_1", "b", "b_s", "b_z", "c", "s_2", "z_2"));
  EXPECT_EQ(g.graph.node(node).attr("beta"), nullptr);
  EXPECT_NE(g.graph.node(node).attr("transB"), nullptr);
}

TEST(LowerGemm, LeavesOutputParametersOutWithoutQ) {
  QdqBuilder g;
  const ValueId a = g.input("a", {2, 3}), b = g.weight("b", Tensor(DType::kI8, {3, 2}));
  g.build.output(g.op("Gemm", {a, b}));
  g.lower();
  EXPECT_EQ(g.graph.node(find_node(g.graph, "QGemm")).inputs.size(), 6u);
}

TEST(LowerGemm, StaysFloatForAnotherBeta) {
  QdqBuilder g;
  const ValueId a = g.input("a", {2, 3}), b = g.weight("b", Tensor(DType::kI8, {3, 2}));
  const ValueId c = g.weight("c", Tensor(DType::kI32, {2}));
  g.output(g.op("Gemm", {a, b, c}, {{"beta", 2.0f}}), kOut);
  EXPECT_THAT(g.lower().find("Gemm_node")->reason, HasSubstr("beta"));
}

TEST(LowerElementwise, AddAndMulTakeOwnScales) {
  for (const std::string op : {"Add", "Mul"}) {
    QdqBuilder g;
    g.output(g.op(op, {g.input("a", {2}), g.input("b", {2}, {2.0f, 9})}), kOut);
    EXPECT_EQ(g.lower().lowered, 1);
    EXPECT_THAT(g.inner_ops(), ElementsAre("com.microsoft.QLinear" + op));
    EXPECT_THAT(input_names(g.graph, find_node(g.graph, "QLinear" + op)),
                ElementsAre("a_q", "s_1", "z_1", "b_q", "s_3", "z_3", "s_4", "z_4"));
  }
}

TEST(LowerElementwise, AddOfMixedTypesStaysFloat) {
  QdqBuilder g;
  g.output(g.op("Add", {g.input("a", {2}), g.input("b", {2}, {1.0f, 0, DType::kI8})}), kOut);
  EXPECT_THAT(g.lower().find("Add_node")->reason, HasSubstr("int8"));
}

TEST(LowerElementwise, AddOfAFloatStaysFloat) {
  QdqBuilder g;
  g.output(g.op("Add", {g.input("a", {2}), g.build.input("b", DType::kF32, {2})}), kOut);
  EXPECT_THAT(g.lower().find("Add_node")->reason, HasSubstr("'b'"));
}

TEST(LowerElementwise, OneInputOpsKeepTheirAttributes) {
  for (const std::string op :
       {"AveragePool", "GlobalAveragePool", "LeakyRelu", "Sigmoid", "Softmax"}) {
    QdqBuilder g;
    g.output(g.op(op, {g.input("x", {1, 2, 4, 4})}, {{"alpha", 0.25f}}), kOut);
    g.lower();
    const NodeId node = find_node(g.graph, "QLinear" + op);
    EXPECT_THAT(input_names(g.graph, node), ElementsAre("x_q", "s_1", "z_1", "s_2", "z_2"));
    EXPECT_NE(g.graph.node(node).attr("alpha"), nullptr);
  }
}

TEST(LowerElementwise, SoftmaxSaysWhichOpsetItIsOf) {
  for (const auto& [opset, expected, axis] :
       {std::tuple{9, 1, 1}, std::tuple{12, 11, 1}, std::tuple{17, 13, -1}}) {
    QdqBuilder g(opset);
    g.output(g.op("Softmax", {g.input("x", {1, 2})}), kOut);
    g.lower();
    const Node& node = g.graph.node(find_node(g.graph, "QLinearSoftmax"));
    EXPECT_EQ(std::get<int64_t>(*node.attr("opset")), expected);
    EXPECT_EQ(std::get<int64_t>(*node.attr("axis")), axis);
  }
}

TEST(LowerElementwise, OpsWithoutIntegerFormSayso) {
  QdqBuilder g;
  g.output(g.op("HardSwish", {g.input("x", {1, 2})}), kOut);
  EXPECT_EQ(g.lower().find("HardSwish_node")->reason, "HardSwish has no integer form");
}

TEST(LowerConcat, TakesInputsOfDifferentScales) {
  QdqBuilder g;
  g.output(
      g.op("Concat", {g.input("a", {2}), g.input("b", {2}, {2.0f, 9})}, {{"axis", int64_t{0}}}),
      kOut);
  g.lower();
  EXPECT_THAT(input_names(g.graph, find_node(g.graph, "QLinearConcat")),
              ElementsAre("s_4", "z_4", "a_q", "s_1", "z_1", "b_q", "s_3", "z_3"));
}

TEST(LowerMover, MovesIntegersWhereParametersAreEqual) {
  for (const std::string op :
       {"Reshape", "Transpose", "Flatten", "Gather", "Slice", "Tile", "Resize", "ReduceMax"}) {
    QdqBuilder g;
    g.output(g.op(op, {g.input("x", {1, 2}, kIn)}), kIn);
    const LoweringReport report = g.lower();
    EXPECT_EQ(report.find(op + "_node")->lowered_to, op + " on uint8");
    EXPECT_THAT(op_list(g.graph), ElementsAre("QuantizeLinear", op, "DequantizeLinear"));
    EXPECT_EQ(g.graph.value(g.graph.find_value("y_q")).type.dtype, DType::kU8);
  }
}

TEST(LowerMover, StaysFloatWhereParametersDiffer) {
  QdqBuilder g;
  g.output(g.op("Reshape", {g.input("x", {1, 2}, kIn)}), kOut);
  EXPECT_THAT(g.lower().find("Reshape_node")->reason, HasSubstr("different parameters"));
}

TEST(LowerMover, ResizeThatInterpolatesStaysFloat) {
  QdqBuilder g;
  g.output(g.op("Resize", {g.input("x", {1, 1, 2, 2}, kIn)}, {{"mode", std::string("linear")}}),
           kIn);
  EXPECT_THAT(g.lower().find("Resize_node")->reason, HasSubstr("interpolates"));
}

TEST(LowerMover, DepthToSpaceStaysFloat) {
  QdqBuilder g;
  g.output(g.op("DepthToSpace", {g.input("x", {1, 4, 1, 1}, kIn)}), kIn);
  EXPECT_EQ(g.lower().lowered, 0);
}

TEST(LowerMover, MaxPoolNeedsOpset12) {
  for (const int64_t opset : {11, 12}) {
    QdqBuilder g(opset);
    g.output(g.op("MaxPool", {g.input("x", {1, 1, 2, 2}, kIn)}), kIn);
    EXPECT_EQ(g.lower().lowered, opset == 12);
  }
}

TEST(LowerMover, SplitNeedsEqualParametersOnEveryOutput) {
  for (const bool equal : {true, false}) {
    QdqBuilder g;
    const auto parts = g.build.ops("Split", 2, {g.input("x", {4}, kIn)}, {}, "split");
    g.output(parts[0], kIn, "y0");
    g.output(parts[1], equal ? kIn : kOut, "y1");
    EXPECT_EQ(g.lower().lowered, equal);
    g.graph.verify();
  }
}

TEST(LowerArgMax, ReadsTheIntegers) {
  QdqBuilder g;
  g.build.output(g.op("ArgMax", {g.input("x", {1, 2}, kIn)}));
  EXPECT_EQ(g.lower().find("ArgMax_node")->lowered_to, "ArgMax on uint8");
  EXPECT_THAT(op_list(g.graph), ElementsAre("QuantizeLinear", "ArgMax"));
}

TEST(LowerShared, OneDequantizeServesSeveralNodes) {
  QdqBuilder g;
  const ValueId x = g.input("x", {1, 2}, kIn);
  g.output(g.op("Sigmoid", {x}), kOut, "y0");
  g.output(g.op("Add", {x, x}), kOut, "y1");
  g.build.output(g.op("Erf", {x}));
  EXPECT_EQ(g.lower().lowered, 2);
  EXPECT_THAT(op_list(g.graph), ElementsAre("QuantizeLinear", "DequantizeLinear",
                                            "com.microsoft.QLinearSigmoid", "DequantizeLinear",
                                            "com.microsoft.QLinearAdd", "DequantizeLinear", "Erf"));
}

TEST(LowerPairs, InversePairGoes) {
  QdqBuilder g;
  g.output(g.input("x", {2}, kIn), kIn);
  g.lower();
  EXPECT_THAT(op_list(g.graph), ElementsAre("QuantizeLinear", "DequantizeLinear"));
}

TEST(LowerPairs, RequantizationStays) {
  QdqBuilder g;
  const ValueId x = g.input("x", {2}, kIn);
  g.build.output(g.q(x, kOut, "q2"));
  g.lower();
  EXPECT_THAT(op_list(g.graph),
              ElementsAre("QuantizeLinear", "DequantizeLinear", "QuantizeLinear"));
}

TEST(LowerPairs, DoublePairBecomesOneOverTheCommonRange) {
  QdqBuilder g;
  // [-1.5, 126] and [-0.875, 31] meet in [-0.875, 31]: scale 31.875 / 255 = 0.125, zero 7.
  g.build.output(g.op("Erf", {g.dq(g.q(g.input("x", {2}, kIn), kOut, "q2"), kOut, "dq2")}));
  g.lower();
  EXPECT_THAT(op_list(g.graph), ElementsAre("QuantizeLinear", "DequantizeLinear", "Erf"));
  const Node& q = g.graph.node(find_node(g.graph, "QuantizeLinear"));
  EXPECT_EQ(g.graph.constant(q.inputs[1])->data<float>()[0], 0.125f);
  EXPECT_EQ(g.graph.constant(q.inputs[2])->data<uint8_t>()[0], 7);
}

TEST(LowerPropagation, DequantizeMovesForwardToWhatNeedsIt) {
  QdqBuilder g;
  const ValueId flat = g.op("Reshape", {g.input("x", {1, 3, 1}, kIn),
                                        g.build.constant("to", Tensor::of<int64_t>({2}, {1, 3}))});
  const ValueId b = g.weight("b", Tensor(DType::kI8, {3, 2}));
  g.build.output(g.op("Gemm", {flat, b}));
  g.lower();
  EXPECT_THAT(g.inner_ops(), ElementsAre("Reshape", "com.microsoft.QGemm"));
  EXPECT_THAT(op_list(g.graph), ElementsAre("QuantizeLinear", "Reshape", "com.microsoft.QGemm"));
}

TEST(LowerPropagation, QuantizeMovesBackwardToWhatNeedsIt) {
  QdqBuilder g;
  g.output(g.op("Transpose", {add_conv(g, {})}), kOut);
  g.lower();
  EXPECT_THAT(op_list(g.graph),
              ElementsAre("QuantizeLinear", "QLinearConv", "Transpose", "DequantizeLinear"));
}

TEST(LowerPropagation, StopsAtOtherOps) {
  QdqBuilder g;
  g.build.output(g.op("Erf", {g.op("Tile", {g.input("x", {1, 3}, kIn)})}));
  EXPECT_EQ(g.lower().lowered, 0);
  EXPECT_THAT(g.inner_ops(), ElementsAre("Tile", "Erf"));
}

TEST(LowerConstants, TransposedWeightIsAConstantAgain) {
  QdqBuilder g;
  const ValueId w = g.weight("w", Tensor::of<int8_t>({2, 3}, {1, 2, 3, 4, 5, 6}));
  const ValueId t = g.op("Transpose", {w}, {{"perm", std::vector<int64_t>{1, 0}}});
  g.build.output(g.op("MatMul", {g.input("a", {1, 3}), t}));
  g.lower();
  const Node& node = g.graph.node(find_node(g.graph, "MatMulIntegerToFloat"));
  ASSERT_NE(g.graph.constant(node.inputs[1]), nullptr);
  EXPECT_THAT(g.graph.constant(node.inputs[1])->data<int8_t>(), ElementsAre(1, 4, 2, 5, 3, 6));
}

}  // namespace
}  // namespace lapidary
