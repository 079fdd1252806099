#include "lapidary/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lapidary/evaluate.h"
#include "src/base/file.h"
#include "src/pipeline/recipe_impl.h"

namespace lapidary {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

/// A folder of its own that goes with the test.
class Recipes : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::create_directories(folder_ / "a");
    fs::create_directories(folder_ / "b");
  }
  void TearDown() override { fs::remove_all(folder_); }

  Recipe load(const char* sub, const std::string& text) const {
    const fs::path file = folder_ / sub / "recipe.yaml";
    write_file_atomically(file.string(), text);
    return Recipe::load(file);
  }

  fs::path folder_;
};

constexpr const char* kRecipe = R"(lapidary: 1
model: net.onnx
output: out
data:
  calib: {kind: npy, path: [x.npy, more/y.npy], labels: l.npy}
  eval: {inputs: {p: {kind: npy, path: p.npy}, q: {kind: npy, path: ../q.npy}}}
steps: [{quantize: {stats: seen.lpstat}}]
)";

TEST_F(Recipes, PathsStartAtTheRecipesFolder) {
  const std::string text = load("a", kRecipe).effective_yaml();
  for (const char* path : {"a/net.onnx", "a/out", "a/x.npy", "a/more/y.npy", "a/l.npy", "a/p.npy",
                           "q.npy", "a/seen.lpstat"})
    EXPECT_THAT(text, HasSubstr((folder_ / path).string())) << path;
}

TEST_F(Recipes, EffectiveRecipeMeansTheSameFromAnotherFolder) {
  const std::string text = load("a", kRecipe).effective_yaml();
  EXPECT_EQ(load("b", text).effective_yaml(), text);
}

TEST_F(Recipes, NamesOfInputsMayBeAnyText) {
  constexpr const char* kText = R"(lapidary: 1
model: net.onnx
output: out
data:
  eval: {inputs: {"#a: b": {kind: npy, path: p.npy}, "*c": {kind: npy, path: q.npy}, "1": {kind: npy, path: r.npy}}}
steps: []
)";
  const std::string text = load("a", kText).effective_yaml();
  EXPECT_THAT(text, HasSubstr("\"#a: b\""));
  EXPECT_EQ(load("b", text).effective_yaml(), text);
}

TEST_F(Recipes, OneOutputFileIsForOneStep) {
  const Recipe two =
      load("a", "lapidary: 1\nmodel: net.onnx\nsteps: [{optimize: {}}, {fp16: {}}]\n");
  try {
    run_recipe(two, {.model_output = folder_ / "out.onnx"});
    ADD_FAILURE() << "two steps went to one file";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_THAT(error.what(), HasSubstr("2 steps"));
  }
}

TEST_F(Recipes, PortableFormHoldsNoPath) {
  const Recipe one = load("a", kRecipe);
  const std::string text = portable_yaml(one);
  for (const char* word : {"net.onnx", "x.npy", "l.npy", "p.npy", "q.npy", "seen.lpstat", "/"})
    EXPECT_THAT(text, Not(HasSubstr(word))) << word;
  EXPECT_THAT(text, HasSubstr("onnxruntime-cpu"));
  EXPECT_EQ(portable_yaml(load("b", kRecipe)), text);
  EXPECT_EQ(portable_yaml(load("b", one.effective_yaml())), text);
}

TEST_F(Recipes, PortableFormTellsSettingsApart) {
  std::string other = kRecipe;
  other.replace(other.find("{stats:"), 1, "{percentile: 99, ");
  EXPECT_NE(portable_yaml(load("a", kRecipe)), portable_yaml(load("a", other)));
}

constexpr const char* kMeasured = R"(lapidary: 1
model: net.onnx
data: {eval: {kind: npy, path: x.npy, labels: l.npy}}
)";

/// The refusal of kMeasured and `more`, with its place; "" where there is none.
std::string refusal(const std::string& more) {
  try {
    Recipe::parse(kMeasured + more, "r.yaml");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage) << more;
    return error.what();
  }
  return "";
}

TEST(MetricLimits, WhatWouldNotBeMeasuredIsRefusedBeforeAnyWork) {
  const std::string steps = "steps: [{optimize: {}}]\n";
  EXPECT_EQ(refusal(steps + "limits: {max_drop_points: {top1: 0.5}, min_agreement: 0.9}\n"), "");
  const std::string mistyped = refusal(steps + "limits:\n  max_drop_points: {topp1: 0.5}\n");
  EXPECT_THAT(mistyped, HasSubstr("r.yaml:6:21"));
  EXPECT_THAT(mistyped, HasSubstr("did you mean 'top1'"));
  const std::string some = steps + "evaluate: {metrics: [sqnr_db]}\n";
  EXPECT_EQ(refusal(some + "limits: {min_sqnr_db: 20}\n"), "");
  for (const char* limit : {"max_drop_points: {top1: 1}", "max_accuracy_drop: 1",
                            "min_agreement: 0.9", "bounds: {top5: 0.9}"})
    EXPECT_THAT(refusal(some + "limits: {" + limit + "}\n"),
                testing::AllOf(HasSubstr("r.yaml:6:"), HasSubstr("metrics: [sqnr_db]")))
        << limit;
}

TEST(MetricLimits, WhatNeedsAReferenceCannotFallFromTheFirstStage) {
  EXPECT_THAT(
      refusal("steps: [{optimize: {}}]\nlimits: {max_drop_points: {agreement_with_fp32: 1}}\n"),
      HasSubstr("r.yaml:5:28"));
  EXPECT_THAT(refusal("limits: {min_sqnr_db: 20}\n"), HasSubstr("without steps"));
}

TEST(MetricLimits, OfSharesLieWithinThem) {
  const std::string steps = "steps: [{optimize: {}}]\nlimits:\n  ";
  for (const auto& [limit, place] : {std::pair{"bounds: {top1: 90}", "r.yaml:6:18"},
                                     {"bounds: {agreement_with_fp32: -0.1}", "r.yaml:6:33"},
                                     {"max_drop_points: {top5: -1}", "r.yaml:6:27"},
                                     {"max_drop_points: {top1: 100.5}", "r.yaml:6:27"}})
    EXPECT_THAT(refusal(steps + limit + "\n"),
                testing::AllOf(HasSubstr(place), HasSubstr("must lie in 0..")))
        << limit;
  for (const char* limit : {"bounds: {top1: 1, top5: 0}", "max_drop_points: {top1: 0, top5: 100}",
                            "bounds: {sqnr_db: 90}", "bounds: {sqnr_db: -3}"})
    EXPECT_EQ(refusal(steps + limit + "\n"), "") << limit;
}

TEST(MetricLimits, OfOneMetricStandOnce) {
  const std::string limits = "steps: [{optimize: {}}]\nlimits: ";
  for (const char* both : {"{min_agreement: 0.5, bounds: {agreement_with_fp32: 0.6}}",
                           "{bounds: {sqnr_db: 20}, min_sqnr_db: 20}"})
    EXPECT_THAT(refusal(limits + both + "\n"),
                testing::AllOf(HasSubstr("r.yaml:5:"), HasSubstr("the same limit")))
        << both;
  EXPECT_EQ(refusal(limits + "{bounds: {top1: 0.9}, max_drop_points: {top1: 1}}\n"), "");
}

TEST(MetricLimits, AnUnknownMetricNamesThoseThereAre) {
  const std::string text =
      refusal("steps: [{optimize: {}}]\nlimits: {max_drop_points: {map50: 1}}\n");
  for (const MetricInfo& metric : list_metrics()) EXPECT_THAT(text, HasSubstr(metric.name));
}

constexpr const char* kNamed = R"(lapidary: 1
model: net.onnx
data: {calib: {kind: npy, path: x.npy}}
steps:
  - quantize: {calibrator: minmax}
  - name: q.2
    quantize: {calibrator: minmax, requantize: true}
)";

/// The calibrators of the steps with an override.
std::vector<std::string> calibrators(const std::string& set) {
  const Recipe recipe = Recipe::parse(kNamed, "r.yaml", {set});
  std::vector<std::string> out;
  for (const RecipeStep& step : recipe.impl().steps)
    out.push_back(step.step->params().find("calibrator")->text);
  return out;
}

TEST(StepNames, OverridesFindThem) {
  using testing::ElementsAre;
  EXPECT_THAT(calibrators("steps.q.2.calibrator=mse"), ElementsAre("minmax", "mse"));
  EXPECT_THAT(calibrators("steps.quantize.calibrator=mse"), ElementsAre("mse", "minmax"));
  EXPECT_THAT(calibrators("steps.0.quantize.calibrator=mse"), ElementsAre("mse", "minmax"));
  EXPECT_THROW(calibrators("steps.q3.calibrator=mse"), Error);
}

TEST(Variants, HaveTheirKeysInListsSchemaAndDocumentation) {
  const auto kinds = list_items("losses");
  const auto kd = std::find_if(kinds.begin(), kinds.end(),
                               [](const ListedItem& item) { return item.name == "kd"; });
  ASSERT_NE(kd, kinds.end());
  const auto temperature =
      std::find_if(kd->parameters.begin(), kd->parameters.end(),
                   [](const ParameterInfo& p) { return p.name == "temperature"; });
  ASSERT_NE(temperature, kd->parameters.end());
  EXPECT_EQ(temperature->initial, "2");
  EXPECT_EQ(temperature->type, "number");
  EXPECT_NE(temperature->range, "");

  const auto defs = nlohmann::json::parse(recipe_schema())["$defs"];
  const auto step = defs["schedule"]["anyOf"][1];
  EXPECT_EQ(step["properties"]["step"]["properties"]["gamma"]["type"], "number");
  EXPECT_EQ(step["properties"]["step"]["additionalProperties"], false);
  EXPECT_EQ(step["additionalProperties"], false);
  EXPECT_EQ(defs["augmentation"]["properties"]["flip"]["maximum"], 1);
  EXPECT_EQ(
      defs["loss"]["anyOf"][1]["properties"]["cross_entropy"]["properties"]["weight"]["minimum"],
      0);

  const std::string text = recipe_markdown();
  for (const char* row :
       {"| | `label_smoothing` | number 0..1 | `0` |", "| | `every` | number 0.0001..1 | `0.3` |",
        "| `cutout` | number 0..65535 |", "## Step `finetune`"})
    EXPECT_THAT(text, HasSubstr(row));
}

TEST(StepNames, StandBesideTheKind) {
  const std::string text = refusal("steps:\n  - quantize: {calibrator: mse, name: q2}\n");
  EXPECT_THAT(text, testing::AllOf(HasSubstr("r.yaml:5:33"), HasSubstr("unknown key 'name'"),
                                   HasSubstr("- {name: q2, quantize: ...}")));
  EXPECT_THAT(recipe_markdown(), HasSubstr("| `name` | string | the kind |"));
}

}  // namespace
}  // namespace lapidary
