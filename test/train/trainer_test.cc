#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "lapidary/error.h"
#include "test/train/net.h"

namespace lapidary {
namespace {

using testing::HasSubstr;

std::string error_of(const std::function<void()>& body, ErrorCode code) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "expected an Error";
  return {};
}

ValueId sum_of(Net& net, ValueId y) {
  const ValueId loss = net.op("ReduceSum", {y}, {{"keepdims", int64_t{0}}});
  net.graph.rename_value(loss, "loss");
  return loss;
}

std::vector<float> floats(const Tensor& t) {
  return {t.data<float>().begin(), t.data<float>().end()};
}

// -- BatchNormalization

/// x [2,1,2] input, one channel; running mean 1, variance 3, momentum .75.
Net batch_norm_net() {
  Net net;
  const ValueId x = net.builder.input("x", DType::kF32, {Dim::named("N"), Dim(1), Dim(2)});
  const ValueId y =
      net.op("BatchNormalization",
             {x, net.param(Tensor::of<float>({1}, {2})), net.param(Tensor::of<float>({1}, {.5f})),
              net.builder.constant("mean", Tensor::of<float>({1}, {1})),
              net.builder.constant("variance", Tensor::of<float>({1}, {3}))},
             {{"epsilon", 1.f}, {"momentum", .75f}});
  net.finish(y);
  sum_of(net, y);
  return net;
}
/// Mean 2, biased variance (9 + 1 + 1 + 9) / 4 = 5.
const Tensor kBatch = Tensor::of<float>({2, 1, 2}, {-1, 1, 3, 5});

TEST(BatchNorm, StepMovesRunningStatisticsByTheBiasedVariance) {
  const Net net = batch_norm_net();
  const auto trainer = open_trainer(net.graph, net.options());
  trainer->step({{"x", kBatch}}, {.lr = 0});
  EXPECT_FLOAT_EQ(trainer->constant("mean").data<float>()[0], .75f * 1 + .25f * 2);
  EXPECT_NEAR(trainer->constant("variance").data<float>()[0], .75f * 3 + .25f * 5, 1e-6);
  const Graph made = trainer->graph();
  EXPECT_FLOAT_EQ(made.value(made.find_value("mean")).constant->data<float>()[0], 1.25f);
}

TEST(BatchNorm, FrozenUsesAndKeepsRunningStatistics) {
  const Net net = batch_norm_net();
  auto options = net.options();
  options.outputs = {"y"};
  const auto trainer = open_trainer(net.graph, options);
  const StepResult result = trainer->step({{"x", kBatch}}, {.lr = 0, .batch_statistics = false});
  // (x - 1) / sqrt(3 + 1) 2 + .5
  EXPECT_THAT(floats(result.outputs.at("y")), testing::ElementsAre(-1.5f, .5f, 2.5f, 4.5f));
  EXPECT_EQ(trainer->constant("mean").data<float>()[0], 1);
  EXPECT_EQ(trainer->constant("variance").data<float>()[0], 3);
}

TEST(BatchNorm, ForwardAndGradientsChangeNothing) {
  const Net net = batch_norm_net();
  const auto trainer = open_trainer(net.graph, net.options());
  const auto before = trainer->state();
  trainer->forward({{"x", kBatch}}, {"y"}, true);
  trainer->gradients({{"x", kBatch}}, {});
  for (const auto& [key, tensor] : trainer->state()) EXPECT_TRUE(tensor.equals(before.at(key)));
}

// -- Dropout

Net dropout_net() {
  Net net;
  const ValueId w = net.param(Tensor::of<float>({1}, {1}));
  const ValueId x = net.builder.input("x", DType::kF32, {Dim(2000)});
  const ValueId y = net.op("Dropout", {net.op("Mul", {x, w}), net.fixed(Tensor::scalar(.25f))});
  net.finish(y);
  sum_of(net, y);
  return net;
}

TEST(Dropout, DropsItsShareAndScalesTheRest) {
  const Net net = dropout_net();
  auto options = net.options();
  options.outputs = {"y"};
  options.seed = 5;
  Tensor ones(DType::kF32, {2000});
  for (float& v : ones.mutable_data<float>()) v = 1;
  const auto trainer = open_trainer(net.graph, options), again = open_trainer(net.graph, options);
  const auto first = floats(trainer->step({{"x", ones}}, {}).outputs.at("y"));
  const auto dropped = std::count(first.begin(), first.end(), 0.f);
  EXPECT_NEAR(static_cast<double>(dropped), 500, 80);  // 4 deviations of a binomial
  EXPECT_EQ(std::count(first.begin(), first.end(), 1 / .75f), 2000 - dropped);
  EXPECT_EQ(first, floats(again->step({{"x", ones}}, {}).outputs.at("y")));
  EXPECT_NE(first, floats(trainer->step({{"x", ones}}, {}).outputs.at("y")));  // of another step
  EXPECT_EQ(floats(trainer->forward({{"x", ones}}, {"y"}, true).at("y")), floats(ones));
}

// -- steps

/// Two layers on points labelled by the sign of their product: no line parts them.
Net xor_net() {
  Net net;
  const ValueId x = net.builder.input("x", DType::kF32, {Dim::named("N"), Dim(2)});
  const ValueId label = net.builder.input("lapidary.label", DType::kI64, {Dim::named("N")});
  const ValueId hidden = net.op("Relu", {net.op("Gemm", {x, net.param({2, 16}), net.param({16})})});
  const ValueId y = net.op("Gemm", {hidden, net.param({16, 2}), net.param({2})});
  net.finish(y);
  net.graph.rename_value(net.op("SoftmaxCrossEntropyLoss", {y, label}), "loss");
  return net;
}
Trainer::Values xor_batch() {
  Rng rng(3);
  Tensor x(DType::kF32, {64, 2}), label(DType::kI64, {64});
  for (size_t i = 0; i < 64; ++i) {
    float* at = x.mutable_data<float>().data() + 2 * i;
    for (int k = 0; k < 2; ++k) at[k] = static_cast<float>(2 * rng.uniform() - 1);
    label.mutable_data<int64_t>()[i] = at[0] * at[1] > 0;
  }
  return {{"x", x}, {"lapidary.label", label}};
}

TEST(Steps, ReduceTheLossAndGiveTheGraphBack) {
  const Net net = xor_net();
  auto options = net.options();
  options.optimizer.kind = "adam";
  const auto trainer = open_trainer(net.graph, options);
  const auto batch = xor_batch();
  const double first = trainer->step(batch, {.lr = .02}).loss;
  for (int i = 0; i < 200; ++i) trainer->step(batch, {.lr = .02});
  EXPECT_LT(trainer->step(batch, {.lr = .02}).loss, .25 * first);
  Executor executor(trainer->graph(), {.executor = ExecutorKind::kReference});
  const Tensor y =
      executor.run({{"x", batch.at("x")}, {"lapidary.label", batch.at("lapidary.label")}}).at("y");
  const Tensor own = trainer->forward(batch, {"y"}, false).at("y");
  for (size_t i = 0; i < y.data<float>().size(); ++i)
    EXPECT_NEAR(y.data<float>()[i], own.data<float>()[i], 1e-4);
}

TEST(Steps, AreTheSameTwice) {
  const Net net = xor_net();
  const auto one = open_trainer(net.graph, net.options()),
             two = open_trainer(net.graph, net.options());
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(one->step(xor_batch(), {.lr = .1}).loss, two->step(xor_batch(), {.lr = .1}).loss);
  }
}

TEST(Steps, NotFiniteChangesNothing) {
  const Net net = batch_norm_net();
  auto options = net.options();
  options.ema = .5;
  const auto trainer = open_trainer(net.graph, options);
  trainer->step({{"x", kBatch}}, {.lr = .1});
  const auto before = trainer->state();
  Tensor bad = kBatch;
  bad.mutable_data<float>()[0] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(std::isfinite(trainer->step({{"x", bad}}, {.lr = .1}).loss));
  for (const auto& [key, tensor] : trainer->state())
    EXPECT_TRUE(tensor.equals(before.at(key))) << key;
}

TEST(Steps, AGradientThatIsNotFiniteChangesNothing) {
  Net net;  // d sqrt(p) / d p is infinite at 0
  const ValueId p = net.param(Tensor::of<float>({2}, {0.f, 1.f}));
  net.finish(net.op("ReduceSum", {net.op("Sqrt", {p})}, {{"keepdims", int64_t{0}}}));
  TrainerOptions options = net.options();
  options.loss = "y";
  const auto trainer = open_trainer(net.graph, options);
  const StepResult made = trainer->step({}, {.lr = .1});
  EXPECT_EQ(made.loss, 1);
  EXPECT_FALSE(std::isfinite(made.gradient_norm));
  EXPECT_TRUE(trainer->constant("p0").equals(Tensor::of<float>({2}, {0.f, 1.f})));
}

TEST(Steps, InputsAreOnlyRead) {
  Net net;
  const ValueId x = net.builder.input("x", DType::kF32, {Dim(4)});
  const ValueId y = net.op("Relu", {net.op("Add", {x, net.param({4})})});
  net.finish(net.op("Relu", {net.op("Identity", {net.op("Sub", {x, y})})}));
  sum_of(net, net.graph.find_value("y"));
  const Tensor given = Tensor::of<float>({4}, {-1, 2, -3, 4}),
               kept = Tensor::of<float>({4}, {-1, 2, -3, 4});
  open_trainer(net.graph, net.options())->step({{"x", given}}, {.lr = .1});
  EXPECT_TRUE(given.equals(kept));
}

TEST(Steps, BorrowedInputsAreReadWhereTheyLie) {
  Net net;
  const ValueId x = net.builder.input("x", DType::kF32, {Dim(4)});
  net.finish(net.op("Relu", {net.op("Mul", {x, net.param(Tensor::of<float>({4}, {1, 2, 3, 4}))})}));
  sum_of(net, net.graph.find_value("y"));
  const float values[] = {-1, 2, -3, 4};
  char bytes[sizeof values + 1];
  std::memcpy(bytes + 1, values, sizeof values);  // no float's address
  for (const void* at : {static_cast<const void*>(values), static_cast<const void*>(bytes + 1)}) {
    const Tensor given = Tensor::borrow(DType::kF32, {4}, at, nullptr);
    EXPECT_EQ(open_trainer(net.graph, net.options())->step({{"x", given}}, {.lr = .1}).loss, 20);
    EXPECT_EQ(given.raw(), at);
    EXPECT_EQ(std::memcmp(at, bytes + 1, sizeof values), 0);
  }
}

TEST(Constants, AreSetAndWhatFollowsFromThemToo) {
  Net net;
  const ValueId half = net.builder.constant("half", Tensor::scalar(.5f));
  const ValueId folded = net.op("Add", {half, half});
  net.finish(net.op("Mul", {net.param(Tensor::of<float>({2}, {1, 2})), folded}));
  sum_of(net, net.graph.find_value("y"));
  const auto trainer = open_trainer(net.graph, net.options());
  EXPECT_THAT(floats(trainer->forward({}, {"y"}, false).at("y")), testing::ElementsAre(1, 2));
  trainer->set_constant("half", Tensor::scalar(2.f));
  trainer->set_constant("p0", Tensor::of<float>({2}, {3, 4}));
  EXPECT_THAT(floats(trainer->forward({}, {"y"}, false).at("y")), testing::ElementsAre(12, 16));
  EXPECT_THAT(floats(trainer->gradients({}, {}).at("p0")), testing::ElementsAre(4, 4));
  error_of([&] { trainer->set_constant("p0", Tensor::scalar(1.f)); }, ErrorCode::kInvalid);
  error_of([&] { trainer->constant("y"); }, ErrorCode::kUsage);
}

TEST(Shapes, AreComputedForEachBatch) {
  Net net;
  const ValueId x = net.builder.input("x", DType::kF32, {Dim::named("N"), Dim(2), Dim(3)});
  const ValueId rows = net.op("Gather", {net.op("Shape", {x}), net.ints({0})});
  const ValueId shape = net.op("Concat", {rows, net.ints({6})}, {{"axis", int64_t{0}}});
  net.finish(net.op("MatMul", {net.op("Reshape", {x, shape}), net.param({6, 1})}));
  sum_of(net, net.graph.find_value("y"));
  const auto trainer = open_trainer(net.graph, net.options());
  for (const int64_t n : {3, 5})
    EXPECT_EQ(
        trainer->forward({{"x", Tensor(DType::kF32, {n, 2, 3})}}, {"y"}, false).at("y").shape(),
        (Shape{n, 1}));
}

TEST(Opsets, OlderOnesAreUnderstood) {
  Net net;
  net.graph.set_opset("", 11);  // Softmax flattens from `axis` on, Squeeze has an attribute
  const ValueId x = net.param({2, 3, 4});
  const ValueId soft = net.op("Softmax", {x}, {{"axis", int64_t{1}}});
  net.finish(
      net.op("Squeeze", {net.op("Unsqueeze", {soft}, {{"axes", Ints{0}}})}, {{"axes", Ints{0}}}));
  const ValueId loss =
      net.op("ReduceSum",
             {net.op("Mul", {net.graph.find_value("y"), net.fixed(net.uniform({2, 3, 4}, 0, 1))})},
             {{"keepdims", int64_t{0}}});
  net.graph.rename_value(loss, "loss");
  const auto trainer = open_trainer(net.graph, net.options());
  Executor executor(net.graph, {.executor = ExecutorKind::kReference});
  const Tensor want = executor.run({}).at("y"), found = trainer->forward({}, {"y"}, false).at("y");
  for (size_t i = 0; i < 24; ++i) EXPECT_NEAR(found.data<float>()[i], want.data<float>()[i], 1e-6);
  EXPECT_EQ(trainer->graph().opset(), 11);
}

// -- refusals

TEST(Refusals, NameEveryNodeOnTheWayToTheLoss) {
  Net net;
  const ValueId w = net.param({1, 2, 4, 4});
  const ValueId det = net.op("Det", {w});
  const auto pooled = net.builder.ops("MaxPool", 2, {w}, {{"kernel_shape", Ints{4, 4}}});
  net.op("Det", {net.op("Identity", {w})});  // beside the way: no reason to refuse
  const ValueId placed = net.op("Cast", {pooled[1]}, {{"to", int64_t{1}}});
  const ValueId y = net.op("Add", {det, net.op("Add", {pooled[0], placed})});
  sum_of(net, y);
  const std::string what =
      error_of([&] { open_trainer(net.graph, net.options()); }, ErrorCode::kUnsupported);
  EXPECT_THAT(what, HasSubstr("Det making 'Det_out': this op has no trainable form"));
  EXPECT_THAT(what, HasSubstr("MaxPool making 'MaxPool_out': its indices are wanted"));
  EXPECT_THAT(what, testing::Not(HasSubstr("Det_out_1")));
}

TEST(Refusals, NamesThatAreNotOfTheGraph) {
  const Net net = xor_net();
  auto options = net.options();
  options.loss = "nothing";
  EXPECT_THAT(error_of([&] { open_trainer(net.graph, options); }, ErrorCode::kUsage),
              HasSubstr("'nothing' is no value of the graph"));
  options = net.options();
  options.parameters.push_back({.name = "x"});
  EXPECT_THAT(error_of([&] { open_trainer(net.graph, options); }, ErrorCode::kUsage),
              HasSubstr("'x' is no constant"));
  options = net.options();
  options.parameters.push_back({.name = "p0"});
  error_of([&] { open_trainer(net.graph, options); }, ErrorCode::kUsage);
  options = net.options();
  options.device = "tpu";
  error_of([&] { open_trainer(net.graph, options); }, ErrorCode::kUsage);
}

TEST(Refusals, InputsThatDoNotFit) {
  const Net net = xor_net();
  const auto trainer = open_trainer(net.graph, net.options());
  auto batch = xor_batch();
  batch.erase("x");
  EXPECT_THAT(error_of([&] { trainer->step(batch, {}); }, ErrorCode::kInvalid),
              HasSubstr("input 'x' is missing"));
  batch["x"] = Tensor(DType::kF32, {64, 3});
  EXPECT_THAT(error_of([&] { trainer->step(batch, {}); }, ErrorCode::kInvalid),
              HasSubstr("input 'x' is float32[64,3], expected float32[N,2]"));
  batch["x"] = Tensor(DType::kF32, {32, 2});
  error_of([&] { trainer->step(batch, {}); }, ErrorCode::kInvalid);
  batch = xor_batch();
  batch["more"] = Tensor::scalar(1.f);
  error_of([&] { trainer->step(batch, {}); }, ErrorCode::kInvalid);
  batch = xor_batch();
  batch["lapidary.label"].mutable_data<int64_t>()[5] = 2;
  EXPECT_THAT(error_of([&] { trainer->step(batch, {}); }, ErrorCode::kInvalid),
              HasSubstr("SoftmaxCrossEntropyLoss"));
}

TEST(Refusals, StatesOfOtherTrainers) {
  const Net net = xor_net();
  const auto trainer = open_trainer(net.graph, net.options());
  auto state = trainer->state();
  state.erase("parameter:p0");
  EXPECT_THAT(error_of([&] { trainer->restore(state); }, ErrorCode::kInvalid),
              HasSubstr("lacks 'parameter:p0'"));
  state = trainer->state();
  state["momentum:p0"] = Tensor::scalar(1.f);
  error_of([&] { trainer->restore(state); }, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace lapidary
