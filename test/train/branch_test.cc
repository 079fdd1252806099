#include <gmock/gmock.h>

#include <cmath>

#include "lapidary/error.h"
#include "lapidary/model_io.h"
#include "src/ops/infer.h"
#include "src/passes/branches.h"
#include "test/support/assets.h"
#include "test/train/net.h"

// Graphs with Ifs: the branch that a batch takes is what trains.

namespace lapidary {
namespace {

using testing::HasSubstr;
using Values = Trainer::Values;
using Body = std::shared_ptr<const Graph>;

struct Branch {
  std::shared_ptr<Graph> graph = std::make_shared<Graph>();
  GraphBuilder build{*graph};
  std::vector<Capture> captures;

  Branch() { graph->set_opset("", 21); }
  ValueId read(ValueId outer, const std::string& name) {
    captures.push_back({outer, "", 0, graph->add_value(name)});
    return captures.back().inner;
  }
  ValueId constant_node(const std::string& name, const Tensor& elements) {
    return build.op("Constant", {}, {{"value", elements}}, name);
  }
};

/// An If of one output.
ValueId choose(Graph& graph, ValueId condition, const Branch& yes, const Branch& no,
               const std::string& name) {
  Node node;
  node.op = "If";
  node.name = name;
  node.inputs = {condition};
  node.outputs = {graph.add_value(graph.unique_name(name + "_out"))};
  for (const auto& [attr, branch] :
       {std::pair{"then_branch", &yes}, std::pair{"else_branch", &no}}) {
    node.attrs.emplace_back(attr, Body(branch->graph));
    for (Capture capture : branch->captures) {
      capture.attr = attr;
      node.captures.push_back(capture);
    }
  }
  const ValueId out = node.outputs[0];
  graph.add_node(std::move(node));
  return out;
}

Tensor numbers(const std::vector<float>& v) {
  return Tensor::of<float>({static_cast<int64_t>(v.size())}, v);
}

/// y = c ? w x : (d ? x^2 v : x + v), loss = sum(y); `w` is an initializer of its branch, the inner
/// `v` one Constant node's of the branch around.
Graph nested() {
  Graph graph;
  graph.set_opset("", 21);
  GraphBuilder b(graph);
  const ValueId c = b.input("c", DType::kBool, {}), d = b.input("d", DType::kBool, {});
  const ValueId x = b.input("x", DType::kF32, {2});
  Branch yes, no, square, sum;
  yes.build.output(
      yes.build.op("Mul", {yes.build.constant("w", numbers({3, -2})), yes.read(x, "x_yes")}));
  const ValueId x_no = no.read(x, "x_no"), d_no = no.read(d, "d_no");
  const ValueId v = no.constant_node("v", numbers({5, 7}));
  const ValueId x_square = square.read(x_no, "x_square");
  square.build.output(square.build.op(
      "Mul", {square.build.op("Mul", {x_square, x_square}), square.read(v, "v_square")}));
  sum.build.output(sum.build.op("Add", {sum.read(x_no, "x_sum"), sum.read(v, "v_sum")}));
  no.build.output(choose(*no.graph, d_no, square, sum, "inner"));
  const ValueId y = choose(graph, c, yes, no, "outer");
  graph.rename_value(b.op("Identity", {y}), "y");
  b.output(graph.find_value("y"));
  graph.rename_value(b.op("ReduceSum", {y}, {{"keepdims", int64_t{0}}}), "loss");
  infer_types(graph);
  return graph;
}

Values batch(bool c, bool d) {
  return {{"c", Tensor::scalar(c)}, {"d", Tensor::scalar(d)}, {"x", numbers({2, 3})}};
}

TrainerOptions options_of(const std::vector<std::string>& names) {
  TrainerOptions out{.loss = "loss", .outputs = {}, .optimizer = {.momentum = 0}};
  for (const std::string& name : names) out.parameters.push_back({.name = name});
  return out;
}

void expect_elements(const Tensor& found, float a, float b) {
  EXPECT_FLOAT_EQ(found.data<float>()[0], a);
  EXPECT_FLOAT_EQ(found.data<float>()[1], b);
}

TEST(Branches, TheBranchTakenIsDifferentiated) {
  const auto trainer = open_trainer(nested(), options_of({"w", "v"}));
  const auto check = [&](bool c, bool d, std::pair<float, float> y, std::pair<float, float> w,
                         std::pair<float, float> v) {
    expect_elements(trainer->forward(batch(c, d), {"y"}, false).at("y"), y.first, y.second);
    const Gradients found = trainer->gradients(batch(c, d), {});
    expect_elements(found.at("w"), w.first, w.second);
    expect_elements(found.at("v"), v.first, v.second);
  };
  check(true, false, {6, -6}, {2, 3}, {0, 0});
  check(false, true, {20, 63}, {0, 0}, {4, 9});
  check(false, false, {7, 10}, {0, 0}, {1, 1});
}

TEST(Branches, TrainedConstantsComeBackInTheModel) {
  const auto trainer = open_trainer(nested(), options_of({"w", "v"}));
  trainer->step(batch(true, true), {.lr = 1});   // w -= x
  trainer->step(batch(false, true), {.lr = 1});  // v -= x^2
  const Graph trained = trainer->graph();
  trained.verify();
  const std::string file = serialize_onnx(trained);
  for (const Graph& model : {trained, parse_onnx(file.data(), file.size())}) {
    Executor executor(model, {.executor = ExecutorKind::kReference});
    expect_elements(executor.run(batch(true, true)).at("y"), 1 * 2, -5 * 3);
    expect_elements(executor.run(batch(false, true)).at("y"), 4 * 1, 9 * -2);
  }
  Graph lifted = nested();
  EXPECT_EQ(lift_branch_constants(lifted), 2);
  EXPECT_EQ(lift_branch_constants(lifted), 0);
  const Graph back = without_loss(trained, nested());
  back.verify();
  expect_elements(*back.constant(back.find_value("v")), 1, -2);
}

TEST(Branches, ABranchWithoutParametersHasNoGradient) {
  const auto trainer = open_trainer(nested(), options_of({"w"}));
  EXPECT_EQ(trainer->step(batch(false, false), {.lr = 1}).gradient_norm, 0);
  expect_elements(trainer->constant("w"), 3, -2);
}

TEST(Branches, ValuesOfOthersAreAskedForInVain) {
  const auto trainer = open_trainer(nested(), options_of({"w"}));
  try {
    trainer->forward(batch(false, true), {"w", "Mul_out"}, false);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalid);
    EXPECT_THAT(error.what(),
                HasSubstr("'Mul_out' lies in a branch that this batch does not take"));
  }
}

TEST(Branches, LoopsAreRefusedByName) {
  Net net;
  const ValueId w = net.param({2});
  auto body = std::make_shared<Graph>();
  body->set_opset("", 21);
  GraphBuilder in(*body);
  in.input("i", DType::kI64, {});
  in.output(in.op("Identity", {in.input("go_on", DType::kBool, {})}));
  in.output(in.op("Neg", {in.input("carried", DType::kF32, {2})}));
  const ValueId trips = net.fixed(Tensor::scalar<int64_t>(3));
  const ValueId y = net.builder.op("Loop", {trips, {}, w}, {{"body", Body(body)}}, "turns");
  net.finish(y);
  net.graph.rename_value(net.op("ReduceSum", {y}, {{"keepdims", int64_t{0}}}), "loss");
  try {
    open_trainer(net.graph, net.options());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_THAT(error.what(), HasSubstr("Loop 'turns': this op has no trainable form"));
  }
}

// -- a whole model: an If on the sampling rate, each branch with convolutions and an LSTM

Tensor random(Rng& rng, const Shape& shape) {
  Tensor out(DType::kF32, shape);
  for (float& v : out.mutable_data<float>()) v = static_cast<float>(rng.uniform() - .5);
  return out;
}

TEST(SileroVad, BothBranchesTrain) {
  LAPIDARY_SKIP_WITHOUT_ASSETS();
  const Graph model = load_onnx(std::string(LAPIDARY_ASSETS_DIR) + "/models/silero_vad_v5.onnx");
  Graph graph = model;
  GraphBuilder builder(graph);
  const ValueId error =
      builder.op("Sub", {graph.outputs()[0], builder.constant("one", numbers({1}))});
  graph.rename_value(
      builder.op("ReduceMean", {builder.op("Mul", {error, error})}, {{"keepdims", int64_t{0}}}),
      "loss");
  TrainerOptions options{.loss = "loss", .outputs = {}, .parameters = trainable_parameters(model)};
  // Each branch: four convolutions of an encoder, the basis before it and the last one; their
  // biases but the basis'; weights and biases of the LSTM.
  ASSERT_EQ(options.parameters.size(), 2u * (6 + 5 + 4));
  const auto trainer = open_trainer(graph, options);
  Rng rng(5);
  struct Row {
    int64_t rate, samples;
    const char* branch;
  };
  for (const auto& [rate, samples, branch] :
       {Row{16000, 512, "then_branch"}, Row{8000, 256, "else_branch"}}) {
    const Values inputs{{"input", random(rng, {1, samples})},
                        {"state", random(rng, {2, 1, 128})},
                        {"sr", Tensor::scalar(rate)}};
    const auto agree = [&](const Graph& with) {
      Executor executor(with, {.executor = ExecutorKind::kReference});
      for (const auto& [name, want] : executor.run(inputs)) {
        const Tensor found = trainer->forward(inputs, {name}, false).at(name);
        ASSERT_EQ(found.shape(), want.shape());
        for (size_t i = 0; i < want.data<float>().size(); ++i)
          EXPECT_NEAR(found.data<float>()[i], want.data<float>()[i], 2e-5) << name << " " << i;
      }
    };
    agree(trainer->graph());
    for (const auto& [name, gradient] : trainer->gradients(inputs, {})) {
      double square = 0;
      for (const float v : gradient.data<float>()) square += double{v} * v;
      EXPECT_TRUE(std::isfinite(square)) << name;
      EXPECT_EQ(square > 0, name.find(branch) != std::string::npos) << name;
    }
    const double before = trainer->step(inputs, {.lr = 1e-2}).loss;
    EXPECT_LT(trainer->step(inputs, {.lr = 0}).loss, before);
    agree(trainer->graph());
    agree(without_loss(trainer->graph(), model));
  }
}

}  // namespace
}  // namespace lapidary
