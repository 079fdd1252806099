#include <gtest/gtest.h>

#include <memory>

#include "lapidary/evaluate.h"

namespace lapidary {
namespace {

/// y = x + w, w of so many elements made by a Constant node.
std::shared_ptr<const Graph> branch(int64_t elements) {
  auto g = std::make_shared<Graph>();
  g->set_opset("", 13);
  const ValueId x = g->add_constant("x", Tensor::of<float>({1}, {1}));
  const ValueId w = g->add_value("w", {DType::kF32, {}}), y = g->add_value("y", {DType::kF32, {}});
  g->add_node(
      {.op = "Constant", .outputs = {w}, .attrs = {{"value", Tensor(DType::kF32, {elements})}}});
  g->add_node({.op = "Add", .inputs = {x, w}, .outputs = {y}});
  g->set_outputs({y});
  return g;
}

TEST(Inspect, CountsTheParametersOfBothBranches) {
  Graph g;
  g.set_opset("", 13);
  const ValueId condition = g.add_value("c", {DType::kBool, {}});
  g.set_inputs({condition});
  const ValueId out = g.add_value("out", {DType::kF32, {}});
  g.add_node({.op = "If",
              .inputs = {condition},
              .outputs = {out},
              .attrs = {{"then_branch", branch(3)}, {"else_branch", branch(40)}}});
  g.set_outputs({out});
  const ModelSummary seen = summarize(g);
  EXPECT_EQ(seen.parameters, 3 + 40 + 2);  // and both x
  EXPECT_EQ(seen.nonzero_parameters, 2);   // x; new tensors are zeros
  EXPECT_EQ(seen.parameter_bytes, 45 * 4);
  EXPECT_EQ(seen.layers.at(0).parameters, 45);
  EXPECT_FALSE(seen.macs_complete);
}

}  // namespace
}  // namespace lapidary
