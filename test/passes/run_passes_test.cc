#include "lapidary/error.h"
#include "test/passes/model.h"

namespace lapidary {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

TEST(RunPasses, UnknownNameIsAUsageErrorWithASuggestion) {
  Graph graph = empty_graph(13);
  try {
    run_passes(graph, {"fold_constant"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_THAT(error.message(), HasSubstr("fold_constants"));
  }
}

TEST(RunPasses, RepeatsUntilNothingChangesAndCounts) {
  Model m;
  const ValueId a = m.build.op("Add", {m.number("one", 1), m.number("two", 2)});
  m.finish(m.build.op("Add", {m.input({2}), m.build.op("Identity", {a})}, {}, "y"));
  const auto records = run_passes(m.graph, {"remove_noops", "fold_constants"});
  EXPECT_THAT(op_list(m.graph), ElementsAre("Add"));
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].pass, "remove_noops");
  EXPECT_EQ(records[0].changes, 1);
  EXPECT_EQ(records[1].changes, 1);
}

TEST(RunPasses, TrainSafeListLeavesBatchNormAlone) {
  PassOptions options;
  options.train_safe = true;
  Graph graph = empty_graph(13);
  std::vector<std::string> names;
  for (const PassRecord& record : optimize(graph, options)) names.push_back(record.pass);
  EXPECT_THAT(names, Not(Contains("fold_batchnorm")));
  EXPECT_THAT(list_passes(), Contains(testing::Field(&PassInfo::name, "fold_batchnorm")));
}

TEST(Optimize, LeavesNothingToDoForASecondRun) {
  Model m;
  const ValueId w = m.constant("w", ramp({3, 2, 3, 3}));
  ValueId v = batchnorm(m, m.build.op("Conv", {m.build.op("Identity", {m.input({1, 2, 6, 6})}), w}),
                        {1, 2, 3});
  v = m.build.op("Relu", {v});
  v = m.build.op("Reshape", {v, m.build.op("Concat", {m.ints("a", {1}), m.ints("b", {-1})},
                                           {{"axis", int64_t{0}}})});
  m.finish(m.build.op("MatMul", {v, m.constant("k", ramp({48, 2}))}, {}, "y"));
  const std::map<std::string, Tensor> x{{"x", ramp({1, 2, 6, 6})}};
  const Tensor before = run_graph(m.graph, x)[0];
  optimize(m.graph);
  expect_near(run_graph(m.graph, x)[0], before, 1e-5f);
  EXPECT_THAT(op_list(m.graph), ElementsAre("Conv", "Relu", "Reshape", "MatMul"));
  const Graph once = m.graph;
  for (const PassRecord& record : optimize(m.graph)) EXPECT_EQ(record.changes, 0) << record.pass;
  std::string difference;
  EXPECT_TRUE(same_graph(once, m.graph, &difference)) << difference;
}

}  // namespace
}  // namespace lapidary
