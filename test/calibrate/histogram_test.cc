#include "calibrate/histogram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "test/calibrate/samples.h"

namespace lapidary {
namespace {

constexpr float kLargest = std::numeric_limits<float>::max();

void add(Histogram& h, std::span<const float> values, int threads = 1) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  h.add(values, *low, *high, threads);
}

Histogram histogram_of(std::span<const float> values, int threads = 1) {
  Histogram h;
  add(h, values, threads);
  return h;
}

/// floor(x / w) counted one by one.
std::map<int64_t, uint64_t> counted(const std::vector<float>& values, double width) {
  std::map<int64_t, uint64_t> counts;
  for (const double x : values) ++counts[static_cast<int64_t>(std::floor(x / width))];
  return counts;
}

std::map<int64_t, uint64_t> filled(const Histogram& h) {
  std::map<int64_t, uint64_t> counts;
  for (int64_t i = 0; i < h.bins(); ++i)
    if (h.counts[static_cast<size_t>(i)] > 0)
      counts[h.first + i] = h.counts[static_cast<size_t>(i)];
  return counts;
}

TEST(Histogram, CountsEveryValueInItsBin) {
  for (const char* name : {"exponential", "outlier", "bimodal", "relu", "skewed"}) {
    const std::vector<float> values = draw(name);
    const Histogram h = histogram_of(values);
    EXPECT_EQ(h.total(), values.size()) << name;
    EXPECT_EQ(filled(h), counted(values, h.width())) << name;
    EXPECT_EQ(h.zeros, static_cast<uint64_t>(std::count(values.begin(), values.end(), 0.0f)));
    EXPECT_GT(h.bins(), Histogram::kMaxBins / 2) << name;  // as fine as fits
    EXPECT_LE(h.bins(), Histogram::kMaxBins) << name;
  }
}

TEST(Histogram, TheWidthIsTheLeastThatFits) {
  // [0, 2047 w] has 2048 bins, [0, 2048 w] has one too many.
  const std::vector<float> fitting = {0.0f, 2047.0f / 1024}, wider = {0.0f, 2048.0f / 1024};
  EXPECT_EQ(histogram_of(fitting).exponent, -10);
  EXPECT_EQ(histogram_of(fitting).bins(), 2048);
  EXPECT_EQ(histogram_of(wider).exponent, -9);
  EXPECT_EQ(histogram_of(wider).bins(), 1025);
  EXPECT_EQ(histogram_of(wider).edge(1024), 2.0);
}

TEST(Histogram, GrowsToWhatOnePassGives) {
  for (const char* name : {"exponential", "outlier", "bimodal", "relu", "skewed"}) {
    const std::vector<float> values = draw(name);
    const Histogram once = histogram_of(values);
    Histogram grown;
    for (size_t at = 0; at < values.size(); at += 400)
      add(grown, std::span(values).subspan(at, 400));
    EXPECT_EQ(grown, once) << name;
    std::vector<float> backwards(values.rbegin(), values.rend());
    Histogram reversed;
    for (size_t at = 0; at < backwards.size(); at += 800)
      add(reversed, std::span(backwards).subspan(at, 800));
    EXPECT_EQ(reversed, once) << name;
  }
}

TEST(Histogram, MergesToWhatOnePassGives) {
  const std::vector<float> values = draw("skewed");
  const Histogram once = histogram_of(values);
  for (const size_t cut : {1u, 7u, 5000u, 19999u}) {
    const Histogram a = histogram_of(std::span(values).first(cut));
    const Histogram b = histogram_of(std::span(values).subspan(cut));
    Histogram ab = a, ba = b;
    ab.merge(b);
    ba.merge(a);
    EXPECT_EQ(ab, once) << cut;
    EXPECT_EQ(ba, once) << cut;
  }
  Histogram empty, same = once;
  same.merge(empty);
  EXPECT_EQ(same, once);
  empty.merge(once);
  EXPECT_EQ(empty, once);
}

TEST(Histogram, MergesWidthsFarApart) {
  // 2^-90 and 2^90 in one: everything small falls into the bin that begins at 0, or just below it.
  const std::vector<float> small = {0x1p-90f, 0x1.8p-90f, -0x1p-91f}, large = {0x1p90f};
  Histogram h = histogram_of(small);
  h.merge(histogram_of(large));
  EXPECT_EQ(h.total(), 4u);
  EXPECT_EQ(filled(h), (std::map<int64_t, uint64_t>{{-1, 1}, {0, 2}, {1024, 1}}));
  EXPECT_EQ(h.width(), 0x1p80);
}

TEST(Histogram, HoldsTheEndsOfFloat32) {
  const std::vector<float> values = {-kLargest, kLargest, 0.0f, -0.0f, 0x1p-149f};
  const Histogram h = histogram_of(values);
  EXPECT_EQ(h.total(), 5u);
  EXPECT_EQ(h.zeros, 2u);
  EXPECT_EQ(filled(h), counted(values, h.width()));
}

TEST(Histogram, ThreadsAgreeToTheBit) {
  std::vector<float> values;
  for (int i = 0; i < 10; ++i)
    for (const float x : draw("skewed")) values.push_back(x * static_cast<float>(i + 1));
  values.pop_back();  // no whole number of blocks
  const Histogram one = histogram_of(values, 1);
  EXPECT_EQ(one.total(), values.size());
  for (const int threads : {2, 3, 7}) EXPECT_EQ(histogram_of(values, threads), one) << threads;
}

TEST(Histogram, NeverHasMoreBinsThanAllowed) {
  Histogram h;
  Rng rng(1);
  uint64_t added = 0;
  for (int round = 0; round < 400; ++round) {
    const double reach = std::ldexp(rng.uniform(), static_cast<int>(rng.below(160)) - 80);
    std::vector<float> values;
    for (int i = 0; i < 17; ++i)
      values.push_back(static_cast<float>((rng.uniform() - 0.5) * reach));
    add(h, values);
    added += values.size();
    ASSERT_LE(h.bins(), Histogram::kMaxBins);
    ASSERT_EQ(h.total(), added);
  }
}

TEST(Histogram, FarFromZeroIndicesStayExact) {
  // 1e6 .. 1e6 + 1: 2^-1 would do for 2048 bins of the span, |index| < 2^23 asks for 2^-3 at most.
  const std::vector<float> values = {1000000.0f, 1000000.25f, 1000001.0f};
  const Histogram h = histogram_of(values);
  EXPECT_EQ(h.exponent, -3);
  EXPECT_EQ(filled(h), counted(values, h.width()));
}

}  // namespace
}  // namespace lapidary
