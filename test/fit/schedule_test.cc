#include "src/fit/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace lapidary {
namespace {

using testing::HasSubstr;

/// Rates of all steps, the highest being 2.
std::vector<double> rates(const std::string& kind, const Numbers& params, int64_t total) {
  const Schedule lr = make_schedule({kind, params}, 2);
  std::vector<double> out;
  for (int64_t step = 0; step < total; ++step) out.push_back(lr(step, total));
  return out;
}

void expect_rates(const std::vector<double>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-9) << i;
}

TEST(Schedule, Constant) {
  expect_rates(rates("constant", {}, 3), {2, 2, 2});
  expect_rates(rates("constant", {{"warmup", {0.5}}}, 8), {0.5, 1, 1.5, 2, 2, 2, 2, 2});
}

TEST(Schedule, Step) {
  expect_rates(rates("step", {{"every", {0.3}}}, 10), {2, 2, 2, .2, .2, .2, .02, .02, .02, .002});
  expect_rates(rates("step", {{"milestones", {0.5, 0.75}}, {"gamma", {0.5}}}, 8),
               {2, 2, 2, 2, 1, 1, .5, .5});
  // Milestones are shares of what the warm-up leaves: 2 of 10 steps, then 4 and 4.
  expect_rates(rates("step", {{"milestones", {0.5}}, {"warmup", {0.2}}}, 10),
               {1, 2, 2, 2, 2, 2, .2, .2, .2, .2});
}

TEST(Schedule, Cosine) {
  const double h = std::sqrt(0.5);  // cos(pi / 4)
  expect_rates(rates("cosine", {}, 4), {2, 1 + h, 1, 1 - h});
  // floor + (1 - floor) (1 + cos) / 2, times 2.
  expect_rates(rates("cosine", {{"floor", {0.1}}}, 2), {2, 1.1});
  expect_rates(rates("cosine", {{"warmup", {0.5}}}, 8), {.5, 1, 1.5, 2, 2, 1 + h, 1, 1 - h});
}

// Peak at step 0.3 * 20 - 1 = 5; the halves' middles at 2.5 and 12 lie between steps 2, 3 and
// at 12.
TEST(Schedule, OneCycle) {
  const std::vector<double> found = rates("one_cycle", {{"start", {4}}, {"end", {100}}}, 20);
  EXPECT_NEAR(found[0], 0.5, 1e-9);
  EXPECT_NEAR(found[2] + found[3], 0.5 + 2, 1e-9);
  EXPECT_NEAR(found[5], 2, 1e-9);
  EXPECT_NEAR(found[12], (2 + 0.02) / 2, 1e-9);
  EXPECT_NEAR(found[19], 0.02, 1e-9);
  expect_rates(rates("one_cycle", {{"warmup", {0}}}, 1), {2});
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

TEST(Schedule, RunsOfOneStepHaveARate) {
  for (const ScheduleDef* def : all_schedules()) {
    const double lr = def->make({})(0, 1);
    EXPECT_TRUE(lr > 0 && lr <= 1) << def->name << ' ' << lr;
  }
}

TEST(Schedule, NamesAndParametersAreChecked) {
  EXPECT_THAT(error_of([] {
                make_schedule({"cosin", {}}, 1);
              }),
              HasSubstr("did you mean 'cosine'"));
  EXPECT_THAT(error_of([] {
                make_schedule({"cosine", {{"flor", {0}}}}, 1);
              }),
              HasSubstr("did you mean 'floor'"));
  EXPECT_THAT(error_of([] {
                make_schedule({"step", {{"gamma", {2}}}}, 1);
              }),
              HasSubstr("1e-06..1"));
  EXPECT_THAT(error_of([] { make_schedule({"cosine", {}}, NAN); }), HasSubstr("rate of nan"));
}

TEST(Schedule, ReadsAsARecipeWritesIt) {
  EXPECT_EQ(parse_schedule(Setting::scalar("cosine")).kind, "cosine");
  const Setting params = Setting::map(
      {{"milestones", Setting::list({Setting::scalar("0.5"), Setting::scalar("0.9")})}});
  const ScheduleSpec spec = parse_schedule(Setting::map({{"step", params}}));
  EXPECT_EQ(spec.kind, "step");
  EXPECT_EQ(spec.params.at("milestones"), (std::vector<double>{0.5, 0.9}));
  const Setting wrong = Setting::map({{"step", Setting::map({{"gama", Setting::scalar("1")}})}});
  EXPECT_THAT(error_of([&] { parse_schedule(wrong); }), HasSubstr("did you mean 'gamma'"));
  EXPECT_THAT(error_of([&] { parse_schedule(Setting::list({})); }), HasSubstr("a schedule is"));
}

}  // namespace
}  // namespace lapidary
