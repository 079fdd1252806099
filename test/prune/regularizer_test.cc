#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lapidary/error.h"
#include "lapidary/prune.h"
#include "src/ir/builder.h"
#include "src/ops/infer.h"

// Against regularizer_reference.py, which computes the same steps in float64 with numpy.

namespace lapidary {
namespace {

using Floats = std::vector<float>;
using testing::HasSubstr;

/// Constants, and nothing that trains them.
class Held : public Trainer {
 public:
  explicit Held(const Graph& graph) : graph_(graph) {}
  StepResult step(const Values&, const StepOptions&) override { return {}; }
  Gradients gradients(const Values&, const StepOptions&) override { return {}; }
  Values forward(const Values&, const std::vector<std::string>&, bool) override { return {}; }
  Graph graph(bool) const override { return graph_; }
  Tensor constant(const std::string& name) const override {
    return *graph_.constant(graph_.find_value(name));
  }
  void set_constant(const std::string& name, const Tensor& value) override {
    graph_.mutable_value(graph_.find_value(name)).constant = value;
    set.push_back(name);
  }
  Tensor mask(const std::string&) const override { return {}; }
  void set_mask(const std::string&, const Tensor&) override {}
  Tensor movement(const std::string&) const override { return {}; }
  Values state() const override { return {}; }
  void restore(const Values&) override {}

  std::vector<std::string> set;

 private:
  Graph graph_;
};

/// Three Gemms, the first with a normalization behind it; element i of all is ((7 i + 3) mod 11 -
/// 5) / 4.
Graph three_layers() {
  Graph graph;
  graph.set_opset("", 17);
  GraphBuilder b(graph);
  int i = 0;
  const auto constant = [&](const char* name, const Shape& shape) {
    Tensor out(DType::kF32, shape);
    for (float& v : out.mutable_data<float>()) v = static_cast<float>((7 * i++ + 3) % 11 - 5) / 4;
    return b.constant(name, out);
  };
  const GraphBuilder::Attrs rows = {{"transB", int64_t{1}}};
  ValueId y = b.input("x", DType::kF32, {Dim::named("N"), Dim(2)});
  const ValueId w1 = constant("w1", {3, 2}), b1 = constant("b1", {3});
  y = b.op("Gemm", {y, w1, b1}, rows, "first");
  std::vector<ValueId> norm = {y};
  for (const char* name : {"gain", "shift", "mean", "variance"})
    norm.push_back(constant(name, {3}));
  y = b.op("Relu", {b.op("BatchNormalization", norm, {}, "norm")}, {}, "relu1");
  const ValueId w2 = constant("w2", {2, 3}), b2 = constant("b2", {2});
  y = b.op("Relu", {b.op("Gemm", {y, w2, b2}, rows, "second")}, {}, "relu2");
  const ValueId w3 = constant("w3", {2, 2}), b3 = constant("b3", {2});
  b.output(b.op("Gemm", {y, w3, b3}, rows, "third"));
  infer_types(graph);
  return graph;
}

constexpr auto rate(double lr) {
  return [lr](int64_t, int64_t) { return lr; };
}

/// Constants after one step; those that `expected` lacks are as they were.
void expect_after(const TrainHook& hook, int64_t step,
                  const std::map<std::string, Floats>& expected) {
  const Graph graph = three_layers();
  Held held(graph);
  hook(held, step, 5000);
  for (const ValueId id : graph.values()) {
    if (!graph.constant(id)) continue;
    const std::string& name = graph.value(id).name;
    const Tensor found = held.constant(name);
    const auto at = expected.find(name);
    if (at == expected.end()) {
      EXPECT_TRUE(found.equals(*graph.constant(id))) << name;
      continue;
    }
    for (size_t i = 0; i < at->second.size(); ++i)
      EXPECT_NEAR(found.data<float>()[i], at->second[i], 1e-6) << name << " " << i;
  }
}

std::string refusal(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    return error.what();
  }
  ADD_FAILURE() << "nothing was refused";
  return {};
}

TEST(Regularizer, GroupLassoScalesUnitsByTheirNorms) {
  const PruningGraph graph(three_layers());
  ASSERT_EQ(graph.groups().size(), 2u);
  expect_after(make_regularizer(graph, {"group_lasso", 16}, rate(0.1)), 7,
               {{"w1", {-.18f, .45f, 0, 0, .2404597f, 0}},
                {"b1", {-.36f, 0, -.06011493f}},
                {"gain", {-.45f, 0, -.1202299f}},
                {"shift", {.45f, 0, -.1803448f}},
                {"w2", {.0392608f, 0, .06556001f, .005981765f, 0, .01598193f}},
                {"b2", {0, -.06646405f}},
                {"w3", {.1635867f, -.01661601f, -.2726444f, .03323203f}}});
}

TEST(Regularizer, SlimmingMovesGainsAloneTowardsZero) {
  expect_after(make_regularizer(PruningGraph(three_layers()), {"slimming", 6}, rate(0.1)), 0,
               {{"gain", {-.65f, 0, 0}}});
}

TEST(Regularizer, GrowingDecaysTheUnitsThatAreToGo) {
  const PruningGraph graph(three_layers());
  const RegularizerSpec spec{"growing", 0.5, {{"every", {10}}, {"limit", {3}}}};
  const TrainHook hook = make_regularizer(graph, spec, rate(0.2), {{1}, {}});
  expect_after(hook, 9, {});
  expect_after(hook, 25,
               {{"w1", {-.5f, 1.25f, .2f, -.6f, 1, 0}},
                {"b1", {-1, .6f, -.25f}},
                {"gain", {-1.25f, .4f, -.5f}},
                {"shift", {1.25f, .2f, -.75f}},
                {"w2", {.5f, -.4f, 1.25f, .25f, -.6f, 1}}});
  expect_after(hook, 1000,
               {{"w1", {-.5f, 1.25f, .1f, -.3f, 1, 0}},
                {"b1", {-1, .3f, -.25f}},
                {"gain", {-1.25f, .2f, -.5f}},
                {"shift", {1.25f, .1f, -.75f}},
                {"w2", {.5f, -.2f, 1.25f, .25f, -.3f, 1}}});
}

TEST(Regularizer, ActsOnTheUnitsThatAreGivenAndOnTheRateOfTheStep) {
  const PruningGraph graph(three_layers());
  // Norm 1.713914 of the second group's last unit (w2's second row, b2, w3's second column).
  const double left = 1 - 0.1 * 3 / 1.713913650100261;
  const auto lr = [](int64_t step, int64_t total) { return step == 3 && total == 5000 ? 0.1 : 0; };
  const TrainHook hook = make_regularizer(graph, {"group_lasso", 3}, lr, {{}, {1}});
  expect_after(hook, 4, {});
  const auto times = [&](double x) { return static_cast<float>(left * x); };
  expect_after(hook, 3,
               {{"w2", {.5f, -.5f, 1.25f, times(.25), times(-.75), times(1)}},
                {"b2", {0, times(-1)}},
                {"w3", {.75f, times(-.25), -1.25f, times(.5)}}});
}

TEST(Regularizer, WhatStaysIsNotSet) {
  Held held(three_layers());
  const PruningGraph graph(three_layers());
  make_regularizer(graph, {"group_lasso", 1}, rate(0.1), {{}, {0}})(held, 0, 1);
  EXPECT_THAT(held.set, testing::UnorderedElementsAre("w2", "b2", "w3"));
  held.set.clear();
  make_regularizer(graph, {"group_lasso", 0}, rate(0.1))(held, 0, 1);
  EXPECT_THAT(held.set, testing::IsEmpty());
}

TEST(Regularizer, Refuses) {
  const PruningGraph graph(three_layers());
  const auto make = [&](const RegularizerSpec& spec, const RemovedUnits& units = {}) {
    return refusal([&] { make_regularizer(graph, spec, rate(0.1), units); });
  };
  EXPECT_THAT(make({"group_laso"}), HasSubstr("group_lasso"));
  EXPECT_THAT(make({"slimming", -1}), HasSubstr("-1"));
  EXPECT_THAT(make({"growing"}), HasSubstr("none are given"));
  EXPECT_THAT(make({"growing", 1, {{"every", {0}}}}, {{1}, {}}), HasSubstr("every"));
  EXPECT_THAT(make({"group_lasso"}, {{1}}), HasSubstr("2"));
  EXPECT_THAT(make({"group_lasso"}, {{3}, {}}), HasSubstr("units 0 to 2"));
  EXPECT_THAT(make({"slimming"}, {{}, {0}}), HasSubstr("gains of normalizations"));
}

}  // namespace
}  // namespace lapidary
