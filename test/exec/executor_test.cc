#include "lapidary/exec.h"

#include "lapidary/error.h"
#include "test/exec/compare.h"

namespace lapidary::exec {
namespace {

using testing::HasSubstr;

/// x [N,3,4,4] -> Conv "c" -> BatchNormalization "n" -> Relu "y".
struct Small {
  Graph graph = new_graph();
  Small() {
    GraphBuilder b(graph);
    const ValueId x = b.input("x", DType::kF32, {Dim::named("N"), 3, 4, 4});
    const ValueId w = b.constant("w", random_floats({5, 3, 3, 3}, 1));
    const ValueId c = b.op("Conv", {x, w}, {{"pads", std::vector<int64_t>{1, 1, 1, 1}}}, "c");
    const ValueId ones = b.constant("ones", Tensor::of<float>({5}, {1, 2, 3, 4, 5}));
    const ValueId n = b.op("BatchNormalization", {c, ones, ones, ones, ones}, {}, "n");
    b.output(b.op("Relu", {n}, {}, "y"));
  }
};

Executor::Values input_of(int64_t batch) { return {{"x", random_floats({batch, 3, 4, 4}, 7)}}; }

template <class F>
std::string message_of(ErrorCode code, F&& f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return {};
}

TEST(Executor, EveryBatchSizeGetsItsPlan) {
  const Small net;
  Executor fast(net.graph), reference(net.graph, {.executor = ExecutorKind::kReference});
  for (const int64_t batch : {1, 4, 1, 3}) {
    const auto got = fast.run(input_of(batch)), expected = reference.run(input_of(batch));
    EXPECT_LE(relative_difference(got.at("y"), expected.at("y")), 1e-6);
    EXPECT_EQ(got.at("y").shape(), (Shape{batch, 5, 4, 4}));
  }
}

TEST(Executor, ManySizesComeAndGo) {
  const Small net;
  Executor fast(net.graph), reference(net.graph, {.executor = ExecutorKind::kReference});
  for (int round = 0; round < 2; ++round)
    for (int64_t batch = 1; batch <= 20; ++batch)
      EXPECT_LE(relative_difference(fast.run(input_of(batch)).at("y"),
                                    reference.run(input_of(batch)).at("y")),
                1e-6);
}

TEST(Executor, RepeatedRunsGiveTheSameBits) {
  const Small net;
  Executor one(net.graph, {.threads = 1});
  const Tensor first = one.run(input_of(3)).at("y");
  EXPECT_TRUE(one.run(input_of(3)).at("y").equals(first));
  for (const int threads : {2, 3, 8})
    EXPECT_TRUE(Executor(net.graph, {.threads = threads}).run(input_of(3)).at("y").equals(first));
}

TEST(Executor, ResultsOutliveTheNextRun) {
  const Small net;
  Executor fast(net.graph);
  const Tensor first = fast.run(input_of(1)).at("y");
  const Tensor copy = Tensor::of<float>(first.shape(), first.data<float>());
  Executor::Values other = {{"x", random_floats({1, 3, 4, 4}, 99)}};
  fast.run(other);
  EXPECT_TRUE(first.equals(copy));
}

TEST(Executor, ChecksItsInputs) {
  const Small net;
  Executor fast(net.graph);
  const auto run = [&](Executor::Values values) {
    return message_of(ErrorCode::kInvalid, [&] { fast.run(values); });
  };
  EXPECT_THAT(run({}), HasSubstr("input 'x'"));
  EXPECT_THAT(run({{"x", random_floats({1, 3, 4, 4}, 1)}, {"z", Tensor::scalar(1.0f)}}),
              HasSubstr("no input 'z'"));
  EXPECT_THAT(run({{"x", random_floats({1, 3, 4}, 1)}}), HasSubstr("float32[1,3,4]"));
  EXPECT_THAT(run({{"x", random_floats({1, 4, 4, 4}, 1)}}), HasSubstr("expected float32[N,3,4,4]"));
  EXPECT_THAT(run({{"x", Tensor(DType::kF64, {1, 3, 4, 4})}}), HasSubstr("float64"));
}

TEST(Executor, OneSymbolIsOneSize) {
  Graph graph = new_graph();
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {Dim::named("N")});
  const ValueId z = b.input("z", DType::kF32, {Dim::named("N")});
  b.output(b.op("Add", {x, z}, {}, "y"));
  Executor fast(graph);
  EXPECT_THAT(message_of(ErrorCode::kInvalid,
                         [&] {
                           fast.run({{"x", random_floats({3}, 1)}, {"z", random_floats({4}, 1)}});
                         }),
              HasSubstr("'N' is 3"));
}

TEST(Executor, ListsAllThatItCannotExecute) {
  Graph graph = new_graph();
  graph.set_opset("custom", 1);
  GraphBuilder b(graph);
  ValueId x = b.input("x", DType::kF32, {2});
  x = b.op("Mystery", {x}, {}, {}, "custom");
  x = b.op("Mystery", {x}, {}, {}, "custom");
  b.output(b.op("Enigma", {x}, {}, "y"));
  const std::string text = message_of(ErrorCode::kUnsupported, [&] { Executor fast(graph); });
  EXPECT_THAT(text, HasSubstr("Enigma (1)"));
  EXPECT_THAT(text, HasSubstr("custom.Mystery (2)"));
}

TEST(Executor, InitializersMayBeOverridden) {
  Graph graph = new_graph();
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {2});
  const ValueId c = graph.add_constant("c", Tensor::of<float>({2}, {10, 20}));
  graph.set_inputs({x, c});
  b.output(b.op("Mul", {x, c}, {}, "y"));
  for (const ExecutorKind kind : {ExecutorKind::kFast, ExecutorKind::kReference}) {
    Executor executor(graph, {.executor = kind});
    const Tensor given = Tensor::of<float>({2}, {1, 2}), other = Tensor::of<float>({2}, {3, 5});
    EXPECT_TRUE(executor.run({{"x", given}}).at("y").equals(Tensor::of<float>({2}, {10, 40})));
    EXPECT_TRUE(
        executor.run({{"x", given}, {"c", other}}).at("y").equals(Tensor::of<float>({2}, {3, 10})));
    EXPECT_TRUE(executor.run({{"x", given}}).at("y").equals(Tensor::of<float>({2}, {10, 40})));
  }
}

TEST(Executor, InputsAndConstantsMayBeOutputs) {
  Graph graph = new_graph();
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {2, 2});
  const ValueId c = b.constant("c", Tensor::of<float>({2}, {1, 2}));
  const ValueId flat =
      b.op("Reshape", {x, b.constant("s", Tensor::of<int64_t>({1}, {4}))}, {}, "flat");
  for (const ValueId v : {x, c, flat}) b.output(v);
  Executor fast(graph);
  const Tensor given = random_floats({2, 2}, 3);
  const auto got = fast.run({{"x", given}});
  EXPECT_TRUE(got.at("x").equals(given));
  EXPECT_TRUE(got.at("c").equals(Tensor::of<float>({2}, {1, 2})));
  EXPECT_TRUE(got.at("flat").equals(given.reshaped({4})));
}

TEST(Executor, ShapesFoundWhileRunning) {
  // NonZero: how many is known only from the elements.
  Graph graph = new_graph();
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {4});
  const ValueId at = b.op("NonZero", {x});
  const ValueId row = b.op("Squeeze", {at, b.constant("a", Tensor::of<int64_t>({1}, {0}))});
  b.output(b.op("Add", {row, row}, {}, "y"));
  Executor fast(graph);
  EXPECT_TRUE(fast.run({{"x", Tensor::of<float>({4}, {0, 5, 0, 7})}})
                  .at("y")
                  .equals(Tensor::of<int64_t>({2}, {2, 6})));
  EXPECT_TRUE(fast.run({{"x", Tensor::of<float>({4}, {1, 1, 0, 1})}})
                  .at("y")
                  .equals(Tensor::of<int64_t>({3}, {0, 2, 6})));
}

TEST(Executor, EmptyTensorsPass) {
  Graph graph = new_graph();
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {Dim::named("N"), 3});
  b.output(b.op("Relu", {x}, {}, "y"));
  Executor fast(graph);
  EXPECT_EQ(fast.run({{"x", Tensor(DType::kF32, {0, 3})}}).at("y").shape(), (Shape{0, 3}));
}

std::shared_ptr<const Graph> branch(const std::string& op, ValueId* captured) {
  auto body = std::make_shared<Graph>();
  body->set_opset("", 13);
  GraphBuilder b(*body);
  *captured = body->add_value("outer_x", {DType::kF32, std::vector<Dim>{2}});
  b.output(b.op(op, {*captured}, {}, "branch_y"));
  return body;
}

TEST(Executor, IfRunsTheBranchOfItsCondition) {
  Graph graph = new_graph();
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {2});
  const ValueId c = b.input("c", DType::kBool, std::vector<Dim>{});
  ValueId in_then, in_else;
  Node node;
  node.op = "If";
  node.inputs = {c};
  node.outputs = {graph.add_value("y")};
  node.attrs = {{"then_branch", branch("Neg", &in_then)}, {"else_branch", branch("Abs", &in_else)}};
  node.captures = {{x, "then_branch", 0, in_then}, {x, "else_branch", 0, in_else}};
  const ValueId y = node.outputs[0];
  graph.add_node(std::move(node));
  b.output(y);
  for (const ExecutorKind kind : {ExecutorKind::kFast, ExecutorKind::kReference}) {
    Executor executor(graph, {.executor = kind});
    const Tensor given = Tensor::of<float>({2}, {-3, 4});
    EXPECT_TRUE(executor.run({{"x", given}, {"c", Tensor::scalar(true)}})
                    .at("y")
                    .equals(Tensor::of<float>({2}, {3, -4})));
    EXPECT_TRUE(executor.run({{"x", given}, {"c", Tensor::scalar(false)}})
                    .at("y")
                    .equals(Tensor::of<float>({2}, {3, 4})));
  }
}

TEST(Executor, ModelFunctionsAreInlined) {
  auto body = std::make_shared<Graph>();
  body->set_opset("", 13);
  GraphBuilder inside(*body);
  const ValueId a = inside.input("a", DType::kUndefined, {});
  body->mutable_value(a).type = {};
  inside.output(inside.op("Add", {a, a}, {}, "twice"));
  Graph graph = new_graph();
  graph.set_opset("mine", 1);
  Function twice;
  twice.domain = "mine";
  twice.name = "Twice";
  twice.body = body;
  graph.model.functions.push_back(twice);
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {2});
  b.output(b.op("Twice", {x}, {}, "y", "mine"));
  Executor fast(graph);
  EXPECT_TRUE(fast.run({{"x", Tensor::of<float>({2}, {1, 2})}})
                  .at("y")
                  .equals(Tensor::of<float>({2}, {2, 4})));
}

// -- taps

struct Tapped {
  std::string name;
  Tensor tensor;
};
Tensor row_major(const TapView& view) {
  const Shape shape(view.tensor.shape.begin(), view.tensor.shape.end());
  Tensor out(view.tensor.dtype, shape);
  auto to = out.mutable_data<float>();
  const float* from = view.tensor.as<float>();
  const int64_t channels = shape[1], pixels = out.size() / (shape[0] * channels);
  for (int64_t n = 0; n < shape[0]; ++n)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t p = 0; p < pixels; ++p) {
        const int64_t at =
            view.channels_last ? (n * pixels + p) * channels + c : (n * channels + c) * pixels + p;
        to[static_cast<size_t>((n * channels + c) * pixels + p)] = from[at];
      }
  return out;
}

TEST(Taps, SeeEveryValueInOrderAndUnfused) {
  const Small net;
  Executor reference(net.graph, {.executor = ExecutorKind::kReference, .keep_all_values = true});
  const auto expected = reference.run(input_of(2));
  Executor fast(net.graph);
  std::vector<std::string> seen;
  fast.tap({"n", "c", "x", "y"}, [&](const TapView& view) {
    seen.emplace_back(view.value);
    EXPECT_LE(relative_difference(row_major(view), expected.at(seen.back())), 1e-6) << seen.back();
  });
  const auto tapped = fast.run(input_of(2));
  EXPECT_EQ(seen, (std::vector<std::string>{"x", "c", "n", "y"}));
  EXPECT_EQ(tapped.size(), 1u);
  EXPECT_LE(relative_difference(tapped.at("y"), expected.at("y")), 1e-6);
}

TEST(Taps, TheFoldedNormalizationHasItsName) {
  const Small net;
  Executor reference(net.graph, {.executor = ExecutorKind::kReference, .keep_all_values = true});
  const auto expected = reference.run(input_of(2));
  Executor fast(net.graph);
  int calls = 0;
  fast.tap({"n"}, [&](const TapView& view) {
    ++calls;
    EXPECT_LE(relative_difference(row_major(view), expected.at("n")), 1e-6);
  });
  fast.run(input_of(2));
  EXPECT_EQ(calls, 1);
  for (const StepInfo& step : fast.steps()) EXPECT_EQ(step.op.find("BatchNorm"), std::string::npos);
  fast.tap({}, {});
  fast.run(input_of(2));
  EXPECT_EQ(calls, 1);
}

TEST(Taps, RefuseNamesThatAreNotThere) {
  const Small net;
  Executor fast(net.graph);
  message_of(ErrorCode::kUsage, [&] { fast.tap({"nowhere"}, [](const TapView&) {}); });
}

TEST(KeepAllValues, ReturnsEveryComputedValue) {
  const Small net;
  Executor reference(net.graph, {.executor = ExecutorKind::kReference, .keep_all_values = true});
  Executor fast(net.graph, {.keep_all_values = true});
  const auto expected = reference.run(input_of(2)), got = fast.run(input_of(2));
  for (const char* name : {"x", "c", "n", "y"}) {
    ASSERT_TRUE(got.contains(name)) << name;
    EXPECT_LE(relative_difference(got.at(name), expected.at(name)), 1e-6) << name;
  }
}

TEST(Steps, AreReportedBeforeAndAfterARun) {
  const Small net;
  Executor fast(net.graph, {.profile = true});
  ASSERT_FALSE(fast.steps().empty());  // the leading axis taken as 1
  const int64_t macs_of_one = 5 * 3 * 9 * 16;
  int64_t macs = 0;
  for (const StepInfo& step : fast.steps()) macs += step.macs;
  EXPECT_EQ(macs, macs_of_one);
  EXPECT_GT(fast.arena_bytes(), 0);
  EXPECT_GE(fast.packed_bytes(), 5 * 3 * 9 * 4);
  fast.run(input_of(4));
  macs = 0;
  double milliseconds = 0;
  for (const StepInfo& step : fast.steps()) {
    macs += step.macs;
    milliseconds += step.milliseconds;
  }
  EXPECT_EQ(macs, 4 * macs_of_one);
  EXPECT_GT(milliseconds, 0);
}

}  // namespace
}  // namespace lapidary::exec
