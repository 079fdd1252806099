#include "calibrate/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "test/calibrate/tiny.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

TEST(FixedSum, AddsInAnyOrderToTheSameBits) {
  const double terms[] = {1e13, 0.1, -1e13, 3e-9, 1.0 / 3, -7e5};
  FixedSum forward, backward, left, right;
  for (int i = 0; i < 6; ++i) forward.add(terms[i]);
  for (int i = 5; i >= 0; --i) backward.add(terms[i]);
  for (int i = 0; i < 3; ++i) left.add(terms[i]);
  for (int i = 3; i < 6; ++i) right.add(terms[i]);
  right.add(left);
  EXPECT_EQ(forward, backward);
  EXPECT_EQ(forward, right);
  // Doubles added in this order lose the 0.1's last bits to 1e13.
  EXPECT_NEAR(forward.value(), 0.1 + 3e-9 + 1.0 / 3 - 7e5, 1e-10);
  EXPECT_EQ(FixedSum::from_bits(forward.low_bits(), forward.high_bits()), forward);
  FixedSum negative;
  negative.add(-0x1p-56);
  EXPECT_EQ(negative.high_bits(), -1);
  EXPECT_EQ(FixedSum::from_bits(negative.low_bits(), negative.high_bits()).value(), -0x1p-56);
}

TEST(FixedSum, RefusesWhatItCannotHold) {
  FixedSum sum;
  for (const double term : {0x1p48, -0x1p48, double{INFINITY}, double{NAN}})
    EXPECT_EQ(error_of([&] { sum.add(term); }).code, ErrorCode::kInvalid) << term;
  EXPECT_EQ(sum, FixedSum{});
  sum.add(0x1p48 - 1);
  EXPECT_EQ(sum.value(), 0x1p48 - 1);
}

TEST(ChunkSeries, CoarsensWhereIndicesOutgrowIt) {
  ChunkSeries series;
  for (int64_t i = 0; i < 64; ++i) series.add(i, static_cast<float>(-i), static_cast<float>(i));
  EXPECT_EQ(series.size, 1);
  EXPECT_EQ(series.ranges.size(), 64u);
  series.add(64, -1, 1);
  EXPECT_EQ(series.size, 2);
  ASSERT_EQ(series.ranges.size(), 33u);
  EXPECT_EQ(series.ranges[5], (std::pair{-11.0f, 11.0f}));
  EXPECT_EQ(series.ranges[32], (std::pair{-1.0f, 1.0f}));
  for (int64_t i = 65; i < 100000; ++i) series.add(i, 0, 0);
  EXPECT_EQ(series.size, 2048);
  EXPECT_LE(series.ranges.size(), 64u);
}

TEST(ChunkSeries, MergesWhateverCameFirst) {
  ChunkSeries whole, odd, even;
  for (int64_t i = 0; i < 300; ++i) {
    const auto x = static_cast<float>(i * 37 % 101);
    whole.add(i, -x, x);
    (i % 2 ? odd : even).add(i, -x, x);
  }
  ChunkSeries a = odd, b = even;
  a.merge(even);
  b.merge(odd);
  EXPECT_EQ(a, whole);
  EXPECT_EQ(b, whole);
  ChunkSeries fine;
  fine.add(3, -500, 500);
  fine.merge(whole);  // of size 1, with one of size 8
  EXPECT_EQ(fine.size, whole.size);
  EXPECT_EQ(fine.ranges[0], (std::pair{-500.0f, 500.0f}));
}

TEST(ChunkSeries, DependsOnTheSamplesAlone) {
  // 64 samples far out keep a chunk each; the parts of 0..511 merge to what one pass makes.
  ChunkSeries far;
  for (int64_t i = 1000000; i < 1000064; ++i) far.add(i, static_cast<float>(-i), 0);
  EXPECT_EQ(far.size, 1);
  EXPECT_EQ(far.ranges.size(), 64u);
  EXPECT_EQ(far.first, 1000000);
  ChunkSeries whole;
  std::vector<ChunkSeries> parts(3);
  for (int64_t i = 0; i < 512; ++i) {
    const auto x = static_cast<float>(i * 37 % 101);
    whole.add(i, -x, x);
    parts[i < 100 ? 0 : i < 256 ? 1 : 2].add(i, -x, x);
  }
  EXPECT_EQ(whole.size, 8);
  ChunkSeries forward = parts[0], backward = parts[2];
  forward.merge(parts[1]);
  forward.merge(parts[2]);
  backward.merge(parts[1]);
  backward.merge(parts[0]);
  EXPECT_EQ(forward, whole);
  EXPECT_EQ(backward, whole);
}

TEST(SampleSet, JoinsIntervals) {
  SampleSet set;
  set.add(5, 8);
  set.add(0, 2);
  set.add(3);
  EXPECT_THAT(set.intervals, ElementsAre(Pair(0, 2), Pair(3, 4), Pair(5, 8)));
  set.add(2);
  EXPECT_THAT(set.intervals, ElementsAre(Pair(0, 4), Pair(5, 8)));
  EXPECT_EQ(set.size(), 7);
  EXPECT_TRUE(set.contains(3));
  EXPECT_FALSE(set.contains(4));
  EXPECT_FALSE(set.contains(8));
  EXPECT_EQ(set.common({{{4, 5}, {9, 12}}}), -1);
  EXPECT_EQ(set.common({{{4, 7}}}), 5);
}

TEST(TensorStats, ChannelMeansCountTheChannelsElements) {
  TensorStats stats;
  stats.count = 12;  // 3 channels of 4 elements
  stats.channel_sums.resize(3);
  stats.channel_sums[1].add(10);
  EXPECT_EQ(stats.channel_mean(0), 0);
  EXPECT_EQ(stats.channel_mean(1), 2.5);
}

TEST(Statistics, MergeOfTheSameSamplesIsRefusedAndChangesNothing) {
  const Dataset data = tiny_data(20);
  const Statistics first = calibrate(tiny_net(), data, {.samples = 12});
  Statistics second = calibrate(tiny_net(), data, {.samples = 15});
  const std::string before = second.impl().serialize();
  const Caught caught = error_of([&] { second.merge(first); });
  EXPECT_EQ(caught.code, ErrorCode::kInvalid);
  EXPECT_THAT(caught.text, HasSubstr("sample 0"));
  EXPECT_EQ(second.impl().serialize(), before);
}

/// 512 samples in a file, as a record picks them.
class PartsOfAFile : public testing::Test {
 protected:
  void SetUp() override {
    const Tensor all = tiny_samples(512);
    std::ofstream(path_, std::ios::binary)
        .write(static_cast<const char*>(all.raw()), static_cast<std::streamsize>(all.size_bytes()));
  }
  void TearDown() override { std::filesystem::remove(path_); }
  Statistics seen(int64_t skip, int64_t limit, bool shuffle = false) const {
    DatasetSpec spec{.kind = "raw", .path = path_.string()};
    spec.shape = {2, 6, 6};
    spec.dtype = "f32";
    spec.skip = skip;
    spec.limit = limit;
    spec.shuffle = shuffle;
    return calibrate(tiny_net(), open_dataset(spec));
  }
  std::filesystem::path path_ = std::filesystem::path(testing::TempDir()) /
                                ("lapidary_parts_" + std::to_string(getpid()) + ".raw");
};

TEST_F(PartsOfAFile, MergeToTheBytesOfOnePass) {
  for (const bool shuffle : {false, true}) {
    const std::string whole = seen(0, 0, shuffle).impl().serialize();
    Statistics first = seen(0, 256, shuffle), second = seen(256, 256, shuffle);
    Statistics backward = second;
    backward.merge(first);
    first.merge(second);
    EXPECT_TRUE(first.impl().serialize() == whole) << shuffle;
    EXPECT_TRUE(backward.impl().serialize() == whole) << shuffle;
  }
}

TEST_F(PartsOfAFile, ThatOverlapAreRefused) {
  Statistics first = seen(0, 256);
  const Statistics second = seen(200, 256);
  const Caught caught = error_of([&] { first.merge(second); });
  EXPECT_EQ(caught.code, ErrorCode::kInvalid);
  EXPECT_THAT(caught.text, HasSubstr("both statistics saw sample 200 of the same data"));
  EXPECT_EQ(first.samples(), 256);
}

TEST(Statistics, MergeOfAnotherGraphIsRefused) {
  Statistics a = calibrate(tiny_net(), tiny_data(8));
  const Statistics b = calibrate(tiny_net(0.5f), tiny_data(9));
  EXPECT_EQ(error_of([&] { a.merge(b); }).code, ErrorCode::kInvalid);
}

TEST(Statistics, MergeHasNoOrder) {
  const Statistics a = calibrate(tiny_net(), tiny_data(20, 0));
  const Statistics b = calibrate(tiny_net(), tiny_data(30, 20));
  const Statistics c = calibrate(tiny_net(), tiny_data(5, 50));
  Statistics ab_c = a, c_ba = c;
  ab_c.merge(b);
  ab_c.merge(c);
  Statistics ba = b;
  ba.merge(a);
  c_ba.merge(ba);
  EXPECT_EQ(ab_c.impl().serialize(), c_ba.impl().serialize());
  EXPECT_EQ(ab_c.samples(), 55);
}

TEST(Statistics, MergedPartsAreWhatOnePassSees) {
  Statistics parts = calibrate(tiny_net(), tiny_data(20, 0));
  parts.merge(calibrate(tiny_net(), tiny_data(30, 20)));
  const Statistics whole = calibrate(tiny_net(), tiny_data(50, 0));
  ASSERT_EQ(parts.tensors(), whole.tensors());
  ASSERT_GE(whole.tensors().size(), 4u);
  for (const std::string& name : whole.tensors()) {
    TensorStats a = parts.impl().tensor(name), b = whole.impl().tensor(name);
    EXPECT_EQ(a.chunks.size(), 2u);  // two data sets
    a.chunks.clear();
    b.chunks.clear();
    EXPECT_TRUE(a == b) << name;
  }
  EXPECT_TRUE(parts.impl().windows == whole.impl().windows);
  EXPECT_NE(parts.data_hash(), whole.data_hash());
}

TEST(Statistics, UnknownTensorsAreNamedWithTheClosest) {
  const Statistics stats = calibrate(tiny_net(), tiny_data(4));
  const Caught caught = error_of([&] { stats.min_max("logit"); });
  EXPECT_EQ(caught.code, ErrorCode::kUsage);
  EXPECT_THAT(caught.text, HasSubstr("logits"));
  EXPECT_FALSE(stats.has("logit"));
}

TEST(GraphHash, KnowsWhatIsComputed) {
  const std::string hash = graph_hash(tiny_net());
  EXPECT_EQ(graph_hash(tiny_net()), hash);
  EXPECT_NE(graph_hash(tiny_net(0.5f)), hash);  // another weight
  Graph documented = tiny_net();
  documented.model.doc = "a note";
  documented.model.metadata = {{"key", "value"}};
  EXPECT_EQ(graph_hash(documented), hash);
  Graph strided = tiny_net();
  strided.set_attr(strided.nodes()[0], "strides", std::vector<int64_t>{2, 2});
  EXPECT_NE(graph_hash(strided), hash);
  Graph renamed = tiny_net();
  renamed.rename_value(renamed.find_value("conv"), "other");
  EXPECT_NE(graph_hash(renamed), hash);  // statistics speak of names
}

}  // namespace
}  // namespace lapidary
