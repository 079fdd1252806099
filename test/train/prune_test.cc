#include "lapidary/prune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "lapidary/error.h"
#include "src/ops/infer.h"
#include "test/fit/folder.h"
#include "test/train/net.h"

// Training and pruning together: what a trainer remembers of the units that stay, and steps that
// pull units towards 0.

namespace lapidary {
namespace {

constexpr int64_t kClasses = 3, kSamples = 96;

/// Conv, BatchNormalization, Relu, Conv, Relu, mean over pixels, Gemm.
Graph model() {
  Graph graph;
  graph.set_opset("", 17);
  GraphBuilder b(graph);
  const auto constant = [&](const char* name, const Shape& shape) {
    return b.constant(name, Tensor(DType::kF32, shape));
  };
  const GraphBuilder::Attrs pads = {{"pads", Ints{1, 1, 1, 1}}};
  ValueId y = b.input("x", DType::kF32, {Dim::named("N"), Dim(2), Dim(6), Dim(6)});
  y = b.op("Conv", {y, constant("w1", {6, 2, 3, 3})}, pads, "conv1");
  y = b.op("BatchNormalization",
           {y, constant("gain", {6}), constant("shift", {6}), constant("mean", {6}),
            constant("variance", {6})},
           {}, "norm");
  y = b.op("Relu", {y}, {}, "relu1");
  y = b.op("Conv", {y, constant("w2", {5, 6, 3, 3}), constant("b2", {5})}, pads, "conv2");
  y = b.op("Relu", {y}, {}, "relu2");
  y = b.op("Flatten", {b.op("GlobalAveragePool", {y}, {}, "pool")}, {}, "flat");
  b.output(b.op("Gemm", {y, constant("w3", {kClasses, 5}), constant("b3", {kClasses})},
                {{"transB", int64_t{1}}}, "scores"));
  infer_types(graph);
  init_parameters(graph, 5);
  return graph;
}

/// A class is a direction of the channels' means, under noise.
Dataset data() {
  Rng rng(1);
  Tensor x(DType::kF32, {kSamples, 2, 6, 6});
  std::vector<int64_t> labels;
  for (int64_t n = 0; n < kSamples; ++n) {
    labels.push_back(n % kClasses);
    const double angle = 2 * 3.14159265 * static_cast<double>(n % kClasses) / kClasses;
    for (int64_t i = 0; i < 72; ++i)
      x.mutable_data<float>()[static_cast<size_t>(n * 72 + i)] =
          static_cast<float>((i < 36 ? std::cos(angle) : std::sin(angle)) + 2 * rng.uniform() - 1);
  }
  return dataset_of({{"", x}}, labels);
}

std::unique_ptr<Trainer> trainer_of(const Graph& model, const OptimizerSpec& optimizer,
                                    double ema = 0) {
  Graph graph = model;
  TrainerOptions options{
      .loss = add_loss(graph, {{}}), .outputs = {}, .parameters = trainable_parameters(model)};
  options.optimizer = optimizer;
  options.ema = ema;
  return open_trainer(graph, options);
}

FitOptions fit_options() {
  FitOptions out;
  out.epochs = 8;
  out.batch = 16;
  out.seed = 3;
  out.lr = make_schedule({"cosine"}, 0.05);
  return out;
}

void zero_places(Graph& graph, const std::string& name, size_t axis, int64_t place) {
  Tensor& t = *graph.mutable_value(graph.find_value(name)).constant;
  int64_t inner = 1;
  for (size_t d = axis + 1; d < t.shape().size(); ++d) inner *= t.shape()[d];
  for (int64_t i = 0; i < t.size(); ++i)
    if (i / inner % t.shape()[axis] == place) t.mutable_data<float>()[static_cast<size_t>(i)] = 0;
}

double norm_of(const Trainer& trainer, const PruneGroup& group, size_t unit) {
  double sum = 0;
  for (const PruneMember& member : group.members) {
    if (member.tensor == "mean" || member.tensor == "variance") continue;
    const Tensor t = trainer.constant(member.tensor);
    const auto axis = static_cast<size_t>(member.axis);
    int64_t inner = 1;
    for (size_t d = axis + 1; d < t.shape().size(); ++d) inner *= t.shape()[d];
    for (int64_t i = 0; i < t.size(); ++i)
      if (i / inner % t.shape()[axis] == member.elements[unit][0]) {
        const double x = t.data<float>()[static_cast<size_t>(i)];
        sum += x * x;
      }
  }
  return std::sqrt(sum);
}

class PruneTraining : public FolderTest {
 protected:
  void SetUp() override {
    FolderTest::SetUp();
    if (const std::string why = training_unavailable(); !why.empty()) GTEST_SKIP() << why;
  }
};

// -- the state

TEST_F(PruneTraining, WhatIsRememberedOfUnitsThatStayIsKept) {
  const auto trainer = trainer_of(model(), {.kind = "sgd", .momentum = 0.9}, 0.9);
  fit(*trainer, data(), fit_options());
  const PruningGraph graph(model());
  ASSERT_EQ(graph.groups().size(), 2u);
  KeptElements kept;
  const Graph pruned = graph.prune({{1, 2, 5}, {0}}, &kept);
  const Trainer::Values whole = trainer->state(), cut = cut_state(whole, kept, pruned);
  // w2 [5,6,3,3]: rows 1..4, columns 0, 3, 4 are left; the rest of constants likewise.
  for (const char* kind : {"parameter:", "momentum:", "average:"}) {
    const Tensor &before = whole.at(kind + std::string("w2")),
                 &after = cut.at(kind + std::string("w2"));
    ASSERT_EQ(after.shape(), (Shape{4, 3, 3, 3}));
    const size_t columns[] = {0, 3, 4};
    for (size_t o = 0; o < 4; ++o)
      for (size_t i = 0; i < 3; ++i)
        for (size_t p = 0; p < 9; ++p)
          EXPECT_EQ(after.data<float>()[(3 * o + i) * 9 + p],
                    before.data<float>()[(6 * (o + 1) + columns[i]) * 9 + p]);
    const Tensor &gain = whole.at(kind + std::string("gain")),
                 &left = cut.at(kind + std::string("gain"));
    EXPECT_THAT(
        left.data<float>(),
        testing::ElementsAre(gain.data<float>()[0], gain.data<float>()[3], gain.data<float>()[4]));
    EXPECT_TRUE(cut.at(kind + std::string("b3")).equals(whole.at(kind + std::string("b3"))));
  }
  const Tensor& mean = whole.at("statistic:mean");
  EXPECT_THAT(
      cut.at("statistic:mean").data<float>(),
      testing::ElementsAre(mean.data<float>()[0], mean.data<float>()[3], mean.data<float>()[4]));
  const auto next = trainer_of(pruned, {.kind = "sgd", .momentum = 0.9}, 0.9);
  next->restore(cut);
  for (const auto& [key, tensor] : next->state()) EXPECT_TRUE(tensor.equals(cut.at(key))) << key;
}

TEST_F(PruneTraining, WithoutUnitsThatDoNothingItGoesOnAsWithThem) {
  // Unit 4 of the first layer: no gradient reaches what is 0 on both of its sides.
  Graph graph = model();
  for (const char* name : {"w1", "gain", "shift"}) zero_places(graph, name, 0, 4);
  zero_places(graph, "w2", 1, 4);
  const PruningGraph pruning(graph);
  KeptElements kept;
  const Graph pruned = pruning.prune({{4}, {}}, &kept);
  for (const char* kind : {"sgd", "adam", "adamw"}) {
    const OptimizerSpec optimizer{.kind = kind, .weight_decay = 0.01};
    const auto whole = trainer_of(graph, optimizer, 0.9), less = trainer_of(pruned, optimizer, 0.9);
    FitOptions options = fit_options();
    options.lr = make_schedule({"constant"}, 0.01);
    options.epochs = 2;
    fit(*whole, data(), options);
    less->restore(cut_state(whole->state(), kept, pruned));
    options.seed = 4;
    fit(*whole, data(), options);
    fit(*less, data(), options);
    const Trainer::Values expected = cut_state(whole->state(), kept, pruned);
    for (const auto& [key, tensor] : less->state()) {
      if (key == "steps") continue;
      for (size_t i = 0; i < static_cast<size_t>(tensor.size()); ++i)
        ASSERT_NEAR(tensor.data<float>()[i], expected.at(key).data<float>()[i], 1e-4)
            << kind << " " << key << " " << i;
    }
  }
}

TEST_F(PruneTraining, StateOfAnotherGraphIsRefused) {
  const auto trainer = trainer_of(model(), {});
  KeptElements kept;
  const Graph pruned = PruningGraph(model()).prune({{0}, {}}, &kept);
  const auto refused = [&](const KeptElements& elements) {
    try {
      cut_state(trainer->state(), elements, pruned);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalid);
      return std::string(error.what());
    }
    return std::string("nothing");
  };
  EXPECT_THAT(refused({}), testing::HasSubstr("float32[5]"));
  kept["w1"][0] = {0, 1, 2, 3, 6};
  EXPECT_THAT(refused(kept), testing::HasSubstr("axis 0 of float32[6,2,3,3]"));
}

// -- regularizers

TEST_F(PruneTraining, RegularizedItResumesBitForBit) {
  const PruningGraph graph(model());
  const Dataset samples = data();
  for (const RegularizerSpec& spec :
       {RegularizerSpec{"group_lasso", 0.1}, RegularizerSpec{"slimming", 0.1},
        RegularizerSpec{"growing", 0.1, {{"every", {5}}}}}) {
    FitOptions options = fit_options();
    const RemovedUnits going = needs_units(spec) ? RemovedUnits{{0, 2}, {3}} : RemovedUnits{};
    options.before_step = make_regularizer(graph, spec, options.lr, going);
    const auto whole = trainer_of(model(), {}, 0.9), first = trainer_of(model(), {}, 0.9),
               second = trainer_of(model(), {}, 0.9), plain = trainer_of(model(), {}, 0.9);
    fit(*whole, samples, options);
    options.checkpoint = at(spec.kind);
    options.stop = [polls = 0]() mutable { return polls++ == 29; };
    ASSERT_TRUE(fit(*first, samples, options).interrupted);
    options.stop = {};
    options.resume = true;
    options.before_step = make_regularizer(graph, spec, options.lr, going);
    fit(*second, samples, options);
    const Trainer::Values expected = whole->state();
    for (const auto& [key, tensor] : second->state())
      EXPECT_TRUE(tensor.equals(expected.at(key))) << spec.kind << " " << key;
    fit(*plain, samples, fit_options());
    EXPECT_FALSE(plain->constant("gain").equals(whole->constant("gain"))) << spec.kind;
  }
}

TEST_F(PruneTraining, GroupLassoBringsUnitsToZero) {
  const PruningGraph graph(model());
  const auto zeros = [&](double strength) {
    const auto trainer = trainer_of(model(), {});
    FitOptions options = fit_options();
    options.epochs = 20;
    options.before_step = make_regularizer(graph, {"group_lasso", strength}, options.lr);
    const double loss = fit(*trainer, data(), options).log.epochs.back().loss;
    EXPECT_LT(loss, 0.5) << strength;
    int count = 0;
    for (const PruneGroup& group : graph.groups())
      for (size_t u = 0; u < static_cast<size_t>(group.units); ++u)
        count += norm_of(*trainer, group, u) < 0.01;
    return count;
  };
  EXPECT_EQ(zeros(0), 0);
  EXPECT_GE(zeros(1), 2);
}

TEST_F(PruneTraining, GrownDecayLeavesUnitsThatCanGo) {
  const PruningGraph graph(model());
  const RemovedUnits going = {{0, 2, 3}, {1, 4}};
  const auto trainer = trainer_of(model(), {});
  FitOptions options = fit_options();
  options.epochs = 20;
  options.lr = make_schedule({"constant"}, 0.05);
  options.before_step =
      make_regularizer(graph, {"growing", 1, {{"every", {5}}, {"limit", {10}}}}, options.lr, going);
  EXPECT_LT(fit(*trainer, data(), options).log.epochs.back().loss, 0.5);
  for (size_t g = 0; g < 2; ++g)
    for (int64_t u = 0; u < graph.groups()[g].units; ++u) {
      const bool goes = std::ranges::count(going[g], u) > 0;
      const double norm = norm_of(*trainer, graph.groups()[g], static_cast<size_t>(u));
      EXPECT_TRUE(goes ? norm < 1e-3 : norm > 0.1) << g << " " << u << " " << norm;
    }
}

}  // namespace
}  // namespace lapidary
