#include "test/ops/op_case.h"

// Types of If, Loop and Scan from those of the graphs that they hold.

namespace lapidary {
namespace {

using Body = std::shared_ptr<Graph>;

Body new_body() {
  auto body = std::make_shared<Graph>();
  body->set_opset("", 16);
  return body;
}

/// A branch that gives a constant.
Body constant_branch(const Tensor& value) {
  Body body = new_body();
  GraphBuilder b(*body);
  b.output(b.op("Constant", {}, {{"value", value}}, "made"));
  return body;
}

OpCase choice(const Tensor& one, const Tensor& other) {
  OpCase c("If", 16);
  c.in_type(DType::kBool, {})
      .attr("then_branch", std::shared_ptr<const Graph>(constant_branch(one)))
      .attr("else_branch", std::shared_ptr<const Graph>(constant_branch(other)));
  return c;
}

TEST(If, HasWhatBothBranchesAgreeIn) {
  EXPECT_EQ(choice(Tensor::of<float>({1, 2}, {1, 2}), Tensor::of<float>({1, 2}, {3, 4})).infer(),
            "float32[1,2]");
  EXPECT_EQ(choice(Tensor::of<float>({2}, {1, 2}), Tensor::of<float>({1}, {3})).infer(),
            "float32[?]");
  EXPECT_EQ(choice(Tensor::of<float>({1, 2}, {1, 2}), Tensor::of<float>({1, 1}, {3})).infer(),
            "float32[1,?]");
}

TEST(If, RefusesWhatCannotBe) {
  expect_error(choice(Tensor::of<float>({1}, {1}), Tensor::of<int64_t>({1}, {3})).infer_error(),
               ErrorCode::kInvalid, "int64");
  expect_error(
      choice(Tensor::of<float>({1}, {1}), Tensor::of<float>({1}, {3})).outputs(2).infer_error(),
      ErrorCode::kInvalid, "then_branch has 1 outputs, the node needs 2");
  expect_error(OpCase("If", 16).in_type(DType::kBool, {}).infer_error(), ErrorCode::kInvalid,
               "then_branch");
}

TEST(If, BranchesSeeTypesOfWhatTheyCapture) {
  Graph graph;
  graph.set_opset("", 16);
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {Dim::named("N"), 4});
  const ValueId c = b.input("c", DType::kBool, {});
  Node node;
  node.op = "If";
  node.inputs = {c};
  node.outputs = {graph.add_value("y")};
  for (const char* attr : {"then_branch", "else_branch"}) {
    Body body = new_body();
    GraphBuilder inside(*body);
    const ValueId captured = body->add_value("x_inside");
    inside.output(inside.op("Relu", {captured}));
    node.attrs.emplace_back(attr, std::shared_ptr<const Graph>(body));
    node.captures.push_back({x, attr, 0, captured});
  }
  b.output(node.outputs[0]);
  graph.add_node(std::move(node));
  infer_types(graph);
  EXPECT_EQ(graph.value(graph.outputs()[0]).type.text(), "float32[N,4]");
}

/// (i, go on, sum) -> go on, sum + step, step
Body counting_body() {
  Body body = new_body();
  GraphBuilder b(*body);
  b.input("i", DType::kI64, {});
  const ValueId go_on = b.input("go_on", DType::kBool, {});
  const ValueId sum = b.input("sum", DType::kF32, {2});
  const ValueId step = b.constant("step", Tensor::of<float>({2}, {1, 10}));
  b.output(b.op("Identity", {go_on}));
  b.output(b.op("Add", {sum, step}));
  b.output(b.op("Identity", {step}));
  return body;
}

TEST(Loop, CarriesAndStacks) {
  OpCase c("Loop", 16);
  c.in_type(DType::kI64, {}).absent().in_type(DType::kF32, {2}).outputs(2);
  c.attr("body", std::shared_ptr<const Graph>(counting_body()));
  const auto types = c.infer_all();
  EXPECT_EQ(types[0].text(), "float32[2]");
  EXPECT_EQ(types[1].text(), "float32[?,2]");
  OpCase more("Loop", 16);
  more.absent().absent().outputs(2).attr("body", std::shared_ptr<const Graph>(counting_body()));
  expect_error(more.infer_error(), ErrorCode::kInvalid, "the body has 3 inputs, the node needs 2");
}

/// (sum, row) -> sum + row, sum + row
Body summing_body() {
  Body body = new_body();
  GraphBuilder b(*body);
  const ValueId sum = b.input("sum", DType::kF32, {2});
  const ValueId row = b.input("row", DType::kF32, {2});
  const ValueId next = b.op("Add", {sum, row});
  b.output(next);
  b.output(b.op("Identity", {next}));
  return body;
}

TEST(Scan, StacksAlongItsAxes) {
  OpCase c("Scan", 16);
  c.in_type(DType::kF32, {2}).in_type(DType::kF32, {2, 5}).outputs(2);
  c.attr("body", std::shared_ptr<const Graph>(summing_body())).attr("num_scan_inputs", int64_t{1});
  c.ints("scan_input_axes", {1}).ints("scan_output_axes", {-1});
  const auto types = c.infer_all();
  EXPECT_EQ(types[0].text(), "float32[2]");
  EXPECT_EQ(types[1].text(), "float32[2,5]");
  OpCase bad("Scan", 16);
  bad.in_type(DType::kF32, {2}).in_type(DType::kF32, {2, 5}).outputs(2);
  bad.attr("body", std::shared_ptr<const Graph>(summing_body()))
      .attr("num_scan_inputs", int64_t{3});
  expect_error(bad.infer_error(), ErrorCode::kInvalid, "num_scan_inputs is 3 of 2 inputs");
}

}  // namespace
}  // namespace lapidary
