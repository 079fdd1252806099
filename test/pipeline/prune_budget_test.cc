#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <numeric>

#include "calibrate/statistics.h"
#include "lapidary/evaluate.h"
#include "lapidary/prune.h"
#include "src/base/file.h"
#include "src/data/batches.h"
#include "src/ir/builder.h"
#include "src/ops/infer.h"
#include "src/pipeline/pruning/search.h"
#include "src/pipeline/step.h"
#include "src/pipeline/yaml.h"

namespace lapidary {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

// Two layers beside each other, `a` of 20 units and `b` of 5, read one element of x [N,25] each:
// x_k is the only one that is not 0 in samples of class k + 1, and without its unit class 0 wins.
// Weights grow with the unit's index: the first units of a layer go first, each with its class.
constexpr int64_t kUnitsA = 20, kUnitsB = 5, kUnits = kUnitsA + kUnitsB;

Tensor one_to_one(Shape shape, int64_t first_row, int64_t first_column, int64_t units, bool grow) {
  Tensor t(DType::kF32, shape);
  for (int64_t u = 0; u < units; ++u)
    t.mutable_data<float>()[static_cast<size_t>((first_row + u) * shape[1] + first_column + u)] =
        grow ? static_cast<float>(1 + u) : 1.0f;
  return t;
}

Graph two_layers(float bias = 0.5f) {
  Graph graph;
  graph.set_opset("", 17);
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {Dim::named("N"), kUnits});
  const auto branch = [&](const std::string& name, int64_t first, int64_t units) {
    const ValueId h =
        b.op("Relu",
             {b.op("Gemm",
                   {x, b.constant(name + ".w", one_to_one({kUnits, units}, first, 0, units, true))},
                   {}, name)});
    return b.op("Gemm", {h, b.constant(name + ".out", one_to_one({units, kUnits + 1}, 0, first + 1,
                                                                 units, false))});
  };
  Tensor none(DType::kF32, {kUnits + 1});
  none.mutable_data<float>()[0] = bias;
  const ValueId both = b.op("Add", {branch("a", 0, kUnitsA), branch("b", kUnitsA, kUnitsB)});
  b.output(b.op("Add", {both, b.constant("none", std::move(none))}, {}, "y"));
  infer_types(graph);
  return graph;
}

/// `counts[k]` samples of class k + 1, in the order of k.
Dataset samples_of(const std::vector<int64_t>& counts, bool labels = true) {
  const int64_t all = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  Tensor x(DType::kF32, {all, kUnits});
  std::vector<int64_t> classes;
  for (size_t k = 0; k < counts.size(); ++k)
    for (int64_t i = 0; i < counts[k]; ++i) {
      x.mutable_data<float>()[classes.size() * kUnits + k] = 1;
      classes.push_back(static_cast<int64_t>(k) + 1);
    }
  return dataset_of({{"x", std::move(x)}}, labels ? classes : std::vector<int64_t>());
}

// 100 samples: the first units of `a` that go take 1, 1, 1, 2, 3, ... of them along.
const std::vector<int64_t> kCounts = {1, 1, 1, 2, 3, 3, 3, 3, 3, 3, 4, 4, 4,
                                      4, 4, 4, 4, 4, 4, 4, 8, 8, 8, 8, 5};

/// One run of the step over two_layers and its data.
struct PruneRun {
  Report report = {};
  int64_t tries = 0;  ///< that were measured
  bool interrupted = false;
  Graph result = {};
};
struct RunWith {
  std::map<std::string, Dataset> data = {};
  fs::path checkpoint = {};
  bool resume = false;
  int64_t stop_after = 1000;
  Graph graph = two_layers();
};
PruneRun run_prune(const std::string& params, RunWith with) {
  PruneRun out;
  const Graph original = with.graph;
  StepContext context{
      .graph = with.graph,
      .original = &original,
      .model = &original,
      .data = [&](std::string_view role) -> const Dataset* {
        const auto found = with.data.find(std::string(role));
        return found == with.data.end() ? nullptr : &found->second;
      },
      .report = out.report,
      .threads = 1,
      .log = {.progress = [&](const Progress& p) { out.tries += p.step == "search"; }},
      .name = "prune",
      .checkpoint = with.checkpoint,
      .resume = with.resume,
      .stop = [&] { return out.tries >= with.stop_after; }};
  find_step("prune", {}).make(parse_inline(params, ""))->run(context);
  out.interrupted = context.interrupted;
  out.result = context.graph;
  return out;
}

constexpr const char* kSearch =
    "{target: {units: 0.5}, normalize: none, keep: [b], budget: {max_drop_points: 5, tries: 10}}";

double top1(const Graph& graph) { return evaluate(graph, samples_of(kCounts)).top1; }

/// The first `count` units of `a`.
RemovedUnits first_of_a(const PruningGraph& graph, int64_t count) {
  RemovedUnits removed(graph.groups().size());
  for (size_t g = 0; g < removed.size(); ++g)
    for (int64_t u = 0; graph.groups()[g].name == "a" && u < count; ++u) removed[g].push_back(u);
  return removed;
}

TEST(Sensitivity, IsWhatEachGroupAloneLoses) {
  const PruneRun run = run_prune(
      "{target: {units: 0.9}, sensitivity: {ratios: [0.1, 0.5, 0.97, 0.01], samples: 1000}}",
      {.data = {{"valid", samples_of(kCounts)}, {"calib", samples_of({1})}}});
  ASSERT_EQ(run.report.sensitivities.size(), 1u);
  const SensitivityRecord& s = run.report.sensitivities[0];
  EXPECT_EQ(s.metric, "top1");
  EXPECT_EQ(s.samples, 100);
  EXPECT_DOUBLE_EQ(s.whole, 1);
  ASSERT_EQ(s.groups.size(), 2u);
  // Of 20 units 2, 10, 19 and none: 1+1; 1+1+1+2+6*3; all of the 63 but the last unit's 4.
  EXPECT_EQ(s.groups[0].name, "a");
  EXPECT_THAT(s.groups[0].points,
              ElementsAre(Pair(0.1, testing::DoubleEq(0.98)), Pair(0.5, testing::DoubleEq(0.77)),
                          Pair(0.97, testing::DoubleEq(0.41)), Pair(0.01, 1)));
  // Of 5 units one (half of one is rounded up), 3 (2.5 is), 4 (one stays) and none.
  EXPECT_EQ(s.groups[1].name, "b");
  EXPECT_THAT(s.groups[1].points,
              ElementsAre(Pair(0.1, testing::DoubleEq(0.92)), Pair(0.5, testing::DoubleEq(0.76)),
                          Pair(0.97, testing::DoubleEq(0.68)), Pair(0.01, 1)));
  // By hand again: the model without ten units of `a`, evaluated.
  const PruningGraph graph(two_layers());
  EXPECT_DOUBLE_EQ(s.groups[0].points[1].second, top1(graph.prune(first_of_a(graph, 10))));
}

TEST(Sensitivity, WithoutLabelsIsAgreementAndGroupsThatStayAreLeftOut) {
  const PruneRun run =
      run_prune("{target: {units: 0.9}, keep: [b], sensitivity: {ratios: [0.5], samples: 1000}}",
                {.data = {{"calib", samples_of(kCounts, false)}, {"eval", samples_of(kCounts)}}});
  const SensitivityRecord& s = run.report.sensitivities.at(0);
  EXPECT_EQ(s.metric, "agreement_with_fp32");
  EXPECT_DOUBLE_EQ(s.whole, 1);
  ASSERT_EQ(s.groups.size(), 1u);
  EXPECT_THAT(s.groups[0].points, ElementsAre(Pair(0.5, testing::DoubleEq(0.77))));
}

TEST(Sensitivity, NeedsDataThatNoResultIsJudgedBy) {
  EXPECT_THROW(run_prune("{sensitivity: {}}", {.data = {{"eval", samples_of(kCounts)}}}), Error);
  EXPECT_THROW(run_prune("{sensitivity: {ratios: [1]}}", {.data = {{"valid", samples_of({1})}}}),
               Error);
  EXPECT_THROW(
      run_prune("{sensitivity: {metric: top1}}", {.data = {{"valid", samples_of(kCounts, false)}}}),
      Error);
}

TEST(Search, FindsWhatTryingAllFinds) {
  const PruneRun run = run_prune(
      kSearch, {.data = {{"valid", samples_of(kCounts)}, {"eval", samples_of({1, 2, 3})}}});
  const PruningGraph graph(two_layers());
  int64_t most = 0;
  for (int64_t count = 0; count < kUnitsA; ++count)
    if (1 - top1(graph.prune(first_of_a(graph, count))) <= 0.05 + 1e-12) most = count;
  EXPECT_EQ(most, 4);  // 1 + 1 + 1 + 2 of 100 samples; the fifth unit takes 3 more
  EXPECT_EQ(graph_hash(run.result), graph_hash(graph.prune(first_of_a(graph, most))));
  ASSERT_EQ(run.report.searches.size(), 1u);
  const SearchRecord& s = run.report.searches[0];
  EXPECT_DOUBLE_EQ(s.kept, 21.0 / 25);
  EXPECT_DOUBLE_EQ(s.whole, 1);
  EXPECT_DOUBLE_EQ(s.budget, 0.05);
  EXPECT_EQ(std::ssize(s.points), run.tries);
  EXPECT_EQ(s.points.at(0).share, 0.5);
  for (const SearchRecord::Point& p : s.points) {
    EXPECT_EQ(p.met, p.metric >= 0.95 - 1e-12) << p.share;
    EXPECT_GE(p.met ? p.got : 1, s.kept);
  }
  ASSERT_EQ(run.report.prunings.size(), 1u);
  EXPECT_DOUBLE_EQ(run.report.prunings[0].got, 21.0 / 25);
  EXPECT_EQ(run.report.prunings[0].groups[1].note, "by name: b");
  EXPECT_EQ(s.samples, 100);  // not those of eval
}

TEST(Search, TakesTheSmallestThatIsAllowedWhereThatIsWithin) {
  const PruneRun run =
      run_prune("{target: {units: 0.5}, normalize: none, keep: [b], budget: {max_drop_points: 50}}",
                {.data = {{"valid", samples_of(kCounts)}}});
  EXPECT_EQ(run.tries, 1);
  EXPECT_TRUE(run.report.searches.at(0).points.at(0).met);
}

TEST(Search, LeavesTheModelWholeWhereNothingIsWithin) {
  for (const char* tries : {"3", "12"}) {  // the last of 12 round to the whole model
    const PruneRun run = run_prune(
        fmt::format("{{target: {{units: 0.5}}, budget: {{max_drop_points: 0, tries: {}}}}}", tries),
        {.data = {{"valid", samples_of(kCounts)}}});
    EXPECT_EQ(graph_hash(run.result), graph_hash(two_layers())) << tries;
    EXPECT_EQ(run.report.searches.at(0).kept, 1) << tries;
    EXPECT_TRUE(run.report.prunings.empty()) << tries;
    ASSERT_EQ(run.report.warnings.size(), 1u) << tries;
    EXPECT_THAT(run.report.warnings[0], HasSubstr("nothing is removed"));
  }
}

/// The refusal of a run; "" where there is none.
std::string refusal(const std::string& params, RunWith with, ErrorCode code = ErrorCode::kUsage) {
  try {
    run_prune(params, std::move(with));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    return error.what();
  }
  return {};
}

class SearchFiles : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  RunWith kept(bool resume) const {
    return {.data = {{"valid", samples_of(kCounts)}},
            .checkpoint = folder_ / "1-prune.json",
            .resume = resume};
  }

  fs::path folder_;
};

TEST_F(SearchFiles, ResumedEndsAsItWouldHaveEnded) {
  const PruneRun whole = run_prune(kSearch, {.data = {{"valid", samples_of(kCounts)}}});
  ASSERT_GT(whole.tries, 4);
  RunWith stopping = kept(false);
  stopping.stop_after = 4;
  const PruneRun stopped = run_prune(kSearch, stopping);
  EXPECT_TRUE(stopped.interrupted);
  EXPECT_EQ(stopped.tries, 4);
  EXPECT_TRUE(stopped.report.searches.empty());
  const PruneRun resumed = run_prune(kSearch, kept(true));
  EXPECT_EQ(resumed.tries, whole.tries - 4);
  const auto &a = whole.report.searches.at(0).points, &b = resumed.report.searches.at(0).points;
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].share, b[i].share);
    EXPECT_EQ(a[i].got, b[i].got);
    EXPECT_EQ(a[i].metric, b[i].metric);
    EXPECT_EQ(a[i].met, b[i].met);
  }
  EXPECT_EQ(graph_hash(resumed.result), graph_hash(whole.result));
  const PruneRun again = run_prune(kSearch, kept(true));  // nothing is left to try
  EXPECT_EQ(again.tries, 0);
  EXPECT_EQ(graph_hash(again.result), graph_hash(whole.result));
}

TEST_F(SearchFiles, GoesOnWithMoreTries) {
  std::string fewer = kSearch;
  fewer.replace(fewer.find("tries: 10"), 9, "tries: 3");
  EXPECT_EQ(run_prune(fewer, kept(false)).tries, 3);
  const PruneRun more = run_prune(kSearch, kept(true));
  EXPECT_EQ(std::ssize(more.report.searches.at(0).points), more.tries + 3);
  EXPECT_DOUBLE_EQ(more.report.searches.at(0).kept, 21.0 / 25);
}

TEST_F(SearchFiles, OfAnotherSearchAreRefused) {
  run_prune(kSearch, kept(false));
  std::string other = kSearch;
  other.replace(other.find("points: 5"), 9, "points: 9");
  EXPECT_THAT(refusal(other, kept(true)), HasSubstr("(budget.max_drop_points: 5 there, 9 here)"));
  RunWith data = kept(true);
  data.data.clear();
  data.data.emplace("valid", samples_of({1, 2, 3}));
  EXPECT_THAT(refusal(kSearch, data), HasSubstr("data measured on"));
  RunWith model = kept(true);
  model.graph = two_layers(0.25f);
  EXPECT_THAT(refusal(kSearch, model), HasSubstr("model (SHA-256)"));
  // Before any work of a run, by the parameters alone.
  Report report;
  StepContext context{.graph = two_layers(), .report = report};
  context.checkpoint = folder_ / "1-prune.json";
  EXPECT_NO_THROW(
      find_step("prune", {}).make(parse_inline(kSearch, ""))->check_checkpoint(context));
  EXPECT_THROW(find_step("prune", {}).make(parse_inline(other, ""))->check_checkpoint(context),
               Error);
  // Not asked to resume, it begins anew.
  EXPECT_GT(run_prune(other, kept(false)).tries, 0);
  EXPECT_EQ(refusal(other, kept(true)), "");
}

TEST_F(SearchFiles, ThatAreDamagedAreRefused) {
  run_prune(kSearch, kept(false));
  const std::string file = (folder_ / "1-prune.json").string(), text = read_file(file);
  for (const auto& [part, instead] :
       std::vector<std::pair<std::string, std::string>>{{"lapidary.search/1", "lapidary.search/2"},
                                                        {"\"met\": true", "\"met\": 1"},
                                                        {"\"version\": \"", "\"version\": \"7"},
                                                        {"\"best\": [", "\"worst\": ["}}) {
    std::string damaged = text;
    ASSERT_NE(damaged.find(part), std::string::npos) << part;
    damaged.replace(damaged.find(part), part.size(), instead);
    write_file_atomically(file, damaged);
    EXPECT_THAT(refusal(kSearch, kept(true), ErrorCode::kInvalid), HasSubstr("start again"))
        << part;
  }
  write_file_atomically(file, text.substr(0, text.size() / 2));
  EXPECT_THAT(refusal(kSearch, kept(true), ErrorCode::kInvalid), HasSubstr("start again"));
}

TEST(SpreadStretches, HoldAsManySamplesAsAskedAndNoneTwice) {
  for (const int64_t size : {1, 7, 10, 11, 64, 100})
    for (const int64_t samples : {1, 3, 10, 63, 64, 200})
      for (const int64_t count : {1, 3, 8, 100}) {
        int64_t held = 0, behind = 0;
        for (const auto& [begin, end] : spread_stretches(size, samples, count)) {
          EXPECT_GE(begin, behind);
          EXPECT_LE(end - begin, count);
          EXPECT_LE(end, size);
          held += end - begin;
          behind = end;
        }
        EXPECT_EQ(held, std::min(size, samples)) << size << " " << samples << " " << count;
      }
}

// Half of the samples, the first ones, are of class 1, whose unit is the first to go.
TEST(Search, MeasuresOnSamplesSpreadOverTheData) {
  std::vector<int64_t> counts(kUnits);
  counts[0] = counts[1] = 500;
  const PruneRun run = run_prune(
      "{target: {units: 0.96}, normalize: none, keep: [b], "
      "budget: {max_drop_points: 60, samples: 100}}",
      {.data = {{"valid", samples_of(counts)}}});
  const SearchRecord& s = run.report.searches.at(0);
  EXPECT_EQ(s.samples, 100);
  EXPECT_NEAR(s.points.at(0).metric, 0.5, 0.02);  // of the first 100 it would be 0
}

}  // namespace
}  // namespace lapidary
