#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "lapidary/evaluate.h"
#include "lapidary/exec.h"
#include "src/ir/builder.h"
#include "src/ops/infer.h"

namespace lapidary {
namespace {

Tensor counted(Shape shape) {
  Tensor out(DType::kF32, std::move(shape));
  float next = 0;
  for (float& v : out.mutable_data<float>()) v = next++;
  return out;
}

/// x [2,5,7] -> Relu "y"; with `read_by_conv`, a one-dimensional Conv reads y too, for whose sake
/// the executor lays it out as [N,W,C].
Graph relu_net(bool read_by_conv) {
  Graph graph;
  graph.set_opset("", 13);
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {2, 5, 7});
  const ValueId y = b.op("Relu", {x}, {}, "y");
  if (read_by_conv) b.output(b.op("Conv", {y, b.constant("w", counted({3, 5, 3}))}, {}, "c"));
  b.output(y);
  infer_types(graph);
  return graph;
}

bool lies_channels_last(const Graph& graph, const Tensor& x) {
  bool last = false;
  Executor executor(graph);
  executor.tap({"y"}, [&](const TapView& tap) { last = tap.channels_last; });
  executor.run({{"x", x}});
  return last;
}

TEST(CompareLayers, ATensorOfRank3InTwoLayoutsIsOneTensor) {
  const Graph with = relu_net(true), without = relu_net(false);
  const Tensor x = counted({2, 5, 7});
  ASSERT_TRUE(lies_channels_last(with, x));
  ASSERT_FALSE(lies_channels_last(without, x));
  const Dataset data = dataset_of({{"x", x}});
  for (const auto& [a, b] : {std::pair(&with, &without), std::pair(&without, &with)}) {
    const auto layers = compare_layers(*a, *b, data, {});
    ASSERT_EQ(layers.size(), 1u);
    EXPECT_EQ(layers[0].tensor, "y");
    EXPECT_DOUBLE_EQ(layers[0].sqnr_db, 150);  // equal: the most that is told
    EXPECT_DOUBLE_EQ(layers[0].cosine, 1);
  }
}

/// x [2,30,100] -> Flatten "y", on integers of step 2 or on floats.
Graph flatten_net(bool on_integers) {
  Graph graph;
  graph.set_opset("", 13);
  GraphBuilder b(graph);
  ValueId x = b.input("x", DType::kF32, {2, 30, 100});
  const ValueId scale = b.constant("scale", Tensor::scalar(2.0f));
  const ValueId zero = b.constant("zero", Tensor::of<uint8_t>({}, std::vector<uint8_t>{0}));
  const auto pair = [&](ValueId v, const std::string& name) {
    const ValueId q = b.op("QuantizeLinear", {v, scale, zero}, {}, name + "_quantized");
    return b.op("DequantizeLinear", {q, scale, zero}, {}, name + "_dequantized");
  };
  if (on_integers) x = pair(x, "x");
  const ValueId y = b.op("Flatten", {x}, {}, "y");
  b.output(on_integers ? pair(y, "y") : b.op("Neg", {y}, {}, "z"));
  infer_types(graph);
  return graph;
}

// Values i mod 100 on a grid of step 2: the odd ones are off by 1. A sample has 30 times
// sum i^2 = 99 * 100 * 199 / 6 = 328350 and 50 errors.
TEST(CompareLayers, IntegersAreSeenAsWhatTheyStandFor) {
  Tensor x(DType::kF32, {2, 30, 100});
  for (size_t i = 0; i < 6000; ++i) x.mutable_data<float>()[i] = static_cast<float>(i % 100);
  const Dataset data = dataset_of({{"x", x}});
  const auto layers = compare_layers(flatten_net(true), flatten_net(false), data, {});
  const auto y = std::find_if(layers.begin(), layers.end(),
                              [](const LayerError& l) { return l.tensor == "y"; });
  ASSERT_NE(y, layers.end());
  EXPECT_NEAR(y->sqnr_db, 10 * std::log10(30 * 328350.0 / 1500), 1e-9);
}

/// x [1,8] -> Softmax "y", of floats or as QLinearSoftmax with results of step 1/256; and x times
/// the identity "z", in integers as a QGemm that gives floats.
Graph softmax_net(bool on_integers) {
  Graph graph;
  graph.set_opset("", 13);
  graph.set_opset("com.microsoft", 1);
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {1, 8});
  const ValueId one = b.constant("one", Tensor::scalar(1.0f));
  const ValueId step = b.constant("step", Tensor::scalar(1.0f / 256));
  const ValueId zero = b.constant("zero", Tensor::of<uint8_t>({}, std::vector<uint8_t>{0}));
  Tensor identity(DType::kF32, {8, 8}), bytes(DType::kU8, {8, 8});
  for (size_t i = 0; i < 64; i += 9)
    identity.mutable_data<float>()[i] = bytes.mutable_data<uint8_t>()[i] = 1;
  if (!on_integers) {
    b.output(b.op("Softmax", {x}, {}, "y"));
    b.output(b.op("Gemm", {x, b.constant("w", identity)}, {}, "z"));
  } else {
    const ValueId q = b.op("QuantizeLinear", {x, one, zero}, {}, "x_quantized");
    const ValueId y = b.op("QLinearSoftmax", {q, one, zero, step, zero}, {{"opset", int64_t{13}}},
                           "y_quantized", "com.microsoft");
    b.output(b.op("DequantizeLinear", {y, step, zero}, {}, "y_dequantized"));
    b.output(
        b.op("QGemm", {q, one, zero, b.constant("w", bytes), one, zero}, {}, "z", "com.microsoft"));
  }
  infer_types(graph);
  return graph;
}

TEST(CompareLayers, EveryIntegerOperatorSaysWhereItsScaleIs) {
  const Tensor x = counted({1, 8});
  const auto layers =
      compare_layers(softmax_net(true), softmax_net(false), dataset_of({{"x", x}}), {});
  std::map<std::string, double> sqnr_db;
  for (const LayerError& layer : layers) sqnr_db[layer.tensor] = layer.sqnr_db;
  ASSERT_TRUE(sqnr_db.contains("y") && sqnr_db.contains("z"));
  // Errors of at most half a step of 1/256 beside e^0 .. e^7 over their sum (the largest 0.632):
  // at least 10 log10(0.632^2 / (8 / 512^2)) = 41.
  EXPECT_GT(sqnr_db["y"], 41);
  EXPECT_EQ(sqnr_db["z"], 150);  // whole numbers times one
}

/// x [N,4] -> Relu "y" -> Neg "z" of one floating type.
Graph typed_net(DType dtype) {
  Graph graph;
  graph.set_opset("", 13);
  GraphBuilder b(graph);
  const ValueId x = b.input("x", dtype, {Dim::named("N"), 4});
  b.output(b.op("Neg", {b.op("Relu", {x}, {}, "y")}, {}, "z"));
  infer_types(graph);
  return graph;
}

// One batch of data feeds models that take it in different floating types. 1/3 is no FP16 number.
TEST(CompareModels, EachTakesTheDataInItsOwnType) {
  Tensor x = counted({3, 4});
  for (float& v : x.mutable_data<float>()) v = v / 3 + 1;
  const Dataset data = dataset_of({{"x", x}});
  const Graph full = typed_net(DType::kF32);
  for (const auto& [dtype, digits] : {std::pair(DType::kF16, 11), {DType::kBF16, 8}}) {
    const Graph narrow = typed_net(dtype);
    const Validation v = validate(narrow, full, data);
    // Rounding errors of at most 2^-digits relative; above 2^-(digits + 6) on average.
    EXPECT_GT(v.sqnr_db, 6.02 * digits) << dtype_name(dtype);
    EXPECT_LT(v.sqnr_db, 6.02 * (digits + 6));
    EXPECT_EQ(evaluate(narrow, data).samples, 3);
  }
  const auto layers = compare_layers(typed_net(DType::kF16), full, data, {});
  ASSERT_EQ(layers.size(), 2u);
  for (const LayerError& layer : layers) {
    EXPECT_GT(layer.sqnr_db, 6.02 * 11) << layer.tensor;
    EXPECT_LT(layer.sqnr_db, 6.02 * 17) << layer.tensor;
  }
}

}  // namespace
}  // namespace lapidary
