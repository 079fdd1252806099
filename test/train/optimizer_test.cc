#include <gtest/gtest.h>

#include <cmath>

#include "lapidary/error.h"
#include "test/train/net.h"

// Against optimizer_reference.py, which computes the same steps in float64 with numpy.

namespace lapidary {
namespace {

using Floats = std::vector<double>;

struct Expected {
  const char* name;
  OptimizerSpec spec;
  Floats a, b, average_a, average_b, norms;
};

const std::vector<Expected>& expected() {
  static const std::vector<Expected> all = {
      {"Sgd",
       {.kind = "sgd"},
       {-0.00243763247, 0.00487526494, -0.00975052987},
       {0.63028125, -0.105046875},
       {0.234896914, -0.469793828, 0.939587657},
       {1.05932812, -0.176554687},
       {5.5, 6.83529855, 5.31368861, 4.0205952}},
      {"Nesterov",
       {.kind = "sgd", .nesterov = true},
       {-0.0681217013, 0.136243403, -0.272486805},
       {0.36100809, -0.060168015},
       {0.170896369, -0.341792738, 0.683585475},
       {0.887478069, -0.147913012},
       {5.5, 5.5915687, 3.14200133, 2.64744053}},
      {"Clipped",
       {.kind = "sgd", .clip_norm = 2.5},
       {0.268077204, -0.536154408, 1.07230882},
       {1.15030608, -0.191717681},
       {0.379887197, -0.759774393, 1.51954879},
       {1.32132374, -0.220220624},
       {5.5, 7.5884569, 8.47327983, 9.17044943}},
      {"Adam",
       {.kind = "adam"},
       {0.229192196, -0.729045082, 1.72939094},
       {1.36480396, -0.114596369},
       {0.346585013, -0.846573831, 1.8467414},
       {1.42342299, -0.173295518},
       {5.5, 7.77835536, 9.75872645, 11.8228374}},
      {"Adamw",
       {.kind = "adamw"},
       {0.223740612, -0.716865366, 1.70377754},
       {1.36480396, -0.114596369},
       {0.343349459, -0.839524808, 1.83207086},
       {1.42342299, -0.173295518},
       {5.5, 7.75003212, 9.68687534, 11.7138433}},
  };
  return all;
}

constexpr double kRates[] = {0.1, 0.1, 0.05, 0.02};

/// loss = sum of w^2 x over a and b
Net squares() {
  Net net;
  const ValueId x = net.builder.input("x", DType::kF32, {});
  net.parameters = {"a", "b"};
  const ValueId a = net.builder.constant("a", Tensor::of<float>({3}, {.5f, -1, 2}));
  const ValueId b = net.builder.constant("b", Tensor::of<float>({2}, {1.5f, -.25f}));
  const auto sum = [&](ValueId w) {
    return net.op("ReduceSum", {net.op("Mul", {net.op("Mul", {w, w}), x})},
                  {{"keepdims", int64_t{0}}});
  };
  net.graph.rename_value(net.op("Add", {sum(a), sum(b)}), "loss");
  net.graph.set_outputs({net.graph.find_value("loss")});
  return net;
}

std::unique_ptr<Trainer> trainer_of(const Net& net, OptimizerSpec spec) {
  spec.beta1 = 0.8;
  spec.beta2 = 0.95;
  spec.epsilon = 1e-4;
  spec.weight_decay = 0.05;
  return open_trainer(
      net.graph, {.loss = "loss",
                  .outputs = {},
                  .parameters = {{.name = "a"}, {.name = "b", .decay = false, .lr_scale = 0.5}},
                  .optimizer = spec,
                  .ema = 0.75});
}

StepResult step(Trainer& trainer, int t) {
  return trainer.step({{"x", Tensor::scalar(1 + static_cast<float>(t) / 2)}}, {.lr = kRates[t]});
}

void expect_near(const Tensor& found, const Floats& values) {
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_NEAR(found.data<float>()[i], values[i], 2e-6) << i;
}

Tensor constant_of(const Graph& graph, const std::string& name) {
  return *graph.value(graph.find_value(name)).constant;
}

class Optimizer : public testing::TestWithParam<size_t> {};

TEST_P(Optimizer, StepsAreTheReferences) {
  const Expected& want = expected()[GetParam()];
  const Net net = squares();
  const auto trainer = trainer_of(net, want.spec);
  for (int t = 0; t < 4; ++t)
    EXPECT_NEAR(step(*trainer, t).gradient_norm, want.norms[static_cast<size_t>(t)], 1e-5) << t;
  expect_near(trainer->constant("a"), want.a);
  expect_near(trainer->constant("b"), want.b);
  expect_near(constant_of(trainer->graph(), "a"), want.a);
  expect_near(constant_of(trainer->graph(true), "a"), want.average_a);
  expect_near(constant_of(trainer->graph(true), "b"), want.average_b);
}

TEST_P(Optimizer, RestoredContinuesBitForBit) {
  const Net net = squares();
  const auto whole = trainer_of(net, expected()[GetParam()].spec);
  for (int t = 0; t < 2; ++t) step(*whole, t);
  const auto resumed = trainer_of(net, expected()[GetParam()].spec);
  resumed->restore(whole->state());
  for (int t = 2; t < 4; ++t) {
    step(*whole, t);
    step(*resumed, t);
  }
  const auto a = whole->state(), b = resumed->state();
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [key, tensor] : a) EXPECT_TRUE(tensor.equals(b.at(key))) << key;
}

INSTANTIATE_TEST_SUITE_P(Kinds, Optimizer, testing::Range<size_t>(0, 5),
                         [](const auto& info) { return expected()[info.param].name; });

TEST(OptimizerNames, UnknownIsRefused) {
  try {
    trainer_of(squares(), {.kind = "rmsprop"});
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_EQ(error.message(), "optimizer 'rmsprop', expected one of sgd, adam, adamw");
  }
}

// d loss / d p = 1: a step of 10 would end at -9 and -8.
TEST(Parameters, StayAboveTheirLeastShare) {
  for (const double least : {0.0, 0.25}) {
    Net net;
    net.finish(net.op("Identity", {net.param(Tensor::of<float>({2}, {1, 2}))}));
    const ValueId loss = net.op("ReduceSum", {net.graph.outputs()[0]}, {{"keepdims", int64_t{0}}});
    net.graph.rename_value(loss, "loss");
    TrainerOptions options = net.options();
    options.parameters[0].least_share = least;
    const auto trainer = open_trainer(net.graph, options);
    for (int i = 0; i < 2; ++i) trainer->step({}, {.lr = 10});
    const Tensor found = trainer->constant("p0");
    EXPECT_LE(found.data<float>()[0], least > 0 ? 0.25f : -9);
    if (least > 0) {
      EXPECT_EQ(found.data<float>()[0], 0.25f);
      EXPECT_EQ(found.data<float>()[1], 0.5f);
    }
  }
}

}  // namespace
}  // namespace lapidary
