#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "calibrate/statistics.h"
#include "lapidary/passes.h"
#include "quantize/checks.h"
#include "test/quantize/nets.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Prepared {
  Graph graph = tiny_net();
  Dataset data = tiny_data(40);
  Statistics stats = calibrate(graph, data);
};
const Prepared& prepared() {
  static const Prepared made;
  return made;
}

Graph quantized(const QuantizeOptions& options, QuantizeLog* log = nullptr) {
  return quantize(prepared().graph, prepared().stats, prepared().data, options, log);
}

// -- what the file looks like

/// A Cast between DequantizeLinear and a layer, and engines compute floats.
TEST(QdqForm, IntegerLayersStayAsTheyAreInFp16) {
  Graph quantized = quantize(prepared().graph, prepared().stats, prepared().data, {});
  optimize(quantized);  // as conversion does
  for (const bool weights_only : {false, true}) {
    std::vector<KeptFloat> kept;
    const Graph half = convert_to_fp16(quantized, {.weights_only = weights_only}, &kept);
    std::string difference;
    EXPECT_TRUE(same_graph(half, quantized, &difference)) << difference;
    EXPECT_TRUE(kept.empty());
  }
}

/// Exporters call a node after what it makes; the pair behind a graph output takes the output's
/// name.
TEST(QdqForm, NodesHaveNamesOfTheirOwn) {
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 3, 8, 8});
  const ValueId y = net.conv(x, 3, 4, "y");
  ASSERT_EQ(net.graph.value(y).name, "y");
  const Graph graph = net.finish({y});
  const Dataset data = dataset_of({{"x", tiny_samples(8, 0, {3, 8, 8})}});
  const Graph made = quantize(graph, calibrate(graph, data), data, {});
  std::set<std::string> names;
  for (const NodeId id : made.nodes())
    EXPECT_TRUE(names.insert(made.node(id).name).second) << made.node(id).name;
  EXPECT_THAT(output_names(made), ElementsAre("y"));
}

TEST(QdqForm, HasOnePairPerTensorAndIntegersForConstants) {
  const Graph graph = quantized({});
  EXPECT_THAT(op_list(graph),
              ElementsAre("QuantizeLinear", "DequantizeLinear", "DequantizeLinear",
                          "DequantizeLinear", "Conv", "QuantizeLinear", "DequantizeLinear",
                          "DequantizeLinear", "DequantizeLinear", "Conv", "QuantizeLinear",
                          "DequantizeLinear", "GlobalAveragePool", "QuantizeLinear",
                          "DequantizeLinear", "Flatten", "QuantizeLinear", "DequantizeLinear",
                          "DequantizeLinear", "DequantizeLinear", "Gemm"));
  EXPECT_THAT(output_names(graph), ElementsAre("logits"));
  EXPECT_THAT(input_names(graph, find_node(graph, "Gemm")),
              ElementsAre("flat_dequantized", HasSubstr("w3"), HasSubstr("b3")));
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    if (!node.is("Conv") && !node.is("Gemm")) continue;
    // What the engine fuses: all inputs behind DequantizeLinear, int32 bias of scale s_x s_w.
    float product[2] = {};
    for (size_t i = 0; i < 3; ++i) {
      const NodeId dq = graph.value(node.inputs[i]).producer;
      ASSERT_TRUE(dq.valid() && graph.node(dq).is("DequantizeLinear"));
      const Node& from = graph.node(dq);
      const Tensor& scale = *graph.constant(from.inputs[1]);
      const Tensor* stored = graph.constant(from.inputs[0]);
      if (i == 0) {
        EXPECT_EQ(stored, nullptr);
        EXPECT_EQ(graph.constant(from.inputs[2])->dtype(), DType::kU8);
      } else if (i == 1) {
        EXPECT_EQ(stored->dtype(), DType::kI8);
        const int64_t axis = node.is("Conv") ? 0 : 1;
        EXPECT_EQ(std::get<int64_t>(*from.attr("axis")), axis);
        EXPECT_EQ(scale.size(), stored->dim(axis));
        for (const int8_t q : stored->data<int8_t>()) EXPECT_GE(q, -127);
      } else {
        EXPECT_EQ(stored->dtype(), DType::kI32);
        EXPECT_EQ(scale.data<float>()[0], product[0] * product[1]);
      }
      if (i < 2) product[i] = scale.data<float>()[0];
    }
  }
}

TEST(QdqForm, AGraphOutputKeepsItsNameBehindThePair) {
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 2, 6, 6});
  const Graph graph = net.finish({net.op("Relu", {net.conv(x, 2, 4, "c")}, "y")});
  const Graph out = quantize(graph, calibrate(graph, prepared().data), prepared().data, {});
  EXPECT_THAT(output_names(out), ElementsAre("y"));
  const NodeId last = out.value(out.outputs()[0]).producer;
  EXPECT_TRUE(out.node(last).is("DequantizeLinear"));
  EXPECT_THAT(op_list(out), testing::Not(testing::Contains("Relu")));
}

TEST(QdqForm, OneScaleGroupHasOnePairOfConstants) {
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 2, 6, 6});
  const ValueId c = net.conv(x, 2, 4, "c");
  const ValueId pool =
      net.op("MaxPool", {c}, "pool", {{"kernel_shape", std::vector<int64_t>{2, 2}}});
  const Graph graph = net.finish({net.conv(pool, 4, 2, "d")});
  const Graph out = quantize(graph, calibrate(graph, prepared().data), prepared().data, {});
  const NodeId mover = find_node(out, "MaxPool");
  const NodeId before = out.value(out.node(mover).inputs[0]).producer;
  const NodeId after = out.value(out.node(mover).outputs[0]).uses[0].node;
  EXPECT_EQ(input_names(out, before)[1], input_names(out, after)[1]);
  EXPECT_EQ(input_names(out, before)[2], input_names(out, after)[2]);
}

TEST(QOperatorForm, HoldsIntegerOperators) {
  const Graph graph = quantized({.format = "qoperator"});
  EXPECT_THAT(op_list(graph), ElementsAre("QuantizeLinear", "QLinearConv", "QLinearConv",
                                          "com.microsoft.QLinearGlobalAveragePool", "Flatten",
                                          "com.microsoft.QGemm"));
  EXPECT_THAT(output_names(graph), ElementsAre("logits"));
  EXPECT_EQ(graph.value(graph.outputs()[0]).type.dtype, DType::kF32);
  EXPECT_GT(graph.opset("com.microsoft"), 0);
}

TEST(TensorRtForm, HasFloatBiasesAndNoQuantizedOutputs) {
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 8, 6, 6});
  const ValueId relu = net.op("Relu", {net.conv(x, 8, 16, "conv")}, "relu");
  const ValueId depth = net.conv(relu, 16, 16, "depth", 16);
  const ValueId flat = net.op("Flatten", {net.op("GlobalAveragePool", {depth}, "pool")}, "flat");
  const ValueId w = net.constant("w", ramp({16, 3})), b = net.constant("b", ramp({3}));
  const Graph source = net.finish({net.op("Gemm", {flat, w, b}, "logits")});
  const Dataset data = dataset_of({{"x", tiny_samples(8, 0, {8, 6, 6})}});
  QuantizeLog log;
  const Graph graph = quantize(source, calibrate(source, data), data,
                               {.target = "tensorrt", .calibrator = "minmax"}, &log);
  size_t layers = 0;
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    if (node.is("Conv") || node.is("Gemm")) {
      ++layers;
      EXPECT_EQ(graph.constant(node.inputs[1]), nullptr);  // behind DequantizeLinear
      EXPECT_EQ(graph.constant(node.inputs[2])->dtype(), DType::kF32);
      for (const Use& use : graph.value(node.outputs[0]).uses)
        EXPECT_TRUE(graph.node(use.node).is("Relu") || graph.node(use.node).is("QuantizeLinear"));
    }
    if (!node.is("QuantizeLinear")) continue;
    EXPECT_EQ(graph.constant(node.inputs[2])->dtype(), DType::kI8);
    EXPECT_EQ(graph.constant(node.inputs[2])->data<int8_t>()[0], 0);
  }
  EXPECT_EQ(layers, 3u);
  for (const TensorQuant& tensor : log.tensors)
    if (tensor.role == "activation") {
      EXPECT_EQ(tensor.params.zero_point, std::vector<int32_t>{0}) << tensor.tensor;
    }
}

TEST(QdqForm, InputsOnlyRoundsForTheLayersAndNobodyElse) {
  Net net;
  const ValueId a = net.op("Relu", {net.conv(net.input("x", {1, 4, 6, 6}), 4, 4, "a")}, "ra");
  const ValueId sum = net.op("Add", {net.conv(a, 4, 4, "b"), a}, "sum");
  const Graph graph = net.finish({net.op("Relu", {sum}, "out"), a});
  const Dataset data = dataset_of({{"x", tiny_samples(8, 0, {4, 6, 6})}});
  const Graph made =
      quantize(graph, calibrate(graph, data), data, QuantizeOptions{.inputs_only = true});
  EXPECT_THAT(input_names(made, find_node(made, "Add")), ElementsAre("b", "ra"));
  EXPECT_THAT(output_names(made), ElementsAre("out", "ra"));
  for (const NodeId id : made.nodes())
    if (made.node(id).is("Conv")) {
      EXPECT_THAT(input_names(made, id)[0], testing::EndsWith("_dequantized"));
    }
}

// -- what it computes

TEST(Quantize, StaysCloseToTheFloatModel) {
  // Bounds that a wrong scale, zero point or bias anywhere misses, no measurement.
  const Tensor x = tiny_samples(40);
  const Tensor y = run_graph(prepared().graph, {{"x", x}})[0];
  for (const CalibratorInfo& info : list_calibrators()) {
    if (info.name == "entropy") continue;  // clips where it likes: no bound holds
    const Tensor made = run_graph(
        quantized({.calibrator = info.name, .check_bias_correction = false}), {{"x", x}})[0];
    EXPECT_GT(sqnr_db(y, made), info.name == "moving_average" ? 10 : 30) << info.name;
  }
  const Tensor fine = run_graph(quantized({.inputs_only = true}), {{"x", x}})[0];
  EXPECT_GT(sqnr_db(y, fine), 30);
}

TEST(Quantize, ThreadsGiveTheSameGraph) {
  for (const char* calibrator : {"minmax", "entropy", "auto"})
    for (const char* format : {"qdq", "qoperator"}) {
      QuantizeOptions options;
      options.calibrator = calibrator;
      options.format = format;
      options.threads = 1;
      const Graph one = quantized(options);
      options.threads = 2;
      std::string difference;
      EXPECT_TRUE(same_graph(one, quantized(options), &difference)) << difference;
    }
}

TEST(Quantize, OptionsChangeTheIntegers) {
  const auto activation = [](const Graph& graph) {
    const Tensor* zero = graph.constant(graph.node(graph.nodes()[0]).inputs[2]);
    return zero->dtype();
  };
  EXPECT_EQ(activation(quantized({.activation_type = "int8"})), DType::kI8);
  QuantizeLog log;
  quantized({.per_channel = false}, &log);
  for (const TensorQuant& tensor : log.tensors)
    EXPECT_EQ(tensor.params.scale.size(), 1u) << tensor.tensor;
  quantized({.symmetric = true}, &log);
  for (const TensorQuant& tensor : log.tensors)
    if (tensor.role == "activation") {
      EXPECT_EQ(tensor.params.zero_point[0], 128) << tensor.tensor;
    }
  quantized({.target = "onnxruntime-cpu-avx2"}, &log);
  for (const TensorQuant& tensor : log.tensors)
    if (tensor.role == "weight") {
      EXPECT_EQ(tensor.params.qmax, 63) << tensor.tensor;
    }
}

TEST(Quantize, RaisesWeightScalesForLargeBiases) {
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 2});
  const Graph graph =
      net.finish({net.op("Gemm",
                         {x, net.constant("w", Tensor::of<float>({2, 2}, {1e-4f, 1, 1e-4f, 1})),
                          net.constant("b", Tensor::of<float>({2}, {1e5f, 1}))},
                         "y")});
  const Dataset data = dataset_of({{"x", Tensor::of<float>({2, 2}, {0, 0.001f, 0.002f, 0.001f})}});
  QuantizeLog log;
  const Graph out = quantize(graph, calibrate(graph, data), data, {.calibrator = "minmax"}, &log);
  EXPECT_THAT(log.warnings, testing::Contains(HasSubstr("1 weight scales raised")));
  const Tensor y = run_graph(out, {{"x", Tensor::of<float>({1, 2}, {0.001f, 0.001f})}})[0];
  EXPECT_NEAR(y.data<float>()[0], 1e5, 1);  // not the 2^31 s_x s_w = 0.0132 that would fit else
  EXPECT_NEAR(y.data<float>()[1], 1.002, 1e-4);
}

/// Scales of the weights of all layers, in graph order.
std::vector<std::vector<float>> weight_scales(const Graph& graph) {
  std::vector<std::vector<float>> out;
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    if (!node.is("Gemm") && !node.is("Conv") && !node.is("ConvTranspose")) continue;
    const NodeId dq = graph.value(node.inputs[1]).producer;
    const auto scales = graph.constant(graph.node(dq).inputs[1])->data<float>();
    out.emplace_back(scales.begin(), scales.end());
  }
  return out;
}

TEST(Quantize, LayersThatShareAWeightShareItsRaisedScales) {
  // Each layer's bias raises the scale of another channel, to just above |b| / (s_x 2^30).
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 2});
  const ValueId w = net.constant("w", Tensor::of<float>({2, 3}, {1e-4f, 2e-4f, 1, 1e-4f, 0, 1}));
  const auto layer = [&](const std::string& name, std::vector<float> bias) {
    return net.op("Gemm", {x, w, net.constant(name + "_b", Tensor::of<float>({3}, bias))}, name);
  };
  const Graph graph =
      net.finish({layer("first", {1e5f, 5e-3f, 1}), layer("second", {3e-3f, -2e5f, 1})});
  const Dataset data = dataset_of({{"x", Tensor::of<float>({2, 2}, {0, 0.001f, 0.002f, 0.001f})}});
  QuantizeLog log;
  const Graph out = quantize(graph, calibrate(graph, data), data, {.calibrator = "minmax"}, &log);
  for (const char* name : {"'first': 1 weight scales raised", "'second': 1 weight scales raised"})
    EXPECT_THAT(log.warnings, testing::Contains(HasSubstr(name)));
  const auto scales = weight_scales(out);
  ASSERT_EQ(scales.size(), 2u);
  EXPECT_EQ(scales[0], scales[1]);
  const double input_scale = 0.002 / 255;
  EXPECT_NEAR(scales[0][0], 1e5 / (input_scale * 0x1p30), 1e-5 * scales[0][0]);
  EXPECT_NEAR(scales[0][1], 2e5 / (input_scale * 0x1p30), 1e-5 * scales[0][1]);
  EXPECT_NEAR(scales[0][2], 1.0 / 127, 1e-7);
  const auto y = run_graph(out, {{"x", Tensor::of<float>({1, 2}, {0.001f, 0.001f})}});
  const std::vector<std::vector<double>> expected = {{1e5, 5e-3, 1.002}, {3e-3, -2e5, 1.002}};
  for (size_t i = 0; i < 2; ++i)
    for (size_t c = 0; c < 3; ++c)
      EXPECT_NEAR(y[i].data<float>()[c], expected[i][c], 1e-4 + 1e-5 * std::fabs(expected[i][c]))
          << i << ", " << c;
}

TEST(Quantize, AWeightReadAlongBothAxesHasOneScale) {
  // Output channels of Conv are axis 0 of its weight, those of ConvTranspose axis 1.
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 2, 2, 2});
  const ValueId w = net.constant("w", Tensor::of<float>({2, 2, 1, 1}, {0.5f, -0.25f, 0.125f, 2}));
  const Graph graph =
      net.finish({net.op("Conv", {x, w}, "conv"), net.op("ConvTranspose", {x, w}, "transposed")});
  const Tensor samples = tiny_samples(8, 0, {2, 2, 2});
  const Dataset data = dataset_of({{"x", samples}});
  const QuantizeOptions options = {.target = "openvino", .calibrator = "minmax"};
  const Graph out = quantize(graph, calibrate(graph, data), data, options);
  EXPECT_THAT(weight_scales(out), ElementsAre(ElementsAre(2.0f / 127), ElementsAre(2.0f / 127)));
  const auto y = run_graph(out, {{"x", samples}}), wanted = run_graph(graph, {{"x", samples}});
  for (size_t i = 0; i < 2; ++i) EXPECT_GT(sqnr_db(wanted[i], y[i]), 30) << i;
}

TEST(Quantize, SaysWhatItDid) {
  QuantizeLog log;
  quantized({}, &log);
  EXPECT_THAT(log.quantized, ElementsAre("conv", "relu", "depth", "pool", "flat", "logits"));
  EXPECT_TRUE(log.kept_float.empty());
  std::map<std::string, int> roles;
  for (const TensorQuant& tensor : log.tensors) ++roles[tensor.role];
  EXPECT_EQ(roles, (std::map<std::string, int>{{"activation", 5}, {"bias", 3}, {"weight", 3}}));
  EXPECT_THAT(log.equalized, ElementsAre("relu"));
  const QuantizeLog plan = plan_quantization(prepared().graph, {.skip = {"depth"}});
  EXPECT_EQ(plan.kept_float[0].node, "depth");
  EXPECT_TRUE(plan.tensors.empty());
}

// -- what it refuses

Caught refusal(const Graph& graph, const QuantizeOptions& options = {}) {
  return error_of([&] { quantize(graph, prepared().stats, prepared().data, options); });
}

TEST(Quantize, RefusesStatisticsOfAnotherGraph) {
  const Caught caught = refusal(tiny_net(0.5f));
  EXPECT_EQ(caught.code, ErrorCode::kInvalid);
  EXPECT_THAT(caught.text, HasSubstr("another graph"));
}

TEST(Quantize, RefusesWhatIsQuantizedAlready) {
  const Graph twice = quantized({});
  const Caught caught = refusal(twice);
  EXPECT_EQ(caught.code, ErrorCode::kUsage);
  EXPECT_THAT(caught.text, HasSubstr("requantize"));
  std::string where;
  EXPECT_TRUE(is_quantized_model(twice, &where));
  EXPECT_THAT(where, HasSubstr("Linear"));
  EXPECT_FALSE(is_quantized_model(prepared().graph));
}

TEST(Quantize, RefusesWeightsItCannotRead) {
  Graph nan = tiny_net();
  nan.mutable_value(nan.find_value("w2")).constant->mutable_data<float>()[7] = NAN;
  const Caught caught = error_of([&] { plan_quantization(nan); });
  EXPECT_EQ(caught.code, ErrorCode::kInvalid);
  EXPECT_THAT(caught.text, HasSubstr("w2"));
  EXPECT_THAT(caught.text, HasSubstr("the first at index 7"));
  QuantizeOptions clamp;
  clamp.nonfinite = "clamp";
  const QuantizeLog log = plan_quantization(nan, clamp);
  EXPECT_THAT(log.warnings, testing::Contains(HasSubstr("1 values")));
  Graph half = convert_to_fp16(tiny_net());
  EXPECT_EQ(error_of([&] { plan_quantization(half); }).code, ErrorCode::kUnsupported);
}

TEST(Quantize, RefusesUnknownOptions) {
  const Graph& graph = prepared().graph;
  EXPECT_THAT(refusal(graph, {.target = "onnxruntime"}).text, HasSubstr("onnxruntime-cpu"));
  for (const QuantizeOptions& bad : std::vector<QuantizeOptions>{{.target = "x"},
                                                                 {.format = "qqd"},
                                                                 {.calibrator = "mean"},
                                                                 {.weight_calibrator = "mean"},
                                                                 {.percentile = 20},
                                                                 {.skip = {"nothing"}},
                                                                 {.activation_type = "uint4"},
                                                                 {.hold_mb = 0},
                                                                 {.hold_mb = NAN},
                                                                 {.nonfinite = "ignore"}})
    EXPECT_EQ(refusal(graph, bad).code, ErrorCode::kUsage);
}

TEST(Quantize, WarnsOfConstantActivations) {
  for (const float value : {0.0f, 1.0f, -2.5f}) {
    Tensor x(DType::kF32, {3, 2, 6, 6});
    for (float& v : x.mutable_data<float>()) v = value;
    const Dataset data = dataset_of({{"x", x}});
    QuantizeOptions options;
    options.calibrator = "minmax";
    QuantizeLog log;
    quantize(tiny_net(), calibrate(tiny_net(), data), data, options, &log);
    EXPECT_THAT(log.warnings,
                testing::Contains(testing::HasSubstr(fmt::format("'x' is constant ({})", value))));
  }
  QuantizeLog log;
  quantize(tiny_net(), calibrate(tiny_net(), tiny_data(4)), tiny_data(4), {}, &log);
  for (const std::string& warning : log.warnings)
    EXPECT_THAT(warning, testing::Not(testing::HasSubstr("is constant")));
}

TEST(Quantize, WarnsOfChannelsOfZeros) {
  Graph graph = tiny_net();
  const auto w = graph.mutable_value(graph.find_value("w1")).constant->mutable_data<float>();
  std::fill(w.begin() + 18, w.begin() + 36, 0.0f);
  const Statistics stats = calibrate(graph, prepared().data);
  QuantizeLog log;
  quantize(graph, stats, prepared().data, {}, &log);
  EXPECT_THAT(log.warnings, testing::Contains(HasSubstr("'conv': 1 of 4 output channels")));
}

}  // namespace
}  // namespace lapidary
