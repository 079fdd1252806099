#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <locale>

#include "lapidary/error.h"
#include "lapidary/recipe.h"
#include "lapidary/report.h"

// A program that uses the library may have set a locale in which 0.5 is 0,5 and 1000 is 1.000.
namespace lapidary {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

struct GermanNumbers : std::numpunct<char> {
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};

/// German numbers in C and in C++'s streams while it lives. The streams' come from a facet:
/// newlocale, behind std::locale("de_DE.UTF-8"), leaks LOCPATH in glibc 2.36.
class GermanLocale {
 public:
  GermanLocale() : folder_(fs::path(testing::TempDir()) / "german_locale") {
    fs::create_directories(folder_);
    const std::string made = (folder_ / "de_DE.UTF-8").string();
    const std::string command = fmt::format("localedef -i de_DE -f UTF-8 '{}'", made);
    if (std::system(command.c_str()) != 0) throw std::runtime_error(command);
    setenv("LOCPATH", folder_.c_str(), 1);
    if (std::setlocale(LC_ALL, "de_DE.UTF-8") == nullptr) throw std::runtime_error("setlocale");
    before_ = std::locale::global(std::locale(std::locale::classic(), new GermanNumbers));
  }
  ~GermanLocale() {
    std::locale::global(before_);
    std::setlocale(LC_ALL, "C");
    unsetenv("LOCPATH");
    fs::remove_all(folder_);
  }

 private:
  fs::path folder_;
  std::locale before_;
};

constexpr const char* kRecipe = R"(lapidary: 1
model: net.onnx
data:
  calib: {kind: npy, path: x.npy, scale: 0.00392156862745098, mean: [0.485, 1234.5]}
  eval: {kind: npy, path: x.npy, labels: l.npy}
steps: [{quantize: {percentile: 99.25, hold_mb: 123456}}]
limits: {max_drop_points: {top1: 0.5}, min_sqnr_db: -1.5e-3}
)";

Report report() {
  Report r;
  r.title = "net";
  StageRecord a, b;
  a.name = "fp32";
  b.name = "quantize";
  a.metrics = {{"top1", 0.9275}};
  b.metrics = {{"top1", 0.9125}, {"sqnr_db", 1234.5}};
  a.size_bytes = 12'345'678;
  b.size_bytes = 3'456'789;
  a.parameters = b.parameters = 1'234'567;
  a.latency = {{.threads = 1, .runs = 123456, .median_ms = 1234.5678}};
  b.latency = {{.threads = 1, .runs = 123456, .median_ms = 0.125}};
  r.stages = {a, b};
  r.layers = {{"conv", "Conv", 1'234'567, 2, 30.25, 0.999, 0.5, "conv_s8", "int8", 1234}};
  r.peaks = MachinePeaks{.int8_gops = 1000.5, .f32_gops = 100.25, .memory_gb_s = 10.125};
  r.histograms = {{"x", -1.5, 0.25, {1, 1000, 4}, {-0.5, 0.5}}};
  r.limits = {{"min_sqnr_db", 0.5, 1234.5, true}};
  return r;
}

/// All that the library reads and writes of numbers in text.
std::vector<std::string> texts() {
  const Recipe recipe = Recipe::parse(kRecipe, "r.yaml");
  return {recipe.effective_yaml(),   recipe.explain(),      report_json(report()),
          report_markdown(report()), report_html(report()), report_console(report(), false)};
}

TEST(Locale, NumbersAreReadAndWrittenAsInC) {
  const std::vector<std::string> plain = texts();
  EXPECT_THAT(plain[0], HasSubstr("percentile: 99.25"));
  EXPECT_THAT(plain[2], HasSubstr("1234.5678"));
  const GermanLocale german;
  char text[16];
  std::snprintf(text, sizeof text, "%.1f", 0.5);
  ASSERT_STREQ(text, "0,5");  // the locale is what it should be
  EXPECT_EQ(texts(), plain);
  EXPECT_EQ(Recipe::parse(plain[0], "r.yaml").effective_yaml(), plain[0]);
  EXPECT_THROW(
      Recipe::parse("lapidary: 1\nmodel: net.onnx\nlimits:\n  max_size_mb: 2,5\n", "r.yaml"),
      Error);
}

}  // namespace
}  // namespace lapidary
