#include "src/fit/memory.h"

#include <gtest/gtest.h>

#include "src/ir/builder.h"
#include "src/ops/infer.h"

namespace lapidary {
namespace {

class TrainingMemory : public testing::Test {
 protected:
  TrainingMemory() { graph.set_opset("", 17); }
  ValueId of(const char* name, Shape shape) {
    return b.constant(name, Tensor(DType::kF32, std::move(shape)));
  }

  Graph graph;
  GraphBuilder b{graph};
};

// x [N, 8] -> Gemm [N, 4] -> Relu -> Gemm [N, 3], N = 10, by hand.
TEST_F(TrainingMemory, CountsCopiesOfWeightsAndWhatBackwardReads) {
  const ValueId x = b.input("x", DType::kF32, {Dim::named("N"), Dim(8)});
  const GraphBuilder::Attrs attrs = {{"transB", int64_t{1}}};
  ValueId y = b.op("Gemm", {x, of("w1", {4, 8}), of("b1", {4})}, attrs, "first");
  y = b.op("Relu", {y}, {}, "relu");
  b.output(b.op("Gemm", {y, of("w2", {3, 4}), of("b2", {3})}, attrs, "scores"));
  infer_types(graph);
  TrainerOptions options;
  for (const char* name : {"w1", "b1", "w2", "b2"}) options.parameters.push_back({name});
  const int64_t weights = 4 * (32 + 4 + 12 + 3);
  // Both Gemms read what they multiplied: x and the Relu's output.
  const int64_t kept = 4 * 10 * (8 + 4);
  // Weights, gradients, momentum; gradients of the two tensors, the larger one twice.
  const int64_t moving = kept + 4 * 10 * 8;
  EXPECT_EQ(training_memory(graph, options, 10), 3 * weights + kept + moving);
  options.ema = 0.9;
  EXPECT_EQ(training_memory(graph, options, 10), 4 * weights + kept + moving);
  options.optimizer.kind = "adam";
  EXPECT_EQ(training_memory(graph, options, 10), 5 * weights + kept + moving);
  EXPECT_EQ(training_memory(graph, options, 20), 5 * weights + 2 * (kept + moving));
}

// What is computed together with a BatchNormalization is not kept; the views of a tensor are one.
TEST_F(TrainingMemory, FusedAndViewedTensorsCountOnce) {
  const ValueId x = b.input("x", DType::kF32, {Dim::named("N"), Dim(2), Dim(1), Dim(1)});
  ValueId y = b.op("Conv", {x, of("w", {5, 2, 1, 1})}, {}, "conv");
  y = b.op("BatchNormalization",
           {y, of("gamma", {5}), of("beta", {5}), of("mean", {5}), of("variance", {5})}, {},
           "norm");
  y = b.op("Clip", {y, of("low", {}), of("high", {})}, {}, "clip");
  y = b.op("Flatten", {y}, {}, "flat");
  b.output(b.op("Gemm", {y, of("v", {5, 3})}, {}, "scores"));
  infer_types(graph);
  TrainerOptions options;
  options.parameters = {{"w"}};
  // Kept: x, the convolution's output (the norm's input) and the Clip's, which the Gemm reads.
  EXPECT_EQ(training_memory(graph, options, 7),
            3 * 4 * 10 + 4 * 7 * (2 + 5 + 5) + 4 * 7 * (2 * 5 + 5));
}

}  // namespace
}  // namespace lapidary
