#include "test/ops/graph_case.h"

// Models of opset 6 brought to 7. Results by the definitions of version 6, by hand.

namespace lapidary {
namespace {

struct Old {
  Graph graph;
  ValueId x;
  NodeId node;
};

/// y = op(x, b) of opset 6.
Old old_model(const std::string& op, Tensor x, Tensor b, GraphBuilder::Attrs attrs) {
  Old out;
  out.graph.set_opset("", 6);
  GraphBuilder builder(out.graph);
  out.x = builder.input("x", x.dtype(), *tensor_type(x).shape);
  const ValueId y =
      builder.op(op, {out.x, builder.constant("b", std::move(b))}, std::move(attrs), "y");
  builder.output(y);
  out.node = out.graph.value(y).producer;
  return out;
}

const Tensor kX = Tensor::of<float>({1, 2, 2}, {1, 2, 3, 4});

TEST(Before7, AddAlignsByAxis) {
  Old m = old_model("Add", kX, Tensor::of<float>({2}, {10, 20}),
                    {{"broadcast", int64_t{1}}, {"axis", int64_t{1}}});
  upgrade_opset(m.graph, 7);
  expect_tensor<float>(evaluate_graph(m.graph, kX)[0], {1, 2, 2}, {11, 12, 23, 24});
  EXPECT_TRUE(m.graph.node(m.node).attrs.empty());
}

TEST(Before7, AddAlignsTheLastAxesOtherwise) {
  Old m = old_model("Add", kX, Tensor::of<float>({2}, {10, 20}), {{"broadcast", int64_t{1}}});
  upgrade_opset(m.graph, 21);
  expect_tensor<float>(evaluate_graph(m.graph, kX)[0], {1, 2, 2}, {11, 22, 13, 24});
}

TEST(Before7, PReluHasASlopePerChannel) {
  const Tensor x = Tensor::of<float>({1, 2, 2}, {-1, 2, -3, -4});
  Old m = old_model("PRelu", x, Tensor::of<float>({2}, {0.5f, 0.25f}), {});
  upgrade_opset(m.graph, 7);
  expect_tensor<float>(evaluate_graph(m.graph, x)[0], {1, 2, 2}, {-0.5f, 2, -0.75f, -1});
}

TEST(Before7, WhatDoesNotFitIsRefused) {
  Old far = old_model("Mul", kX, Tensor::of<float>({2, 2}, {1, 2, 3, 4}),
                      {{"broadcast", int64_t{1}}, {"axis", int64_t{2}}});
  EXPECT_THROW(upgrade_opset(far.graph, 7), Error);
  Old open = old_model("Mul", kX, Tensor::of<float>({2}, {1, 2}),
                       {{"broadcast", int64_t{1}}, {"axis", int64_t{1}}});
  open.graph.mutable_value(open.x).type.shape.reset();
  try {
    upgrade_opset(open.graph, 7);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_THAT(error.what(), testing::HasSubstr("rank of 'x' is not known"));
  }
}

}  // namespace
}  // namespace lapidary
