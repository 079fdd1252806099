#include "lapidary/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

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

}  // namespace
}  // namespace lapidary
