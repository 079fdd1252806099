#include "lapidary/factorize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lapidary/recipe.h"
#include "src/ir/builder.h"
#include "src/ops/infer.h"
#include "src/pipeline/step.h"
#include "src/pipeline/yaml.h"

namespace lapidary {
namespace {

using testing::HasSubstr;

/// Of rank 1: w[o, i] = (o + 1) (i + 1) / (32 * 32).
Graph outer_product() {
  Graph graph;
  graph.set_opset("", 17);
  GraphBuilder b(graph);
  Tensor w(DType::kF32, {32, 32});
  for (int64_t i = 0; i < 32 * 32; ++i)
    w.mutable_data<float>()[static_cast<size_t>(i)] =
        static_cast<float>((i / 32 + 1) * (i % 32 + 1)) / 1024.0f;
  const ValueId x = b.input("x", DType::kF32, {Dim::named("N"), 32});
  b.output(b.op("MatMul", {x, b.constant("w", std::move(w))}, {}, "product"));
  infer_types(graph);
  return graph;
}

struct OneStep {
  Report report = {};
  Graph graph = outer_product();
  void operator()(const std::string& params, bool plan = false) {
    const Graph original = graph;
    StepContext context{.graph = graph,
                        .original = &original,
                        .model = &original,
                        .data = [](std::string_view) -> const Dataset* { return nullptr; },
                        .report = report,
                        .threads = 1,
                        .name = "small"};
    const auto step = find_step("factorize", {}).make(parse_inline(params, ""));
    plan ? step->plan(context) : step->run(context);
    graph = context.graph;
  }
};

TEST(FactorizeStep, TheRecordIsInTheReport) {
  OneStep run;
  run("{ranks: {energy: 0.999}, round_to: 1}");
  EXPECT_EQ(run.graph.node_count(), 2u);
  ASSERT_EQ(run.report.factorizations.size(), 1u);
  const FactorizeRecord& record = run.report.factorizations[0];
  EXPECT_EQ(record.before.macs, 1024);
  EXPECT_EQ(record.after.macs, 64);
  EXPECT_TRUE(run.report.warnings.empty());
  const std::string said =
      "small: ranks by energy 0.999; 1 of 1 layers in factors; MACs 1024 to 64 "
      "(16.00x), parameters 1024 to 64 (16.00x).";
  for (const std::string& text :
       {report_html(run.report), report_markdown(run.report), report_console(run.report, false)}) {
    EXPECT_THAT(text, HasSubstr("Layers in factors"));
    EXPECT_THAT(text, HasSubstr(said));
    EXPECT_THAT(text, HasSubstr("1 of 32"));
  }
  const auto json = nlohmann::json::parse(report_json(run.report))["factorizations"][0];
  EXPECT_EQ(json["rule"], "energy");
  EXPECT_EQ(json["layers"][0]["method"], "svd");
  EXPECT_EQ(json["layers"][0]["ranks"], nlohmann::json({1}));
  EXPECT_EQ(json["layers"][0]["after"]["macs"], 64);
  EXPECT_TRUE(json["layers"][0]["ms_after"].is_null());
}

TEST(FactorizeStep, ADryRunSaysTheSameAndChangesNothing) {
  OneStep run;
  run("{ranks: {energy: 0.999}, round_to: 1}", true);
  EXPECT_EQ(run.graph.node_count(), 1u);
  EXPECT_EQ(run.report.factorizations.at(0).after.macs, 64);
}

TEST(FactorizeStep, WhereNothingIsSmallerAWarningSaysSo) {
  OneStep run;
  run("{keep: [product]}");
  EXPECT_EQ(run.graph.node_count(), 1u);
  EXPECT_THAT(run.report.warnings.at(0), HasSubstr("no layer is smaller"));
  EXPECT_THAT(report_markdown(run.report), HasSubstr("kept by name"));
}

// Whatever the clock says, the bound on what the table predicts is met or refused.
TEST(FactorizeStep, TimesAreOfOurKernels) {
  OneStep run;
  run("{ranks: {latency: 1}, round_to: 1}");
  const FactorizeRecord& record = run.report.factorizations.at(0);
  EXPECT_GT(record.ms_before.value(), 0);
  EXPECT_GT(record.layers[0].ms_before.value(), 0);
  EXPECT_LE(record.got, 1);
}

TEST(FactorizeStep, ParametersAreChecked) {
  const auto error = [](const std::string& params) {
    try {
      find_step("factorize", {}).make(parse_inline(params, ""));
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("taken");
  };
  EXPECT_EQ(error("{ranks: {macs: 0.5}, methods: [svd, tucker]}"), "taken");
  EXPECT_THAT(error("{ranks: {macs: 0.5, energy: 1}}"), HasSubstr("expected one"));
  EXPECT_THAT(error("{ranks: {size: 0.5}}"), HasSubstr("chosen by size"));
  EXPECT_THAT(error("{ranks: {macs: 0}}"), HasSubstr("more than 0"));
  EXPECT_THAT(error("{methods: [tuckr]}"), HasSubstr("tucker"));
  EXPECT_THAT(error("{error_of: outputs, methods: [tucker]}"), HasSubstr("svd"));
}

}  // namespace
}  // namespace lapidary
