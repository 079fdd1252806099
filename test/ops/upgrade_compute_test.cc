#include <map>

#include "test/ops/op_case.h"

namespace lapidary {
namespace {

/// Applies every rule of the node's op between two opsets, as an upgrade of the model does.
void upgrade(Graph& graph, int64_t from, int64_t to) {
  for (NodeId id : graph.nodes()) {
    const OpDef& def = *find_op("", graph.node(id).op);
    const int before = op_version(def, from), after = op_version(def, to);
    for (const UpgradeRule& rule : def.upgrades)
      if (rule.to_version > before && rule.to_version <= after && graph.alive(id))
        rule.apply(graph, id);
  }
  graph.set_opset("", to);
  graph.verify();
  infer_types(graph);
}

Tensor run(const Graph& graph, const Tensor& x) {
  std::map<uint32_t, Tensor> values{{graph.inputs()[0].index, x}};
  for (NodeId id : graph.nodes()) {
    std::vector<const Tensor*> inputs;
    for (ValueId v : graph.node(id).inputs)
      inputs.push_back(!v ? nullptr : graph.constant(v) ? graph.constant(v) : &values.at(v.index));
    const auto outputs = evaluate_node(graph, id, inputs);
    for (size_t i = 0; i < outputs.size(); ++i)
      values[graph.node(id).outputs[i].index] = outputs[i];
  }
  return values.at(graph.outputs()[0].index);
}

struct Net {
  Graph graph;
  GraphBuilder b{graph};
  ValueId x;

  Net(int64_t opset, std::vector<Dim> shape) {
    graph.set_opset("", opset);
    x = b.input("x", DType::kF32, std::move(shape));
  }
  /// Upgrades and compares the results before and after, which must be the same bits.
  void expect_same(int64_t from, int64_t to, const Tensor& in) {
    infer_types(graph);
    const Tensor before = run(graph, in);
    upgrade(graph, from, to);
    EXPECT_EQ(graph.value(graph.outputs()[0]).name, "y");
    EXPECT_TRUE(run(graph, in).equals(before));
  }
};

const Tensor kCube = Tensor::of<float>({2, 2, 2}, {1, -2, 3, 0.5f, -1, 4, 2, 0});

TEST(UpgradeCompute, SoftmaxOfRows) {
  for (const char* op : {"Softmax", "LogSoftmax", "Hardmax"})
    for (int64_t axis : {0, 1, 2}) {
      SCOPED_TRACE(op);
      Net n(11, {Dim::named("N"), 2, 2});
      n.b.output(n.b.op(op, {n.x}, {{"axis", axis}}, "y"));
      n.expect_same(11, 21, kCube);
      EXPECT_EQ(n.graph.node_count(), axis == 2 ? 1u : 4u);
    }
}

TEST(UpgradeCompute, ReductionAxesBecomeAnInput) {
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceL2"}) {
    Net n(11, {2, 2, 2});
    n.b.output(
        n.b.op(op, {n.x}, {{"axes", std::vector<int64_t>{-1}}, {"keepdims", int64_t{0}}}, "y"));
    n.expect_same(11, 21, kCube);
    const NodeId node = n.graph.nodes()[0];
    EXPECT_EQ(n.graph.node(node).attr("axes"), nullptr);
    EXPECT_EQ(n.graph.node(node).inputs.size(), 2u);
  }
}

TEST(UpgradeCompute, ReductionsOfAllAxesStayAsTheyAre) {
  Net n(11, {2, 2, 2});
  n.b.output(n.b.op("ReduceMean", {n.x}, {}, "y"));
  n.expect_same(11, 21, kCube);
  EXPECT_EQ(n.graph.node(n.graph.nodes()[0]).inputs.size(), 1u);
}

TEST(UpgradeCompute, ClipBoundsBecomeInputs) {
  Net n(7, {2, 2, 2});
  n.b.output(n.b.op("Clip", {n.x}, {{"max", 1.5f}}, "y"));
  n.expect_same(7, 21, kCube);
  const Node& node = n.graph.node(n.graph.nodes()[0]);
  ASSERT_EQ(node.inputs.size(), 3u);
  EXPECT_FALSE(node.inputs[1].valid());
}

TEST(UpgradeCompute, DropoutRatioBecomesAnInput) {
  Net n(7, {2, 2, 2});
  n.b.output(n.b.op("Dropout", {n.x}, {{"ratio", 0.25f}}, "y"));
  n.expect_same(7, 21, kCube);
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
  const Tensor before = run(graph, kCube);
  upgrade(graph, 7, 21);
  EXPECT_TRUE(run(graph, kCube).equals(before));
  EXPECT_EQ(graph.node(graph.nodes()[0]).attr("spatial"), nullptr);
  Graph odd = batch_norm(7, {{"spatial", int64_t{0}}});
  EXPECT_THROW(upgrade(odd, 7, 9), Error);
}

TEST(UpgradeCompute, GroupNormalizationRepeatsScales) {
  Net n(18, {1, 4, 2});
  const ValueId scale = n.b.constant("scale", Tensor::of<float>({2}, {1, 3}));
  const ValueId bias = n.b.constant("bias", Tensor::of<float>({2}, {0, -1}));
  n.b.output(n.b.op("GroupNormalization", {n.x, scale, bias}, {{"num_groups", int64_t{2}}}, "y"));
  n.expect_same(18, 21, kCube.reshaped({1, 4, 2}));
}

}  // namespace
}  // namespace lapidary
