#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lapidary/error.h"
#include "lapidary/sparsify.h"
#include "test/fit/fake_trainer.h"
#include "test/passes/run_graph.h"

namespace lapidary {
namespace {

TEST(SparsityGradual, TheScheduleIsCubic) {
  // 0.8 - 0.8 (1 - t / 10)^3
  EXPECT_DOUBLE_EQ(cubic_sparsity(0, 0.8, 10, 20, 3), 0);
  EXPECT_DOUBLE_EQ(cubic_sparsity(0, 0.8, 10, 20, 10), 0);
  EXPECT_DOUBLE_EQ(cubic_sparsity(0, 0.8, 10, 20, 15), 0.7);
  EXPECT_NEAR(cubic_sparsity(0.2, 0.8, 10, 20, 12), 0.8 - 0.6 * 0.512, 1e-15);
  EXPECT_DOUBLE_EQ(cubic_sparsity(0, 0.8, 10, 20, 20), 0.8);
  EXPECT_DOUBLE_EQ(cubic_sparsity(0, 0.8, 5, 5, 5), 0.8);
}

/// Zeros of "w", [3, 40], after each step; weights grow so that order changes.
std::vector<int64_t> zeros_over(FakeTrainer& trainer, const GradualOptions& options,
                                int64_t total) {
  Tensor w = ramp({3, 40}, 3);
  trainer.set_constant("w", w);
  const auto before_step = gradual_sparsity(trainer.graph(), options);
  std::vector<int64_t> out;
  for (int64_t step = 0; step < total; ++step) {
    before_step(trainer, step, total);
    const Tensor now = trainer.constant("w");
    const auto v = now.data<float>();
    out.push_back(std::count(v.begin(), v.end(), 0.0f));
  }
  return out;
}

TEST(SparsityGradual, MasksGrowEveryFewStepsAndEndAtTheRatio) {
  FakeTrainer trainer(40);
  const auto zeros =
      zeros_over(trainer, {.sparsify = {.ratio = 0.8}, .begin = 0.2, .end = 0.8, .every = 4}, 20);
  // Steps 4, 8, 12, 16: 0.8 (1 - (1 - (t - 4) / 12)^3) of 120; ramp has its one 0 twice.
  const std::vector<int64_t> made = {2, 68, 92, 96};
  for (size_t step = 0; step < zeros.size(); ++step)
    EXPECT_EQ(zeros[step], step < 4 ? 2 : made[std::min<size_t>((step - 4) / 4, 3)]) << step;
  const Tensor mask = trainer.mask("w");
  EXPECT_EQ(std::count(mask.data<uint8_t>().begin(), mask.data<uint8_t>().end(), 0), 96);
}

TEST(SparsityGradual, WhatIsMaskedStaysMasked) {
  FakeTrainer trainer(40);
  Tensor w(DType::kF32, {3, 40});
  for (size_t i = 0; i < 120; ++i) w.mutable_data<float>()[i] = static_cast<float>(i + 1);
  trainer.set_constant("w", w);
  const auto before_step = gradual_sparsity(
      trainer.graph(), {.sparsify = {.ratio = 0.5}, .initial = 0.25, .end = 1, .every = 1});
  before_step(trainer, 0, 3);  // the first 30
  for (float& v : w.mutable_data<float>()) v = 121 - v;
  trainer.set_constant("w", w);
  before_step(trainer, 2, 3);  // the last step: 60
  const Tensor mask = trainer.mask("w");
  for (size_t i = 0; i < 120; ++i) EXPECT_EQ(mask.data<uint8_t>()[i], i >= 30 && i < 90) << i;
}

TEST(SparsityGradual, OfNMAsFarAsItGoes) {
  FakeTrainer trainer(40);
  const auto zeros = zeros_over(
      trainer,
      {.sparsify = {.pattern = SparsePattern::parse("1:4")}, .begin = 0, .end = 1, .every = 1}, 5);
  // 0.75 (1 - (1 - t / 4)^3) = 0, 0.434, 0.656, 0.738, 0.75: of four 0, 1, 2, 2, 3
  EXPECT_THAT(
      zeros, testing::ElementsAre(2, testing::AllOf(testing::Ge(30), testing::Le(32)), 60, 60, 90));
}

TEST(SparsityGradual, RefusesWhatCannotBe) {
  FakeTrainer trainer(40);
  const auto refused = [&](const GradualOptions& options) {
    try {
      gradual_sparsity(trainer.graph(), options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUsage);
      return std::string(error.what());
    }
    return std::string("no error");
  };
  using testing::HasSubstr;
  EXPECT_THAT(refused({.sparsify = {.method = "sparsegpt"}}), HasSubstr("one shot"));
  EXPECT_THAT(refused({.initial = 0.6}), HasSubstr("'initial' is 0.6"));
  EXPECT_THAT(refused({.begin = 0.8, .end = 0.5}), HasSubstr("'begin' is 0.8"));
  EXPECT_THAT(refused({.every = 0}), HasSubstr("'every' is 0"));
  EXPECT_THAT(refused({.sparsify = {.method = "movement"}, .initial = 0.1}),
              HasSubstr("nothing has moved"));
}

}  // namespace
}  // namespace lapidary
