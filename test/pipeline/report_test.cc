#include "lapidary/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "src/pipeline/limits.h"
#include "src/pipeline/report/figures.h"

namespace lapidary {
namespace {

using testing::HasSubstr;
using testing::Not;

/// A report in which every string is hostile.
Report hostile() {
  const std::string evil = "<script>alert(1)</script>\x1b[31m|`\n\xff";
  Report r;
  r.title = evil;
  r.version = "0";
  r.environment = {{evil, evil}};
  r.provenance = {{evil, evil}};
  StageRecord a, b;
  a.name = b.name = evil;
  a.size_bytes = 4000;
  b.size_bytes = 1000;
  a.metrics = {{"top1", 0.5}};
  b.metrics = {{"top1", std::numeric_limits<double>::quiet_NaN()}, {"sqnr_db", 31.25}};
  r.stages = {a, b};
  r.layers = {{evil, evil, 1, 2, 30.0, 0.99, 0.5, evil, evil},
              {evil, evil, 0, 0, {}, {}, {}, "", ""}};
  r.cpu_classes = {{evil, evil, {{"top1", 0.25}}, 3, {{evil, evil, 8, 2}, {evil, evil, 8, 0}}}};
  r.kept_float = {{evil, evil, evil}};
  r.histograms = {{evil, -1, 0.5, {1, 0, 4}, {-0.5, 0.5}}};
  r.limits = {{evil, 1, 2, false}};
  r.warnings = {evil};
  return r;
}

TEST(Report, NoStringOfAModelEscapes) {
  const std::string html = report_html(hostile()), md = report_markdown(hostile());
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("\x1b")));
  EXPECT_THAT(html, Not(HasSubstr("\xff")));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;"));
  EXPECT_THAT(md, Not(HasSubstr("<script")));
  EXPECT_THAT(report_console(hostile(), false), Not(HasSubstr("\x1b")));
}

TEST(Report, WhatStandsInBackticksIsCodeInHtml) {
  Report r;
  r.warnings = {"a lower `lr`, or `<b>` and one ` alone"};
  const std::string html = report_html(r);
  EXPECT_THAT(html,
              HasSubstr("a lower <code>lr</code>, or <code>&lt;b&gt;</code> and one ` alone"));
}

TEST(Report, JsonIsValidAndKeepsItsShape) {
  const auto json = nlohmann::json::parse(report_json(hostile()));
  EXPECT_EQ(json["schema"], "lapidary.report/1");
  EXPECT_TRUE(json["stages"][1]["metrics"]["top1"].is_null());
  EXPECT_EQ(json["stages"][1]["metrics"]["sqnr_db"], 31.25);
  EXPECT_TRUE(json["layers"][1]["sqnr_db"].is_null());
  EXPECT_EQ(json["limits"][0]["met"], false);
  EXPECT_EQ(json["cpu_classes"][0]["metrics"]["top1"], 0.25);
  EXPECT_EQ(json["cpu_classes"][0]["layers"][0]["saturated"], 2);
  for (const char* key :
       {"version", "seed", "environment", "kept_float", "frozen_axes", "warnings"})
    EXPECT_TRUE(json.contains(key)) << key;
}

TEST(Report, MissedLimitsStandOut) {
  EXPECT_THAT(report_console(hostile(), false), HasSubstr("MISSED"));
  EXPECT_THAT(report_html(hostile()), HasSubstr("class=\"missed\""));
}

// 0.8 of top-1 before; 0.7 and 0.2 of one group, of which the second point has no value.
TEST(Report, SensitivitiesAndSearchesAreTablesAndFigures) {
  Report r = hostile();
  SensitivityRecord s{.step = "cut", .metric = "top1", .samples = 10, .whole = 0.8};
  for (const char* name : {"a<b", "c", "d", "e", "f"})
    s.groups.push_back({name, {{0.1, 0.7}, {0.5, std::numeric_limits<double>::quiet_NaN()}}});
  s.groups[4].points[1].second = 0.2;
  r.sensitivities = {s};
  r.searches = {{.step = "cut",
                 .target = "macs",
                 .metric = "top1",
                 .samples = 10,
                 .whole = 0.8,
                 .budget = 0.05,
                 .points = {{0.5, 0.49, 0.3, false}, {0.75, 0.74, 0.78, true}},
                 .kept = 0.74}};
  const std::string html = report_html(r);
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  // Five groups are one more than there are inks: two figures from 20 to 80 %.
  EXPECT_THAT(html, HasSubstr("a&lt;b, removed 0.1: 70</title>"));
  EXPECT_THAT(html, HasSubstr("f, removed 0.5: 20</title>"));
  EXPECT_THAT(html, HasSubstr("models, macs left 0.74: 78</title>"));
  EXPECT_THAT(html, Not(HasSubstr("viewBox=\"0 0 480 254\"")));  // legends of one row
  r.sensitivities[0].groups[0].name = r.sensitivities[0].groups[1].name = std::string(50, 'n');
  EXPECT_THAT(report_html(r), HasSubstr("viewBox=\"0 0 480 254\""));  // of two
  r.sensitivities = {s};
  EXPECT_THAT(html, HasSubstr("budget, macs left 0: 75</title>"));
  for (const std::string& text : {html, report_markdown(r), report_console(r, false)})
    for (const char* said :
         {"Sensitivity of groups", "70.00 %", "20.00 %", "not finite", "Search within the budget",
          "it may lose 5 points; 74.0 % was kept", "beyond"})
      EXPECT_THAT(text, HasSubstr(said));
  const auto json = nlohmann::json::parse(report_json(r));
  EXPECT_EQ(json["sensitivities"][0]["groups"][4]["points"][1]["metric"], 0.2);
  EXPECT_TRUE(json["sensitivities"][0]["groups"][0]["points"][1]["metric"].is_null());
  EXPECT_EQ(json["searches"][0]["points"][1]["met"], true);
  EXPECT_EQ(json["searches"][0]["kept"], 0.74);
}

TEST(Report, OnlyATerminalCutsReasons) {
  Report r;
  const std::string reason = "its bounds are not " + std::string(80, 'x') + " the ends";
  r.kept_float = {{"clip", "Clip", reason}};
  EXPECT_THAT(report_console(r, false, false), HasSubstr(reason));
  EXPECT_THAT(
      report_console(r, false, true),
      testing::AllOf(HasSubstr(reason.substr(0, 50)), HasSubstr("…"), Not(HasSubstr("the ends"))));
}

TEST(Report, EmptyReportPrints) {
  EXPECT_THAT(report_html({}), HasSubstr("</html>"));
  EXPECT_NO_THROW(report_markdown({}));
  EXPECT_NO_THROW(report_console({}, true));
}

Report two_stages() {
  Report r;
  StageRecord a, b;
  a.metrics = {{"top1", 0.920}, {"sqnr_db", 40}};
  b.metrics = {{"top1", 0.915}, {"agreement_with_fp32", 0.98}, {"sqnr_db", 30}};
  a.latency = {{.threads = 2, .median_ms = 3}};
  b.latency = {{.threads = 2, .median_ms = 1}};
  b.size_bytes = 2'000'000;
  r.stages = {a, b};
  return r;
}

TEST(Report, IntegerLayersAreThoseThatRanOnIntegers) {
  Report r = two_stages();
  r.quantized = {"a", "b", "c"};  // as planned
  r.layers = {{"a", "Conv", 9, 1, {}, {}, {}, "conv_s8", "int8"},
              {"b", "Conv", 9, 1, {}, {}, {}, "", "float32"},
              {"c", "Relu", 0, 0, {}, {}, {}, "", "int8"}};
  EXPECT_THAT(report_html(r), HasSubstr("<b>1 / 2</b>"));
  for (const std::string& text : {report_html(r), report_markdown(r), report_console(r, false)})
    EXPECT_THAT(text, HasSubstr("1 of 2 layers with MACs ran on integer kernels"));
  const auto json = nlohmann::json::parse(report_json(r))["integer_layers"];
  EXPECT_EQ(json["ran"], 1);
  EXPECT_EQ(json["of"], 2);
}

TEST(Report, LayersStandUnderTheRoofline) {
  Report r = two_stages();
  r.peaks = MachinePeaks{.int8_gops = 1000, .f32_gops = 100, .memory_gb_s = 10};
  r.layers = {{"a<b", "Conv", 500, 1, {}, {}, 1e-5, "conv_s8", "int8", 100},  // 100 GOPS
              {"c", "Relu", 0, 0, {}, {}, 1e-5, "", "int8", 100}};
  const std::string html = report_html(r);
  EXPECT_THAT(html, HasSubstr("Layers under the roofline"));
  // 1 .. 1000 operations a byte on 928 units from 56, the layer at 10: one third. 10 .. 1000 GOPS
  // on 366 units down to 380, the layer at 100: half.
  EXPECT_THAT(html, HasSubstr("<circle cx=\"365.3\" cy=\"197.0\" r=\"5\" class=\"dot int8\"><title>"
                              "a&lt;b (Conv, int8): 100.0 GOPS, 10 % of peak, 10.0 operations"));
  const auto json = nlohmann::json::parse(report_json(r));
  EXPECT_EQ(json["peaks"]["int8_gops"], 1000);
  EXPECT_TRUE(json["peaks"]["bf16_gops"].is_null());
  EXPECT_NEAR(json["layers"][0]["share_of_peak"].get<double>(), 0.1, 1e-9);
  EXPECT_TRUE(json["layers"][1]["share_of_peak"].is_null());
  r.peaks->int8_gops = 5;  // taken in a busy moment: the layer stays in the picture
  r.peaks->f32_gops = 6;
  EXPECT_THAT(report_html(r), HasSubstr("cy=\"14.0\" r=\"5\" class=\"dot int8\""));
  r.peaks->int8_gops = 1000;
  r.peaks->f32_gops = 100;
  EXPECT_THAT(html, Not(HasSubstr("BF16")));
  r.peaks->bf16_gops = 200;
  EXPECT_THAT(report_html(r), HasSubstr("BF16 200 GOPS"));
  r.layers[0].latency_ms.reset();
  EXPECT_THAT(report_html(r), Not(HasSubstr("Layers under the roofline")));
}

TEST(Report, PruningIsOneSentenceInEveryForm) {
  Report r = two_stages();
  r.prunings = {{.step = "prune",
                 .criterion = "wanda",
                 .target = "macs",
                 .asked = 0.5,
                 .got = 0.48,
                 .before = {.macs = 1000, .parameters = 200},
                 .after = {.macs = 480, .parameters = 100},
                 .groups = {{"conv1", 8, 4, ""}},
                 .difference = 0.0}};
  for (const std::string& text : {report_html(r), report_markdown(r), report_console(r, false)})
    EXPECT_THAT(text, testing::AllOf(HasSubstr("wanda"), HasSubstr("50.0 %"), HasSubstr("48.0 %"),
                                     HasSubstr("2.08x"), HasSubstr("outputs equal the masked")));
}

TEST(Report, StagesHaveTheirLatency) {
  Report r = two_stages();
  for (StageRecord& s : r.stages)
    s.latency = {{.threads = 1, .median_ms = 3.25}, {.threads = 4, .median_ms = 1.125}};
  const std::string md = report_markdown(r);
  const std::string stages =
      md.substr(md.find("## Stages"), md.find("## ", md.find("## Stages") + 3));
  EXPECT_THAT(stages, testing::AllOf(HasSubstr("ms, 1 thread |"), HasSubstr("ms, 4 threads |"),
                                     HasSubstr("| 3.250 | 1.125 |")));
}

TEST(Report, OfMaskedWeightsTheHeadlineSaysWhatCompresses) {
  Report r = two_stages();
  for (StageRecord& s : r.stages) s.size_bytes = 1000000;
  r.masked = MaskedRecord{.compressed_bytes = 250000, .compressed_before = 900000};
  EXPECT_THAT(
      report_console(r, false),
      testing::AllOf(HasSubstr("compressed 900"), HasSubstr("250"), HasSubstr("3.60x smaller")));
}

TEST(Report, WhatGrewIsNotCalledSmaller) {
  Report r = two_stages();  // 3 ms -> 1 ms
  r.stages[0].size_bytes = 1'000'000;
  r.stages[1].size_bytes = 2'600'000;
  for (const std::string& text : {report_html(r), report_markdown(r), report_console(r, false)}) {
    EXPECT_THAT(text, HasSubstr("2.60x larger"));
    EXPECT_THAT(text, HasSubstr("3.00x faster"));
    EXPECT_THAT(text, Not(HasSubstr("smaller")));
  }
  std::swap(r.stages[0], r.stages[1]);
  EXPECT_THAT(report_html(r), HasSubstr("2.60x smaller"));
  EXPECT_THAT(report_html(r), HasSubstr("3.00x slower"));
}

TEST(Report, EstimateStandsBesideWhatItTook) {
  Report r = two_stages();
  r.estimate =
      Estimate{.seconds = 4.25, .memory_bytes = 5'000'000, .calib_samples = 8, .eval_samples = 9};
  EXPECT_TRUE(nlohmann::json::parse(report_json(r))["estimate"]["actual_seconds"].is_null());
  r.estimate->actual_seconds = 3.75;
  r.estimate->actual_memory_bytes = 6'000'000;
  for (const std::string& text : {report_html(r), report_markdown(r), report_console(r, false)})
    for (const char* figure : {"4.2 s", "3.8 s", "5.00 MB", "6.00 MB"})
      EXPECT_THAT(text, HasSubstr(figure));
  const auto json = nlohmann::json::parse(report_json(r))["estimate"];
  EXPECT_EQ(json["seconds"], 4.25);
  EXPECT_EQ(json["actual_seconds"], 3.75);
  EXPECT_EQ(json["actual_memory_bytes"], 6'000'000);
}

constexpr MetricDef kMap{
    .name = "map", .label = "mAP", .unit = "%", .headline = true, .points = 100};
constexpr MetricDef kPerplexity{
    .name = "perplexity", .label = "perplexity", .headline = true, .higher_is_better = false};
constexpr MetricDef kMinor{.name = "minor", .label = "minor"};
constexpr const MetricDef* kOthers[] = {&kMap, &kPerplexity, &kMinor};

Report other_metrics() {
  Report r = two_stages();
  r.stages[0].metrics = {{"map", 0.5}, {"perplexity", 8}, {"minor", 1}};
  r.stages[1].metrics = {{"map", 0.485}, {"perplexity", 9.5}, {"minor", 1}};
  return r;
}

TEST(Report, HeadlinesAreOfWhateverTheTableHolds) {
  const auto figures = headline_figures(other_metrics(), kOthers);
  ASSERT_EQ(figures.size(), 2u);
  EXPECT_EQ(figures[0].value, "48.50 %");
  EXPECT_EQ(figures[0].label, "mAP, from 50.00 %");
  EXPECT_EQ(figures[1].value, "9.50");
  const auto charts = headline_charts(other_metrics(), kOthers);
  ASSERT_EQ(charts.size(), 2u);
  EXPECT_EQ(charts[1].title, "Perplexity");
  ASSERT_EQ(charts[1].bars.size(), 2u);
  EXPECT_EQ(charts[1].bars[1].value, 9.5);
  EXPECT_EQ(charts[1].bars[1].text, "9.50");
}

TEST(Report, CardsAndBarsAreThoseOfTheTable) {
  const std::string html = report_html(two_stages());
  for (const char* card : {"<b>91.50 %</b><span>top-1, from 92.00 %", "<b>30.00 dB</b><span>output",
                           "<b>98.00 %</b><span>same answer as FP32", ">Top-1<"})
    EXPECT_THAT(html, HasSubstr(card));
  EXPECT_THAT(html, Not(HasSubstr("Same answer")));  // no bars: nothing to stand beside
}

TEST(Limits, ApplyToAnyMetric) {
  LimitsParams limits;
  limits.max_drop_points = {{"map", 1}, {"perplexity", 2}};
  limits.bounds = {{"map", 0.48}, {"perplexity", 9}};
  std::vector<bool> met;
  for (const auto& l : check_limits(limits, other_metrics(), kOthers)) met.push_back(l.met);
  // mAP fell by 1.5 points, perplexity rose by 1.5 to 9.5.
  EXPECT_EQ(met, (std::vector<bool>{false, true, true, false}));
}

TEST(Limits, LabelsAreNeededBeforeAnyWork) {
  LimitsParams limits;
  limits.bounds = {{"sqnr_db", 20}};
  EXPECT_NO_THROW(check_needs(limits, false, 10));
  limits.max_accuracy_drop = 1;
  EXPECT_NO_THROW(check_needs(limits, true, 10));
  EXPECT_THROW(check_needs(limits, false, 10), Error);
}

TEST(Limits, ClassesAreNeededBeforeAnyWork) {
  LimitsParams limits;
  limits.bounds = {{"top5", 0.9}};
  EXPECT_NO_THROW(check_needs(limits, true, 6));
  EXPECT_NO_THROW(check_needs(limits, true, 0));  // unknown
  EXPECT_THROW(check_needs(limits, true, 2), Error);
}

TEST(Report, ADryRunDoesNotPromiseClamps) {
  Report r;
  r.stages.resize(1);
  r.quantized = {"conv", "relu"};
  const char* note = "Relu and Clip may stay float";
  EXPECT_THAT(report_console(r, false), HasSubstr(note));
  r.stages.resize(2);  // it ran
  EXPECT_THAT(report_console(r, false), Not(HasSubstr(note)));
}

TEST(Limits, EachIsHeldAgainstTheLastStage) {
  LimitsParams limits;
  limits.max_drop_points = {{"top1", 0.4}};
  limits.min_agreement = 0.98;
  limits.min_sqnr_db = 31;
  limits.max_size_mb = 2;
  limits.max_latency_ms = 1;
  limits.min_speedup = 3.5;
  limits.threads = 2;
  const auto got = check_limits(limits, two_stages());
  ASSERT_EQ(got.size(), 6u);
  EXPECT_NEAR(got[0].got, 0.5, 1e-9);
  std::vector<bool> met;
  for (const auto& l : got) met.push_back(l.met);
  EXPECT_EQ(met, (std::vector<bool>{false, true, false, true, true, false}));
}

TEST(Limits, WhatWasNotMeasuredIsMissed) {
  LimitsParams limits;
  limits.max_latency_ms = 100;  // of one thread; only two were timed
  limits.max_accuracy_drop = 0.6;
  const auto got = check_limits(limits, two_stages());
  ASSERT_EQ(got.size(), 2u);
  EXPECT_TRUE(got[0].met);  // top-1 fell by 0.5 points
  EXPECT_FALSE(got[1].met);
}

TEST(Limits, FiguresThatAreNotFiniteMissEveryBound) {
  Report r = two_stages();
  for (auto& [name, value] : r.stages[1].metrics) value = std::numeric_limits<double>::quiet_NaN();
  LimitsParams limits;
  limits.max_drop_points = {{"top1", 100}};
  limits.min_agreement = 0;
  limits.min_sqnr_db = -1000;
  const auto got = check_limits(limits, r);
  ASSERT_EQ(got.size(), 3u);
  for (const LimitRecord& l : got) EXPECT_FALSE(l.met) << l.limit;
}

TEST(Report, FiguresThatAreNotFiniteAreSaidInWords) {
  Report r = two_stages();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  r.stages[1].metrics["sqnr_db"] = nan;
  r.layers = {{"conv", "Conv", 1, 2, nan, nan, 0.5, "", ""}};
  EXPECT_TRUE(nlohmann::json::parse(report_json(r))["stages"][1]["metrics"]["sqnr_db"].is_null());
  for (const std::string& text : {report_html(r), report_markdown(r), report_console(r, false)}) {
    EXPECT_THAT(text, HasSubstr("not finite"));
    EXPECT_THAT(text, Not(HasSubstr("nan")));
  }
}

}  // namespace
}  // namespace lapidary
