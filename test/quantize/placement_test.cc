#include "quantize/placement.h"

#include "lapidary/ops.h"
#include "test/quantize/nets.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

/// What `place` decided, by name.
struct Decision {
  std::set<std::string> quantized, integer, absorbed, moved;
  std::map<std::string, std::string> kept;
  std::map<std::string, std::string> groups;  ///< value -> the first of its scale group
};

Decision decide(const Graph& graph, const std::string& target,
                const QuantizeOptions& options = {}) {
  const Placement placement = place(graph, find_target(target), options);
  Decision out;
  for (const ValueId id : placement.quantized) {
    out.quantized.insert(name_of(graph, id));
    out.groups[name_of(graph, id)] = name_of(graph, placement.scales.root(id));
    if (placement.moved.contains(id.index)) out.moved.insert(name_of(graph, id));
  }
  for (const auto& [clamp, before] : placement.absorbed)
    out.absorbed.insert(node_key(graph, clamp));
  for (const NodeId id : graph.nodes())
    if (placement.integer.contains(id.index)) out.integer.insert(node_key(graph, id));
  for (const KeptFloat& kept : placement.kept_float) out.kept[kept.node] = kept.reason;
  return out;
}

std::vector<Dim> picture(int64_t channels) { return {Dim::named("N"), channels, 6, 6}; }

using Names = std::set<std::string>;
using Reasons = std::map<std::string, std::string>;

Graph conv_relu() {
  Net net;
  const ValueId x = net.input("x", picture(3));
  const ValueId c = net.conv(x, 3, 16, "c");
  return net.finish({net.op("Relu", {c}, "r")});
}

TEST(Placement, ReluGoesIntoTheConvolutionOnCpu) {
  const Decision cpu = decide(conv_relu(), "onnxruntime-cpu");
  EXPECT_EQ(cpu.quantized, (Names{"x", "r"}));
  EXPECT_EQ(cpu.absorbed, (Names{"r"}));
  EXPECT_EQ(cpu.kept, (Reasons{}));
  const Decision trt = decide(conv_relu(), "tensorrt");
  EXPECT_EQ(trt.quantized, (Names{"x"}));  // no op's output
  EXPECT_EQ(trt.absorbed, (Names{}));
}

/// Where something else reads the convolution too, saturation must not stand for the Relu.
TEST(Placement, AReluIsNotAbsorbedFromASharedValue) {
  Net net;
  const ValueId x = net.input("x", picture(3));
  const ValueId c = net.conv(x, 3, 16, "c");
  const ValueId r = net.op("Relu", {c}, "r");
  const Graph graph = net.finish({c, r});
  const Decision cpu = decide(graph, "onnxruntime-cpu");
  EXPECT_EQ(cpu.quantized, (Names{"x", "c", "r"}));
  EXPECT_EQ(cpu.absorbed, (Names{}));
}

/// x -> a -> Relu -> b -> (+ skip) -> Relu, all with 16 channels.
Graph residual() {
  Net net;
  const ValueId x = net.input("x", picture(16));
  const ValueId a = net.op("Relu", {net.conv(x, 16, 16, "a")}, "ra");
  const ValueId b = net.op("Relu", {net.conv(a, 16, 16, "b")}, "rb");
  const ValueId c = net.conv(b, 16, 16, "c");
  const ValueId sum = net.op("Add", {c, a}, "sum");
  return net.finish({net.op("Relu", {sum}, "out")});
}

TEST(Placement, AResidualAdditionHasThreeScalesOnCpu) {
  const Decision cpu = decide(residual(), "onnxruntime-cpu");
  EXPECT_EQ(cpu.quantized, (Names{"x", "ra", "rb", "c", "out"}));
  EXPECT_EQ(cpu.absorbed, (Names{"ra", "rb", "out"}));
  EXPECT_EQ(cpu.groups.at("c"), "c");
  EXPECT_EQ(cpu.groups.at("ra"), "ra");
  EXPECT_EQ(cpu.groups.at("out"), "out");
}

TEST(Placement, AResidualAdditionQuantizesItsSkipForTensorRt) {
  const Decision trt = decide(residual(), "tensorrt");
  EXPECT_EQ(trt.quantized, (Names{"x", "ra", "rb"}));  // c stays fused with the addition
  EXPECT_TRUE(trt.integer.contains("sum"));
  // An addition of what no convolution makes alone is none.
  Net net;
  const ValueId x = net.input("x", picture(16));
  const ValueId c = net.conv(x, 16, 16, "c");
  const Graph graph = net.finish({net.op("Add", {c, x}, "sum"), c});
  EXPECT_THAT(decide(graph, "tensorrt").kept,
              UnorderedElementsAre(Pair("sum", HasSubstr("no convolution"))));
}

/// Two convolutions and a third that is read elsewhere too, joined.
Graph joined() {
  Net net;
  const ValueId x = net.input("x", picture(16));
  const ValueId a = net.conv(x, 16, 16, "a");
  const ValueId b = net.conv(x, 16, 16, "b");
  const ValueId cat = net.op("Concat", {a, b}, "cat", {{"axis", int64_t{1}}});
  const ValueId c = net.conv(x, 16, 16, "c");
  const ValueId more = net.op("Concat", {cat, c}, "more", {{"axis", int64_t{1}}});
  return net.finish({net.conv(more, 48, 16, "d"), c});
}

TEST(Placement, ConcatSharesOneScaleWithWhatItAloneReads) {
  const Decision cpu = decide(joined(), "onnxruntime-cpu");
  EXPECT_EQ(cpu.quantized, (Names{"x", "a", "b", "cat", "c", "more", "d"}));
  EXPECT_EQ(cpu.groups.at("a"), cpu.groups.at("cat"));
  EXPECT_EQ(cpu.groups.at("b"), cpu.groups.at("cat"));
  EXPECT_EQ(cpu.groups.at("more"), cpu.groups.at("cat"));
  EXPECT_NE(cpu.groups.at("c"), cpu.groups.at("cat"));  // the graph's output keeps its own
  EXPECT_TRUE(cpu.moved.contains("cat"));               // what it joins says all of its range
  EXPECT_FALSE(cpu.moved.contains("more"));             // c may reach further
  const Decision trt = decide(joined(), "tensorrt");
  EXPECT_EQ(trt.quantized, (Names{"x", "more"}));
}

TEST(Placement, PoolsOfMaximaAndReshapesPassTheScaleOn) {
  Net net;
  const ValueId x = net.input("x", picture(3));
  const ValueId c = net.conv(x, 3, 16, "c");
  const ValueId most =
      net.op("MaxPool", {c}, "most", {{"kernel_shape", std::vector<int64_t>{2, 2}}});
  const ValueId mean =
      net.op("AveragePool", {most}, "mean", {{"kernel_shape", std::vector<int64_t>{5, 5}}});
  const ValueId flat = net.op("Flatten", {mean}, "flat");
  const ValueId y = net.op("Gemm", {flat, net.constant("w", ramp({16, 4}))}, "y");
  const Graph graph = net.finish({y});
  const Decision cpu = decide(graph, "onnxruntime-cpu");
  EXPECT_EQ(cpu.quantized, (Names{"x", "c", "most", "mean", "flat"}));  // logits may stay float
  EXPECT_EQ(cpu.groups.at("most"), "c");
  EXPECT_EQ(cpu.groups.at("mean"), "mean");
  EXPECT_EQ(cpu.groups.at("flat"), "mean");
  EXPECT_EQ(cpu.moved, (Names{"most", "flat"}));
  const Decision trt = decide(graph, "tensorrt");
  EXPECT_EQ(trt.quantized, (Names{"x", "c", "most", "flat"}));
}

TEST(Placement, MoversThatOnlyFloatNodesReadStayFloat) {
  Net net;
  const ValueId x = net.input("x", picture(3));
  const ValueId flat = net.op("Flatten", {net.conv(x, 3, 4, "c")}, "flat");
  const ValueId turned = net.op("Transpose", {flat}, "turned");
  const Graph graph = net.finish({net.op("Tanh", {turned}, "y")});
  const Decision cpu = decide(graph, "onnxruntime-cpu");
  EXPECT_EQ(cpu.quantized, (Names{"x", "c"}));
  EXPECT_EQ(cpu.integer, (Names{"c"}));
  EXPECT_THAT(cpu.kept,
              UnorderedElementsAre(Pair("y", "target onnxruntime-cpu has no integer form of it")));
}

TEST(Placement, ClipIsAbsorbedWhereItsBoundsAreConstant) {
  Net net;
  const ValueId x = net.input("x", picture(3));
  const ValueId limit = net.input("limit", {});
  const ValueId low = net.constant("low", Tensor::scalar(0.0f)),
                high = net.constant("high", Tensor::scalar(6.0f));
  const ValueId six = net.op("Clip", {net.conv(x, 3, 16, "a"), low, high}, "six");
  const Graph graph =
      net.finish({net.op("Clip", {net.conv(six, 16, 16, "b"), low, limit}, "free")});
  const Decision cpu = decide(graph, "onnxruntime-cpu");
  EXPECT_EQ(cpu.absorbed, (Names{"six"}));
  EXPECT_EQ(cpu.quantized, (Names{"x", "six", "b"}));
  EXPECT_EQ(cpu.kept.count("free"), 1u);
  EXPECT_FALSE(cpu.integer.contains("free"));
}

TEST(Placement, LayerNormAndSoftmaxAndGeluStayFloat) {
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 4, 8});
  const auto dense = [&](ValueId v, const std::string& name) {
    return net.op("MatMul", {v, net.constant(name + "_w", ramp({8, 8}))}, name);
  };
  const ValueId n =
      net.op("LayerNormalization",
             {dense(x, "a"), net.constant("s", ramp({8})), net.constant("t", ramp({8}))}, "norm",
             {{"axis", int64_t{-1}}});
  const ValueId s = net.op("Softmax", {dense(n, "b")}, "soft", {{"axis", int64_t{-1}}});
  const ValueId g = dense(s, "c");
  const ValueId scaled =
      net.op("Div", {g, net.constant("root2", Tensor::scalar(1.41421356f))}, "scaled");
  const ValueId erf = net.op("Erf", {scaled}, "erf");
  const ValueId one = net.op("Add", {erf, net.constant("one", Tensor::scalar(1.0f))}, "plus");
  const ValueId product = net.op("Mul", {g, one}, "product");
  const ValueId gelu = net.op("Mul", {product, net.constant("half", Tensor::scalar(0.5f))}, "gelu");
  const Graph graph = net.finish({dense(gelu, "d")});
  const Decision cpu = decide(graph, "onnxruntime-cpu");
  // Inputs of products; their outputs only feed float regions and come out float.
  EXPECT_EQ(cpu.quantized, (Names{"x", "norm", "soft", "gelu"}));
  EXPECT_EQ(cpu.integer, (Names{"a", "b", "c", "d"}));
  EXPECT_EQ(cpu.kept.at("norm"), "part of LayerNorm, which stays float");
  EXPECT_EQ(cpu.kept.at("soft"), "part of attention softmax, which stays float");
  for (const char* node : {"scaled", "erf", "plus", "product", "gelu"})
    EXPECT_EQ(cpu.kept.at(node), "part of GELU, which stays float") << node;
  EXPECT_EQ(cpu.kept.size(), 7u);
}

TEST(Placement, BothSidesOfAnAttentionProduct) {
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 4, 8});
  const ValueId q = net.op("MatMul", {x, net.constant("wq", ramp({8, 8}))}, "q");
  const ValueId k = net.op("MatMul", {x, net.constant("wk", ramp({8, 8}, 3))}, "k");
  const ValueId kt = net.op("Transpose", {k}, "kt", {{"perm", std::vector<int64_t>{0, 2, 1}}});
  const Graph graph = net.finish({net.op("MatMul", {q, kt}, "scores")});
  const Decision cpu = decide(graph, "onnxruntime-cpu");
  EXPECT_TRUE(cpu.integer.contains("scores"));
  EXPECT_TRUE(cpu.quantized.contains("q"));
  EXPECT_TRUE(cpu.quantized.contains("kt"));
  TargetRecord weights_only = find_target("onnxruntime-cpu");
  weights_only.activation_products = false;
  const Placement placement = place(graph, weights_only, {});
  ASSERT_EQ(placement.kept_float.size(), 1u);
  EXPECT_EQ(placement.kept_float[0].node, "scores");
  EXPECT_EQ(placement.kept_float[0].reason, "its weights are not constant");
}

TEST(Placement, AnIslandOfAdditionsStaysFloat) {
  Net net;
  const ValueId x = net.input("x", picture(3)), z = net.input("z", picture(3));
  const Graph graph = net.finish({net.op("Add", {x, z}, "sum")});
  EXPECT_THAT(
      decide(graph, "onnxruntime-cpu").kept,
      ElementsAre(Pair("sum", "its input 'x' is float: an integer form would only add error")));
}

TEST(Placement, SaysWhyALayerStaysFloat) {
  Net net(13);
  const ValueId x = net.input("x", picture(3)), bias = net.input("bias", {4}),
                w = net.input("w", {4, 3, 3, 3});
  const ValueId a = net.op("Conv", {x, w}, "a");
  const ValueId b = net.op("Conv", {x, net.constant("wb", ramp({4, 3, 3, 3})), bias}, "b");
  const ValueId f = net.op("Flatten", {net.op("Add", {a, b}, "ab")}, "flat");
  const ValueId wg = net.constant("wg", ramp({64, 2}));
  const ValueId g = net.op("Gemm", {f, wg}, "g", {{"alpha", 0.5f}});
  const ValueId h = net.op("Gemm", {f, wg, net.constant("one", ramp({1}))}, "h");
  const ValueId t = net.op("Gemm", {f, f}, "t", {{"transA", int64_t{1}}});
  const Graph graph = net.finish({g, h, t});
  const Decision cpu = decide(graph, "onnxruntime-cpu");
  EXPECT_EQ(cpu.kept.at("a"), "its weights are not constant");
  EXPECT_EQ(cpu.kept.at("b"), "its bias is not constant");
  EXPECT_THAT(cpu.kept.at("g"), HasSubstr("alpha and beta"));
  EXPECT_THAT(cpu.kept.at("h"), HasSubstr("one value per output"));
  EXPECT_EQ(cpu.kept.at("t"), "its left side is transposed");
  EXPECT_THAT(cpu.quantized, IsEmpty());
}

TEST(Placement, TheBiasOfAMatMulIsPartOfTheLayer) {
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 8});
  const ValueId y = net.op("MatMul", {x, net.constant("w", ramp({8, 4}))}, "y");
  const ValueId z = net.op("Add", {net.constant("b", ramp({4})), y}, "z");
  const Graph graph = net.finish({z});
  const Placement placement = place(graph, find_target("onnxruntime-cpu"), {});
  ASSERT_EQ(placement.layers.size(), 1u);
  const LinearLayer& layer = placement.layers[0];
  EXPECT_EQ(name_of(graph, layer.bias), "b");
  EXPECT_EQ(name_of(graph, layer.made), "z");
  EXPECT_EQ(layer.weight_axis, 1);
  EXPECT_THAT(placement.kept_float, IsEmpty());
}

TEST(Placement, TensorRtLeavesNarrowConvolutionsFloat) {
  Net net;
  const ValueId x = net.input("x", picture(3));
  const ValueId a = net.conv(x, 3, 24, "first");  // few inputs: the first layer is no exception
  const ValueId b = net.conv(a, 24, 8, "eight");  // multiples of 8
  const ValueId c = net.conv(b, 8, 10, "ten");
  const Graph graph = net.finish({net.conv(c, 10, 10, "grouped", 10)});
  const Decision trt = decide(graph, "tensorrt");
  EXPECT_EQ(trt.integer, (Names{"first", "eight"}));
  EXPECT_THAT(trt.kept,
              UnorderedElementsAre(Pair("ten", HasSubstr("too few channels")),
                                   Pair("grouped", HasSubstr("grouped integer convolution"))));
  EXPECT_EQ(decide(graph, "onnxruntime-cpu").integer.size(), 4u);
}

ValueId conv_of(Net& net, ValueId x, const Shape& weight, int64_t group, const std::string& name) {
  return net.op("Conv", {x, net.constant(name + "_w", ramp(weight))}, name, {{"group", group}});
}

// What TensorRT Model Optimizer leaves out: grouped convolutions but for those with a multiple of 8
// outputs and a kernel of 3 or wider; narrow ones but for square kernels between multiples of 8, 16
// or more on one side or first.
TEST(Placement, TensorRtConvolutionsByKernelAndGroups) {
  Net net;
  const ValueId x = net.input("x", {1, 16, 32, 32});
  const ValueId wide = conv_of(net, x, {16, 1, 3, 3}, 16, "depthwise_3x3");
  const ValueId flat = conv_of(net, wide, {16, 1, 1, 3}, 16, "depthwise_1x3");
  const ValueId uneven = conv_of(net, flat, {20, 4, 3, 3}, 4, "grouped_20");
  const ValueId eight = conv_of(net, uneven, {8, 20, 3, 3}, 1, "to_8");
  const ValueId oblong = conv_of(net, eight, {16, 8, 1, 3}, 1, "oblong_8");
  const ValueId odd = conv_of(net, oblong, {15, 16, 3, 3}, 1, "sixteen_to_15");
  const ValueId fifteen = conv_of(net, odd, {17, 15, 3, 3}, 1, "fifteen_to_17");
  const Graph graph = net.finish({conv_of(net, fifteen, {20, 17, 1, 3}, 1, "oblong_17")});
  const Decision trt = decide(graph, "tensorrt");
  EXPECT_EQ(trt.integer, (Names{"depthwise_3x3", "to_8", "sixteen_to_15", "oblong_17"}));
  EXPECT_THAT(trt.kept, UnorderedElementsAre(Pair("depthwise_1x3", HasSubstr("wider kernel")),
                                             Pair("grouped_20", HasSubstr("more outputs")),
                                             Pair("oblong_8", HasSubstr("too few channels")),
                                             Pair("fifteen_to_17", HasSubstr("too few channels"))));
  EXPECT_EQ(decide(graph, "openvino").integer.size(), 8u);
}

TEST(Placement, TensorRtNarrowConvolutionsOnlyFirst) {
  Net net;
  const ValueId x = net.input("x", picture(3));
  const ValueId first = net.conv(x, 3, 8, "first");
  const Graph graph = net.finish({net.conv(first, 8, 8, "second")});
  EXPECT_EQ(decide(graph, "tensorrt").integer, (Names{"first"}));
}

TEST(Placement, TensorRtPoolsOnlyBesideIntegerOps) {
  Net net;
  const auto pool = [&](const char* op, ValueId from, const std::string& name) {
    return net.op(op, {from}, name, {{"kernel_shape", std::vector<int64_t>{1, 1}}});
  };
  const ValueId x = net.input("x", picture(16));
  const ValueId alone = pool("MaxPool", net.op("Tanh", {x}, "tanh"), "alone");
  const ValueId too = pool("AveragePool", alone, "alone_too");
  const ValueId before = pool("AveragePool", net.op("Exp", {too}, "exp"), "before");
  const ValueId relu = net.op("Relu", {net.conv(before, 16, 16, "c")}, "relu");
  const ValueId after = pool("MaxPool", relu, "after");
  const ValueId next = pool("AveragePool", after, "next");
  const Graph graph = net.finish({net.op("Tanh", {next}, "y")});
  const Decision trt = decide(graph, "tensorrt");
  EXPECT_EQ(trt.integer, (Names{"before", "c", "after", "next"}));
  EXPECT_EQ(trt.quantized, (Names{"exp", "before", "relu", "after"}));
  for (const char* name : {"alone", "alone_too"})
    EXPECT_THAT(trt.kept, testing::Contains(Pair(name, HasSubstr("no integer op"))));
}

TEST(Placement, TensorRtMatricesTimesVectorsStayFloat) {
  Net net;
  const ValueId row = net.input("row", {1, 16}), rows = net.input("rows", {Dim::named("N"), 16});
  const ValueId w = net.constant("w", ramp({16, 16})), one = net.constant("one", ramp({16, 1}));
  const Graph graph = net.finish({net.op("MatMul", {row, w}, "one_row"),
                                  net.op("MatMul", {rows, one}, "one_column"),
                                  net.op("MatMul", {rows, w}, "whole")});
  const Decision trt = decide(graph, "tensorrt");
  EXPECT_EQ(trt.integer, (Names{"whole"}));
  EXPECT_THAT(trt.kept,
              UnorderedElementsAre(Pair("one_row", HasSubstr("one row or one column")),
                                   Pair("one_column", HasSubstr("one row or one column"))));
  EXPECT_EQ(decide(graph, "onnxruntime-cpu").integer.size(), 3u);
}

TEST(Placement, SkipsByNameGlobRegexAndOp) {
  const Graph graph = residual();
  const auto skipping = [&](const std::string& pattern) {
    QuantizeOptions options;
    options.skip = {pattern};
    return decide(graph, "onnxruntime-cpu", options).kept;
  };
  // "its input is float" is what the rest of the block says.
  const auto skipped = [&](const std::string& pattern) {
    Names names;
    for (const auto& [node, reason] : skipping(pattern))
      if (reason == "skipped on request") names.insert(node);
    return names;
  };
  EXPECT_EQ(skipped("c"), (Names{"c"}));
  EXPECT_EQ(skipped("s*m"), (Names{"sum"}));
  EXPECT_EQ(skipped("re:[ab]"), (Names{"a", "b"}));
  EXPECT_EQ(skipped("op:Conv"), (Names{"a", "b", "c"}));
  EXPECT_THAT(skipping("c").at("sum"), HasSubstr("'c' is float"));
  const Caught caught = error_of([&] { skipping("convv"); });
  EXPECT_EQ(caught.code, ErrorCode::kUsage);
  EXPECT_EQ(error_of([&] { skipping("re:("); }).code, ErrorCode::kUsage);
}

TEST(Placement, ASkippedReluIsNotAbsorbed) {
  QuantizeOptions options;
  options.skip = {"op:Relu"};
  const Decision cpu = decide(conv_relu(), "onnxruntime-cpu", options);
  EXPECT_EQ(cpu.quantized, (Names{"x", "c"}));
  EXPECT_EQ(cpu.kept, (Reasons{{"r", "skipped on request"}}));
}

TEST(Placement, InputsOnly) {
  QuantizeOptions options;
  options.inputs_only = true;
  const Decision cpu = decide(residual(), "onnxruntime-cpu", options);
  EXPECT_EQ(cpu.quantized, (Names{"x", "ra", "rb"}));
  EXPECT_EQ(cpu.integer, (Names{"a", "b", "c"}));
  EXPECT_EQ(cpu.kept.at("sum"), "only inputs of Conv, Gemm and MatMul are quantized");
}

TEST(Targets, UnknownNamesAreRefused) {
  const Caught caught = error_of([] { find_target("onnxruntime-gpu"); });
  EXPECT_EQ(caught.code, ErrorCode::kUsage);
  EXPECT_THAT(caught.text, HasSubstr("onnxruntime-cpu"));
}

TEST(Targets, SayWhatTheirEnginesAskFor) {
  const TargetRecord& cpu = find_target("onnxruntime-cpu");
  EXPECT_FALSE(cpu.activation.is_signed);
  EXPECT_TRUE(cpu.integer_bias);
  EXPECT_TRUE(cpu.weight.symmetric && cpu.weight.is_signed && cpu.per_channel);
  EXPECT_EQ(find_target("onnxruntime-cpu-avx2").weight.bits, 7);
  const TargetRecord& trt = find_target("tensorrt");
  EXPECT_TRUE(trt.activation.symmetric && trt.activation.is_signed);
  EXPECT_FALSE(trt.integer_bias || trt.outputs);
  // No integer kernels in ONNX Runtime: a Q/DQ pair around these only costs.
  for (const char* op : {"HardSwish", "HardSigmoid", "Sub", "Div", "PRelu", "ReduceMean",
                         "LayerNormalization", "DepthToSpace", "SpaceToDepth"})
    EXPECT_EQ(cpu.rule(op), nullptr) << op;
  // TensorRT never starts a quantization at these.
  for (const char* op : {"Relu", "Sigmoid", "Softmax", "Concat", "Reshape", "Transpose", "Slice",
                         "Split", "Gather", "Pad", "Squeeze", "Where", "LeakyRelu"})
    EXPECT_EQ(trt.rule(op), nullptr) << op;
}

}  // namespace
}  // namespace lapidary
