#include "lapidary/bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "kernels/row.h"
#include "lapidary/error.h"
#include "lapidary/evaluate.h"
#include "src/pipeline/bench.h"

namespace lapidary {
namespace {

using testing::HasSubstr;

/// y = Relu(x)
Graph relu(std::vector<Dim> shape) {
  Graph g;
  g.set_opset("", 13);
  const ValueId x = g.add_value("x", {DType::kF32, shape}),
                y = g.add_value("y", {DType::kF32, shape});
  g.set_inputs({x});
  g.add_node({.op = "Relu", .inputs = {x}, .outputs = {y}});
  g.set_outputs({y});
  return g;
}

BenchOptions quick() { return {.seconds = 0, .warmup = 0}; }

TEST(Bench, BatchIsWhatRan) {
  BenchOptions options = quick();
  EXPECT_EQ(bench(relu({2, 3}), options).at(0).batch, 2);
  options.input_shapes = {{"x", {7, 3}}};
  EXPECT_EQ(bench(relu({Dim::named("N"), 3}), options).at(0).batch, 7);
  options = quick();
  options.batch = 5;
  EXPECT_EQ(bench(relu({Dim::named("N"), 3}), options).at(0).batch, 5);
}

TEST(Bench, SymbolsHaveSizesByName) {
  const Graph g = relu({Dim::named("N"), Dim::named("T"), 3});
  BenchOptions options = quick();
  EXPECT_THROW(bench(g, options), Error);  // T is open
  options.input_shapes = {{"T", {5}}};
  EXPECT_EQ(bench_inputs(g, options).at("x").shape(), (Shape{1, 5, 3}));
  options.batch = 2;
  EXPECT_EQ(bench_inputs(g, options).at("x").shape(), (Shape{2, 5, 3}));
  options.input_shapes["N"] = {4};
  EXPECT_THROW(bench(g, options), Error);  // a batch of 2, and no axis that takes it
  options.batch = 1;
  EXPECT_EQ(bench(g, options).at(0).batch, 4);
  options.input_shapes["x"] = {7, 1, 3};  // the input's own shape goes first
  EXPECT_EQ(bench(g, options).at(0).batch, 7);
  EXPECT_EQ(
      bench(relu({Dim::named("N")}), {.seconds = 0, .warmup = 0, .input_shapes = {{"N", {4}}}})
          .at(0)
          .batch,
      4);
  options = quick();
  for (const std::map<std::string, Shape>& wrong :
       {std::map<std::string, Shape>{{"T", {5, 5}}}, {{"T", {0}}}, {{"T", {5}}, {"U", {5}}}}) {
    options.input_shapes = wrong;
    EXPECT_THROW(bench(g, options), Error);
  }
}

TEST(Bench, ABatchThatNothingTakesIsRefused) {
  BenchOptions options = quick();
  options.batch = 8;
  try {
    bench(relu({2, 3}), options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_THAT(error.what(), HasSubstr("a batch of 8 fits no input: x float32[2,3]"));
  }
  options.input_shapes = {{"x", {7, 3}}};  // says another one
  EXPECT_THROW(bench(relu({Dim::named("N"), 3}), options), Error);
}

TEST(Peaks, AreMeasuredForWhatTheCpuHas) {
  for (const int threads : {1, 2}) {
    const MachinePeaks peaks = measure_peaks(threads);
    EXPECT_EQ(peaks.threads, threads);
    EXPECT_EQ(peaks.isa, isa_name(isa_cap()));
    for (const double peak : {peaks.int8_gops, peaks.f32_gops, peaks.cache_gb_s, peaks.memory_gb_s})
      EXPECT_GT(peak, 0);
    EXPECT_EQ(peaks.bf16_gops > 0, isa_enabled(Isa::kAvx512Bf16));
  }
}

TEST(Peaks, RooflineIsTheSmallerOfTheTwo) {
  const MachinePeaks peaks{.int8_gops = 400, .f32_gops = 100, .memory_gb_s = 10};
  // 2,000 operations over 100 bytes: 20 a byte, 200 GOPS at 10 GB/s; 100 B / 10 GB/s = 10 ns
  const Roofline int8 = roofline(peaks, "int8", 1000, 100);
  EXPECT_TRUE(int8.memory_bound);
  EXPECT_DOUBLE_EQ(int8.intensity, 20);
  EXPECT_DOUBLE_EQ(int8.attainable_gops, 200);
  EXPECT_DOUBLE_EQ(int8.least_ms, 1e-5);
  // 2,000 operations / 100 GOPS = 20 ns
  const Roofline f32 = roofline(peaks, "float32", 1000, 100);
  EXPECT_FALSE(f32.memory_bound);
  EXPECT_DOUBLE_EQ(f32.attainable_gops, 100);
  EXPECT_DOUBLE_EQ(f32.least_ms, 2e-5);
  const Roofline copy = roofline(peaks, "int8", 0, 100);
  EXPECT_TRUE(copy.memory_bound);
  EXPECT_EQ(copy.attainable_gops, 0);
  EXPECT_DOUBLE_EQ(copy.least_ms, 1e-5);
}

TEST(Peaks, Bfloat16WithoutItsInstructionsIsHeldAgainstFloat32) {
  EXPECT_EQ(peak_gops({.f32_gops = 100, .bf16_gops = 0}, "bfloat16"), 100);
  EXPECT_EQ(peak_gops({.f32_gops = 100, .bf16_gops = 190}, "bfloat16"), 190);
}

TEST(BenchKernels, TimesEveryRowOfAFamilyOnEachShape) {
  const auto times = bench_kernels({.threads = {1, 2}, .families = {"eltwise_s8"}, .seconds = 0});
  size_t rows = 0;
  for (const kernels::RowInfo& row : kernels::all_rows())
    rows += row.family == "eltwise_s8" && cpu_has(row.isa);
  std::set<std::string> shapes;
  for (const KernelTime& t : times) {
    shapes.insert(t.shape);
    EXPECT_EQ(t.family, "eltwise_s8");
    EXPECT_GT(t.ms, 0);
    EXPECT_EQ(t.gops, 0);
    EXPECT_EQ(t.limit, "cache");
    EXPECT_GT(t.share_of_peak, 0);
  }
  EXPECT_EQ(times.size(), rows * shapes.size() * 2);
}

TEST(BenchKernels, RowsOfOneShapeStandTogetherWhateverTheirFamily) {
  const auto times = bench_kernels({.families = {"conv_s8", "dw_s8"}, .seconds = 0});
  std::map<std::string, std::set<std::string>> families;
  std::string last;
  for (const KernelTime& t : times) {
    if (t.shape != last) {
      EXPECT_FALSE(families.contains(t.shape));
    }
    last = t.shape;
    families[t.shape].insert(t.family);
    EXPECT_EQ(t.limit, "int8");
    if (t.shape == "3x3 dw 112x112x32 -> 32 s8") {  // 112 * 112 * 32 * 9 MACs
      EXPECT_NEAR(t.gops * t.ms, 7.225344, 1e-6);
    }
  }
  EXPECT_EQ(families.at("3x3 dw 112x112x32 -> 32 s8").size(), 2u);
}

TEST(BenchKernels, UnknownFamiliesAreRefused) {
  EXPECT_THROW(bench_kernels({.families = {"conv_s9"}}), Error);
}

TEST(Inspect, PlannedStepsAreWhatTheExecutorMakes) {
  const auto steps = plan_execution(relu({Dim::named("N"), 3})).steps;
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps[0].op, "Relu");
  EXPECT_EQ(steps[0].bytes_moved, 24);  // three floats in, three out
  EXPECT_EQ(plan_execution(relu({Dim::named("N"), 3}), {{"x", {4, 3}}}).steps.at(0).bytes_moved,
            96);
}

TEST(Inspect, SymbolsHaveSizesByName) {
  const Graph g = relu({Dim::named("N"), Dim::named("T"), 3});
  EXPECT_EQ(summarize(g, {{"N", {4}}, {"T", {5}}}).layers.at(0).output_type, "float32[4,5,3]");
  EXPECT_EQ(summarize(g, {{"T", {5}}}).layers.at(0).output_type, "float32[1,5,3]");
  EXPECT_EQ(plan_execution(g, {{"T", {5}}}).steps.at(0).bytes_moved, 2 * 4 * 5 * 3);
  for (const std::map<std::string, Shape>& wrong :
       {std::map<std::string, Shape>{{"T", {5, 5}}}, {{"T", {0}}}, {{"U", {5}}}})
    EXPECT_THROW(summarize(g, wrong), Error);
}

}  // namespace
}  // namespace lapidary
