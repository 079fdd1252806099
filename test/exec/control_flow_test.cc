#include <limits>

#include "lapidary/error.h"
#include "lapidary/exec.h"
#include "src/ops/infer.h"
#include "test/exec/compare.h"

// If, Loop and Scan, by hand.

namespace lapidary::exec {
namespace {

using testing::HasSubstr;
using Body = std::shared_ptr<const Graph>;

std::shared_ptr<Graph> new_body() {
  auto body = std::make_shared<Graph>();
  body->set_opset("", 16);
  return body;
}

Graph new_model() {
  Graph graph;
  graph.set_opset("", 16);
  return graph;
}

/// Adds a node that holds `body` and makes the outputs of the model.
void add_holder(Graph& graph, const std::string& op, std::vector<ValueId> inputs, Body body,
                std::vector<std::string> outputs, std::vector<Capture> captures = {},
                GraphBuilder::Attrs attrs = {}) {
  Node node;
  node.op = op;
  node.inputs = std::move(inputs);
  node.attrs = std::move(attrs);
  node.attrs.emplace_back("body", std::move(body));
  node.captures = std::move(captures);
  for (const std::string& name : outputs) node.outputs.push_back(graph.add_value(name));
  graph.set_outputs(node.outputs);
  graph.add_node(std::move(node));
}

Executor::Values run(const Graph& graph, const Executor::Values& inputs) {
  const auto reference = Executor(graph, {.executor = ExecutorKind::kReference}).run(inputs);
  const auto fast = Executor(graph).run(inputs);
  for (const auto& [name, tensor] : reference) EXPECT_TRUE(fast.at(name).equals(tensor)) << name;
  return reference;
}

Error error_of(const Graph& graph, const Executor::Values& inputs) {
  try {
    Executor(graph).run(inputs);
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return Error(ErrorCode::kInternal, "none");
}

/// Loop of (i, go on, x) -> x < limit, 2 x + step, x: doubling, with `step` of the outer graph.
struct Doubling {
  Graph graph = new_model();
  explicit Doubling(bool trip_count = true) {
    GraphBuilder b(graph);
    const ValueId m = b.input("m", DType::kI64, {});
    const ValueId x = b.input("x", DType::kF32, std::vector<Dim>{1});
    const ValueId step = b.input("step", DType::kF32, std::vector<Dim>{1});
    auto body = new_body();
    GraphBuilder in(*body);
    in.input("i", DType::kI64, {});
    in.input("go_on", DType::kBool, {});
    const ValueId at = in.input("at", DType::kF32, std::vector<Dim>{1});
    const ValueId outer_step = body->add_value("outer_step");
    const ValueId limit = in.constant("limit", Tensor::of<float>({}, {100}));
    in.output(in.op("Squeeze", {in.op("Less", {at, limit})}));
    in.output(in.op("Add", {in.op("Add", {at, at}), outer_step}));
    in.output(in.op("Identity", {at}));
    add_holder(graph, "Loop", {trip_count ? m : ValueId(), ValueId(), x}, body, {"last", "all"},
               {{step, "body", 0, outer_step}});
  }
  static Executor::Values inputs(int64_t trips, float x) {
    return {{"m", Tensor::scalar(trips)},
            {"x", Tensor::of<float>({1}, {x})},
            {"step", Tensor::of<float>({1}, {1})}};
  }
};

TEST(Loop, EndsByItsTripCount) {
  const auto got = run(Doubling().graph, Doubling::inputs(3, 1));
  EXPECT_TRUE(got.at("last").equals(Tensor::of<float>({1}, {15})));
  EXPECT_TRUE(got.at("all").equals(Tensor::of<float>({3, 1}, {1, 3, 7})));
}

// The value that the condition is false of is still doubled: it ends the iteration after.
TEST(Loop, EndsByItsCondition) {
  const auto expected = Tensor::of<float>({4, 1}, {20, 41, 83, 167});
  for (const bool trip_count : {true, false}) {
    const auto got =
        run(Doubling(trip_count).graph, Doubling::inputs(std::numeric_limits<int64_t>::max(), 20));
    EXPECT_TRUE(got.at("last").equals(Tensor::of<float>({1}, {335})));
    EXPECT_TRUE(got.at("all").equals(expected));
  }
}

TEST(Loop, MayNotRunAtAll) {
  Doubling loop;
  infer_types(loop.graph);  // no row says what the rows would be
  const auto got = run(loop.graph, Doubling::inputs(0, 5));
  EXPECT_TRUE(got.at("last").equals(Tensor::of<float>({1}, {5})));
  EXPECT_EQ(got.at("all").shape(), (Shape{0, 1}));
}

/// Loop of (i, go on) -> true, <row>.
Graph endless(const std::function<ValueId(GraphBuilder&, ValueId i)>& row) {
  Graph graph = new_model();
  GraphBuilder b(graph);
  const ValueId m = b.input("m", DType::kI64, {});
  auto body = new_body();
  GraphBuilder in(*body);
  const ValueId i = in.input("i", DType::kI64, {});
  in.input("go_on", DType::kBool, {});
  in.output(in.constant("yes", Tensor::scalar(true)));
  in.output(row(in, i));
  add_holder(graph, "Loop", {m}, body, {"rows"});
  return graph;
}

const Executor::Values kForever{{"m", Tensor::scalar(std::numeric_limits<int64_t>::max())}};

TEST(Loop, IterationsAreLimited) {
  const Graph graph = endless([](GraphBuilder&, ValueId i) { return i; });
  const Error error = error_of(graph, kForever);
  EXPECT_EQ(error.code(), ErrorCode::kResource) << error.what();
  EXPECT_THAT(error.what(), HasSubstr("1000000 iterations"));
}

TEST(Loop, StackedOutputsAreLimited) {
  const Graph graph = endless([](GraphBuilder& b, ValueId) {
    return b.constant("large",
                      Tensor(DType::kF32, {1 << 22}));  // shared by all rows: no memory yet
  });
  const Error error = error_of(graph, kForever);
  EXPECT_EQ(error.code(), ErrorCode::kResource) << error.what();
  EXPECT_THAT(error.what(), HasSubstr("bytes"));
}

TEST(Loop, LoopsInLoopsShareTheLimit) {
  Graph inner = endless([](GraphBuilder&, ValueId i) { return i; });
  const Graph graph = endless([&](GraphBuilder& b, ValueId) {
    const Node& loop = inner.node(inner.nodes()[0]);
    const ValueId most = b.constant("most", Tensor::scalar(int64_t{600'000}));
    return b.op("Loop", {most}, loop.attrs);
  });
  EXPECT_EQ(error_of(graph, kForever).code(), ErrorCode::kResource);
}

/// (sum, column) -> sum + column, sum + column; columns from the last to the first.
TEST(Scan, GoesAlongAnAxisAndBackwards) {
  Graph graph = new_model();
  GraphBuilder b(graph);
  const ValueId start = b.input("start", DType::kF32, std::vector<Dim>{2});
  const ValueId x = b.input("x", DType::kF32, {2, Dim::named("T")});
  auto body = new_body();
  GraphBuilder in(*body);
  const ValueId sum = in.input("sum", DType::kF32, std::vector<Dim>{2});
  const ValueId column = in.input("column", DType::kF32, std::vector<Dim>{2});
  const ValueId next = in.op("Add", {sum, column});
  in.output(next);
  in.output(in.op("Identity", {next}));
  const auto one = [](int64_t v) { return std::vector<int64_t>{v}; };
  add_holder(graph, "Scan", {start, x}, body, {"total", "sums"}, {},
             {{"num_scan_inputs", int64_t{1}},
              {"scan_input_axes", one(1)},
              {"scan_input_directions", one(1)},
              {"scan_output_axes", one(-1)},
              {"scan_output_directions", one(0)}});
  const auto got = run(graph, {{"start", Tensor::of<float>({2}, {0, 100})},
                               {"x", Tensor::of<float>({2, 3}, {1, 2, 3, 10, 20, 30})}});
  EXPECT_TRUE(got.at("total").equals(Tensor::of<float>({2}, {6, 160})));
  EXPECT_TRUE(got.at("sums").equals(Tensor::of<float>({2, 3}, {3, 5, 6, 130, 150, 160})));
}

// What a body makes may contradict what the model declares: an error of the model's, not a crash.
TEST(If, OutputsMustBeAsDeclared) {
  Graph graph = new_model();
  GraphBuilder b(graph);
  const ValueId c = b.input("c", DType::kBool, {});
  const ValueId x = b.input("x", DType::kF32, {Dim()});
  Node node;
  node.op = "If";
  node.inputs = {c};
  node.outputs = {graph.add_value("y", {DType::kF32, std::vector<Dim>{2}})};
  for (const char* attr : {"then_branch", "else_branch"}) {
    auto body = new_body();
    GraphBuilder in(*body);
    const ValueId captured = body->add_value("x_inside");
    const ValueId kept = in.op("NonZero", {captured});  // its length depends on the elements
    in.output(in.op("Cast", {in.op("Flatten", {kept})}, {{"to", int64_t{1}}}));
    node.attrs.emplace_back(attr, Body(body));
    node.captures.push_back({x, attr, 0, captured});
  }
  b.output(node.outputs[0]);
  graph.add_node(std::move(node));
  const Executor::Values inputs{{"c", Tensor::scalar(true)},
                                {"x", Tensor::of<float>({3}, {1, 0, 2})}};
  EXPECT_EQ(error_of(graph, inputs).code(), ErrorCode::kInvalid);
}

TEST(Executor, NamesOpsInsideBodiesThatItCannotRun) {
  const Graph graph =
      endless([](GraphBuilder& b, ValueId i) { return b.op("SequenceLength", {i}); });
  EXPECT_THROW(
      {
        try {
          Executor executor(graph);
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
          EXPECT_THAT(error.what(), HasSubstr("SequenceLength (1)"));
          throw;
        }
      },
      Error);
}

}  // namespace
}  // namespace lapidary::exec
