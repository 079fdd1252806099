#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "src/pipeline/step.h"
#include "src/pipeline/yaml.h"
#include "test/prune/net.h"

namespace lapidary {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// a (8 units), b (8 units), last.
Graph small_net() {
  PruneNet net;
  const ValueId image = net.builder().input("x0", DType::kF32, {Dim::named("N"), 3, 8, 8});
  const ValueId x = net.relu(net.conv("b", net.relu(net.conv("a", image, 3, 8)), 8, 8));
  return net.take({net.conv("last", x, 8, 4)});
}

Dataset pictures() {
  Tensor x(DType::kF32, {16, 3, 8, 8});
  Rng rng(3);
  for (float& v : x.mutable_data<float>()) v = static_cast<float>(rng.normal());
  return dataset_of({{"x0", x}});
}

struct Ran {
  Graph graph;
  Report report;
};

/// The steps one after the other, all with the pictures as calib data.
Ran run_steps(Graph graph, const std::vector<std::pair<std::string, std::string>>& steps,
              bool dry = false, std::map<std::string, Shape> shapes = {}, bool with_data = true) {
  Ran out;
  const Graph original = graph;
  const Dataset data = pictures();
  StepContext context{.graph = std::move(graph),
                      .original = &original,
                      .model = &original,
                      .input_shapes = std::move(shapes),
                      .data = [&](std::string_view role) -> const Dataset* {
                        return with_data && role == "calib" ? &data : nullptr;
                      },
                      .report = out.report,
                      .threads = 1};
  for (const auto& [kind, params] : steps) {
    context.name = kind;
    const auto step = find_step(kind, {}).make(parse_inline(params, ""));
    dry ? step->plan(context) : step->run(context);
  }
  out.graph = context.graph;
  return out;
}

std::string refusal(const std::string& params, bool dry = false) {
  try {
    run_steps(small_net(), {{"prune", params}}, dry);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

int64_t zeros_of(const Graph& graph) {
  int64_t zeros = 0;
  for (const SparseTensor& t : measure_sparsity(graph).tensors) zeros += t.zeros;
  return zeros;
}

TEST(PruneStep, KeepsTheZerosOfAStepBefore) {
  const auto zeros_after = [](const std::string& prune) {
    return zeros_of(
        run_steps(small_net(), {{"sparsify", "{ratio: 0.5, scope: local}"}, {"prune", prune}})
            .graph);
  };
  const int64_t without = zeros_after("{target: {units: 0.75}, repair: none}");
  EXPECT_GT(without, 0);
  EXPECT_EQ(zeros_after("{target: {units: 0.75}}"), without);
  EXPECT_LT(zeros_after("{target: {units: 0.75}, keep_zeros: false}"), without);
}

TEST(PruneStep, WarnsThatAPatternDoesNotHold) {
  for (const bool dry : {false, true}) {
    EXPECT_THAT(run_steps(small_net(), {{"sparsify", "{pattern: '2:4'}"}, {"prune", "{}"}}, dry)
                    .report.warnings,
                Contains(testing::AllOf(HasSubstr("pattern 2:4"), HasSubstr("multiple of 4"))));
    EXPECT_THAT(run_steps(small_net(), {{"sparsify", "{ratio: 0.5}"}, {"prune", "{}"}}, dry)
                    .report.warnings,
                IsEmpty());
  }
}

TEST(PruneStep, WarnsWhereTheTargetIsNotMet) {
  const std::string far = "{target: {units: 0.1}, max_ratio: 0.5}";
  for (const bool dry : {false, true})
    EXPECT_THAT(run_steps(small_net(), {{"prune", far}}, dry).report.warnings,
                ElementsAre(testing::AllOf(HasSubstr("10.0 % of the units"), HasSubstr("is 50.0 %"),
                                           HasSubstr("max_ratio (0.5)"))));
  EXPECT_THAT(run_steps(small_net(), {{"prune", "{target: {units: 0.5}}"}}).report.warnings,
              IsEmpty());
}

TEST(PruneStep, WarnsWhereNormScaleSeesNoNorm) {
  EXPECT_THAT(run_steps(small_net(), {{"prune", "{criterion: norm_scale}"}}).report.warnings,
              Contains(HasSubstr("of 2 groups 2 have no normalization")));
}

TEST(PruneStep, WithRatiosAloneNothingElseGoes) {
  const Ran ran = run_steps(small_net(), {{"prune", "{ratios: {a: 0.25}}"}});
  ASSERT_EQ(ran.report.prunings.size(), 1u);
  EXPECT_EQ(ran.report.prunings[0].groups[0].left, 6);
  EXPECT_EQ(ran.report.prunings[0].groups[1].left, 8);
  EXPECT_THAT(ran.report.warnings, IsEmpty());
  EXPECT_NEAR(run_steps(small_net(), {{"prune", "{}"}}).report.prunings[0].got, 0.5, 0.1);
}

TEST(PruneStep, ADryRunRefusesAndSaysHowFarItGoes) {
  EXPECT_THAT(refusal("{keep: [nothing]}", true), HasSubstr("no node matches 'nothing'"));
  EXPECT_THAT(refusal("{ratios: {last: 0.5}}", true), HasSubstr("output channels"));
  const Ran ran =
      run_steps(small_net(), {{"prune", "{target: {units: 0.6}, max_ratio: 0.75}"}}, true);
  ASSERT_EQ(ran.report.prunings.size(), 1u);
  const PruneRecord& planned = ran.report.prunings[0];
  EXPECT_TRUE(planned.planned);
  EXPECT_DOUBLE_EQ(planned.asked, 0.6);
  EXPECT_DOUBLE_EQ(planned.got, 0.25);
  EXPECT_EQ(planned.groups.size(), 2u);
  EXPECT_THAT(report_console(ran.report, false), HasSubstr("What could be pruned"));
}

TEST(PruneStep, RefusesSettingsThatHaveNoEffect) {
  EXPECT_THAT(refusal("{criterion: random, p: 1}"), HasSubstr("'random' has none"));
  EXPECT_THAT(refusal("{scope: local, per_cost: true}"), HasSubstr("per_cost"));
  EXPECT_THAT(refusal("{repair: [none, weights]}"), HasSubstr("'none' beside others"));
  EXPECT_THAT(refusal("{budget: {metric: sqnr_db}}"), HasSubstr("min_value"));
  EXPECT_THAT(refusal("{p: 1.5}"), HasSubstr("'p'"));
}

TEST(PruneStep, ABudgetOfSqnrIsAFloor) {
  const auto searched = [](double least) {
    const Ran ran = run_steps(
        small_net(), {{"prune", fmt::format("{{target: {{units: 0.2}}, budget: {{metric: sqnr_db, "
                                            "min_value: {}, tries: 5}}}}",
                                            least)}});
    return ran.report.searches.at(0);
  };
  for (const SearchRecord::Point& p : searched(6).points) EXPECT_EQ(p.met, p.metric >= 6);
  EXPECT_GE(searched(12).kept, searched(1).kept);
}

// Integers behind an open axis: what a language model reads. Sizes that are given are taken.
TEST(PruneStep, ComparesModelsOfOpenSizesWithoutData) {
  PruneNet net;
  const ValueId ids = net.builder().input("ids", DType::kI64, {Dim::named("N"), Dim::named("T")});
  const ValueId x = net.op("Gather", {net.weight("table", {12, 6}), ids});
  const ValueId y = net.relu(net.op("MatMul", {x, net.weight("a.w", {6, 8})}, {}, "a"));
  const Graph graph = net.take({net.op("MatMul", {y, net.weight("b.w", {8, 3})}, {}, "b")});
  for (const auto& shapes : {std::map<std::string, Shape>{}, {{"ids", {1, 5}}}, {{"T", {5}}}}) {
    const Ran ran = run_steps(graph, {{"prune", "{target: {units: 0.75}}"}}, false, shapes, false);
    ASSERT_TRUE(ran.report.prunings[0].difference) << ran.report.prunings[0].not_checked;
    EXPECT_LT(*ran.report.prunings[0].difference, 1e-5);
    EXPECT_THAT(ran.report.warnings, IsEmpty());
  }
  // A target of latency needs sizes too, and takes them.
  const std::string latency = "{target: {latency: 0.9}}";
  EXPECT_THROW(run_steps(graph, {{"prune", latency}}, false, {}, false), Error);
  EXPECT_EQ(run_steps(graph, {{"prune", latency}}, false, {{"T", {5}}}, false)
                .report.prunings.at(0)
                .target,
            "latency");
}

}  // namespace
}  // namespace lapidary
