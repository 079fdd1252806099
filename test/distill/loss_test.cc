#include "distill/loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/distill/nets.h"

// Literals: test/distill/distill_reference.py.

namespace lapidary {
namespace {

using testing::HasSubstr;

const std::vector<int64_t> kLabels = {2, 0, 3, 1}, kTokenLabels = {0, 3, 1, 2, 2, 4};

Trainer::Values with_labels(const Tensor& x) {
  const Tensor labels =
      x.dim(0) == 4 ? Tensor::of<int64_t>({4}, kLabels) : Tensor::of<int64_t>({2, 3}, kTokenLabels);
  return {{"x", x}, {std::string(kLabelInput), labels}};
}

/// Regressors' weights are ((5 i + 3) mod 11 - 5) / 16, biases i / 8.
void set_regressors(Graph& graph, const Distillation& made) {
  for (const TrainedParameter& parameter : made.parameters) {
    Tensor& elements = *graph.mutable_value(graph.find_value(parameter.name)).constant;
    int64_t i = 0;
    for (float& v : elements.mutable_data<float>()) {
      v = parameter.decay ? static_cast<float>((5 * i + 3) % 11 - 5) / 16
                          : static_cast<float>(i) / 8;
      ++i;
    }
  }
}

/// The sum of terms on the nets' outputs; layers are named where a loss wants it.
double loss_of(Pair pair, std::vector<DistillSpec> specs) {
  for (DistillSpec& spec : specs)
    if (find_distill_loss(spec.kind).compared == Compared::kFeatures) spec.layers = {"layer"};
  const Distillation made = attach_distillation(pair.student, pair.teacher, specs, 0);
  EXPECT_EQ(pair.student.value(pair.student.find_value(made.loss)).type.text(), "float32[]");
  set_regressors(pair.student, made);
  Trainer::Values inputs = {{"x", pair.x}};
  if (pair.student.find_value(kLabelInput)) inputs = with_labels(pair.x);
  return run_student(pair.student, pair.teacher, made, inputs, made.loss).data<float>()[0];
}

struct Case {
  std::string name;
  DistillSpec spec;
  int64_t n;
  Shape student, teacher;
  double value;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

const std::vector<Case>& cases() {
  static const Shape s5{5}, tokens{3, 5}, planes{4, 2, 3}, maps{5, 4, 4}, wide{6, 4, 4};
  static const std::vector<Case> kAll = {
      {"kd", {.kind = "kd"}, 4, s5, s5, 0.717479795},
      {"kd_1", {.kind = "kd", .params = {{"temperature", {1}}}}, 4, s5, s5, 0.712789007},
      {"kd_tokens",
       {.kind = "kd", .params = {{"temperature", {4}}}},
       2,
       tokens,
       tokens,
       1.76313366},
      {"kd_planes", {.kind = "kd", .params = {{"axis", {1}}}}, 3, planes, planes, 0.576584379},
      {"dkd", {.kind = "dkd"}, 4, s5, s5, 3.39065503},
      {"dkd_4",
       {.kind = "dkd", .params = {{"alpha", {0.5}}, {"beta", {2}}, {"temperature", {4}}}},
       4,
       s5,
       s5,
       0.94569555},
      {"dkd_tokens", {.kind = "dkd"}, 2, tokens, tokens, 12.3386484},
      {"dist", {.kind = "dist"}, 4, s5, s5, 1.00301682},
      {"dist_4",
       {.kind = "dist", .params = {{"beta", {2}}, {"gamma", {0.5}}, {"temperature", {4}}}},
       4,
       s5,
       s5,
       20.0167551},
      {"dist_planes", {.kind = "dist", .params = {{"axis", {1}}}}, 3, planes, planes, 1.08751434},
      {"hint_same", {.kind = "hint"}, 3, planes, planes, 1.58333333},
      {"hint_maps", {.kind = "hint"}, 3, maps, wide, 1.45039113},
      {"hint_tokens", {.kind = "hint"}, 2, {3, 4}, {3, 6}, 1.48784383},
      {"hint_vectors", {.kind = "hint"}, 3, {4}, {6}, 2.10440403},
      {"attention", {.kind = "attention"}, 3, maps, wide, 0.00715133967},
      {"attention_3",
       {.kind = "attention", .params = {{"power", {3}}}},
       3,
       maps,
       wide,
       0.0103881789},
      {"attention_1",
       {.kind = "attention", .params = {{"power", {1}}}},
       3,
       maps,
       wide,
       0.00319740874},
      {"attention_finer", {.kind = "attention"}, 3, {4, 4, 6}, {2, 2, 2}, 0.0523257054},
      {"attention_mixed", {.kind = "attention"}, 3, {4, 2, 6}, {3, 4, 3}, 0.0523928519},
      {"attention_tokens", {.kind = "attention"}, 2, {5, 4}, {5, 6}, 0.00702784174},
      {"similarity", {.kind = "similarity"}, 3, maps, wide, 0.000130773207},
      {"similarity_tokens", {.kind = "similarity"}, 4, tokens, {2}, 0.194808403},
      {"rkd", {.kind = "rkd"}, 5, {7}, {3}, 5.20529887},
      {"rkd_distance",
       {.kind = "rkd", .params = {{"distance", {1}}, {"angle", {0}}}},
       5,
       {7},
       {3},
       0.0669770911},
      {"rkd_angle",
       {.kind = "rkd", .params = {{"distance", {0}}, {"angle", {1}}}},
       5,
       {7},
       {3},
       0.0706174319},
      {"rkd_maps", {.kind = "rkd"}, 3, maps, wide, 0.000785335808},
      {"layer_mse", {.kind = "layer_mse"}, 2, tokens, tokens, 3.55598958},
      {"cosine", {.kind = "cosine"}, 4, s5, s5, 0.544940351},
      {"cosine_maps", {.kind = "cosine"}, 3, planes, planes, 0.517704709},
      {"cosine_tokens", {.kind = "cosine"}, 2, tokens, tokens, 1.34946225},
  };
  return kAll;
}

class DistillLoss : public testing::TestWithParam<Case> {};

TEST_P(DistillLoss, IsTheReferences) {
  const Case& c = GetParam();
  // Axes of reductions become inputs at opset 18; older graphs are upgraded to 13.
  for (const int64_t opset : {11, 13, 18, 21})
    EXPECT_NEAR(loss_of(make_pair_of(c.n, c.student, c.teacher, opset), {c.spec}), c.value,
                1e-6 + 2e-6 * c.value)
        << "opset " << opset;
}

TEST_P(DistillLoss, IsNoneWhereBothAgree) {
  const Case& c = GetParam();
  Pair pair = make_pair_of(c.n, c.teacher, c.teacher);
  pair.teacher = pair.student;
  EXPECT_NEAR(loss_of(pair, {c.spec}), 0, 2e-6 * (1 + c.value));
}

INSTANTIATE_TEST_SUITE_P(Cases, DistillLoss, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

TEST(DistillLosses, EachRowHasACase) {
  for (const DistillDef* def : all_distill_losses())
    EXPECT_TRUE(std::any_of(cases().begin(), cases().end(), [&](const Case& c) {
      return c.spec.kind == def->name;
    })) << def->name;
  EXPECT_EQ(list_distill_losses().size(), all_distill_losses().size());
}

TEST(DistillLosses, TermsAreWeightedAndAdded) {
  EXPECT_NEAR(loss_of(make_pair_of(4, {5}, {5}),
                      {{.kind = "kd", .weight = 0.5}, {.kind = "layer_mse", .weight = 3}}),
              4.68295865, 1e-5);
}

TEST(DistillLosses, TwoSamplesThatAreOneAreNotApart) {
  Pair pair = make_pair_of(5, {7}, {3});
  for (size_t i = 0; i < 7; ++i)
    pair.x.mutable_data<float>()[3 * 10 + i] = pair.x.data<float>()[1 * 10 + i];
  EXPECT_NEAR(loss_of(pair, {{.kind = "rkd", .params = {{"distance", {1}}, {"angle", {2}}}}}),
              0.295865329, 2e-6);
}

TEST(DistillLosses, LayersOfOneTermAreAdded) {
  Pair pair = make_pair_of(4, {5}, {5});
  const double once = loss_of(pair, {{.kind = "layer_mse"}});
  EXPECT_NEAR(loss_of(pair, {{.kind = "layer_mse", .layers = {"layer", "layer"}}}), 2 * once, 1e-5);
}

std::string refusal(const Shape& student, const Shape& teacher, DistillSpec spec) {
  return error_of([&] {
    Pair pair = make_pair_of(2, student, teacher);
    attach_distillation(pair.student, pair.teacher, {std::move(spec)}, 0);
  });
}

TEST(DistillLosses, WhatDoesNotFitIsRefusedWithBothShapes) {
  EXPECT_THAT(
      refusal({5}, {6}, {.kind = "kd"}),
      testing::AllOf(HasSubstr("distillation 'kd'"), HasSubstr("[N,5]"), HasSubstr("[N,6]")));
  EXPECT_THAT(refusal({4, 4, 4}, {6, 2, 2}, {.kind = "hint", .layers = {"layer"}}),
              testing::AllOf(HasSubstr("[N,4,4,4]"), HasSubstr("[N,6,2,2]")));
  EXPECT_THAT(refusal({4, 4, 4}, {6, 3, 4}, {.kind = "attention", .layers = {"layer"}}),
              testing::AllOf(HasSubstr("multiple"), HasSubstr("[N,6,3,4]")));
  EXPECT_THAT(refusal({4, 4}, {6, 2, 2}, {.kind = "attention", .layers = {"layer"}}),
              HasSubstr("shapes do not fit"));
  EXPECT_THAT(refusal({4}, {4}, {.kind = "attention", .layers = {"layer"}}),
              HasSubstr("wants maps"));
  EXPECT_THAT(refusal({4}, {5}, {.kind = "cosine"}), HasSubstr("[N,5]"));
  EXPECT_THAT(refusal({4}, {5}, {.kind = "layer_mse"}), HasSubstr("[N,4]"));
  EXPECT_THAT(refusal({4, 3}, {4, 3}, {.kind = "kd", .params = {{"axis", {3}}}}),
              HasSubstr("axis 3"));
  EXPECT_THAT(refusal({4, 3}, {4, 3}, {.kind = "dist", .params = {{"axis", {-3}}}}),
              HasSubstr("axis -3"));
}

TEST(DistillLosses, ParametersAreChecked) {
  EXPECT_THAT(refusal({5}, {5}, {.kind = "kdd"}), HasSubstr("did you mean 'dkd' or 'kd'"));
  EXPECT_THAT(refusal({5}, {5}, {.kind = "kd", .params = {{"temperature", {0}}}}),
              HasSubstr("0.01..100"));
  EXPECT_THAT(refusal({5}, {5}, {.kind = "kd", .params = {{"temprature", {2}}}}),
              HasSubstr("did you mean 'temperature'"));
  EXPECT_THAT(refusal({5}, {5}, {.kind = "kd", .weight = std::nan("")}), HasSubstr("weight"));
}

TEST(DistillLosses, DkdReadsOneLabelForEachSample) {
  Pair pair = make_pair_of(4, {5}, {5});
  attach_distillation(pair.student, pair.teacher, {{.kind = "dkd"}}, 0);
  EXPECT_EQ(pair.student.value(pair.student.find_value(kLabelInput)).type.text(), "int64[N]");

  Pair mixed = make_pair_of(4, {5}, {5});
  GraphBuilder(mixed.student).input(std::string(kSecondLabelInput), DType::kI64, {Dim{}});
  EXPECT_THAT(
      error_of([&] { attach_distillation(mixed.student, mixed.teacher, {{.kind = "dkd"}}, 0); }),
      HasSubstr("mixup"));
}

TEST(DistillLosses, AllButDkdNeedNoLabels) {
  for (const DistillDef* def : all_distill_losses()) {
    Pair pair = make_pair_of(4, {5, 2, 2}, {5, 2, 2});
    attach_distillation(pair.student, pair.teacher,
                        {{.kind = std::string(def->name), .layers = {"layer"}}}, 0);
    EXPECT_EQ(static_cast<bool>(pair.student.find_value(kLabelInput)), def->name == "dkd")
        << def->name;
  }
}

}  // namespace
}  // namespace lapidary
