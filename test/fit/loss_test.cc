#include "src/fit/loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "lapidary/exec.h"
#include "src/ops/infer.h"
#include "test/passes/run_graph.h"

namespace lapidary {
namespace {

using testing::HasSubstr;

// Literals: test/fit/loss_reference.py.
const std::vector<int64_t> kLabels = {2, 0, 3}, kLabels2 = {1, 0, 2};

/// A graph whose one output is its input "x", of that shape (N unknown).
Graph passing(std::vector<Dim> shape, int64_t opset = 17) {
  Graph graph;
  graph.set_opset("", opset);
  GraphBuilder b(graph);
  b.output(b.op("Identity", {b.input("x", DType::kF32, std::move(shape))}, {}, "scores"));
  return graph;
}

struct Fed {
  Tensor x;
  std::map<std::string, Tensor> others;
};

double loss_of(Graph graph, const std::vector<LossSpec>& losses, const Fed& fed,
               bool mixup = false) {
  const std::string name = add_loss(graph, losses, mixup);
  const TensorType& type = graph.value(graph.find_value(name)).type;
  EXPECT_EQ(type.text(), "float32[]");
  graph.set_outputs({graph.find_value(name)});
  Executor executor(graph, {.executor = ExecutorKind::kReference});
  Executor::Values inputs = fed.others;
  inputs["x"] = fed.x;
  return executor.run(inputs).at(name).data<float>()[0];
}

Fed classes() {
  return {ramp({3, 4}), {{std::string(kLabelInput), Tensor::of<int64_t>({3}, kLabels)}}};
}
Fed mixed() {
  Fed fed = classes();
  fed.others[std::string(kSecondLabelInput)] = Tensor::of<int64_t>({3}, kLabels2);
  fed.others[std::string(kShareInput)] = Tensor::of<float>({3}, {0.25f, 0.5f, 0.875f});
  return fed;
}
/// linspace(0, 1, 12) as [3, 4]
Tensor target() {
  std::vector<float> values;
  for (int i = 0; i < 12; ++i) values.push_back(static_cast<float>(i / 11.0));
  return Tensor::of<float>({3, 4}, values);
}
std::vector<Dim> scores_shape() { return {Dim::named("N"), 4}; }

constexpr double kTolerance = 2e-6;

TEST(Loss, CrossEntropy) {
  EXPECT_NEAR(loss_of(passing(scores_shape()), {{}}, classes()), 2.11498969, kTolerance);
  const LossSpec smoothed{.params = {{"label_smoothing", {0.1}}}};
  // ReduceMean has its axes as an attribute before opset 18, as an input from there on.
  for (const int64_t opset : {11, 13, 18, 21})
    EXPECT_NEAR(loss_of(passing(scores_shape(), opset), {smoothed}, classes()), 2.08686469,
                kTolerance)
        << opset;
}

TEST(Loss, ScoresAreJudgedBeforeTheModelsSoftmax) {
  for (const char* last : {"Softmax", "LogSoftmax"}) {
    Graph graph = passing(scores_shape());
    GraphBuilder b(graph);
    graph.set_outputs({b.op(last, {graph.outputs()[0]}, {{"axis", int64_t{1}}}, "shares")});
    infer_types(graph);
    EXPECT_NEAR(loss_of(graph, {{}}, classes()), 2.11498969, kTolerance) << last;
  }
  Graph graph = passing(scores_shape());
  GraphBuilder b(graph);
  graph.set_outputs({b.op("Softmax", {graph.outputs()[0]}, {{"axis", int64_t{1}}}, "shares")});
  infer_types(graph);
  EXPECT_GT(std::abs(loss_of(graph, {{.output = "shares"}}, classes()) - 2.11498969), 0.1)
      << "what is named is taken as it is";
}

TEST(Loss, CrossEntropyOfTokensAndPlanes) {
  const Tensor labels = Tensor::of<int64_t>({2, 3}, {0, 3, 1, 2, 2, 0});
  const std::map<std::string, Tensor> others = {{std::string(kLabelInput), labels}};
  EXPECT_NEAR(loss_of(passing({Dim::named("N"), 3, 4}), {{.params = {{"label_smoothing", {0.1}}}}},
                      {ramp({2, 3, 4}), others}),
              2.18061469, kTolerance);
  EXPECT_NEAR(loss_of(passing({Dim::named("N"), 4, 3}), {{.params = {{"axis", {1}}}}},
                      {ramp({2, 4, 3}), others}),
              2.41091744, kTolerance);
}

TEST(Loss, MixedLabels) {
  const LossSpec smoothed{.params = {{"label_smoothing", {0.1}}}};
  EXPECT_NEAR(loss_of(passing(scores_shape()), {smoothed}, mixed(), true), 1.64389594, kTolerance);
  EXPECT_NEAR(loss_of(passing(scores_shape()), {{.kind = "bce"}}, mixed(), true), 0.823379961,
              kTolerance);
}

TEST(Loss, OfATarget) {
  const Fed fed = {ramp({3, 4}), {{"t", target()}}};
  EXPECT_NEAR(loss_of(passing(scores_shape()), {{.kind = "mse", .target = "t"}}, fed), 1.35126657,
              kTolerance);
  EXPECT_NEAR(loss_of(passing(scores_shape()), {{.kind = "bce", .target = "t"}}, fed), 0.76129426,
              kTolerance);
}

TEST(Loss, OfClassesAsNumbers) {
  EXPECT_NEAR(loss_of(passing(scores_shape()), {{.kind = "mse"}}, classes()), 1.62304688,
              kTolerance);
  EXPECT_NEAR(loss_of(passing(scores_shape()), {{.kind = "bce"}}, classes()), 0.946426836,
              kTolerance);
  const std::map<std::string, Tensor> binary = {
      {std::string(kLabelInput), Tensor::of<int64_t>({3}, {1, 0, 1})}};
  EXPECT_NEAR(loss_of(passing({Dim::named("N"), 1}), {{.kind = "bce"}}, {ramp({3, 1}), binary}),
              1.30498763, kTolerance);
  EXPECT_NEAR(loss_of(passing({Dim::named("N")}), {{.kind = "bce"}}, {ramp({3}), binary}),
              1.30498763, kTolerance);
}

TEST(Loss, BceOfLargeLogitsIsFinite) {
  const Fed fed = {Tensor::of<float>({2}, {200, -200}), {{"t", Tensor::of<float>({2}, {0, 0})}}};
  EXPECT_FLOAT_EQ(static_cast<float>(
                      loss_of(passing({Dim::named("N")}), {{.kind = "bce", .target = "t"}}, fed)),
                  100);
}

TEST(Loss, WeightedSum) {
  Fed fed = classes();
  fed.others["t"] = target();
  EXPECT_NEAR(
      loss_of(passing(scores_shape()),
              {{.weight = 0.5}, {.kind = "mse", .weight = 2, .output = "scores", .target = "t"}},
              fed),
      3.76002799, 2 * kTolerance);
}

template <class Body>
std::string error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Loss, WhatCannotBeBuiltIsRefused) {
  const auto of = [](const std::vector<LossSpec>& losses, std::vector<Dim> shape) {
    return error_of([&] {
      Graph graph = passing(std::move(shape));
      add_loss(graph, losses);
    });
  };
  EXPECT_THAT(of({}, scores_shape()), HasSubstr("no loss is named"));
  EXPECT_THAT(of({{.kind = "cross_entropi"}}, scores_shape()),
              HasSubstr("did you mean 'cross_entropy'"));
  EXPECT_THAT(of({{.output = "logits"}}, scores_shape()), HasSubstr("no value 'logits'"));
  EXPECT_THAT(of({{.params = {{"label_smoothing", {2}}}}}, scores_shape()), HasSubstr("0..1"));
  EXPECT_THAT(of({{.params = {{"smoothing", {0.1}}}}}, scores_shape()),
              HasSubstr("unknown key 'smoothing'"));
  EXPECT_THAT(of({{.params = {{"axis", {3}}}}}, scores_shape()), HasSubstr("axis 3"));
  EXPECT_THAT(of({{.kind = "mse"}}, {Dim::named("N"), Dim::named("C")}),
              HasSubstr("number of classes is not known"));
}

TEST(Loss, ReadsAsARecipeWritesIt) {
  const Setting params = Setting::map({{"label_smoothing", Setting::scalar("0.1")},
                                       {"weight", Setting::scalar("0.5")},
                                       {"output", Setting::scalar("logits")}});
  const LossSpec spec = parse_loss(Setting::map({{"cross_entropy", params}}));
  EXPECT_EQ(spec.kind, "cross_entropy");
  EXPECT_EQ(spec.weight, 0.5);
  EXPECT_EQ(spec.output, "logits");
  EXPECT_EQ(spec.params.at("label_smoothing"), std::vector<double>{0.1});
  EXPECT_EQ(parse_loss(Setting::scalar("mse")).kind, "mse");
  const LossSpec again = parse_loss(FieldCodec<LossSpec>::format(spec));
  EXPECT_EQ(again.params, spec.params);
  const Setting wrong = Setting::map({{"mse", Setting::map({{"wieght", Setting::scalar("1")}})}});
  EXPECT_THAT(error_of([&] { parse_loss(wrong); }), HasSubstr("did you mean 'weight'"));
}

}  // namespace
}  // namespace lapidary
