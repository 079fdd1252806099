#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lapidary/qat.h"
#include "test/distill/nets.h"
#include "test/quantize/qat_nets.h"

namespace lapidary {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::vector<std::string> kLayers = {"relu1", "add", "relu2", "pool", "logits"};

DistillSpec mse(std::vector<std::string> layers) {
  return {.kind = "layer_mse", .layers = std::move(layers)};
}
Tensor batch(int64_t n) { return tiny_samples(n, 3, {3, 8, 8}); }

/// What the Teacher says of a batch, by the teacher's names.
std::map<std::string, Tensor> said(const Graph& teacher, const std::vector<std::string>& layers,
                                   const Tensor& x) {
  Graph student = qat_net();
  const Distillation made = attach_distillation(student, teacher, {mse(layers)}, 0);
  Trainer::Values inputs = {{"x", x}};
  Teacher tell(teacher, made);
  tell(inputs);
  std::map<std::string, Tensor> out;
  for (const auto& [name, input] : made.taps) out[name] = inputs.at(input);
  return out;
}
Executor::Values reference(const Graph& graph, const Tensor& x) {
  return Executor(graph, {.executor = ExecutorKind::kReference, .keep_all_values = true})
      .run({{"x", x}});
}
Graph quantized() {
  const Dataset data = qat_data(32);
  return quantize(qat_net(), calibrate(qat_net(), data), data);
}
/// The loss that the student's own graph and a teacher's have of a batch.
double loss_of(Graph student, const Graph& teacher, const DistillSpec& spec) {
  const Distillation made = attach_distillation(student, teacher, {spec}, 0);
  return run_student(student, teacher, made, {{"x", batch(6)}}, made.loss).data<float>()[0];
}

/// Of what the float model says of the same batch.
double mean_square(const std::string& layer) {
  const Tensor y = reference(qat_net(), batch(6)).at(layer);
  double sum = 0;
  for (const float v : y.data<float>()) sum += double{v} * v;
  return sum / static_cast<double>(y.size());
}

TEST(Teacher, TapsAreTheReferencesValues) {
  const Tensor x = batch(5);
  const auto taps = said(qat_net(), kLayers, x);
  const auto expected = reference(qat_net(), x);
  ASSERT_EQ(taps.size(), kLayers.size());
  for (const auto& [name, tensor] : taps) expect_near(tensor, expected.at(name), 1e-4f);
}

TEST(Teacher, OfAQuantizedModelSaysWhatItsIntegersSay) {
  const Graph teacher = quantized();
  const Tensor x = batch(5);
  const auto taps = said(teacher, {"relu1", "relu2", "pool", "logits"}, x);
  const auto expected = reference(teacher, x);
  ASSERT_EQ(taps.size(), 4u);
  for (const auto& [name, tensor] : taps) expect_near(tensor, expected.at(name), 1e-6f);
  // The Relus are gone from the file, but not from what it says.
  for (const std::string layer : {"relu1", "relu2"}) {
    const double loss = loss_of(qat_net(), teacher, mse({layer}));
    EXPECT_GT(loss, 0) << layer;
    EXPECT_LT(loss, 0.005 * mean_square(layer)) << layer;
  }
}

TEST(Teacher, OfHalfPrecisionSaysItsScores) {
  const Graph teacher = convert_to_fp16(qat_net());
  const Tensor x = batch(3);
  expect_near(said(teacher, {"logits"}, x).at("logits"), reference(qat_net(), x).at("logits"),
              0.02f);
  EXPECT_THAT(error_of([&] { said(teacher, {"relu1"}, x); }),
              HasSubstr("teacher has no computed value 'relu1'"));
}

TEST(Teacher, IsForAnyBatchUnlessItsOwnIsFixed) {
  Graph teacher = qat_net();
  Graph student = qat_net();
  const Distillation made = attach_distillation(student, teacher, {mse({"relu1"})}, 0);
  Teacher any(teacher, made);
  for (const int64_t n : {1, 7, 3}) {
    Trainer::Values inputs = {{"x", batch(n)}};
    any(inputs);
    EXPECT_EQ(inputs.at("lapidary.teacher/relu1").shape(), (Shape{n, 8, 8, 8}));
  }

  (*teacher.mutable_value(teacher.find_value("x")).type.shape)[0] = Dim(2);
  Graph other = qat_net();
  Teacher fixed(teacher, attach_distillation(other, teacher, {mse({"relu1"})}, 0));
  Trainer::Values two = {{"x", batch(2)}}, four = {{"x", batch(4)}};
  fixed(two);
  EXPECT_EQ(two.at("lapidary.teacher/relu1").dim(0), 2);
  EXPECT_THAT(error_of([&] { fixed(four); }),
              AllOf(HasSubstr("takes 2 samples at once"), HasSubstr("the batch has 4")));
}

TEST(Teacher, WhatItIsGivenIsChecked) {
  const Graph teacher = qat_net();
  Graph student = qat_net();
  const Distillation made = attach_distillation(student, teacher, {mse({"relu1"})}, 0);
  Teacher tell(teacher, made);
  Trainer::Values none, wrong = {{"x", ramp({2, 3, 8, 9})}};
  EXPECT_THAT(error_of([&] { tell(none); }), HasSubstr("the batch has no 'x'"));
  EXPECT_THAT(error_of([&] { tell(wrong); }), AllOf(HasSubstr("teacher"), HasSubstr("[2,3,8,9]")));
  EXPECT_THAT(error_of([&] { Teacher(empty_graph(17), made); }),
              HasSubstr("teacher has no value 'relu1'"));
}

TEST(Teacher, CopiesShareOnePlan) {
  const Graph teacher = qat_net();
  Graph student = qat_net();
  const Distillation made = attach_distillation(student, teacher, {mse({"logits"})}, 0);
  const std::function<void(Trainer::Values&)> complete = Teacher(teacher, made);
  Trainer::Values inputs = {{"x", batch(2)}};
  complete(inputs);
  EXPECT_TRUE(inputs.contains("lapidary.teacher/logits"));
}

// -- students that train with quantization

QatGraph qat(int bits) {
  QatOptions options;
  options.bits = {.weights = bits, .activations = bits, .first_last = 0};
  const Dataset data = qat_data(32);
  return make_qat_graph(qat_net(), nullptr, &data, options);
}

TEST(QatStudent, HasTheNamesOfTheFloatModel) {
  Graph student = qat(8).graph;
  const Distillation made = attach_distillation(
      student, qat_net(),
      {{.kind = "kd"}, {.kind = "attention", .layers = {"relu*"}}, mse({"pool"})}, 0);
  std::vector<std::string> taps;
  for (const auto& tap : made.taps) taps.push_back(tap.first);
  EXPECT_THAT(taps, testing::ElementsAre("logits", "relu1", "relu2", "pool"));
}

TEST(QatStudent, IsComparedAsItWillBeLowered) {
  // Behind the FakeQuantize that stands for the Relu: before it are negative numbers.
  for (const std::string layer : {"relu1", "relu2", "clip3", "logits"})
    EXPECT_LT(loss_of(qat(8).graph, qat_net(), mse({layer})), 0.01 * mean_square(layer)) << layer;
  EXPECT_GT(loss_of(qat(2).graph, qat_net(), mse({"relu2"})),
            4 * loss_of(qat(4).graph, qat_net(), mse({"relu2"})));
}

}  // namespace
}  // namespace lapidary
