#include "test/ops/graph_case.h"

namespace lapidary {
namespace {

struct Net {
  Graph graph;
  GraphBuilder b{graph};
  ValueId x;

  Net(int64_t opset, std::vector<Dim> shape) {
    graph.set_opset("", opset);
    x = b.input("x", DType::kF32, std::move(shape));
  }
  /// Upgrades and compares the results before and after, which must be the same bits.
  void expect_same(int64_t to, const Tensor& in) {
    infer_types(graph);
    const Tensor before = evaluate_graph(graph, in)[0];
    upgrade_opset(graph, to);
    EXPECT_EQ(graph.value(graph.outputs()[0]).name, "y");
    EXPECT_TRUE(evaluate_graph(graph, in)[0].equals(before));
  }
};

const Tensor kCube = Tensor::of<float>({2, 2, 2}, {1, -2, 3, 0.5f, -1, 4, 2, 0});

TEST(UpgradeCompute, SoftmaxOfRows) {
  for (const char* op : {"Softmax", "LogSoftmax", "Hardmax"})
    for (int64_t axis : {0, 1, 2}) {
      SCOPED_TRACE(op);
      Net n(11, {Dim::named("N"), 2, 2});
      n.b.output(n.b.op(op, {n.x}, {{"axis", axis}}, "y"));
      n.expect_same(21, kCube);
      EXPECT_EQ(n.graph.node_count(), axis == 2 ? 1u : 4u);
    }
}

TEST(UpgradeCompute, ReductionAxesBecomeAnInput) {
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceL2"}) {
    Net n(11, {2, 2, 2});
    n.b.output(
        n.b.op(op, {n.x}, {{"axes", std::vector<int64_t>{-1}}, {"keepdims", int64_t{0}}}, "y"));
    n.expect_same(21, kCube);
    const NodeId node = n.graph.nodes()[0];
    EXPECT_EQ(n.graph.node(node).attr("axes"), nullptr);
    EXPECT_EQ(n.graph.node(node).inputs.size(), 2u);
  }
}

TEST(UpgradeCompute, ReductionsOfAllAxesStayAsTheyAre) {
  Net n(11, {2, 2, 2});
  n.b.output(n.b.op("ReduceMean", {n.x}, {}, "y"));
  n.expect_same(21, kCube);
  EXPECT_EQ(n.graph.node(n.graph.nodes()[0]).inputs.size(), 1u);
}

TEST(UpgradeCompute, ClipBoundsBecomeInputs) {
  Net n(7, {2, 2, 2});
  n.b.output(n.b.op("Clip", {n.x}, {{"max", 1.5f}}, "y"));
  n.expect_same(21, kCube);
  const Node& node = n.graph.node(n.graph.nodes()[0]);
  ASSERT_EQ(node.inputs.size(), 3u);
  EXPECT_FALSE(node.inputs[1].valid());
}

TEST(UpgradeCompute, DropoutRatioBecomesAnInput) {
  Net n(7, {2, 2, 2});
  n.b.output(n.b.op("Dropout", {n.x}, {{"ratio", 0.25f}}, "y"));
  n.expect_same(21, kCube);
  const Node& node = n.graph.node(n.graph.nodes()[0]);
  ASSERT_EQ(node.inputs.size(), 2u);
  EXPECT_EQ(n.graph.constant(node.inputs[1])->data<float>()[0], 0.25f);
}

Graph batch_norm(int64_t opset, GraphBuilder::Attrs attrs) {
  Net n(opset, {2, 2, 2});
  std::vector<ValueId> inputs{n.x};
  for (const char* name : {"scale", "bias", "mean", "var"})
    inputs.push_back(n.b.constant(name, Tensor::of<float>({2}, {0.5f, 2})));
  n.graph.set_outputs({n.b.op("BatchNormalization", inputs, std::move(attrs), "y")});
  return n.graph;
}

TEST(UpgradeCompute, BatchNormalizationLosesSpatial) {
  Graph graph = batch_norm(7, {{"spatial", int64_t{1}}});
  infer_types(graph);
  const Tensor before = evaluate_graph(graph, kCube)[0];
  upgrade_opset(graph, 21);
  EXPECT_TRUE(evaluate_graph(graph, kCube)[0].equals(before));
  EXPECT_EQ(graph.node(graph.nodes()[0]).attr("spatial"), nullptr);
  Graph odd = batch_norm(7, {{"spatial", int64_t{0}}});
  EXPECT_THROW(upgrade_opset(odd, 9), Error);
}

TEST(UpgradeCompute, GroupNormalizationRepeatsScales) {
  Net n(18, {1, 4, 2});
  const ValueId scale = n.b.constant("scale", Tensor::of<float>({2}, {1, 3}));
  const ValueId bias = n.b.constant("bias", Tensor::of<float>({2}, {0, -1}));
  n.b.output(n.b.op("GroupNormalization", {n.x, scale, bias}, {{"num_groups", int64_t{2}}}, "y"));
  n.expect_same(21, kCube.reshaped({1, 4, 2}));
}

}  // namespace
}  // namespace lapidary
