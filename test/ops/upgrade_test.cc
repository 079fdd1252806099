#include "test/ops/graph_case.h"

// Upgrade rules: a node means the same before and after.

namespace lapidary {
namespace {

/// One node under an old opset; evaluated as it is, and after the rules up to a newer one.
struct UpgradeCase {
  std::string op;
  int64_t from, to;
  std::vector<Tensor> inputs;  ///< the first is the data, the others constants
  GraphBuilder::Attrs attrs = {};
  size_t outputs = 1;
};

Graph build(const UpgradeCase& c) {
  Graph graph;
  graph.set_opset("", c.from);
  GraphBuilder builder(graph);
  std::vector<ValueId> inputs;
  const TensorType type = tensor_type(c.inputs[0]);
  inputs.push_back(builder.input("x", type.dtype, *type.shape));
  for (size_t i = 1; i < c.inputs.size(); ++i) inputs.push_back(builder.constant("c", c.inputs[i]));
  for (ValueId out : builder.ops(c.op, c.outputs, inputs, c.attrs, "node")) builder.output(out);
  return graph;
}

Graph expect_same_after(const UpgradeCase& c) {
  Graph graph = build(c);
  const auto before = evaluate_graph(graph, c.inputs[0]);
  upgrade_opset(graph, c.to);
  graph.verify();
  infer_types(graph);
  const auto after = evaluate_graph(graph, c.inputs[0]);
  EXPECT_EQ(before.size(), after.size());
  for (size_t i = 0; i < before.size(); ++i)
    EXPECT_TRUE(before[i].equals(after[i])) << c.op << " output " << i;
  return graph;
}

Tensor ramp_tensor(Shape shape) {
  Tensor t(DType::kF32, std::move(shape));
  auto data = t.mutable_data<float>();
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<float>(i);
  return t;
}

using Ints = std::vector<int64_t>;

TEST(Upgrade, SqueezeAndUnsqueezeAxes) {
  Graph g =
      expect_same_after({"Squeeze", 11, 21, {ramp_tensor({1, 3, 1})}, {{"axes", Ints{0, -1}}}});
  EXPECT_EQ(g.node(g.nodes()[0]).inputs.size(), 2u);
  EXPECT_EQ(g.node(g.nodes()[0]).attr("axes"), nullptr);
  expect_same_after({"Squeeze", 7, 21, {ramp_tensor({1, 3, 1})}});
  expect_same_after({"Unsqueeze", 7, 21, {ramp_tensor({3})}, {{"axes", Ints{0, 2}}}});
}

TEST(Upgrade, Split) {
  expect_same_after(
      {"Split", 7, 21, {ramp_tensor({2, 6})}, {{"axis", int64_t{1}}, {"split", Ints{1, 2, 3}}}, 3});
  Graph g = expect_same_after({"Split", 11, 21, {ramp_tensor({6})}, {}, 3});
  EXPECT_EQ(std::get<int64_t>(*g.node(g.nodes()[0]).attr("num_outputs")), 3);
}

TEST(Upgrade, Slice) {
  expect_same_after({"Slice",
                     7,
                     21,
                     {ramp_tensor({4, 5})},
                     {{"starts", Ints{1, -3}}, {"ends", Ints{1000, -1}}, {"axes", Ints{0, 1}}}});
  expect_same_after(
      {"Slice", 9, 13, {ramp_tensor({4, 5})}, {{"starts", Ints{1}}, {"ends", Ints{3}}}});
}

TEST(Upgrade, PadKeepsItsConstant) {
  const GraphBuilder::Attrs attrs = {{"pads", Ints{0, 1, 2, 0}}, {"value", 1.5f}};
  expect_same_after({"Pad", 7, 21, {ramp_tensor({2, 3})}, attrs});
  expect_same_after({"Pad",
                     7,
                     21,
                     {ramp_tensor({2, 3})},
                     {{"pads", Ints{0, 1, 1, 0}}, {"mode", std::string("reflect")}}});
}

TEST(Upgrade, TopK) {
  expect_same_after(
      {"TopK", 7, 21, {ramp_tensor({3, 5})}, {{"k", int64_t{2}}, {"axis", int64_t{0}}}, 2});
}

TEST(Upgrade, ScatterBecomesScatterElements) {
  Graph g = expect_same_after(
      {"Scatter",
       9,
       21,
       {ramp_tensor({3, 3}), Tensor::of<int64_t>({1, 2}, {2, 0}), ramp_tensor({1, 2})},
       {{"axis", int64_t{1}}}});
  EXPECT_EQ(g.node(g.nodes()[0]).op, "ScatterElements");
}

TEST(Upgrade, UpsampleBecomesResize) {
  const GraphBuilder::Attrs scales = {{"scales", std::vector<float>{1, 1, 1.5f, 2}}};
  Graph g = expect_same_after({"Upsample", 7, 21, {ramp_tensor({1, 1, 3, 4})}, scales});
  EXPECT_EQ(g.node(g.nodes()[0]).op, "Resize");
  const Tensor by = Tensor::of<float>({4}, {1, 1, 2, 1.7f});
  expect_same_after(
      {"Upsample", 9, 21, {ramp_tensor({1, 1, 3, 4}), by}, {{"mode", std::string("linear")}}});
}

TEST(Upgrade, ResizeThatGrowsAndShrinksBecomesTwo) {
  const auto nearest = [](const std::vector<float>& by) {
    return expect_same_after(
        {"Resize", 10, 21, {ramp_tensor({1, 1, 6, 7}), Tensor::of<float>({4}, by)}});
  };
  EXPECT_EQ(nearest({1, 1, 1.5f, 1.7f}).node_count(), 1u);
  EXPECT_EQ(nearest({1, 1, 0.7f, 0.6f}).node_count(), 1u);
  EXPECT_EQ(nearest({1, 1, 1.7f, 0.6f}).node_count(), 2u);
}

TEST(Upgrade, ResizeTfHalfPixel) {
  const Tensor none(DType::kF32, {0});
  const auto run = [&](const char* rounding) {
    return UpgradeCase{
        "Resize",
        11,
        21,
        {ramp_tensor({1, 1, 5, 7}), none, Tensor::of<float>({4}, {1, 1, 0.6f, 1.7f})},
        {{"coordinate_transformation_mode", std::string("tf_half_pixel_for_nn")},
         {"nearest_mode", std::string(rounding)}}};
  };
  expect_same_after(run("floor"));
  expect_same_after(run("round_prefer_floor"));
  Graph graph = build(run("ceil"));
  EXPECT_THROW(upgrade_opset(graph, 21), Error);
}

TEST(Upgrade, GridSampleWords) {
  const Tensor grid = Tensor::of<float>({1, 1, 2, 2}, {-0.3f, 0.2f, 0.5f, -0.9f});
  expect_same_after({"GridSample",
                     16,
                     21,
                     {ramp_tensor({1, 1, 4, 4}), grid},
                     {{"mode", std::string("bicubic")}}});
  expect_same_after({"GridSample",
                     16,
                     21,
                     {ramp_tensor({1, 1, 4, 4}), grid},
                     {{"mode", std::string("bilinear")}}});
}

TEST(Upgrade, RoiAlignStaysUnshifted) {
  expect_same_after({"RoiAlign",
                     10,
                     21,
                     {ramp_tensor({1, 1, 6, 6}), Tensor::of<float>({1, 4}, {1, 1, 4, 5}),
                      Tensor::of<int64_t>({1}, {0})},
                     {{"output_height", int64_t{2}}, {"output_width", int64_t{2}}}});
}

TEST(Upgrade, DftAxis) {
  expect_same_after({"DFT", 17, 21, {ramp_tensor({2, 3, 4, 1})}, {{"axis", int64_t{2}}}});
  expect_same_after({"DFT", 17, 21, {ramp_tensor({2, 3, 4, 1})}});
}

}  // namespace
}  // namespace lapidary
