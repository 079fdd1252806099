#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "lapidary/error.h"
#include "lapidary/sparsify.h"
#include "test/train/net.h"

// Weights that are masked, and masks that grow while a model is trained.

namespace lapidary {
namespace {

using testing::ElementsAre;

std::vector<float> floats(const Tensor& t) {
  return {t.data<float>().begin(), t.data<float>().end()};
}

/// loss = sum(w x): the gradient of w is x.
Net weighted_sum(const Tensor& w) {
  Net net;
  const ValueId x = net.builder.input("x", DType::kF32, {Dim(w.size())});
  net.finish(net.op("Mul", {net.param(w), x}));
  net.graph.rename_value(
      net.op("ReduceSum", {net.graph.find_value("y")}, {{"keepdims", int64_t{0}}}), "loss");
  return net;
}

TEST(Masks, HoldThroughEveryOptimizerDecayMomentumAndAverage) {
  for (const char* kind : {"sgd", "adam", "adamw"}) {
    const Net net = weighted_sum(Tensor::of<float>({4}, {1, 2, 3, 4}));
    TrainerOptions options = net.options();
    options.optimizer = {.kind = kind, .weight_decay = 0.1};
    options.ema = 0.5;
    options.parameters[0].mask = Tensor::of<uint8_t>({4}, {1, 0, 0, 1});
    const auto trainer = open_trainer(net.graph, options);
    EXPECT_THAT(floats(trainer->constant("p0")), ElementsAre(1, 0, 0, 4));
    for (int i = 0; i < 3; ++i)
      trainer->step({{"x", Tensor::of<float>({4}, {1, -2, 3, 4})}}, {.lr = 0.1});
    for (const bool averaged : {false, true}) {
      const Graph graph = trainer->graph(averaged);
      const auto w = floats(*graph.constant(graph.find_value("p0")));
      EXPECT_EQ(w[1], 0);
      EXPECT_EQ(w[2], 0);
      EXPECT_NE(w[0], 1);
      EXPECT_NE(w[3], 4);
    }
  }
}

TEST(Masks, TakeTheGradientAndItsShareOfTheNorm) {
  const Net net = weighted_sum(Tensor::of<float>({3}, {1, 2, 3}));
  TrainerOptions options = net.options();
  options.parameters[0].mask = Tensor::of<uint8_t>({3}, {1, 0, 1});
  options.optimizer = {.momentum = 0, .clip_norm = 2.5};
  const auto trainer = open_trainer(net.graph, options);
  const Tensor x = Tensor::of<float>({3}, {3, 100, 4});
  EXPECT_THAT(floats(trainer->gradients({{"x", x}}, {}).at("p0")), ElementsAre(3, 0, 4));
  EXPECT_EQ(trainer->step({{"x", x}}, {.lr = 1}).gradient_norm, 5);
  EXPECT_THAT(floats(trainer->constant("p0")), ElementsAre(1 - 1.5f, 0, 3 - 2));
}

TEST(Masks, AreSetAndLiftedWhileTraining) {
  const Net net = weighted_sum(Tensor::of<float>({3}, {1, 2, 3}));
  TrainerOptions options = net.options();
  options.optimizer.momentum = 0;
  const auto trainer = open_trainer(net.graph, options);
  EXPECT_TRUE(trainer->mask("p0").empty());
  trainer->set_mask("p0", Tensor::of<uint8_t>({3}, {0, 1, 1}));
  trainer->set_constant("p0", Tensor::of<float>({3}, {5, 6, 7}));
  EXPECT_THAT(floats(trainer->constant("p0")), ElementsAre(0, 6, 7));
  EXPECT_TRUE(trainer->mask("p0").equals(Tensor::of<uint8_t>({3}, {0, 1, 1})));
  trainer->set_mask("p0", Tensor::of<uint8_t>({3}, {1, 0, 1}));
  const Trainer::Values ones{{"x", Tensor::of<float>({3}, {1, 1, 1})}};
  trainer->step(ones, {.lr = 1});
  EXPECT_THAT(floats(trainer->constant("p0")), ElementsAre(-1, 0, 6));
  trainer->set_mask("p0", {});
  trainer->step(ones, {.lr = 1});
  EXPECT_THAT(floats(trainer->constant("p0")), ElementsAre(-2, -1, 5));
  const auto refused = [&](const char* name, const Tensor& mask, ErrorCode code) {
    try {
      trainer->set_mask(name, mask);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
    }
  };
  refused("p0", Tensor::of<uint8_t>({2}, {1, 1}), ErrorCode::kInvalid);
  refused("p0", Tensor::of<float>({3}, {1, 1, 1}), ErrorCode::kInvalid);
  refused("p1", Tensor::of<uint8_t>({3}, {1, 1, 1}), ErrorCode::kUsage);
}

TEST(Movement, IsTheSumOfMinusGradientTimesWeight) {
  const Net net = weighted_sum(Tensor::of<float>({3}, {1, -2, 3}));
  TrainerOptions options = net.options();
  options.optimizer.momentum = 0;
  options.parameters[0].movement = true;
  options.parameters[0].mask = Tensor::of<uint8_t>({3}, {1, 1, 0});
  const auto trainer = open_trainer(net.graph, options);
  const Trainer::Values x{{"x", Tensor::of<float>({3}, {1, 1, 1})}};
  trainer->step(x, {.lr = 0.5});  // w: 1, -2 -> 0.5, -2.5
  trainer->step(x, {.lr = 0.5});
  EXPECT_THAT(floats(trainer->movement("p0")), ElementsAre(-1 - .5f, 2 + 2.5f, 0));
  const auto without = open_trainer(net.graph, net.options());
  EXPECT_THROW(without->movement("p0"), Error);
}

TEST(Masks, AreOfTheStateThatTrainersGoOnFrom) {
  const Net net = weighted_sum(Tensor::of<float>({3}, {1, 2, 3}));
  TrainerOptions options = net.options();
  options.parameters[0].movement = true;
  const Trainer::Values x{{"x", Tensor::of<float>({3}, {1, 2, 3})}};
  const auto first = open_trainer(net.graph, options), second = open_trainer(net.graph, options);
  first->step(x, {.lr = .1});
  first->set_mask("p0", Tensor::of<uint8_t>({3}, {1, 0, 1}));
  second->set_mask("p0", Tensor::of<uint8_t>({3}, {0, 1, 1}));
  second->restore(first->state());
  for (const auto& trainer : {first.get(), second.get()}) trainer->step(x, {.lr = .1});
  EXPECT_EQ(first->state().size(), second->state().size());
  for (const auto& [key, tensor] : first->state())
    EXPECT_TRUE(tensor.equals(second->state().at(key))) << key;
  EXPECT_TRUE(second->mask("p0").equals(Tensor::of<uint8_t>({3}, {1, 0, 1})));
  second->restore(open_trainer(net.graph, options)->state());  // there without a mask
  EXPECT_TRUE(second->mask("p0").empty());
}

// -- fit

/// x [N,6] -> Gemm 8 -> Relu -> Gemm 3 with cross entropy; 4-D kernels are elsewhere.
Graph classifier() {
  Net net;
  const ValueId x = net.builder.input("x", DType::kF32, {Dim::named("N"), Dim(6)});
  const ValueId hidden = net.op("Relu", {net.op("Gemm", {x, net.param({6, 8}), net.param({8})})});
  net.finish(net.op("Gemm", {hidden, net.param({8, 3}), net.param({3})}));
  return net.graph;
}

Dataset points(int64_t count) {
  Rng rng(5);
  Tensor x(DType::kF32, {count, 6});
  std::vector<int64_t> labels;
  for (float& v : x.mutable_data<float>()) v = static_cast<float>(rng.normal());
  for (int64_t i = 0; i < count; ++i) {
    const float* at = x.data<float>().data() + 6 * i;
    labels.push_back(at[0] > 0.5f ? 0 : at[1] > at[2] ? 1 : 2);
  }
  return dataset_of({{"x", x}}, labels);
}

struct Trained {
  Graph graph;
  std::vector<int64_t> zeros;  ///< of both weights, before each step
};

/// 24 steps; `stop_at` > 0: a first run ends there and another goes on from its checkpoint.
Trained train(const GradualOptions& gradual, int64_t stop_at) {
  Graph graph = classifier();
  TrainerOptions options{.loss = add_loss(graph, {{}})};
  options.parameters = trainable_parameters(classifier());
  for (TrainedParameter& p : options.parameters)
    p.movement = gradual.sparsify.method == "movement" && (p.name == "p0" || p.name == "p2");
  options.optimizer.kind = "adam";
  const Dataset data = points(64);
  Trained run;
  const auto file = std::filesystem::path(testing::TempDir()) / "masks.safetensors";
  std::filesystem::remove(file);
  const auto grow = gradual_sparsity(classifier(), gradual);
  int64_t steps = 0;
  FitOptions fit_options;
  fit_options.epochs = 3;
  fit_options.batch = 8;
  fit_options.lr = make_schedule({.kind = "constant"}, 0.05);
  fit_options.best_from = gradual.end;
  fit_options.before_step = [&](Trainer& trainer, int64_t step, int64_t total) {
    grow(trainer, step, total);
    int64_t zeros = 0;
    for (const char* name : {"p0", "p2"})
      for (const float w : floats(trainer.constant(name))) zeros += w == 0;
    run.zeros.push_back(zeros);
    steps = step + 1;
  };
  fit_options.evaluate = [](const Graph&) { return std::map<std::string, double>{{"top1", 0.5}}; };
  if (stop_at > 0) {
    fit_options.checkpoint = file.string();
    fit_options.stop = [&] { return steps == stop_at; };
    EXPECT_TRUE(fit(*open_trainer(graph, options), data, fit_options).interrupted);
    fit_options.stop = {};
    fit_options.resume = true;
  }
  const FitResult result = fit(*open_trainer(graph, options), data, fit_options);
  EXPECT_EQ(result.best_epoch, 2);  // all are alike, and before the end none is as sparse
  run.graph = without_loss(result.last, classifier());
  return run;
}

TEST(GradualMasks, EndAtTheRatioAndResumeBitForBit) {
  for (const char* method : {"magnitude", "movement"}) {
    const GradualOptions gradual{
        .sparsify = {.method = method, .ratio = 0.75}, .begin = 0.1, .end = 0.8, .every = 3};
    const Trained whole = train(gradual, 0), resumed = train(gradual, 10);
    EXPECT_EQ(whole.zeros, resumed.zeros);
    EXPECT_TRUE(same_graph(whole.graph, resumed.graph)) << method;
    EXPECT_EQ(whole.zeros.front(), 0);
    EXPECT_TRUE(std::is_sorted(whole.zeros.begin(), whole.zeros.end()));
    EXPECT_EQ(whole.zeros.back(), 54);  // of 72
    const Sparsity found = measure_sparsity(whole.graph);
    EXPECT_EQ(found.zeros, 54);
    EXPECT_EQ(found.elements, 72);
  }
}

TEST(GradualMasks, DifferByMethod) {
  const auto zeros = [](const char* method) {
    return masks_of(train({.sparsify = {.method = method, .ratio = 0.5}, .every = 2}, 0).graph, 0);
  };
  EXPECT_FALSE(zeros("magnitude").at("p0").equals(zeros("movement").at("p0")));
}

}  // namespace
}  // namespace lapidary
