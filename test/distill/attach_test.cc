#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/distill/nets.h"

namespace lapidary {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

/// x [N,4] -> Relus of the names given, one behind the other; the last is the output.
Graph chain(const std::vector<std::string>& names, const std::string& input = "x",
            int64_t features = 4) {
  Graph graph = empty_graph(17);
  GraphBuilder b(graph);
  ValueId x = b.input(input, DType::kF32, {Dim::named("N"), features});
  for (const std::string& name : names) x = b.op("Relu", {x}, {}, name);
  b.output(x);
  return graph;
}

Distillation attach(Graph student, const Graph& teacher, DistillSpec spec) {
  return attach_distillation(student, teacher, {std::move(spec)}, 0);
}
DistillSpec mse(std::vector<std::string> layers, std::vector<std::string> teacher_layers = {}) {
  return {.kind = "layer_mse",
          .layers = std::move(layers),
          .teacher_layers = std::move(teacher_layers)};
}

TEST(Layers, OutputsWhereNoneIsNamed) {
  const auto taps = attach(chain({"a", "scores"}), chain({"b", "logits"}), {}).taps;
  EXPECT_THAT(taps, ElementsAre(Pair("logits", "lapidary.teacher/logits")));
}

TEST(Layers, NamesAndGlobs) {
  const Graph student = chain({"block1", "only", "block2", "y"}),
              teacher = chain({"block2", "block1", "other", "y"});
  const auto tapped = [&](DistillSpec spec) {
    std::vector<std::string> names;
    for (const auto& [name, input] : attach(student, teacher, std::move(spec)).taps)
      names.push_back(name);
    return names;
  };
  EXPECT_THAT(tapped(mse({"block2"})), ElementsAre("block2"));
  // In the student's order; those that the teacher lacks are left out.
  EXPECT_THAT(tapped(mse({"*"})), ElementsAre("block1", "block2", "y"));
  EXPECT_THAT(tapped(mse({"block*", "y"})), ElementsAre("block1", "block2", "y"));
  // Both in their own graph's order.
  EXPECT_THAT(tapped(mse({"block?", "only"}, {"b*", "other"})),
              ElementsAre("block2", "block1", "other"));
}

TEST(Layers, OneTapForAllThatReadIt) {
  Graph student = chain({"a", "y"});
  const auto made =
      attach_distillation(student, chain({"a", "y"}),
                          {{}, mse({"y"}), mse({"a"}, {"y"}), {.kind = "rkd", .layers = {"a"}}}, 0);
  EXPECT_THAT(made.taps,
              ElementsAre(Pair("y", "lapidary.teacher/y"), Pair("a", "lapidary.teacher/a")));
  EXPECT_EQ(student.inputs().size(), 3u);
}

TEST(Layers, WhatIsNotThereIsRefused) {
  const Graph student = chain({"block1", "block2", "y"}), teacher = chain({"block1", "y"});
  const auto of = [&](DistillSpec spec) {
    return error_of([&] { attach(student, teacher, std::move(spec)); });
  };
  EXPECT_THAT(of(mse({"blok1"})), AllOf(HasSubstr("student has no computed value 'blok1'"),
                                        HasSubstr("did you mean 'block1'")));
  EXPECT_THAT(of(mse({"block2"})), HasSubstr("teacher has no computed value 'block2'"));
  EXPECT_THAT(of(mse({"conv*"})), HasSubstr("student has no computed float value that fits"));
  EXPECT_THAT(of(mse({"block[2-3]"})), HasSubstr("teacher has no computed float value"));
  EXPECT_THAT(of(mse({"block*"}, {"b*"})),
              AllOf(HasSubstr("'block*' stands for 2"), HasSubstr("'b*' for 1")));
  EXPECT_THAT(of(mse({"block1", "y"}, {"y"})), HasSubstr("2 'layers', but 1 'teacher_layers'"));
  EXPECT_THAT(of(mse({}, {"y"})), HasSubstr("no 'layers'"));
  for (const char* kind : {"hint", "attention", "similarity", "rkd"})
    EXPECT_THAT(of({.kind = kind}), HasSubstr("name its 'layers'"));
}

TEST(Layers, NumbersOfOutputsMustAgree) {
  Graph two = chain({"a", "y"});
  GraphBuilder(two).output(two.find_value("a"));
  EXPECT_THAT(error_of([&] { attach(chain({"y"}), two, {}); }),
              HasSubstr("student has 1 outputs, the teacher 2"));
}

TEST(Layers, AConstantIsNone) {
  Graph student = chain({"y"});
  GraphBuilder(student).constant("w", Tensor::of<float>({4}, {1, 2, 3, 4}));
  EXPECT_THAT(error_of([&] { attach(student, chain({"y"}), mse({"w"}, {"y"})); }),
              HasSubstr("student has no computed value 'w'"));
}

TEST(Attach, FailingLeavesTheStudentAlone) {
  Graph student = chain({"a", "y"});
  const Graph before = student;
  EXPECT_NE(error_of([&] {
              attach_distillation(student, chain({"a", "y"}), {mse({"a"}), mse({"none"})}, 0);
            }),
            "no error");
  EXPECT_TRUE(same_graph(student, before));
  EXPECT_THAT(error_of([&] { attach_distillation(student, before, {}, 0); }),
              HasSubstr("no loss of distillation is named"));
}

TEST(Attach, AddsTheTasksLoss) {
  Graph student = chain({"y"});
  GraphBuilder b(student);
  const ValueId task =
      b.op("ReduceMean", {student.find_value("y")}, {{"keepdims", int64_t{0}}}, "task");
  ASSERT_TRUE(task);
  const Tensor x = ramp({3, 4});
  const Graph teacher = chain({"y"});
  const Distillation made = attach_distillation(student, teacher, {mse({"y"})}, 0, "task");
  const auto value = [&](const std::string& name) {
    return run_student(student, teacher, made, {{"x", x}}, name).data<float>()[0];
  };
  EXPECT_GT(value("task"), 0.1f);
  EXPECT_EQ(value(made.loss), value("task"));  // student and teacher are the same
  EXPECT_THAT(error_of([&] { attach_distillation(student, teacher, {{}}, 0, "tsk"); }),
              HasSubstr("no value 'tsk'"));
}

TEST(Attach, InputsOfOtherNamesAreOneWhereThereIsOne) {
  EXPECT_THAT(attach(chain({"y"}), chain({"y"}, "image"), {}).inputs,
              ElementsAre(Pair("image", "x")));
  Graph two = chain({"y"});
  GraphBuilder b(two);
  b.input("mask", DType::kF32, {Dim::named("N"), 4});
  EXPECT_THAT(error_of([&] { attach(chain({"y"}), two, {}); }),
              HasSubstr("reads 'mask', which is no input of the student"));
}

TEST(Attach, ATeacherOfOtherDataIsRefused) {
  Graph student = chain({"y"}, "x", 4);
  Graph teacher = empty_graph(17);
  GraphBuilder b(teacher);
  const ValueId x = b.input("x", DType::kF32, {Dim::named("N"), 9});
  const Tensor w = ramp({9, 4});
  b.output(b.op("MatMul", {x, b.constant("w", w)}, {}, "y"));
  EXPECT_THAT(error_of([&] { attach(student, teacher, {}); }),
              AllOf(HasSubstr("reads other data"), HasSubstr("[N,9]"), HasSubstr("[N,4]")));
}

TEST(Attach, ScoresAreTakenBeforeSoftmax) {
  const auto probabilities = [](Graph graph) {
    const ValueId y = graph.outputs()[0];
    GraphBuilder b(graph);
    graph.set_outputs({b.op("Softmax", {y}, {{"axis", int64_t{-1}}}, "p")});
    return graph;
  };
  Graph student = probabilities(columns_net(10, 0, 5, {5}));
  const Graph teacher = probabilities(columns_net(10, 5, 10, {5}));
  const Distillation made = attach_distillation(student, teacher, {{}}, 0);
  EXPECT_EQ(made.taps[0].first, "layer");
  // test/distill/distill_reference.py, "kd"
  EXPECT_NEAR(
      run_student(student, teacher, made, {{"x", ramp({4, 10})}}, made.loss).data<float>()[0],
      0.717479795, 2e-6);
}

TEST(Regressor, IsDrawnFromTheSeed) {
  const auto weight = [](uint64_t seed) {
    auto pair = make_pair_of(2, {300, 2, 2}, {40, 2, 2});
    const Distillation made = attach_distillation(pair.student, pair.teacher,
                                                  {{.kind = "hint", .layers = {"layer"}}}, seed);
    EXPECT_EQ(made.parameters.size(), 2u);
    EXPECT_EQ(made.parameters[0].name, "lapidary.regressor/layer.weight");
    EXPECT_TRUE(made.parameters[0].decay);
    EXPECT_FALSE(made.parameters[1].decay);
    return *pair.student.constant(pair.student.find_value(made.parameters[0].name));
  };
  const Tensor w = weight(7);
  EXPECT_EQ(w.shape(), (Shape{40, 300, 1, 1}));
  EXPECT_TRUE(w.equals(weight(7)));
  EXPECT_FALSE(w.equals(weight(8)));
  double mean = 0, square = 0;
  for (const float v : w.data<float>()) {
    mean += v / 12000.0;
    square += v * v / 12000.0;
  }
  EXPECT_NEAR(mean, 0, 0.003);
  EXPECT_NEAR(square * 300, 1, 0.05);  // variance 1 / C_student
}

TEST(Regressor, IsOnlyThereWhereChannelsDiffer) {
  auto pair = make_pair_of(2, {4, 2, 2}, {4, 2, 2});
  const DistillSpec hint{.kind = "hint", .layers = {"layer"}};
  EXPECT_TRUE(attach_distillation(pair.student, pair.teacher, {hint}, 0).parameters.empty());
  auto other = make_pair_of(2, {4, 2, 2}, {5, 2, 2});
  // Two terms have two regressors.
  EXPECT_EQ(attach_distillation(other.student, other.teacher, {hint, hint}, 0).parameters.size(),
            4u);
}

}  // namespace
}  // namespace lapidary
