#include "quantize/checks.h"

#include <cmath>
#include <limits>

#include "lapidary/calibrate.h"
#include "test/quantize/nets.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

/// The message of the Error of that code that `body` throws.
template <class Body>
std::string message_of(ErrorCode code, const Body& body) {
  const Caught caught = error_of(body);
  EXPECT_EQ(caught.code, code) << caught.text;
  return caught.text;
}

Graph normalised(const std::vector<float>& variance, float epsilon) {
  Net net;
  const auto n = static_cast<int64_t>(variance.size());
  const ValueId c = net.conv(net.input("x", {1, 3, 6, 6}), 3, n, "c");
  const auto constant = [&](const char* name, std::vector<float> v) {
    return net.constant(name, Tensor::of<float>({n}, v));
  };
  const std::vector<float> ones(variance.size(), 1.0f);
  return net.finish({net.op("BatchNormalization",
                            {c, constant("gamma", ones), constant("beta", ones),
                             constant("mean", ones), constant("variance", variance)},
                            "bn", {{"epsilon", epsilon}})});
}

TEST(CheckBatchnorms, ABadVarianceIsRefusedWithItsChannel) {
  struct Row {
    std::vector<float> variance;
    float epsilon;
    std::string says;
  };
  for (const Row& row : {Row{{1, 1, -1, 1}, 1e-5f, "channel 2 is -1"},
                         Row{{1, kNan, 1, 1}, 1e-5f, "channel 1 is nan"},
                         Row{{kInf, 1, 1, 1}, 1e-5f, "channel 0 is inf"},
                         Row{{1, 1, 1, 0}, 0.0f, "channel 3 is 0 (epsilon 0)"}}) {
    const Graph graph = normalised(row.variance, row.epsilon);
    QuantizeLog log;
    const std::string message =
        message_of(ErrorCode::kInvalid, [&] { quantization_source(graph, {}, log); });
    EXPECT_THAT(message, HasSubstr(row.says));
    EXPECT_THAT(message, HasSubstr("bn"));
  }
  check_batchnorms(normalised({1, 0, 2, 3}, 1e-5f));  // epsilon is enough to divide by
}

Graph weighted(std::vector<float> weights) {
  Net net;
  const ValueId w = net.constant("w", Tensor::of<float>({2, 3}, weights));
  return net.finish({net.op("MatMul", {net.input("x", {4, 2}), w}, "y")});
}

TEST(Nonfinite, IsRefusedWithTensorCountAndFirstIndex) {
  QuantizeLog log;
  const std::string message = message_of(ErrorCode::kInvalid, [&] {
    quantization_source(weighted({1, -3, kNan, 2, kInf, -1e38f}), {}, log);
  });
  EXPECT_THAT(message, HasSubstr("weights 'w': 3 of 6 values"));
  EXPECT_THAT(message, HasSubstr("the first at index 2"));
}

TEST(Nonfinite, ClampMakesNanZeroAndTheRestTheLargestUsableWeight) {
  QuantizeLog log;
  const QuantizeOptions options = {.nonfinite = "clamp"};
  const Graph source = quantization_source(weighted({1, -3, kNan, 2, kInf, -1e38f}), options, log);
  const auto w = source.constant(source.find_value("w"))->data<float>();
  EXPECT_EQ(std::vector<float>(w.begin(), w.end()), (std::vector<float>{1, -3, 0, 2, 3, -3}));
  EXPECT_THAT(log.warnings, ElementsAre(HasSubstr("'w': 3 values")));
}

TEST(Nonfinite, ThereIsNoThirdWay) {
  QuantizeLog log;
  message_of(ErrorCode::kUsage, [&] {
    quantization_source(weighted({1, 2, 3, 4, 5, 6}), {.nonfinite = "skip"}, log);
  });
}

std::vector<std::string> constants(const Graph& graph) {
  std::vector<std::string> names;
  for (const ValueId id : graph.values())
    if (graph.constant(id)) names.push_back(graph.value(id).name);
  return names;
}

/// Float weights that nobody reads any more would double the file's size.
TEST(Quantize, DropsConstantsThatNobodyReads) {
  Graph graph = tiny_net();
  graph.add_constant("nobody_reads_this", ramp({64, 64}));
  const Dataset data = tiny_data(8);
  const Graph q = quantize(graph, calibrate(graph, data), data, {});
  EXPECT_THAT(constants(q), Not(testing::Contains("nobody_reads_this")));
  for (const ValueId id : q.values())
    EXPECT_TRUE(!q.constant(id) || q.use_count(id) > 0) << q.value(id).name;
}

TEST(Requantize, AFileOfIntegerOperatorsIsNotMadeFloatAgain) {
  const Graph graph = tiny_net();
  const Dataset data = tiny_data(8);
  QuantizeOptions options = {.format = "qoperator"};
  const Graph q = quantize(graph, calibrate(graph, data), data, options);
  const auto refused = testing::AllOf(HasSubstr("QLinearConv"), HasSubstr("start from the float"));
  QuantizeLog log;
  const std::string plain = message_of(ErrorCode::kUsage, [&] { quantization_source(q, {}, log); });
  EXPECT_THAT(plain, testing::AllOf(refused, Not(HasSubstr("requantize")))) << "advice in vain";
  options.requantize = true;
  EXPECT_THAT(message_of(ErrorCode::kUnsupported, [&] { quantization_source(q, options, log); }),
              refused);
}

TEST(Requantize, IsAdvisedWhereItWouldDo) {
  const Graph graph = tiny_net();
  const Dataset data = tiny_data(8);
  const Graph q = quantize(graph, calibrate(graph, data), data, {});
  QuantizeLog log;
  EXPECT_THAT(message_of(ErrorCode::kUsage, [&] { quantization_source(q, {}, log); }),
              HasSubstr("--requantize"));
}

/// Reports hold layers against the float model by these names.
TEST(Requantize, TensorsKeepTheirNames) {
  const Graph graph = tiny_net();
  const Dataset data = tiny_data(8);
  const Graph q = quantize(graph, calibrate(graph, data), data, {});
  QuantizeLog log;
  const Graph source = quantization_source(q, {.requantize = true}, log);
  for (const char* name : {"relu", "depth"}) {
    const ValueId value = source.find_value(name);
    ASSERT_TRUE(value) << name;
    EXPECT_EQ(source.node(source.value(value).producer).op, "Clip") << name;
    for (const Use& use : source.value(value).uses)
      EXPECT_NE(source.node(use.node).op, "Clip") << name;
    EXPECT_GT(source.use_count(value), 0u) << name;
  }
}

/// Files of other makers have a DequantizeLinear for each reader.
TEST(Requantize, ReadersOfOneQuantizeLinearShareItsClip) {
  Net net;
  const ValueId scale = net.constant("scale", Tensor::scalar(0.5f));
  const ValueId zero = net.constant("zero", Tensor::scalar<uint8_t>(0));
  const ValueId a = net.op("Sigmoid", {net.input("x", {4})}, "a");
  const ValueId q = net.op("QuantizeLinear", {a, scale, zero}, "q");
  const auto read = [&](const std::string& op, const std::string& name) {
    return net.op(op, {net.op("DequantizeLinear", {q, scale, zero}, name + "_dq")}, name);
  };
  const Graph graph = net.finish({read("Neg", "b"), read("Abs", "c")});
  QuantizeLog log;
  const Graph source = quantization_source(graph, {.requantize = true}, log);
  const ValueId clipped = source.find_value("a");
  ASSERT_TRUE(clipped);
  EXPECT_EQ(source.node(source.value(clipped).producer).op, "Clip");
  for (const char* reader : {"b", "c"})
    EXPECT_EQ(source.node(source.value(source.find_value(reader)).producer).inputs[0], clipped);
}

/// Q by 0.02 read by 0.04 doubles every value: no Clip does that.
TEST(Requantize, AScaleThatChangesIsNotDropped) {
  Net net;
  const ValueId made = net.constant("made", Tensor::scalar(0.02f));
  const ValueId read = net.constant("read", Tensor::scalar(0.04f));
  const ValueId zero = net.constant("zero", Tensor::scalar<uint8_t>(0));
  const ValueId a = net.op("Sigmoid", {net.input("x", {4})}, "a");
  const ValueId q = net.op("QuantizeLinear", {a, made, zero}, "q");
  const Graph graph =
      net.finish({net.op("Neg", {net.op("DequantizeLinear", {q, read, zero}, "dq")}, "b")});
  QuantizeLog log;
  message_of(ErrorCode::kUnsupported,
             [&] { quantization_source(graph, {.requantize = true}, log); });
}

TEST(QuantizedModel, IsOneWithAnOpOfIntegersAndScales) {
  const auto found = [](const std::string& op, const std::string& domain) {
    Net net;
    net.graph.set_opset("com.microsoft", 1);
    net.graph.set_opset("com.example", 1);
    net.build.output(net.build.op(op, {net.input("x", {1})}, {}, "y", domain));
    return is_quantized_model(net.graph);
  };
  for (const char* op : {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear",
                         "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"})
    EXPECT_TRUE(found(op, "")) << op;
  for (const char* op :
       {"QuantizeLinear", "DequantizeLinear", "QGemm", "MatMulIntegerToFloat", "QLinearAdd",
        "QLinearMul", "QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax", "QLinearConcat",
        "QLinearWhere", "QLinearAveragePool", "QLinearGlobalAveragePool"}) {
    EXPECT_TRUE(found(op, "com.microsoft")) << op;
    EXPECT_FALSE(found(op, "com.example")) << op;
  }
  EXPECT_FALSE(found("Conv", ""));
}

}  // namespace
}  // namespace lapidary
