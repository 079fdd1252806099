#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lapidary/error.h"
#include "lapidary/evaluate.h"
#include "lapidary/model_io.h"
#include "lapidary/recipe.h"
#include "test/support/assets.h"

// Float models computed in other precisions than FP32.
namespace lapidary {
namespace {

const std::string kAssets = LAPIDARY_ASSETS_DIR;

std::string cifar10(int limit) {
  return fmt::format(
      "{{kind: cifar10, path: \"{}/data/cifar10/test_batch.bin\", limit: {}, "
      "scale: 0.00392156862745098, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}}",
      kAssets, limit);
}
const std::string kResnet20 = kAssets + "/models/resnet20_cifar10_fp32.onnx";

class Resnet20 : public testing::TestWithParam<FloatArithmetic> {};

TEST_P(Resnet20, KeepsItsAccuracy) {
  LAPIDARY_SKIP_WITHOUT_ASSETS();
  const Graph model = load_onnx(kResnet20);
  const Dataset data = open_data(cifar10(0), model);  // all 10,000
  const Validation fp32 = evaluate(model, data, {.metrics = {"top1"}});
  const Validation other = validate(model, model, data, {.float_arithmetic = GetParam()});
  EXPECT_NEAR(other.top1, fp32.top1, 0.001);
  EXPECT_GE(other.agreement, 0.99);
  EXPECT_LT(other.agreement + other.sqnr_db, 80);  // it is not FP32
}

INSTANTIATE_TEST_SUITE_P(Assets, Resnet20,
                         testing::Values(FloatArithmetic::kBf16, FloatArithmetic::kF16Storage),
                         [](const auto& info) {
                           return info.param == FloatArithmetic::kBf16 ? "Bf16" : "Fp16Storage";
                         });

TEST(Execution, OfARecipeStandsInTheReport) {
  LAPIDARY_SKIP_WITHOUT_ASSETS();
  const auto folder = std::filesystem::path(testing::TempDir()) / "execution_test";
  const Recipe recipe = Recipe::parse(
      fmt::format("lapidary: 1\nmodel: \"{}\"\noutput: \"{}\"\ndata: {{eval: {}}}\n"
                  "evaluate: {{execution: [bf16, fp16-arithmetic], bench: {{seconds: 0.01}}}}\n",
                  kResnet20, folder.string(), cifar10(32)));
  const Report report = run_recipe(recipe);
  ASSERT_EQ(report.stages.size(), 1u);
  ASSERT_EQ(report.executions.size(), 2u);
  EXPECT_EQ(report.executions[0].stage, "fp32");
  EXPECT_EQ(report.executions[0].precision, "bfloat16");
  EXPECT_EQ(report.executions[1].precision, "float16");
  for (const ExecutionRecord& e : report.executions) {
    EXPECT_TRUE(e.metrics.contains("top1"));
    EXPECT_TRUE(e.metrics.contains("agreement_with_fp32"));
    EXPECT_EQ(e.samples, 32);
    EXPECT_EQ(e.latency.size(), 1u);
    const auto has = [&](const std::string& precision) {
      return std::any_of(e.layers.begin(), e.layers.end(),
                         [&](const LayerRecord& l) { return l.precision == precision; });
    };
    EXPECT_TRUE(has(e.precision));
    int64_t macs = 0;  // of one sample, though 32 were evaluated at once
    for (const LayerRecord& layer : e.layers) macs += layer.macs;
    EXPECT_EQ(macs, report.stages[0].macs);
  }
  const auto json = nlohmann::json::parse(report_json(report));
  EXPECT_EQ(json["executions"][0]["precision"], "bfloat16");
  EXPECT_EQ(json["executions"][0]["metrics"]["samples"], 32);
  EXPECT_NE(report_markdown(report).find("fp32 in bfloat16"), std::string::npos);
  EXPECT_NE(report_console(report, false).find("fp32 in float16"), std::string::npos);
}

TEST(Execution, UnknownPrecisionsAreRefused) {
  EXPECT_THROW(Recipe::parse("lapidary: 1\nmodel: m.onnx\nsteps: []\n"
                             "evaluate: {execution: [tf32]}\n"),
               Error);
}

}  // namespace
}  // namespace lapidary
