#include "lapidary/binarize.h"

#include <cmath>

#include "quantize/binarize/nodes.h"
#include "quantize/binarize/pack.h"
#include "quantize/qat/fake_nodes.h"
#include "src/ops/packed_weights.h"
#include "src/passes/edit.h"
#include "test/quantize/qat_nets.h"

namespace lapidary {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// Output channels in turn of both signs and of sizes that differ: what norms have to even out.
Tensor weights(const Shape& shape, int64_t offset, int64_t axis = 0) {
  Tensor t = ramp(shape, offset);
  int64_t i = 0, inner = 1;
  for (int64_t d = axis + 1; d < t.rank(); ++d) inner *= t.dim(d);
  for (float& v : t.mutable_data<float>()) {
    const int64_t c = i / inner % t.dim(axis);
    v = (v + 0.05f * static_cast<float>(i * i % 7 - 3)) / static_cast<float>(8 + c);
    ++i;
  }
  return t;
}

/// x [N,3,8,8] -> conv1 -> bn1 -> relu1 -> MaxPool "pool" -> conv2 (10 channels, strides 2) -> bn2
/// -> relu2 -> conv3 (1x1, 10 channels) -> bn3 -> + relu2 -> relu3 -> Flatten -> fc1 (40 -> 12) ->
/// norm -> relu4 -> fc2 "logits" [N,5]. Inner layers: conv2, conv3, fc1, of which conv3 is small.
Graph binary_net() {
  Net net(13);
  const auto norm = [&](ValueId x, int64_t channels, const std::string& name) {
    return net.op("BatchNormalization",
                  {x, net.constant(name + "_gamma", spread(channels, channels, -1)),
                   net.constant(name + "_beta", ramp({channels}, 5)),
                   net.constant(name + "_mean", ramp({channels}, 9)),
                   net.constant(name + "_var", spread(channels, 4, 9))},
                  name);
  };
  const auto conv = [&](ValueId x, Shape shape, const std::string& name, int64_t pad,
                        int64_t stride) {
    return net.op("Conv",
                  {x, net.constant(name + "_w", weights(shape, shape[1])),
                   net.constant(name + "_b", ramp({shape[0]}, 2))},
                  name,
                  {{"pads", std::vector<int64_t>{pad, pad, pad, pad}},
                   {"strides", std::vector<int64_t>{stride, stride}}});
  };
  const ValueId x = net.input("x", {Dim::named("N"), 3, 8, 8});
  const ValueId relu1 =
      net.op("Relu", {norm(conv(x, {9, 3, 3, 3}, "conv1", 1, 1), 9, "bn1")}, "relu1");
  const ValueId pool = net.op(
      "MaxPool", {relu1}, "pool",
      {{"kernel_shape", std::vector<int64_t>{2, 2}}, {"strides", std::vector<int64_t>{2, 2}}});
  const ValueId relu2 =
      net.op("Relu", {norm(conv(pool, {10, 9, 3, 3}, "conv2", 1, 2), 10, "bn2")}, "relu2");
  const ValueId conv3 = norm(conv(relu2, {10, 10, 3, 3}, "conv3", 1, 1), 10, "bn3");
  const ValueId relu3 = net.op("Relu", {net.op("Add", {conv3, relu2}, "add")}, "relu3");
  const ValueId flat = net.op("Flatten", {relu3}, "flat");
  const ValueId fc1 = net.op(
      "Gemm",
      {flat, net.constant("fc1_w", weights({40, 12}, 3, 1)), net.constant("fc1_b", ramp({12}, 2))},
      "fc1");
  const ValueId relu4 = net.op("Relu", {norm(fc1, 12, "bn4")}, "relu4");
  return net.finish({net.op(
      "Gemm", {relu4, net.constant("fc2_w", ramp({12, 5}, 3)), net.constant("fc2_b", ramp({5}, 2))},
      "logits")});
}

BinaryGraph made(const Graph& graph, const BinarizeOptions& options = {}) {
  const Dataset data = qat_data(16);
  return make_binary_graph(graph, nullptr, &data, options);
}

int64_t count(const Graph& graph, const std::string& op) {
  const auto ops = op_list(graph);
  return std::count(ops.begin(), ops.end(), op);
}
NodeId node(const Graph& graph, const std::string& key) {
  for (const NodeId id : graph.nodes())
    if (node_key(graph, id) == key) return id;
  ADD_FAILURE() << key;
  return {};
}
/// The value that a layer's signs are of.
std::string signs_of(const Graph& graph, const std::string& layer) {
  const NodeId sign = sign_before(graph, graph.node(node(graph, layer)).inputs[0]);
  return sign ? graph.value(graph.node(sign).inputs[0]).name : "no sign";
}
std::vector<float> floats(const Tensor& t) {
  return {t.data<float>().begin(), t.data<float>().end()};
}

constexpr const char* kSign = "ai.lapidary.Binarize";

BinarizeOptions in_float() { return {.first_last = 32, .format = "standard"}; }

// -- where the nodes are

TEST(BinaryGraph, ConvertsAllButTheEnds) {
  const BinaryGraph binary = made(binary_net());
  EXPECT_THAT(binary.layers, ElementsAre("conv2", "conv3", "fc1"));
  EXPECT_EQ(count(binary.graph, kSign), 3);
  EXPECT_EQ(count(binary.graph, "ai.lapidary.BinarizeWeight"), 3);
  EXPECT_EQ(count(binary.graph, "BatchNormalization"), 4);
  // The ends are integers: what they read, their weights, and what they make.
  for (const char* end : {"conv1", "logits"}) {
    const auto& inputs = binary.graph.node(node(binary.graph, end)).inputs;
    EXPECT_TRUE(faked(binary.graph, inputs[0])) << end;
    EXPECT_TRUE(weight_fake(binary.graph, inputs[1])) << end;
  }
  EXPECT_THAT(binary.kept_float, IsEmpty());
  EXPECT_THAT(binary.warnings, IsEmpty());
  const BinaryGraph apart = made(binary_net(), in_float());
  EXPECT_TRUE(fake_nodes(apart.graph).empty());
  ASSERT_EQ(apart.kept_float.size(), 2u);
  EXPECT_EQ(apart.kept_float[0].node, "conv1");
  EXPECT_EQ(apart.kept_float[0].reason, "the first or last layer");
}

TEST(BinaryGraph, SignsAreNotOfWhatAReluMade) {
  const BinaryGraph binary = made(binary_net(), in_float());
  // relu1 before the pool, relu2, which the sum goes on reading, and relu3 before Flatten.
  EXPECT_EQ(binary.bypassed, 3);
  EXPECT_EQ(signs_of(binary.graph, "conv2"), "pool");
  EXPECT_EQ(binary.graph.value(binary.graph.node(node(binary.graph, "pool")).inputs[0]).name,
            "bn1");
  EXPECT_EQ(signs_of(binary.graph, "conv3"), "bn2");
  EXPECT_EQ(signs_of(binary.graph, "fc1"), "flat");
  EXPECT_EQ(binary.graph.value(binary.graph.node(node(binary.graph, "flat")).inputs[0]).name,
            "add");
  std::vector<std::string> relus;
  for (const NodeId id : binary.graph.nodes())
    if (binary.graph.node(id).is("Relu")) relus.push_back(node_key(binary.graph, id));
  EXPECT_THAT(relus, ElementsAre("relu2", "relu4"));
}

TEST(BinaryGraph, WhatCannotBeNegativeIsWarnedOf) {
  Net net(13);
  const ValueId x = net.input("x", {Dim::named("N"), 3, 8, 8});
  const ValueId gate = net.op("Sigmoid", {net.conv(x, 3, 8, "conv1")}, "gate");
  const ValueId conv2 = net.conv(gate, 8, 8, "conv2");
  const BinaryGraph binary =
      made(net.finish({net.conv(net.op("Tanh", {conv2}, "tanh"), 8, 4, "conv3")}), in_float());
  EXPECT_EQ(binary.bypassed, 0);
  EXPECT_THAT(binary.warnings, ElementsAre(HasSubstr("no normalization reads what 1 of 1"),
                                           HasSubstr("'gate' cannot be negative")));
}

TEST(BinaryGraph, KeepsLayersFloatForReasons) {
  const BinaryGraph binary = made(qat_net(), in_float());
  EXPECT_THAT(binary.layers, ElementsAre("conv2"));
  std::map<std::string, std::string> reasons;
  for (const KeptFloat& kept : binary.kept_float) reasons[kept.node] = kept.reason;
  EXPECT_THAT(reasons["conv3"], HasSubstr("grouped"));
  EXPECT_EQ(reasons["conv1"], "the first or last layer");
  BinarizeOptions skipping = in_float();
  skipping.skip = {"conv3"};
  skipping.layers = {"conv*"};
  const BinaryGraph named = made(binary_net(), skipping);
  EXPECT_THAT(named.layers, ElementsAre("conv1", "conv2"));
  EXPECT_EQ(named.kept_float[0].reason, "skipped on request");
  // Nine products to a sum.
  Net net(13);
  const ValueId x = net.input("x", {Dim::named("N"), 3, 8, 8});
  const Graph thin =
      net.finish({net.conv(net.conv(net.conv(x, 3, 1, "conv1"), 1, 20, "conv2"), 20, 4, "conv3")});
  EXPECT_THAT(error_of([&] { made(thin, in_float()); }).text, HasSubstr("no layer is left"));
}

TEST(BinaryGraph, ReactLearnsShiftsAndSlopes) {
  BinarizeOptions options = in_float();
  options.react = true;
  const BinaryGraph binary = made(binary_net(), options);
  EXPECT_EQ(count(binary.graph, "PRelu"), 3);
  // Each layer has a shift before its sign and two about its PRelu; one Add was there.
  EXPECT_EQ(count(binary.graph, "Add"), 1 + 3 * 3);
  std::vector<std::string> names;
  for (const TrainedParameter& p : binary.parameters) {
    names.push_back(p.name);
    EXPECT_EQ(p.decay, p.name.ends_with("_w")) << p.name;
  }
  for (const char* name :
       {"conv2_slope", "conv2_before", "conv2_behind", "conv3_slope", "fc1_slope"})
    EXPECT_THAT(names, Contains(name));
  EXPECT_EQ(std::count_if(names.begin(), names.end(),
                          [](const std::string& n) { return n.ends_with("_shift"); }),
            3);
  // relu2 and relu4 are replaced (slope 1/4); bn3 is read by the sum (slope 1).
  const auto slope = [&](const char* name) {
    return binary.graph.constant(binary.graph.find_value(name))->data<float>()[0];
  };
  EXPECT_EQ(slope("conv2_slope"), 0.25f);
  EXPECT_EQ(slope("conv3_slope"), 1);
  EXPECT_EQ(slope("fc1_slope"), 0.25f);
}

TEST(BinaryGraph, TrainsWeightsAndWhatTtqLearns) {
  BinarizeOptions options = in_float();
  options.weights = "ternary";
  options.method = "ttq";
  options.activations = 32;
  const BinaryGraph ternary = made(binary_net(), options);
  std::map<std::string, TrainedParameter> by_name;
  for (const TrainedParameter& p : ternary.parameters) by_name[p.name] = p;
  EXPECT_TRUE(by_name.at("conv2_w").decay);
  for (const char* name : {"conv2_w_positive", "fc1_w_negative"}) {
    EXPECT_FALSE(by_name.at(name).decay);
    EXPECT_GT(by_name.at(name).least_share, 0);
    EXPECT_GT(ternary.graph.constant(ternary.graph.find_value(name))->data<float>()[0], 0);
  }
  EXPECT_EQ(count(ternary.graph, kSign), 0);
}

TEST(BinaryGraph, RefusesContradictions) {
  const auto refused = [](BinarizeOptions options) {
    const Caught caught = error_of([&] { made(binary_net(), options); });
    EXPECT_EQ(caught.code, ErrorCode::kUsage);
    return caught.text;
  };
  EXPECT_THAT(refused({.weights = "binary", .method = "twn"}), HasSubstr("xnor, irnet, sign"));
  EXPECT_THAT(refused({.weights = "ternary", .method = "xnor"}), HasSubstr("twn, ttq"));
  EXPECT_THAT(refused({.weights = "float", .method = "xnor"}), HasSubstr("they stay float"));
  EXPECT_THAT(refused({.weights = "float", .activations = 8}), HasSubstr("nothing binary"));
  EXPECT_THAT(refused({.activations = 2}), HasSubstr("1, 8 and 32"));
  EXPECT_THAT(refused({.activations = 8, .padding = "one"}), HasSubstr("padding"));
  EXPECT_THAT(refused({.activations = 8, .react = true}), HasSubstr("react"));
  EXPECT_THAT(refused({.estimator = "steep"}), HasSubstr("bireal"));
  EXPECT_THAT(refused({.layers = {"relu1"}}), HasSubstr("no layer that can be converted"));
  EXPECT_THAT(refused({.layers = {"conv9"}}), HasSubstr("conv9"));
  EXPECT_THAT(refused({.target = "toaster"}), HasSubstr("toaster"));
  const Dataset data = qat_data(16);
  const Graph quantized = quantize(binary_net(), calibrate(binary_net(), data), nullptr, {});
  EXPECT_THAT(error_of([&] { made(quantized); }).text, HasSubstr("the model is quantized"));
  const Graph qat = make_qat_graph(binary_net(), nullptr, &data).graph;
  EXPECT_THAT(error_of([&] { made(qat); }).text, HasSubstr("trains with quantization"));
  EXPECT_EQ(error_of([] { lower_binary(binary_net()); }).code, ErrorCode::kUsage);
}

// -- what is lowered is what was trained

struct Form {
  std::string weights, method;
  int activations = 1;
  std::string padding = "zero";
  bool react = false;
};
std::string text(const Form& f) {
  return f.weights + f.method + std::to_string(f.activations) + f.padding +
         (f.react ? "react" : "");
}
void PrintTo(const Form& form, std::ostream* out) { *out << text(form); }

/// Moves everything that training moves a little, so that shifts are not 0 and slopes not 1.
void disturb(BinaryGraph& binary) {
  int64_t at = 3;
  for (const TrainedParameter& p : binary.parameters) {
    const ValueId id = binary.graph.find_value(p.name);
    Tensor t = *binary.graph.constant(id);
    for (float& v : t.mutable_data<float>())
      v += 0.02f * static_cast<float>((at = at * 5 % 23) - 11) / 11 * (p.least_share > 0 ? v : 1);
    binary.graph.mutable_value(id).constant = t;
  }
}

class LoweredForms : public testing::TestWithParam<Form> {
 protected:
  BinarizeOptions options() const {
    const Form& form = GetParam();
    BinarizeOptions out = in_float();
    out.weights = form.weights;
    out.method = form.method;
    out.activations = form.activations;
    out.padding = form.padding;
    out.react = form.react;
    return out;
  }
};

TEST_P(LoweredForms, ComputeWhatWasTrained) {
  BinaryGraph binary = made(binary_net(), options());
  disturb(binary);
  QuantizeLog log;
  const Graph lowered = lower_binary(binary.graph, options(), &log);
  EXPECT_EQ(lowered.opset("ai.lapidary"), 0) << "ONNX's operators only";
  EXPECT_EQ(count(lowered, "BatchNormalization"), 0);
  ASSERT_EQ(log.layers.size(), GetParam().weights == "float" ? 0u : 3u);
  const Tensor x = tiny_samples(8, 3, {3, 8, 8});
  const Tensor y = Executor(binary.graph).run({{"x", x}}).at("logits");
  const Tensor z = Executor(lowered).run({{"x", x}}).at("logits");
  EXPECT_GT(sqnr_db(y, z), 90);
  // The layers are not what they were.
  const Tensor before = Executor(binary_net()).run({{"x", x}}).at("logits");
  EXPECT_LT(sqnr_db(before, z), 30);
}

INSTANTIATE_TEST_SUITE_P(All, LoweredForms,
                         testing::Values(Form{"binary", "xnor"}, Form{"binary", "irnet"},
                                         Form{"binary", "sign"}, Form{"binary", "xnor", 1, "one"},
                                         Form{"binary", "xnor", 1, "zero", true},
                                         Form{"binary", "irnet", 1, "one", true},
                                         Form{"binary", "xnor", 32}, Form{"ternary", "twn", 32},
                                         Form{"ternary", "ttq", 32}, Form{"ternary", "twn", 1},
                                         Form{"ternary", "ttq", 1}, Form{"float", "", 1}),
                         [](const auto& at) { return text(at.param); });

/// Bits as the operators read them, by their definition.
int bit(const Tensor& bits, int64_t row, int64_t i) {
  return bits.data<uint8_t>()[static_cast<size_t>(row * bits.dim(1) + i / 8)] >> (i % 8) & 1;
}

TEST(PackedForm, HoldsTheSignsAndFactorsOfTheStandardOne) {
  for (const std::string padding : {"zero", "one"}) {
    BinarizeOptions options = in_float();
    options.padding = padding;
    BinaryGraph binary = made(binary_net(), options);
    disturb(binary);
    const Graph standard = lower_binary(binary.graph, options);
    options.format = "packed";
    const Graph packed = lower_binary(binary.graph, options);
    EXPECT_EQ(count(packed, "ai.lapidary.BinaryConv"), 2);
    EXPECT_EQ(count(packed, "ai.lapidary.BinaryMatMul"), 1);
    EXPECT_EQ(count(packed, "Where") + count(packed, "Pad") + count(packed, kSign), 0);
    EXPECT_EQ(packed.opset("ai.lapidary"), 1);
    for (const char* layer : {"conv2", "conv3", "fc1"}) {
      const Node& there = standard.node(node(standard, layer));
      const Node& here = packed.node(node(packed, layer));
      const bool conv = std::string(layer) != "fc1";
      const Tensor& w = *standard.constant(there.inputs[1]);
      const Tensor& bits = *packed.constant(here.inputs[1]);
      const auto scale = packed.constant(here.inputs[2])->data<float>();
      EXPECT_EQ(floats(*packed.constant(here.inputs[3])),
                floats(*standard.constant(there.inputs[2])));
      const int64_t out = w.dim(conv ? 0 : 1), in = w.dim(conv ? 1 : 0), taps = conv ? 9 : 1;
      const int64_t bytes = (in + 7) / 8;
      ASSERT_EQ(bits.shape(), (Shape{out, taps * bytes}));
      for (int64_t c = 0; c < out; ++c)
        for (int64_t tap = 0; tap < taps; ++tap)
          for (int64_t i = 0; i < bytes * 8; ++i) {
            const int set = bit(bits, c, tap * bytes * 8 + i);
            if (i >= in) {
              ASSERT_EQ(set, 1);
              continue;
            }
            const int64_t at = conv ? (c * in + i) * taps + tap : i * out + c;
            const float v = w.data<float>()[static_cast<size_t>(at)];
            ASSERT_EQ((set ? 1.f : -1.f) * scale[static_cast<size_t>(c)], v) << layer;
          }
      if (!conv) continue;
      EXPECT_EQ(std::get<std::vector<int64_t>>(*here.attr("pads")), (std::vector<int64_t>(4, 1)));
      EXPECT_EQ(std::get<float>(*here.attr("pad_value")), padding == "one" ? 1 : 0);
      EXPECT_EQ(std::get<int64_t>(*here.attr("in_channels")), in);
      EXPECT_EQ(std::get<std::vector<int64_t>>(*here.attr("kernel_shape")),
                (std::vector<int64_t>{3, 3}));
      EXPECT_EQ(std::get<std::vector<int64_t>>(*here.attr("strides")),
                std::get<std::vector<int64_t>>(*there.attr("strides")));
      EXPECT_EQ(here.attr("group"), nullptr);
    }
  }
}

TEST(PackedForm, UnpacksWeightsBesideFloatActivations) {
  const auto packed = [](const char* weights, const char* method) {
    BinarizeOptions options{
        .weights = weights, .method = method, .activations = 32, .first_last = 32};
    return lower_binary(made(binary_net(), options).graph, options);
  };
  const auto around = [](const Graph& graph, const char* layer) {
    return graph.node(graph.value(graph.node(node(graph, layer)).inputs[1]).producer).op;
  };
  const Graph binary = packed("binary", "xnor");
  EXPECT_EQ(count(binary, "ai.lapidary.UnpackBinary"), 3);
  EXPECT_EQ(around(binary, "conv2"), "Mul");
  EXPECT_EQ(count(binary, "Transpose"), 1) << "fc1 has its outputs last";
  const Graph twn = packed("ternary", "twn");
  EXPECT_EQ(count(twn, "ai.lapidary.UnpackTernary"), 3);
  EXPECT_EQ(around(twn, "conv3"), "Mul");
  const Graph ttq = packed("ternary", "ttq");
  EXPECT_EQ(around(ttq, "conv3"), "Add");
  EXPECT_EQ(count(ttq, "Max"), 3);
}

TEST(PackedForm, TwoBitsByHand) {
  // One channel of five codes 0, +1, -1, -1, +1: 0 + 1 << 2 + 2 << 4 + 2 << 6 = 164, then 1.
  const CodedWeight w = read_codes(Tensor::of<float>({1, 5}, {0, .5f, -.25f, -.25f, .5f}), 0, true);
  const Tensor bytes = pack_ternary(codes_of(w, DType::kI8));
  EXPECT_THAT(bytes.data<uint8_t>(), ElementsAre(164, 1));
  EXPECT_THAT(w.positive, ElementsAre(.5f));
  EXPECT_THAT(w.negative, ElementsAre(.25f));
  // Signs + - - + -: 1 + 8 and the bits past the fifth.
  const CodedWeight s = read_codes(Tensor::of<float>({5, 1}, {1, -1, -1, 1, -1}), 1, false);
  EXPECT_THAT(pack_binary(codes_of(s, DType::kF32)).data<uint8_t>(),
              ElementsAre(1 + 8 + 32 + 64 + 128));
  EXPECT_EQ(error_of([] {
              read_codes(Tensor::of<float>({1, 2}, {1, -2}), 0, false);
            }).code,
            ErrorCode::kInvalid);
  EXPECT_EQ(error_of([] {
              read_codes(Tensor::of<float>({1, 2}, {1, 0}), 0, false);
            }).code,
            ErrorCode::kInvalid);
}

// -- beside integers

TEST(IntegerLayers, TernaryAndBinaryWeightsStayIntegerLayers) {
  for (const char* weights : {"ternary", "binary"}) {
    BinarizeOptions options{.weights = weights, .activations = 8, .format = "standard"};
    const BinaryGraph binary = made(binary_net(), options);
    EXPECT_EQ(binary.layers.size(), 3u);
    QuantizeLog log;
    const Graph standard = lower_binary(binary.graph, options, &log);
    const auto integers = layer_integers(standard);
    ASSERT_EQ(integers.size(), 5u);  // conv1, conv2, conv3, fc1, logits
    EXPECT_GT(largest_code(*integers[0]), 100);
    for (const size_t inner : {1, 2, 3}) EXPECT_EQ(largest_code(*integers[inner]), 1);
    std::map<std::string, std::pair<int, int>> bits;
    for (const LayerBits& l : log.layers) bits[l.node] = {l.weights, l.activations};
    const int few = std::string(weights) == "binary" ? 1 : 2;
    EXPECT_EQ(bits["conv1"], std::pair(8, 8));
    EXPECT_EQ(bits["conv2"], std::pair(few, 8));
    EXPECT_EQ(bits["fc1"], std::pair(few, 8));
    // Integers of one step more or less, of biases that int32 holds.
    const Tensor x = tiny_samples(8, 3, {3, 8, 8});
    const Distance d = distance(binary.graph, standard, x);
    EXPECT_GT(d.tensors, 4);
    EXPECT_LT(d.total, 0.02);
    EXPECT_LT(d.most, 2.5);
    options.format = "packed";
    const Graph packed = lower_binary(binary.graph, options);
    for (const char* layer : {"conv2", "conv3", "fc1"}) {
      const auto dq = dequantized(packed, packed.node(node(packed, layer)).inputs[1]);
      ASSERT_TRUE(dq) << layer;
      EXPECT_EQ(packed.constant(dq->data), nullptr);
    }
    EXPECT_EQ(count(packed, few == 1 ? "ai.lapidary.UnpackBinary" : "ai.lapidary.UnpackTernary"),
              3);
  }
}

TEST(IntegerLayers, EndsBesideSigns) {
  const BinarizeOptions options{.format = "standard"};
  const BinaryGraph binary = made(binary_net(), options);
  QuantizeLog log;
  const Graph lowered = lower_binary(binary.graph, options, &log);
  EXPECT_EQ(layer_integers(lowered).size(), 2u);
  std::map<std::string, std::pair<int, int>> bits;
  for (const LayerBits& l : log.layers) bits[l.node] = {l.weights, l.activations};
  const std::map<std::string, std::pair<int, int>> expected = {
      {"conv1", {8, 8}}, {"conv2", {1, 1}}, {"conv3", {1, 1}}, {"fc1", {1, 1}}, {"logits", {8, 8}}};
  EXPECT_EQ(bits, expected);
  // The simulated first layer is the integer one, so that the signs behind it are the same ones.
  const Distance d = distance(binary.graph, lowered, tiny_samples(8, 3, {3, 8, 8}), "x", "bn1");
  EXPECT_EQ(d.tensors, 1);
  EXPECT_LT(d.rate, 0.01);
}

// -- two stages

TEST(TwoStages, TheSecondAddsWeights) {
  for (const int ends : {8, 32}) {
    BinarizeOptions first{.weights = "float", .first_last = ends, .format = "standard"};
    BinaryGraph signs = made(binary_net(), first);
    EXPECT_EQ(count(signs.graph, kSign), 3);
    EXPECT_EQ(count(signs.graph, "ai.lapidary.BinarizeWeight"), 0);
    EXPECT_EQ(count(lower_binary(signs.graph, first), "Where"), 3);
    disturb(signs);
    BinarizeOptions second = first;
    second.weights = "binary";
    const BinaryGraph both = make_binary_graph(signs.graph, nullptr, nullptr, second);
    EXPECT_THAT(both.layers, ElementsAre("conv2", "conv3", "fc1"));
    EXPECT_EQ(count(both.graph, kSign), 3);
    EXPECT_EQ(count(both.graph, "ai.lapidary.BinarizeWeight"), 3);
    EXPECT_EQ(fake_nodes(both.graph).size(), fake_nodes(signs.graph).size());
    EXPECT_TRUE(both.graph.constant(both.graph.find_value("conv2_w"))
                    ->equals(*signs.graph.constant(signs.graph.find_value("conv2_w"))));
    std::vector<std::string> names;
    for (const TrainedParameter& p : both.parameters) names.push_back(p.name);
    EXPECT_THAT(names, AllOf(Contains("conv2_w"), Contains("bn2_gamma"), Contains("fc2_w")));
    // A third call changes nothing.
    EXPECT_EQ(op_list(make_binary_graph(both.graph, nullptr, nullptr, second).graph),
              op_list(both.graph));
  }
}

TEST(Sharpness, GrowsFromATenthToTen) {
  BinarizeOptions options = in_float();
  options.method = "irnet";
  const BinaryGraph binary = made(binary_net(), options);
  EXPECT_THAT(sharpness_constants(binary.graph), ElementsAre("sharpness"));
  EXPECT_EQ(binary.graph.constant(binary.graph.find_value("sharpness"))->data<float>()[0], 0.1f);
  EXPECT_FALSE(grow_sharpness(made(binary_net(), in_float()).graph)) << "no estimator reads it";
  struct Recorder : Trainer {
    std::vector<float> set;
    StepResult step(const Values&, const StepOptions&) override { return {}; }
    Gradients gradients(const Values&, const StepOptions&) override { return {}; }
    Values forward(const Values&, const std::vector<std::string>&, bool) override { return {}; }
    Graph graph(bool) const override { return {}; }
    Tensor constant(const std::string&) const override { return {}; }
    void set_constant(const std::string& name, const Tensor& value) override {
      EXPECT_EQ(name, "sharpness");
      set.push_back(value.data<float>()[0]);
    }
    Tensor mask(const std::string&) const override { return {}; }
    void set_mask(const std::string&, const Tensor&) override {}
    Tensor movement(const std::string&) const override { return {}; }
    Values state() const override { return {}; }
    void restore(const Values&) override {}
  } trainer;
  const TrainHook grow = grow_sharpness(binary.graph);
  for (const int64_t step : {0, 1, 2}) grow(trainer, step, 3);
  EXPECT_THAT(trainer.set,
              ElementsAre(testing::FloatEq(.1f), testing::FloatEq(1), testing::FloatEq(10)));
}

}  // namespace
}  // namespace lapidary
