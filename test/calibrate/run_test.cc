#include "calibrate/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "calibrate/tensors.h"
#include "src/base/file.h"
#include "test/calibrate/tiny.h"

namespace lapidary {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using testing::UnorderedElementsAre;

std::string bytes_of(const Statistics& stats) { return stats.impl().serialize(); }

/// A path that is free, and is free again afterwards.
class Checkpoint : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::remove(path_); }
  void TearDown() override { std::filesystem::remove(path_); }
  std::filesystem::path path_ = std::filesystem::path(testing::TempDir()) /
                                ("lapidary_" + std::to_string(getpid()) + ".stats");
};

TEST_F(Checkpoint, IsOfAllTensors) {
  const Caught caught = error_of(
      [&] { calibrate(tiny_net(), tiny_data(6), {.tensors = {"relu"}, .checkpoint = path_}); });
  EXPECT_EQ(caught.code, ErrorCode::kUsage);
}

/// Nothing is read where a sample has no elements (the sanitizers see what is).
TEST(Calibrate, TensorsWithoutElementsHaveNoStatistics) {
  Graph graph = empty_graph(17);
  GraphBuilder build(graph);
  const ValueId x = build.input("x", DType::kF32, {Dim::named("N"), 3, 4, 4});
  const auto ints = [&](const char* name, std::vector<int64_t> values) {
    return build.constant(name, Tensor::of<int64_t>({std::ssize(values)}, values));
  };
  const ValueId none =
      build.op("Slice", {x, ints("from", {0}), ints("to", {0}), ints("axis", {2})}, {}, "none");
  const ValueId sum = build.op("Add", {none, none}, {}, "sum");
  const ValueId all = build.op("Concat", {sum, x}, {{"axis", int64_t{2}}}, "all");
  build.output(build.op("Sigmoid", {all}, {}, "y"));
  infer_types(graph);
  const Statistics stats = calibrate(graph, dataset_of({{"x", tiny_samples(8, 0, {3, 4, 4})}}));
  EXPECT_THAT(stats.tensors(), Contains("all"));
  EXPECT_EQ(stats.impl().tensor("sum").count, 0u);
}

TEST(Calibrate, SeesWhatTheGraphComputes) {
  const Statistics stats = calibrate(tiny_net(), tiny_data(10));
  EXPECT_THAT(stats.tensors(),
              UnorderedElementsAre("x", "relu", "depth", "pool", "flat", "logits"));
  Graph all = tiny_net();
  for (const char* name : {"relu", "depth"}) GraphBuilder(all).output(all.find_value(name));
  const auto values = run_graph(all, {{"x", tiny_samples(10)}});
  const std::pair<const char*, const Tensor*> wanted[] = {
      {"logits", &values[0]}, {"relu", &values[1]}, {"depth", &values[2]}};
  for (const auto& [name, tensor] : wanted) {
    const TensorStats& seen = stats.impl().tensor(name);
    const auto x = tensor->data<float>();
    EXPECT_EQ(seen.count, x.size()) << name;
    EXPECT_EQ(seen.histogram.total(), x.size()) << name;
    EXPECT_NEAR(seen.min, *std::min_element(x.begin(), x.end()), 1e-4) << name;
    EXPECT_NEAR(seen.max, *std::max_element(x.begin(), x.end()), 1e-4) << name;
    const int64_t channels = tensor->dim(1), inner = tensor->size() / (10 * channels);
    ASSERT_EQ(seen.channel_axis, 1) << name;
    for (int64_t c = 0; c < channels; ++c) {
      double sum = 0, low = INFINITY, high = -INFINITY;
      for (int64_t n = 0; n < 10; ++n)
        for (int64_t i = 0; i < inner; ++i) {
          const double v = x[static_cast<size_t>((n * channels + c) * inner + i)];
          sum += v;
          low = std::min(low, v);
          high = std::max(high, v);
        }
      const auto at = static_cast<size_t>(c);
      EXPECT_NEAR(seen.channel_mean(at), sum / static_cast<double>(10 * inner), 1e-4) << name;
      EXPECT_NEAR(seen.channel_low[at], low, 1e-4) << name;
      EXPECT_NEAR(seen.channel_high[at], high, 1e-4) << name;
    }
  }
  EXPECT_EQ(stats.samples(), 10);
  EXPECT_EQ(stats.impl().windows.size(), 3u);
}

TEST(Calibrate, ZerosAfterReluAreCounted) {
  const Statistics stats = calibrate(tiny_net(), tiny_data(10));
  const TensorStats& relu = stats.impl().tensor("relu");
  const Tensor all = [] {
    Graph graph = tiny_net();
    graph.set_outputs({graph.find_value("relu")});
    return run_graph(graph, {{"x", tiny_samples(10)}})[0];
  }();
  const auto x = all.data<float>();
  const auto zeros = static_cast<uint64_t>(std::count(x.begin(), x.end(), 0.0f));
  ASSERT_GT(zeros, 100u);
  EXPECT_EQ(relu.histogram.zeros, zeros);
}

TEST(Calibrate, ThreadsAndBatchesGiveTheSameBytes) {
  const Dataset data = tiny_data(41);
  const std::string one = bytes_of(calibrate(tiny_net(), data, {.threads = 1}));
  for (const int threads : {2, 5})
    EXPECT_TRUE(bytes_of(calibrate(tiny_net(), data, {.threads = threads})) == one) << threads;
  for (const int64_t batch : {1, 7, 41})
    EXPECT_TRUE(bytes_of(calibrate(tiny_net(), data, {.batch = batch, .threads = 2})) == one)
        << batch;
}

TEST(Calibrate, AFixedBatchIsPaddedAndPaddingIsNotCounted) {
  Graph fixed = tiny_net();
  const ValueId x = fixed.inputs()[0];
  fixed.mutable_value(x).type.shape = std::vector<Dim>{4, 2, 6, 6};
  infer_types(fixed);
  const Statistics seen = calibrate(fixed, tiny_data(10));
  const Statistics free = calibrate(tiny_net(), tiny_data(10));
  for (const std::string& name : free.tensors())
    EXPECT_TRUE(seen.impl().tensor(name) == free.impl().tensor(name)) << name;
  EXPECT_TRUE(seen.impl().windows == free.impl().windows);
}

TEST(Calibrate, WindowSumsCoverTheWholeOfALeadingAxisThatIsNotTheBatch) {
  // x [N, T, K] -> [T, N, K] and -> [N T, K], both times W: sums of all N T positions. N > T.
  Graph graph = empty_graph(17);
  GraphBuilder build(graph);
  const ValueId x = build.input("x", DType::kF32, {Dim::named("N"), 2, 3});
  const ValueId turned =
      build.op("Transpose", {x}, {{"perm", std::vector<int64_t>{1, 0, 2}}}, "turned");
  const ValueId flat = build.op(
      "Reshape", {x, build.constant("shape", Tensor::of<int64_t>({2}, {-1, 3}))}, {}, "flat");
  build.output(build.op("MatMul", {turned, build.constant("w", ramp({3, 2}))}, {}, "by_time"));
  build.output(build.op("MatMul", {flat, build.constant("v", ramp({3, 2}))}, {}, "by_row"));
  infer_types(graph);
  const Tensor samples = tiny_samples(8, 0, {2, 3});
  double sums[3] = {};
  for (int64_t i = 0; i < samples.size(); ++i)
    sums[i % 3] += static_cast<double>(samples.data<float>()[static_cast<size_t>(i)]);
  const Statistics stats = calibrate(graph, dataset_of({{"x", samples}}), {.batch = 8});
  ASSERT_EQ(stats.impl().windows.size(), 2u);
  for (const auto& [key, windows] : stats.impl().windows) {
    EXPECT_EQ(windows.positions, 16) << key;
    for (size_t k = 0; k < 3; ++k) EXPECT_NEAR(windows.sums[k].value(), sums[k], 1e-4) << key;
  }
}

TEST(Calibrate, TheModelAsLoadedAndAsOptimizedAreOneGraph) {
  const Graph net = tiny_net();
  EXPECT_TRUE(bytes_of(calibrate(net, tiny_data(5))) ==
              bytes_of(calibrate(calibrated_form(net), tiny_data(5))));
}

TEST(Calibrate, NamedTensorsAlone) {
  const Statistics stats = calibrate(tiny_net(), tiny_data(5), {.tensors = {"depth", "conv"}});
  EXPECT_THAT(stats.tensors(), UnorderedElementsAre("depth", "conv"));
  EXPECT_TRUE(stats.impl().windows.empty());
  const Caught caught =
      error_of([] { calibrate(tiny_net(), tiny_data(5), {.tensors = {"dept"}}); });
  EXPECT_EQ(caught.code, ErrorCode::kUsage);
  EXPECT_THAT(caught.text, HasSubstr("depth"));
}

TEST(Calibrate, WarnsOfFewSamples) {
  std::vector<std::string> warnings;
  CalibrateOptions options{.samples = 9};
  options.log.message = [&](LogLevel level, const std::string& text) {
    if (level == LogLevel::kWarning) warnings.push_back(text);
  };
  EXPECT_EQ(calibrate(tiny_net(), tiny_data(4), options).samples(), 4);
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("9 calibration samples asked, the data hold 4")));
  warnings.clear();
  options.samples = 1;
  calibrate(tiny_net(), tiny_data(4), options);
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("single sample")));
}

TEST(Calibrate, DataComeInTheTypeThatTheGraphTakes) {
  const Tensor x = tiny_samples(4);
  Tensor wide(DType::kF64, x.shape());
  for (size_t i = 0; i < x.data<float>().size(); ++i)
    wide.mutable_data<double>()[i] = static_cast<double>(x.data<float>()[i]);
  const Statistics from_wide = calibrate(tiny_net(), dataset_of({{"x", wide}}));
  const Statistics from_own = calibrate(tiny_net(), dataset_of({{"x", x}}));
  for (const char* name : {"x", "logits"}) {
    EXPECT_EQ(from_wide.impl().tensor(name).min, from_own.impl().tensor(name).min) << name;
    EXPECT_EQ(from_wide.impl().tensor(name).max, from_own.impl().tensor(name).max) << name;
  }
}

TEST(Calibrate, RefusesNonsense) {
  EXPECT_EQ(error_of([] { calibrate(tiny_net(), tiny_data(4), {.samples = -1}); }).code,
            ErrorCode::kUsage);
  EXPECT_EQ(error_of([] { calibrate(tiny_net(), tiny_data(4), {.batch = -1}); }).code,
            ErrorCode::kUsage);
  const Dataset wrong = dataset_of({{"x", tiny_samples(3, 0, {2, 6, 5})}});
  const Caught caught = error_of([&] { calibrate(tiny_net(), wrong); });
  EXPECT_EQ(caught.code, ErrorCode::kInvalid);
  EXPECT_THAT(caught.text, HasSubstr("[2,6,5]"));
  EXPECT_EQ(error_of([] {
              calibrate(tiny_net(), dataset_of({{"y", tiny_samples(3)}}));
            }).code,
            ErrorCode::kUsage);
  EXPECT_EQ(error_of([] {
              calibrate(tiny_net(), dataset_of({{"x", Tensor(DType::kI32, {3, 2, 6, 6})}}));
            }).code,
            ErrorCode::kInvalid);
}

// -- resuming

TEST_F(Checkpoint, ContinuesToTheBytesOfOneRun) {
  const Dataset data = tiny_data(50);
  const std::string whole = bytes_of(calibrate(tiny_net(), data));
  calibrate(tiny_net(), data, {.samples = 21, .checkpoint = path_});
  EXPECT_EQ(Statistics::load(path_).samples(), 21);
  const Statistics continued = calibrate(tiny_net(), data, {.batch = 8, .checkpoint = path_});
  EXPECT_TRUE(bytes_of(continued) == whole);
  EXPECT_TRUE(read_file(path_.string()) == whole);
  // Once more: nothing is left to see.
  EXPECT_TRUE(bytes_of(calibrate(tiny_net(), data, {.checkpoint = path_})) == whole);
}

TEST_F(Checkpoint, SurvivesARunThatWasBrokenOff) {
  const Dataset data = tiny_data(50);
  const std::string whole = bytes_of(calibrate(tiny_net(), data));
  calibrate(tiny_net(), data, {.samples = 10, .checkpoint = path_});
  const std::string before = read_file(path_.string());
  CalibrateOptions broken{.batch = 5, .checkpoint = path_};
  broken.log.progress = [](const Progress& progress) {
    if (progress.done >= 30) throw std::runtime_error("killed");
  };
  EXPECT_THROW(calibrate(tiny_net(), data, broken), std::runtime_error);
  EXPECT_TRUE(read_file(path_.string()) == before);
  EXPECT_TRUE(bytes_of(calibrate(tiny_net(), data, {.checkpoint = path_})) == whole);
}

TEST_F(Checkpoint, ProgressBeginsWithWhatWasSeen) {
  const Dataset data = tiny_data(20);
  calibrate(tiny_net(), data, {.samples = 12, .checkpoint = path_});
  std::vector<int64_t> done;
  CalibrateOptions options{.batch = 4, .checkpoint = path_};
  options.log.progress = [&](const Progress& progress) { done.push_back(progress.done); };
  calibrate(tiny_net(), data, options);
  EXPECT_THAT(done, ElementsAre(12, 16, 20));
}

TEST_F(Checkpoint, OfAnotherGraphIsRefused) {
  calibrate(tiny_net(), tiny_data(6), {.checkpoint = path_});
  const std::string before = read_file(path_.string());
  const Caught caught =
      error_of([&] { calibrate(tiny_net(0.5f), tiny_data(6), {.checkpoint = path_}); });
  EXPECT_EQ(caught.code, ErrorCode::kInvalid);
  EXPECT_THAT(caught.text, HasSubstr("another graph"));
  EXPECT_TRUE(read_file(path_.string()) == before);
}

TEST_F(Checkpoint, OfOtherDataIsAddedTo) {
  calibrate(tiny_net(), tiny_data(6), {.checkpoint = path_});
  const Statistics both = calibrate(tiny_net(), tiny_data(7, 6), {.checkpoint = path_});
  EXPECT_EQ(both.samples(), 13);
  EXPECT_EQ(both.impl().sources.size(), 2u);
}

TEST_F(Checkpoint, ThatIsDamagedIsRefused) {
  calibrate(tiny_net(), tiny_data(6), {.checkpoint = path_});
  std::string bytes = read_file(path_.string());
  bytes[bytes.size() / 2] ^= 1;
  write_file_atomically(path_.string(), bytes);
  EXPECT_EQ(error_of([&] { calibrate(tiny_net(), tiny_data(6), {.checkpoint = path_}); }).code,
            ErrorCode::kInvalid);
}

// -- values that are not finite

/// y = x * 1e38: 10 becomes infinity.
Graph overflowing() {
  Graph graph = empty_graph(17);
  GraphBuilder build(graph);
  const ValueId x = build.input("x", DType::kF32, {Dim::named("N"), 1});
  const ValueId w = build.constant("w", Tensor::of<float>({1, 1}, {1e38f}));
  build.output(build.op("MatMul", {x, w}, {}, "y"));
  infer_types(graph);
  return graph;
}

TEST(Nonfinite, IsNamedByTensorAndSample) {
  const Dataset data = dataset_of({{"x", Tensor::of<float>({4, 1}, {1, 2, 10, 3})}});
  for (const int64_t batch : {1, 4}) {
    const Caught caught = error_of([&] { calibrate(overflowing(), data, {.batch = batch}); });
    EXPECT_EQ(caught.code, ErrorCode::kInvalid);
    EXPECT_THAT(caught.text, StartsWith("tensor 'y': infinity in sample 2 ("));
    EXPECT_THAT(caught.text, HasSubstr("allow_nonfinite"));
  }
}

TEST(Nonfinite, SamplesOfAFileAreNamedByFileAndIndex) {
  const auto path = std::filesystem::path(testing::TempDir()) / "lapidary_overflow.raw";
  const float values[] = {1, 2, -10, 3};
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(values), sizeof values);
  DatasetSpec spec{.kind = "raw", .path = path.string()};
  spec.shape = {1};
  spec.dtype = "f32";
  const Dataset data = open_dataset(spec);
  const Caught caught = error_of([&] { calibrate(overflowing(), data); });
  EXPECT_EQ(caught.code, ErrorCode::kInvalid);
  EXPECT_THAT(caught.text, HasSubstr("sample 2"));
  EXPECT_THAT(caught.text, HasSubstr("lapidary_overflow.raw[2]"));
  std::filesystem::remove(path);
}

TEST(Nonfinite, SamplesAreLeftOutWhereAllowed) {
  const Dataset data = dataset_of({{"x", Tensor::of<float>({4, 1}, {1, 2, 10, 3})}});
  std::vector<std::string> warnings;
  CalibrateOptions options{.allow_nonfinite = true};
  options.log.message = [&](LogLevel level, const std::string& text) {
    if (level == LogLevel::kWarning) warnings.push_back(text);
  };
  const Statistics stats = calibrate(overflowing(), data, options);
  EXPECT_THAT(warnings, ElementsAre(HasSubstr("sample 2")));
  EXPECT_EQ(stats.samples(), 3);
  EXPECT_EQ(stats.min_max("x"), (std::pair{1.0, 3.0}));
  EXPECT_FALSE(stats.impl().sources.begin()->second.contains(2));
  const Dataset hopeless = dataset_of({{"x", Tensor::of<float>({2, 1}, {10, 11})}});
  EXPECT_EQ(error_of([&] { calibrate(overflowing(), hopeless, options); }).code, ErrorCode::kUsage);
}

TEST(Nonfinite, SumsTooLargeAreNamedByTensorAndSample) {
  Tensor x = tiny_samples(5);
  x.mutable_data<float>()[2 * 72 + 40] = 3e38f;
  const Dataset data = dataset_of({{"x", x}});
  for (const int64_t batch : {1, 5}) {
    const Caught caught = error_of([&] { calibrate(tiny_net(), data, {.batch = batch}); });
    EXPECT_EQ(caught.code, ErrorCode::kInvalid);
    EXPECT_THAT(caught.text, StartsWith("tensor 'x': sample 2 ("));
    EXPECT_THAT(caught.text, HasSubstr("sum to"));
    EXPECT_THAT(caught.text, HasSubstr("--allow-nonfinite"));
  }
  const Statistics rest = calibrate(tiny_net(), data, {.allow_nonfinite = true});
  EXPECT_EQ(rest.samples(), 4);
  EXPECT_LT(rest.min_max("x").second, 100);
}

// -- what is watched

std::vector<std::string> watched_names(const Graph& graph) {
  std::vector<std::string> names;
  for (const Watched& watched : watched_tensors(graph))
    names.push_back(graph.value(watched.value).name);
  return names;
}

TEST(WatchedTensors, AClampStandsForWhatComesBeforeIt) {
  EXPECT_THAT(watched_names(tiny_net()), testing::Not(Contains("conv")));
  Graph read_twice = tiny_net();
  GraphBuilder(read_twice).output(read_twice.find_value("conv"));
  EXPECT_THAT(watched_names(read_twice), Contains("conv"));
}

TEST(WatchedTensors, NothingInsideASoftmax) {
  Graph graph = empty_graph(17);
  GraphBuilder build(graph);
  const ValueId x = build.input("x", DType::kF32, {Dim::named("N"), 4});
  const ValueId y = build.op("MatMul", {x, build.constant("w", ramp({4, 4}))}, {}, "scores");
  const ValueId e = build.op("Softmax", {y}, {{"axis", int64_t{-1}}}, "shares");
  build.output(build.op("MatMul", {e, build.constant("v", ramp({4, 2}))}, {}, "out"));
  infer_types(graph);
  EXPECT_THAT(watched_names(graph), UnorderedElementsAre("x", "scores", "shares", "out"));
  EXPECT_EQ(watched_nodes(graph).size(), 2u);
}

}  // namespace
}  // namespace lapidary
