#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "lapidary/compress.h"
#include "lapidary/error.h"
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
    const auto layers = compare_layers(*a, *b, data, {}).layers;
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
  const auto layers = compare_layers(flatten_net(true), flatten_net(false), data, {}).layers;
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
      compare_layers(softmax_net(true), softmax_net(false), dataset_of({{"x", x}}), {}).layers;
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
  const auto layers = compare_layers(typed_net(DType::kF16), full, data, {}).layers;
  ASSERT_EQ(layers.size(), 2u);
  for (const LayerError& layer : layers) {
    EXPECT_GT(layer.sqnr_db, 6.02 * 11) << layer.tensor;
    EXPECT_LT(layer.sqnr_db, 6.02 * 17) << layer.tensor;
  }
}

/// x [batch,4] times `gain` -> Relu "y" -> Neg "z".
Graph batch_net(const Dim& batch, float gain) {
  Graph graph;
  graph.set_opset("", 13);
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {batch, 4});
  const ValueId scaled = b.op("Mul", {x, b.constant("gain", Tensor::scalar(gain))}, {}, "scaled");
  b.output(b.op("Neg", {b.op("Relu", {scaled}, {}, "y")}, {}, "z"));
  infer_types(graph);
  return graph;
}

// The error of every element is a quarter of it: 20 log10(4) dB, whatever is padded.
TEST(CompareModels, OfDifferentFixedBatches) {
  const double db = 20 * std::log10(4.0);
  const Dataset data = dataset_of({{"x", counted({6, 4})}}, {3, 3, 3, 0, 0, 0});
  const Dim sizes[] = {1, 4, 5, Dim::named("N")};
  for (const Dim& ours : sizes)
    for (const Dim& theirs : sizes) {
      const Graph model = batch_net(ours, 1.5f), reference = batch_net(theirs, 2);
      const Validation v =
          validate(model, reference, data, {.metrics = {"top1", "sqnr_db"}, .keep_outputs = true});
      EXPECT_EQ(v.samples, 6) << ours.value << " against " << theirs.value;
      EXPECT_NEAR(v.sqnr_db, db, 1e-4);
      // Outputs are -1.5 x: the first is the largest of each sample.
      EXPECT_EQ(v.top1, 0.5);
      ASSERT_EQ(v.outputs.shape(), (Shape{6, 4}));
      for (size_t i = 0; i < 24; ++i)
        EXPECT_EQ(v.outputs.data<float>()[i], -1.5f * static_cast<float>(i));
      const LayerComparison found = compare_layers(model, reference, data, {.samples = 6});
      EXPECT_EQ(found.unlike, 0);
      ASSERT_EQ(found.layers.size(), 3u) << ours.value << " against " << theirs.value;
      for (const LayerError& layer : found.layers) EXPECT_NEAR(layer.sqnr_db, db, 1e-4);
    }
}

// Four samples without an error, then one with. Were it repeated, the second batch of 3 would have
// another ratio.
TEST(CompareLayers, PaddingIsNotCounted) {
  Tensor x(DType::kF32, {5, 4});
  for (size_t i = 0; i < 20; ++i) x.mutable_data<float>()[i] = i < 16 ? 1.0f : 2.0f;
  const auto clipped = [&](const Dim& batch, float most) {
    Graph graph;
    graph.set_opset("", 13);
    GraphBuilder b(graph);
    const ValueId in = b.input("x", DType::kF32, {batch, 4});
    const ValueId least = b.constant("least", Tensor::scalar(0.0f));
    b.output(b.op("Clip", {in, least, b.constant("most", Tensor::scalar(most))}, {}, "y"));
    infer_types(graph);
    return graph;
  };
  const Dataset data = dataset_of({{"x", x}});
  const auto mean_db = [&](const Dim& ours, const Dim& theirs) {
    const auto found = compare_layers(clipped(ours, 1.5f), clipped(theirs, 9), data).layers;
    return found.size() == 1 ? found[0].sqnr_db : 0;
  };
  // Batches {1,1,1} and {1,2}, clipped to 1.5: equal, where 150 is the most that is told; then
  // signal 4 * 1 + 4 * 4, noise 4 * 0.25.
  EXPECT_NEAR(mean_db(3, 3), (150 + 10 * std::log10(20.0)) / 2, 1e-4);
  EXPECT_NEAR(mean_db(3, Dim::named("N")), (150 + 10 * std::log10(20.0)) / 2, 1e-4);
  // One batch: signal 4 * 4 * 1 + 4 * 4, noise 4 * 0.25.
  EXPECT_NEAR(mean_db(5, Dim::named("N")), 10 * std::log10(32.0), 1e-4);
}

TEST(CompareLayers, SaysWhatItLeftOut) {
  const Dataset data = dataset_of({{"x", counted({3, 4})}});
  Graph model = batch_net(Dim::named("N"), 0.75f);
  const Graph reference = batch_net(Dim::named("N"), 1);
  const LayerComparison all = compare_layers(model, reference, data);
  EXPECT_EQ(all.equalized, 0);
  model.model.metadata.emplace_back(kEqualizedKey, "y\nnowhere");
  const LayerComparison some = compare_layers(model, reference, data);
  EXPECT_EQ(some.equalized, 1);
  EXPECT_EQ(some.layers.size() + 1, all.layers.size());

  Graph other;  // y of another shape
  other.set_opset("", 13);
  GraphBuilder b(other);
  b.output(b.op("Concat", {b.input("x", DType::kF32, {Dim::named("N"), 4}), other.inputs()[0]},
                {{"axis", int64_t{1}}}, "y"));
  infer_types(other);
  const LayerComparison none = compare_layers(other, reference, data);
  EXPECT_TRUE(none.layers.empty());
  EXPECT_EQ(none.unlike, 1);
}

TEST(CompareLayers, RefusesToCompareOnNothing) {
  const Graph net = batch_net(Dim::named("N"), 1);
  const Dataset data = dataset_of({{"x", counted({3, 4})}});
  for (const int64_t samples : {0, -1}) {
    try {
      compare_layers(net, net, data, {.samples = samples});
      ADD_FAILURE() << samples;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
    }
  }
}

// Data that do not suit a model are refused alike by whatever runs it.
TEST(Evaluate, RefusesSamplesOfAnotherShapeAndInputsOfDifferentBatches) {
  const auto error_of = [](const Graph& graph, const Dataset& data) {
    try {
      evaluate(graph, data);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const Dataset wide = dataset_of({{"x", counted({3, 5})}});
  const std::string shape = error_of(batch_net(Dim::named("N"), 1), wide);
  EXPECT_NE(shape.find("a sample of the data is [5]"), std::string::npos) << shape;
  Graph two;
  two.set_opset("", 13);
  GraphBuilder b(two);
  const ValueId u = b.input("u", DType::kF32, {2, 4}), v = b.input("v", DType::kF32, {1, 4});
  b.output(b.op("Add", {u, v}, {}, "y"));
  infer_types(two);
  const std::string batches =
      error_of(two, dataset_of({{"u", counted({3, 4})}, {"v", counted({3, 4})}}));
  EXPECT_NE(batches.find("fixes the batch at 1, another input at 2"), std::string::npos) << batches;
}

}  // namespace
}  // namespace lapidary
