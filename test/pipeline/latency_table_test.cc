#include "src/pipeline/latency_table.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "lapidary/error.h"
#include "src/ir/builder.h"
#include "src/ops/infer.h"

namespace lapidary {
namespace {

namespace fs = std::filesystem;

/// One convolution to `channels`.
Graph net(int64_t channels) {
  Graph graph;
  graph.set_opset("", 17);
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {Dim::named("N"), 8, 16, 16});
  b.output(
      b.op("Conv", {x, b.constant("w", Tensor(DType::kF32, {channels, 8, 3, 3}))}, {}, "conv"));
  infer_types(graph);
  return graph;
}

class LatencyTableFile : public testing::Test {
 protected:
  LatencyTableFile() { fs::remove(file_); }
  ~LatencyTableFile() override { fs::remove(file_); }
  const fs::path file_ = fs::path(testing::TempDir()) / "lapidary_latency_table_test.json";
};

TEST_F(LatencyTableFile, EachShapeIsTimedOnce) {
  LatencyTable table(1, file_);
  const double small = table.milliseconds(net(4));
  EXPECT_GT(small, 0);
  const size_t shapes = table.shapes();
  EXPECT_GE(shapes, 1u);
  table.milliseconds(net(32));
  EXPECT_GT(table.shapes(), shapes);
  EXPECT_EQ(table.milliseconds(net(4)), small);
  table.save();
  LatencyTable again(1, file_);
  EXPECT_EQ(again.shapes(), table.shapes());
  EXPECT_NEAR(again.milliseconds(net(4)), small, 1e-9 * small);
  EXPECT_THROW(LatencyTable(2, file_), Error);  // measured on one thread
}

/// x [N, in] times w [in, out].
Graph product(int64_t in, int64_t out) {
  Graph graph;
  graph.set_opset("", 17);
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {Dim::named("N"), Dim(in)});
  b.output(b.op("MatMul", {x, b.constant("w", Tensor(DType::kF32, {in, out}))}, {}, "product"));
  infer_types(graph);
  return graph;
}

TEST_F(LatencyTableFile, EqualCostsOfOtherSizesAreTimedApart) {
  LatencyTable table(1);
  table.milliseconds(product(32, 256));
  const size_t shapes = table.shapes();
  table.milliseconds(product(256, 32));
  EXPECT_EQ(table.shapes(), 2 * shapes);
  table.milliseconds(product(32, 256));
  EXPECT_EQ(table.shapes(), 2 * shapes);
}

TEST_F(LatencyTableFile, RefusesOtherFiles) {
  std::ofstream(file_) << "{\"schema\": \"lapidary.report/1\", \"steps\": {}}";
  EXPECT_THROW(LatencyTable(1, file_), Error);
  std::ofstream(file_) << "no JSON";
  EXPECT_THROW(LatencyTable(1, file_), Error);
}

TEST_F(LatencyTableFile, RefusesOpenSizes) {
  Graph graph;
  graph.set_opset("", 17);
  GraphBuilder b(graph);
  b.output(b.op("Relu", {b.input("x", DType::kF32, {Dim::named("N"), 8, Dim::named("H"), 16})}));
  infer_types(graph);
  LatencyTable table(1, file_);
  EXPECT_THROW(table.milliseconds(graph), Error);
}

}  // namespace
}  // namespace lapidary
