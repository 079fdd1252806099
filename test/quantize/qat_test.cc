#include "lapidary/qat.h"

#include <cmath>
#include <cstring>

#include "calibrate/feeder.h"
#include "lapidary/model_io.h"
#include "quantize/qat/weights.h"
#include "src/passes/lower_qdq.h"
#include "test/quantize/qat_nets.h"
#include "test/support/assets.h"

namespace lapidary {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

QatOptions with_bits(int bits, std::string method = "lsq") {
  QatOptions options;
  options.method = std::move(method);
  options.bits = {.weights = bits, .activations = bits};
  return options;
}

QatGraph made(const Graph& graph, const QatOptions& options) {
  const Dataset data = qat_data(32);
  return make_qat_graph(graph, nullptr, &data, options);
}

std::vector<std::string> trained(const QatGraph& qat, bool decay) {
  std::vector<std::string> names;
  for (const TrainedParameter& p : qat.parameters)
    if (p.decay == decay) names.push_back(p.name);
  return names;
}

const FakeNode* find(const std::vector<FakeNode>& fakes, const Graph& graph,
                     const std::string& name) {
  for (const FakeNode& fake : fakes)
    if (graph.value(fake.output).name == name) return &fake;
  return nullptr;
}
FakeNode fake(const Graph& graph, const std::string& name) {
  const auto fakes = fake_nodes(graph);
  const FakeNode* found = find(fakes, graph, name);
  EXPECT_NE(found, nullptr) << name;
  return found ? *found : FakeNode{};
}

// -- where the nodes are

TEST(QatGraph, IsPlacedAsQuantizePlacesIt) {
  const Graph net = qat_net();
  const QatGraph qat = made(net, {});
  const Dataset data = qat_data(32);
  const Graph ptq = quantize(net, calibrate(net, data), nullptr, {.bias_correction = false});
  const Graph lowered = lower_qat(qat.graph);
  EXPECT_EQ(op_list(lowered), op_list(ptq));
  EXPECT_EQ(output_names(lowered), output_names(ptq));
  // Relus are the saturation of what is behind them; BatchNormalization goes on.
  const auto ops = op_list(qat.graph);
  EXPECT_THAT(ops, Not(Contains("Relu")));
  EXPECT_EQ(std::count(ops.begin(), ops.end(), "BatchNormalization"), 3);
  EXPECT_EQ(lowered.opset("ai.lapidary"), 0);
  // What int32 keeps of biases, where the target keeps them so: of all four layers.
  EXPECT_EQ(std::count(ops.begin(), ops.end(), "ai.lapidary.FakeQuantizeBias"), 4);
  const auto float_bias = op_list(made(net, {.target = "openvino"}).graph);
  EXPECT_THAT(float_bias, Not(Contains("ai.lapidary.FakeQuantizeBias")));
}

TEST(QatGraph, TrainsWeightsBiasesNormsAndScales) {
  const QatGraph qat = made(qat_net(), {});
  EXPECT_THAT(trained(qat, true), ElementsAre("conv1_w", "conv2_w", "conv3_w", "fc_w"));
  const auto without = trained(qat, false);
  for (const char* name :
       {"conv1_b", "bn1_gamma", "bn1_beta", "fc_b", "conv1_w_scale", "x_scale", "relu1_scale"})
    EXPECT_THAT(without, Contains(name));
  EXPECT_THAT(without, Not(Contains("bn1_mean")));
  EXPECT_THAT(without, Not(Contains(HasSubstr("zero_point"))));
  for (const TrainedParameter& p : qat.parameters)
    EXPECT_TRUE(qat.graph.constant(qat.graph.find_value(p.name))) << p.name;
}

TEST(QatGraph, ScalesAloneHaveALeastShare) {
  for (const TrainedParameter& p : made(qat_net(), with_bits(4, "lsq+")).parameters)
    EXPECT_EQ(p.least_share > 0, p.name.ends_with("_scale")) << p.name;
}

TEST(QatGraph, ParametersThatStartEqualAreTrainedApart) {
  Graph net = qat_net();
  const Tensor ones = Tensor::of<float>({8}, std::vector<float>(8, 1));
  for (const char* name : {"bn1_gamma", "bn2_gamma"})
    net.mutable_value(net.find_value(name)).constant = ones;
  EXPECT_THAT(trained(made(net, {}), false), AllOf(Contains("bn1_gamma"), Contains("bn2_gamma")));
}

TEST(QatGraph, RangesBelowZeroHaveAFiniteGradientScale) {
  Net net(13);
  const ValueId x = net.input("x", {Dim::named("N"), 3, 8, 8});
  const ValueId below = net.op("Neg", {net.op("Relu", {x}, "relu")}, "below");
  const Graph graph = net.finish({net.conv(below, 3, 4, "conv")});
  for (const int bits : {8, 2}) {
    QatOptions options = with_bits(bits);
    options.bits.first_last = 0;
    const QatGraph qat = made(graph, options);
    for (const FakeNode& fake : fake_nodes(qat.graph)) {
      const float scale = std::get<float>(*qat.graph.node(fake.node).attr("gradient_scale"));
      EXPECT_TRUE(std::isfinite(scale) && scale > 0) << bits;
    }
  }
}

TEST(QatGraph, MethodsLearnWhatTheySay) {
  const auto gradient = [](const QatGraph& qat, const std::string& name) {
    return std::get<std::string>(
        *qat.graph.node(fake(qat.graph, name + "_fake_quantized").node).attr("gradient"));
  };
  const QatGraph lsq_plus = made(qat_net(), with_bits(8, "lsq+"));
  EXPECT_THAT(trained(lsq_plus, false), Contains("x_zero_point"));  // takes either sign
  EXPECT_THAT(trained(lsq_plus, false), Not(Contains("relu1_zero_point")));
  const QatGraph pact = made(qat_net(), with_bits(8, "pact"));
  EXPECT_EQ(gradient(pact, "relu1"), "pact");
  EXPECT_EQ(gradient(pact, "x"), "lsq");
  EXPECT_EQ(gradient(pact, "conv1_w"), "ste");
  EXPECT_THAT(op_list(pact.graph), Contains("Tanh"));
  EXPECT_THAT(trained(pact, false), Not(Contains("conv1_w_scale")));
  const QatGraph fixed = made(qat_net(), with_bits(8, "fixed"));
  EXPECT_EQ(gradient(fixed, "relu1"), "ste");
  EXPECT_THAT(trained(fixed, false), Not(Contains(HasSubstr("scale"))));
  EXPECT_EQ(error_of([] { made(qat_net(), with_bits(8, "lsqq")); }).code, ErrorCode::kUsage);
}

// -- where scales start

TEST(QatScales, OfWeightsThroughTanhThatANormWillScale) {
  Net net(13);
  const ValueId x = net.input("x", {Dim::named("N"), 3, 8, 8});
  Tensor gamma = spread(4, 0), w = ramp({4, 3, 3, 3}, 0);
  for (size_t i = 0; i < 4; ++i)  // channels of unequal size that the norm evens out
    for (size_t k = 0; k < 27; ++k)
      w.mutable_data<float>()[i * 27 + k] *= std::pow(10.0f, -static_cast<float>(i));
  for (size_t i = 0; i < 4; ++i)
    gamma.mutable_data<float>()[i] *= std::pow(10.0f, static_cast<float>(i));
  const ValueId conv = net.op("Conv", {x, net.constant("w", w)}, "conv");
  const ValueId y = net.op("BatchNormalization",
                           {conv, net.constant("gamma", gamma), net.constant("beta", ramp({4}, 5)),
                            net.constant("mean", ramp({4}, 9)), net.constant("var", spread(4, 4))},
                           "norm");
  for (const char* method : {"dorefa", "pact"}) {
    QatOptions options = with_bits(8, method);
    options.per_channel = false;
    const QatGraph qat = made(net.finish({y}), options);
    const FakeNode of_w = fake(qat.graph, "w_fake_quantized");
    float most = 0;
    const Tensor seen = computed_constant(qat.graph, of_w.x);
    for (const float v : seen.data<float>()) most = std::max(most, std::fabs(v));
    EXPECT_FLOAT_EQ(qat.graph.constant(of_w.scale)->data<float>()[0], most / 127) << method;
  }
}

TEST(QatScales, StartAtTwiceTheMeanByHand) {
  // 4 bits: qmax 7. Row 0: mean |w| = 1, max 1.5: min(2 / sqrt 7, 1.5 / 7) = 0.2142857. Row 1: mean
  // 1, max 7: min(0.7559289, 1).
  const Tensor w = Tensor::of<float>({2, 4}, {0.5f, -1.5f, 1, -1, 7.0f / 2, -0.25f, 0.25f, 0});
  const QuantScheme scheme{
      .bits = 4, .is_signed = true, .symmetric = true, .narrow_range = true, .axis = 0};
  const QuantParams learned = initial_weight_params(w, scheme, true);
  EXPECT_THAT(learned.scale, ElementsAre(testing::FloatEq(1.5f / 7), testing::FloatEq(0.5f)));
  // Row 1 at 2 bits: qmax 1, mean |w| = 1: 2 < 3.5.
  const QuantParams two = initial_weight_params(w, {2, true, true, true, 0}, true);
  EXPECT_THAT(two.scale, ElementsAre(testing::FloatEq(1.5f), testing::FloatEq(2)));
  EXPECT_THAT(initial_weight_params(w, {2, true, true, true, 0}, false).scale,
              ElementsAre(testing::FloatEq(1.5f), testing::FloatEq(3.5f)));
}

TEST(QatScales, GradientsAreScaledByElementsAndLevels) {
  const QatGraph qat = made(qat_net(), with_bits(4));
  const auto factor = [&](const std::string& name) {
    return std::get<float>(
        *qat.graph.node(fake(qat.graph, name + "_fake_quantized").node).attr("gradient_scale"));
  };
  EXPECT_FLOAT_EQ(factor("conv2_w"), 1 / std::sqrt(8.0f * 9 * 7));    // per output channel
  EXPECT_FLOAT_EQ(factor("relu1"), 1 / std::sqrt(8.0f * 64 * 15));    // per sample
  EXPECT_FLOAT_EQ(factor("conv1_w"), 1 / std::sqrt(3.0f * 9 * 127));  // the first layer has 8 bits
}

// -- bits

TEST(QatBits, FirstAndLastHaveEightOthersWhatIsSaid) {
  const auto levels = [](const QatOptions& options) {
    const QatGraph qat = made(qat_net(), options);
    std::map<std::string, int> out;
    for (const FakeNode& f : fake_nodes(qat.graph)) {
      std::string name = qat.graph.value(f.output).name;
      out[name.substr(0, name.find("_fake"))] = f.qmax;
    }
    return out;
  };
  auto four = levels(with_bits(4));
  EXPECT_EQ(four["conv1_w"], 127);
  EXPECT_EQ(four["x"], 255);
  EXPECT_EQ(four["conv2_w"], 7);
  EXPECT_EQ(four["relu1"], 15);
  EXPECT_EQ(four["relu2"], 15);
  EXPECT_EQ(four["clip3"], 255);  // no layer reads it before the average
  EXPECT_EQ(four["fc_w"], 127);
  EXPECT_EQ(four["flat"], 255);
  QatOptions mixed = with_bits(4);
  mixed.bits.first_last = 0;
  mixed.bits.layers = {{"conv3", 2}};
  auto other = levels(mixed);
  EXPECT_EQ(other["conv1_w"], 7);
  EXPECT_EQ(other["conv3_w"], 1);
  EXPECT_EQ(other["relu2"], 3);
  EXPECT_EQ(other["relu1"], 15);
  mixed.bits.layers = {{"nothing", 2}};
  EXPECT_EQ(error_of([&] { levels(mixed); }).code, ErrorCode::kUsage);
  mixed.bits = {.weights = 1};
  EXPECT_THAT(error_of([&] { levels(mixed); }).text, HasSubstr("2 to 8"));
}

TEST(QatBits, RangesMustComeFromSomewhere) {
  EXPECT_THAT(error_of([] { make_qat_graph(qat_net(), nullptr, nullptr); }).text,
              HasSubstr("starts from statistics or samples"));
  // Statistics of the same model do.
  const Dataset data = qat_data(8);
  const Graph net = qat_net(false);
  const Statistics statistics = calibrate(net, data);
  EXPECT_GT(fake_nodes(make_qat_graph(net, &statistics, nullptr).graph).size(), 8u);
}

// -- what training simulates is what the integers compute

struct Form {
  int bits;
  std::string method, target = "onnxruntime-cpu";
  bool per_channel = true;
};
std::string text(const Form& form) {
  std::string name = form.method + std::to_string(form.bits) +
                     (form.per_channel ? "" : "PerTensor") +
                     (form.target.ends_with("avx2") ? "Avx2" : "");
  std::replace(name.begin(), name.end(), '+', 'P');
  return name;
}
void PrintTo(const Form& form, std::ostream* out) { *out << text(form); }
class QatForms : public testing::TestWithParam<Form> {};

TEST_P(QatForms, IntegersAreWhatTrainingSimulates) {
  QatOptions options = with_bits(GetParam().bits, GetParam().method);
  options.target = GetParam().target;
  options.per_channel = GetParam().per_channel;
  const QatGraph qat = made(qat_net(), options);
  const Graph lowered = lower_qat(qat.graph, options);
  for (const NodeId id : lowered.nodes()) EXPECT_EQ(lowered.node(id).domain, "");
  const Tensor x = tiny_samples(64, 100, {3, 8, 8});
  // Sums that end beside the middle of two integers.
  const Distance first = distance(qat.graph, lowered, x, "x", "relu1");
  EXPECT_EQ(first.tensors, 1);
  EXPECT_LE(first.rate, 0.001);
  EXPECT_LE(first.most, 1.001);
  const Distance all = distance(qat.graph, lowered, x);
  EXPECT_GE(all.tensors, 6);
  EXPECT_LE(all.rate, 0.01);  // one that differs moves sums behind it by more than a step
}

INSTANTIATE_TEST_SUITE_P(All, QatForms,
                         testing::Values(Form{8, "lsq"}, Form{4, "lsq"}, Form{3, "lsq+"},
                                         Form{2, "lsq"}, Form{4, "pact"}, Form{4, "dorefa"},
                                         Form{8, "fixed"}, Form{8, "lsq", "onnxruntime-cpu-avx2"},
                                         Form{8, "fixed", "onnxruntime-cpu", false},
                                         Form{4, "dorefa", "onnxruntime-cpu", false}),
                         [](const auto& info) { return text(info.param); });

TEST(QatLowering, WeightsOfFewBitsAreBytesOfANarrowRange) {
  for (const int bits : {2, 3, 4}) {
    QatOptions options = with_bits(bits);
    options.bits.first_last = 0;
    const Graph lowered = lower_qat(made(qat_net(), options).graph, options);
    const auto stored = layer_integers(lowered);
    ASSERT_EQ(stored.size(), 4u);
    for (const Tensor* w : stored) {
      EXPECT_EQ(w->dtype(), DType::kI8);
      EXPECT_EQ(largest_code(*w), (1 << (bits - 1)) - 1);
    }
  }
}

Tensor answer(const Graph& graph, const Tensor& x) {
  return Executor(graph).run({{"x", x}}).begin()->second;
}

TEST(QatLowering, WeightsOfFourBitsInHalfAByteAreTheSameIntegers) {
  QatOptions options = with_bits(4);
  options.bits.activations = 8;
  options.bits.first_last = 0;
  const Graph bytes = lower_qat(made(qat_net(), options).graph, options);
  options.int4 = true;
  const Graph halves = lower_qat(made(qat_net(), options).graph, options);
  const auto stored = layer_integers(halves), wide = layer_integers(bytes);
  ASSERT_EQ(stored.size(), 4u);
  for (size_t i = 0; i < stored.size(); ++i) {
    EXPECT_EQ(stored[i]->dtype(), DType::kI4);
    EXPECT_EQ(std::memcmp(stored[i]->raw(), wide[i]->raw(), static_cast<size_t>(wide[i]->size())),
              0);
  }
  EXPECT_GE(halves.opset(), 21);
  EXPECT_GE(halves.model.ir_version, 10);

  const std::string small = serialize_onnx(halves), large = serialize_onnx(bytes);
  const Graph loaded = parse_onnx(small.data(), small.size());
  const Executor executor(loaded);
  for (const StepInfo& step : executor.steps()) {
    if (step.macs == 0) continue;
    EXPECT_EQ(step.precision, "int8") << step.nodes[0];
  }
  const Tensor x = tiny_samples(4, 5, {3, 8, 8});
  EXPECT_TRUE(answer(loaded, x).equals(answer(bytes, x)));
  int64_t weights = 0;
  for (const Tensor* w : wide) weights += w->size();
  constexpr size_t kNotes = 256;  // of the newer opset
  EXPECT_LT(small.size() + static_cast<size_t>(weights / 2), large.size() + kNotes);
  std::string difference;
  EXPECT_TRUE(same_graph(lower_qat(lift_qdq(loaded), options), loaded, &difference)) << difference;
}

TEST(QatLowering, SaysWhereNothingFitsInHalfAByte) {
  QatOptions options = with_bits(8);
  options.int4 = true;
  QuantizeLog log;
  const Graph lowered = lower_qat(made(qat_net(), options).graph, options, &log);
  EXPECT_THAT(log.warnings, Contains(HasSubstr("int4")));
  for (const Tensor* w : layer_integers(lowered)) EXPECT_EQ(w->dtype(), DType::kI8);
}

TEST(QatLowering, ActivationsOfFewBitsStayOnIntegerKernels) {
  const Graph lowered = lower_qat(made(qat_net(), with_bits(4)).graph, with_bits(4));
  EXPECT_THAT(op_list(lowered), Contains("Clip"));
  const Executor executor(lowered);
  int64_t products = 0;
  for (const StepInfo& step : executor.steps()) {
    EXPECT_NE(step.op, "Clip") << "a step of its own";
    if (step.macs > 0) {
      EXPECT_EQ(step.precision, "int8") << step.nodes[0];
      ++products;
    }
  }
  EXPECT_EQ(products, 4);
}

TEST(QatLowering, FoldsWhatTrainingMadeOfTheNorms) {
  // Whatever a training makes of gamma and the running variance, integers stay those of the
  // weights that were rounded: only their scales follow, and signs where gamma changes its own.
  const QatGraph qat = made(qat_net(), with_bits(4));
  Graph other = qat.graph;
  for (float& g :
       other.mutable_value(other.find_value("bn1_gamma")).constant->mutable_data<float>())
    g *= -3;
  for (float& v : other.mutable_value(other.find_value("bn1_var")).constant->mutable_data<float>())
    v *= 5;
  const Graph before = lower_qat(qat.graph, with_bits(4)), after = lower_qat(other, with_bits(4));
  const auto a = layer_integers(before)[0]->data<int8_t>(),
             b = layer_integers(after)[0]->data<int8_t>();
  for (size_t i = 0; i < a.size(); ++i) ASSERT_EQ(a[i], -b[i]);
  EXPECT_LE(distance(other, after, tiny_samples(32, 7, {3, 8, 8}), "x", "relu1").most, 1.001);
}

TEST(QatLowering, RefusesWhatIsNoTrainingGraph) {
  EXPECT_EQ(error_of([] { lower_qat(qat_net()); }).code, ErrorCode::kUsage);
  QatGraph qat = made(qat_net(), {});
  qat.graph.mutable_value(qat.graph.find_value("relu1_scale")).constant = Tensor::scalar(NAN);
  EXPECT_THAT(error_of([&] { lower_qat(qat.graph); }).text, HasSubstr("relu1_scale"));
}

// -- and back

TEST(QatLifting, RoundTripsThroughTheFile) {
  for (const int bits : {8, 7, 6, 5, 4, 3, 2}) {
    QatOptions options = with_bits(bits);
    if (bits == 7) options.target = "onnxruntime-cpu-avx2";  // whose weights have 7 at most
    const Graph lowered = lower_qat(made(qat_net(), options).graph, options);
    const Graph lifted = lift_qdq(lowered);
    for (const NodeId id : lifted.nodes()) {
      EXPECT_FALSE(is_quantize(lifted, id) || is_dequantize(lifted, id)) << bits;
      if (lifted.node(id).is("Conv")) {
        const ValueId bias = trained_constant(lifted, lifted.node(id).inputs[2]);
        ASSERT_TRUE(bias.valid());
        EXPECT_EQ(lifted.constant(bias)->dtype(), DType::kF32);
      }
    }
    EXPECT_LE(distance(lifted, lowered, tiny_samples(32, 3, {3, 8, 8})).most, 1.001);
    std::string difference;
    EXPECT_TRUE(same_graph(lower_qat(lifted, options), lowered, &difference))
        << bits << ": " << difference;
  }
}

TEST(QatLifting, SevenBitWeightsStayBelow64) {
  const Graph net = qat_net();
  const Dataset data = qat_data(32);
  const Graph ptq = quantize(net, calibrate(net, data), nullptr,
                             {.target = "onnxruntime-cpu-avx2", .bias_correction = false});
  for (const FakeNode& fake : fake_nodes(lift_qdq(ptq)))
    EXPECT_TRUE(fake.qmin >= 0 || fake.qmax == 63) << fake.qmax;
}

TEST(QatLifting, GoesOnFromAPostTrainingModel) {
  const Graph net = qat_net();
  const Dataset data = qat_data(32);
  const Graph ptq = quantize(net, calibrate(net, data), nullptr, {.bias_correction = false});
  const QatGraph qat = make_qat_graph(ptq, nullptr, nullptr);
  EXPECT_EQ(trained(qat, true).size(), 4u);
  EXPECT_THAT(trained(qat, false), Contains(HasSubstr("relu1_fake_scale")));
  EXPECT_LE(distance(qat.graph, ptq, tiny_samples(32, 3, {3, 8, 8})).most, 1.001);
  Graph integers = ptq;
  lower_qdq(integers);
  EXPECT_EQ(error_of([&] { lift_qdq(integers); }).code, ErrorCode::kUnsupported);
}

// -- trained models

class QatAssets : public testing::TestWithParam<std::pair<const char*, int>> {};

TEST_P(QatAssets, IntegersAreWhatTrainingSimulates) {
  LAPIDARY_SKIP_WITHOUT_ASSETS();
  const auto [model, bits] = GetParam();
  const std::string assets = LAPIDARY_ASSETS_DIR;
  const Graph graph = load_onnx(assets + "/models/" + model + ".onnx");
  DatasetSpec spec{.kind = "cifar10", .path = assets + "/data/cifar10/test_batch.bin"};
  if (std::string(model).starts_with("resnet20")) {
    spec.scale = 1 / 255.;
    spec.mean = {.485, .456, .406};
    spec.std = {.229, .224, .225};
  }
  spec.limit = 64;
  const Dataset data = open_dataset(spec);
  QatOptions options = with_bits(bits);
  options.samples = 32;
  const QatGraph qat = make_qat_graph(graph, nullptr, &data, options);
  const Graph lowered = lower_qat(qat.graph, options);
  const Tensor x = Feeder(graph, data).inputs(data.batch(0, 8)).begin()->second;
  const std::string input = graph.value(graph.inputs()[0]).name;
  const Distance d = distance(qat.graph, lowered, x, input);
  EXPECT_GT(d.tensors, 10);
  // An integer that differs moves the sums behind it, through up to twenty layers.
  EXPECT_LE(d.total, 0.01);
  EXPECT_LE(d.most, 5.001);
}

INSTANTIATE_TEST_SUITE_P(Assets, QatAssets,
                         testing::Values(std::pair("resnet20_cifar10_fp32_bn", 8),
                                         std::pair("resnet20_cifar10_fp32_bn", 4),
                                         std::pair("resnet8_mlperftiny_cifar10_fp32", 8),
                                         std::pair("resnet8_mlperftiny_cifar10_fp32", 2)),
                         [](const auto& info) {
                           return std::string(info.param.first).substr(0, 7) + "x" +
                                  std::to_string(info.param.second);
                         });

}  // namespace
}  // namespace lapidary
