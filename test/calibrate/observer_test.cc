#include "calibrate/observer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "lapidary/error.h"
#include "test/calibrate/samples.h"

namespace lapidary {
namespace {

constexpr Grid kUint8{256, false}, kInt8{256, true}, kNarrowInt8{255, true}, kUint4{16, false};
/// Chunks are samples here: 50 of 400 values.
constexpr int kSamples = 50;

TensorStats stats_of(const std::vector<float>& values) { return stats_in_chunks(values, kSamples); }

Range range_of(std::string_view observer, const TensorStats& stats, const Grid& grid,
               const ObserverParams& params = {}) {
  return find_observer(observer).range(stats, grid, params);
}

/// Mean of (DQ(Q(x)) - x)^2 of the values themselves, in doubles, clipped ones counted
/// `clip_weight` times.
double error_of(const std::vector<float>& values, Range range, const Grid& grid,
                double clip_weight = 1) {
  const int steps = grid.symmetric ? 254 : grid.levels - 1;
  range = {std::min(range.low, 0.0), std::max(range.high, 0.0)};
  if (grid.symmetric) range = {-std::max(-range.low, range.high), std::max(-range.low, range.high)};
  const double scale = (range.high - range.low) / steps, zero = std::rint(-range.low / scale);
  double sum = 0;
  for (const double x : values) {
    const double q = std::clamp<double>(std::rint(x / scale) + zero, 0, steps);
    const double at = x / scale + zero;
    const bool clipped = at < -0.5 || at > steps + 0.5;
    sum += std::pow((q - zero) * scale - x, 2) * (clipped ? clip_weight : 1);
  }
  return sum / static_cast<double>(values.size());
}

/// What observer_reference.py prints for one draw.
struct Reference {
  const char* name;
  Range minmax;
  double sum;
  Range percentile_99, percentile_999, average;
};

// clang-format off
constexpr Reference kReferences[] = {
    {"exponential", {0.0002593994140625, 14.251876831054688}, 30329.63153076172,
     {0.0002593994140625, 6.7942657470703125}, {0.0002593994140625, 10.818817138671875},
     {0.005445687671943966, 10.143865598395088}},
    {"outlier", {7.62939453125e-05, 40.0}, 16104.203048706055,
     {7.62939453125e-05, 2.5361328125}, {7.62939453125e-05, 3.218353271484375},
     {0.0040517675560789975, 6.774106813201874}},
    {"bimodal", {-1.5424785614013672, 3.846393585205078}, 19998.503387451172,
     {-1.297262191772461, 3.57196044921875}, {-1.3905887603759766, 3.7245445251464844},
     {-1.345930985917024, 3.6613665594700096}},
    {"relu", {0.0, 3.047515869140625}, 3976.370361328125,
     {0.0, 1.800933837890625}, {0.0, 2.471160888671875},
     {0.0, 2.3001498496141295}},
    {"skewed", {-2.7120895385742188, 14.251876831054688}, 22703.11759185791,
     {-1.4028854370117188, 7.436767578125}, {-2.0993499755859375, 11.6834716796875},
     {-1.705999982401206, 10.000354301385746}},
};

/// Least errors that any pair of ends on a grid of 1/512 (two-sided: 1/128) of the range reaches,
/// without and with clipping counted four times, and the range of least divergence.
struct GridReference {
  const char* name;
  Grid grid;
  double minmax_error, mse_error, guarded_error;
  Range entropy;
};

constexpr GridReference kGridReferences[] = {
    {"exponential", kUint8, 0.0002630930972229674, 0.0002534702912166139, 0.0002599971444381067, {0.0002593994140625, 14.251876831054688}},
    {"exponential", kInt8, 0.0010516833303320847, 0.0009879746374495573, 0.0010249348547922512, {0.0002593994140625, 14.251876831054688}},
    {"exponential", kUint4, 0.07254826555479923, 0.04126510599774807, 0.05263172522173587, {0.0002593994140625, 8.0078125}},
    {"outlier", kUint8, 0.002061062658151592, 0.0020148425778279857, 0.0020710449475432272, {7.62939453125e-05, 40.0}},
    {"outlier", kInt8, 0.008209602057245727, 0.007496479260886762, 0.008065343155675557, {7.62939453125e-05, 4.34375}},
    {"outlier", kUint4, 0.5555359491904873, 0.07043087591863005, 0.20794953121877044, {7.62939453125e-05, 3.71875}},
    {"bimodal", kUint8, 3.697058318803225e-05, 3.5435175620299284e-05, 3.6550003951311474e-05, {-1.5424785614013672, 3.7421875}},
    {"bimodal", kInt8, 7.624832913312667e-05, 7.2687897625389e-05, 7.433999920401203e-05, {-0.55859375, 0.55859375}},
    {"bimodal", kUint4, 0.010659149441052302, 0.008210066314276752, 0.008644629568100323, {-1.5078125, 3.846393585205078}},
    {"relu", kUint8, 3.613553223615853e-06, 3.5905285814591884e-06, 3.5905285814591884e-06, {0.0, 2.9296875}},
    {"relu", kInt8, 1.4807246545799949e-05, 1.4145604547374518e-05, 1.4528339387774735e-05, {0.0, 2.783203125}},
    {"relu", kUint4, 0.00108071691500023, 0.0007554518659193083, 0.0008743807578322938, {0.0, 3.047515869140625}},
    {"skewed", kUint8, 0.0003697529271961597, 0.0003697915806276013, 0.00036441220618690657, {-2.7120895385742188, 11.734375}},
    {"skewed", kInt8, 0.0010476646743766303, 0.0009867573313024883, 0.0010274411206463523, {-2.7120895385742188, 12.8125}},
    {"skewed", kUint4, 0.10858572543517322, 0.05027675841532343, 0.06560864599432963, {-2.7120895385742188, 9.1875}},
};
// clang-format on

std::string label(const GridReference& r) {
  return std::string(r.name) + " on " + std::to_string(r.grid.levels) +
         (r.grid.symmetric ? " symmetric" : "") + " levels";
}

TEST(Draws, AreThoseOfTheReference) {
  for (const Reference& r : kReferences) {
    double sum = 0;
    for (const float x : draw(r.name)) sum += static_cast<double>(x);
    EXPECT_NEAR(sum, r.sum, 1e-7) << r.name;
  }
}

TEST(Minmax, IsTheSmallestAndTheLargestValue) {
  for (const Reference& r : kReferences)
    EXPECT_EQ(range_of("minmax", stats_of(draw(r.name)), kUint8), r.minmax) << r.name;
}

TEST(MovingAverage, FollowsTheSamplesInOrder) {
  for (const Reference& r : kReferences) {
    const Range range = range_of("moving_average", stats_of(draw(r.name)), kUint8);
    EXPECT_NEAR(range.low, r.average.low, 1e-6) << r.name;
    EXPECT_NEAR(range.high, r.average.high, 1e-6) << r.name;
  }
}

TEST(MovingAverage, SkipsChunksWithoutSamplesAndTakesTheMomentum) {
  TensorStats stats;
  stats.chunks["data"].add(0, -1, 1);
  stats.chunks["data"].add(3, -3, 5);  // chunks 1 and 2 saw nothing
  const Range range = range_of("moving_average", stats, kUint8, {.momentum = 0.5});
  EXPECT_EQ(range, (Range{-2, 3}));
  stats.chunks.clear();
  stats.min = -7;
  stats.max = 7;
  EXPECT_EQ(range_of("moving_average", stats, kUint8), (Range{-7, 7}));
}

TEST(Percentile, IsTheQuantileOfTheValues) {
  for (const Reference& r : kReferences) {
    const TensorStats stats = stats_of(draw(r.name));
    const double near = 1.01 * stats.histogram.width();  // a quantile is known to the bin
    const Range wide = range_of("percentile", stats, kUint8, {.percentile = 99.90625});
    const Range narrow = range_of("percentile", stats, kUint8, {.percentile = 99.03125});
    EXPECT_NEAR(wide.low, r.percentile_999.low, near) << r.name;
    EXPECT_NEAR(wide.high, r.percentile_999.high, near) << r.name;
    EXPECT_NEAR(narrow.low, r.percentile_99.low, near) << r.name;
    EXPECT_NEAR(narrow.high, r.percentile_99.high, near) << r.name;
    EXPECT_GT(r.minmax.high - narrow.high, 10 * near) << r.name;
  }
}

TEST(Percentile, OfAllValuesIsMinmax) {
  for (const Reference& r : kReferences)
    EXPECT_EQ(range_of("percentile", stats_of(draw(r.name)), kUint8, {.percentile = 100}), r.minmax)
        << r.name;
}

TEST(Percentile, NegativeValuesAreCutAtTheirLargest) {
  std::vector<float> values = draw("outlier");
  for (float& x : values) x = -x;
  const Range range = range_of("percentile", stats_of(values), kUint8, {.percentile = 99.03125});
  EXPECT_NEAR(range.low, -2.5361328125, 0.04);
  EXPECT_EQ(range.high, -7.62939453125e-05);
}

TEST(Mse, ReachesTheLeastErrorOfAnyClip) {
  for (const GridReference& r : kGridReferences) {
    const std::vector<float> values = draw(r.name);
    const TensorStats stats = stats_of(values);
    ASSERT_NEAR(error_of(values, {stats.min, stats.max}, r.grid), r.minmax_error,
                1e-9 * r.minmax_error)
        << label(r);
    const double mse = error_of(values, range_of("mse", stats, r.grid), r.grid);
    EXPECT_NEAR(mse, r.mse_error, 0.02 * r.mse_error) << label(r);
    EXPECT_LE(mse, r.minmax_error * 1.005) << label(r);
    const double guarded =
        error_of(values, range_of("mse_guarded", stats, r.grid), r.grid, kClipWeight);
    EXPECT_NEAR(guarded, r.guarded_error, 0.02 * r.guarded_error) << label(r);
  }
}

TEST(Mse, ClipsRareValuesWhereLevelsAreFew) {
  const TensorStats stats = stats_of(draw("outlier"));
  const Range mse = range_of("mse", stats, kUint4);
  const Range guarded = range_of("mse_guarded", stats, kUint4);
  EXPECT_NEAR(mse.high, 4.6875, 0.2);
  EXPECT_NEAR(guarded.high, 14.0625, 0.6);  // clipping costs four times as much
}

TEST(HistogramError, IsThatOfTheValues) {
  for (const GridReference& r : kGridReferences) {
    const std::vector<float> values = draw(r.name);
    const TensorStats stats = stats_of(values);
    const double width = stats.histogram.width();
    for (const double share : {1.0, 0.7, 0.3}) {
      const Range range{share * seen_range(stats).low, share * seen_range(stats).high};
      for (const double weight : {1.0, 4.0}) {
        const double expected = error_of(values, range, r.grid, weight);
        // Middles of bins stand for their values: w^2 / 12 on the average.
        EXPECT_NEAR(histogram_error(stats.histogram, range, r.grid, weight), expected,
                    0.02 * expected + width * width / 8)
            << label(r) << " share " << share;
      }
    }
  }
}

TEST(HistogramError, OfANarrowSymmetricGridHas254Steps) {
  // -127..127 with or without -128: the scale is max / 127 either way.
  const TensorStats stats = stats_of(draw("bimodal"));
  EXPECT_EQ(histogram_error(stats.histogram, {-1, 3}, kNarrowInt8),
            histogram_error(stats.histogram, {-1, 3}, kInt8));
}

TEST(Entropy, IsTheRangeOfLeastDivergence) {
  for (const GridReference& r : kGridReferences) {
    const TensorStats stats = stats_of(draw(r.name));
    const Range range = range_of("entropy", stats, r.grid);
    EXPECT_NEAR(range.low, r.entropy.low, 1e-9) << label(r);
    EXPECT_NEAR(range.high, r.entropy.high, 1e-9) << label(r);
  }
  const TensorStats stats = stats_of(draw("outlier"));
  EXPECT_EQ(range_of("entropy", stats, kNarrowInt8), range_of("entropy", stats, kInt8));
}

TEST(Entropy, IsNotMinmax) {
  EXPECT_LT(range_of("entropy", stats_of(draw("outlier")), kInt8).high, 40.0 / 8);
  EXPECT_LT(range_of("entropy", stats_of(draw("exponential")), kUint4).high, 14.2 / 1.5);
  EXPECT_LT(range_of("entropy", stats_of(draw("relu")), kUint8).high, 3.04);
}

TEST(Entropy, DoesNotCountExactZeros) {
  std::vector<float> values = draw("outlier");
  const Range before = range_of("entropy", stats_of(values), kInt8);
  TensorStats stats = stats_of(values);
  stats.histogram.add(std::vector<float>(100000), 0, 0);
  stats.min = 0;
  EXPECT_EQ(range_of("entropy", stats, kInt8).high, before.high);
}

TEST(Observers, KeepConstantAndEmptyTensors) {
  const TensorStats constant = stats_of(std::vector<float>(500, 2.5f));
  const TensorStats zeros = stats_of(std::vector<float>(500, 0.0f));
  for (const Observer& observer : all_observers())
    for (const Grid& grid : {kUint8, kInt8, kUint4}) {
      const Range range = observer.range(constant, grid, {});
      EXPECT_LE(range.low, 2.5) << observer.name;
      EXPECT_NEAR(range.high, 2.5, 0.06) << observer.name;
      EXPECT_EQ(observer.range(zeros, grid, {}), (Range{0, 0})) << observer.name;
      EXPECT_EQ(observer.range(TensorStats{}, grid, {}), (Range{0, 0})) << observer.name;
    }
}

TEST(Observers, TakeValuesFarFromZero) {
  // 8 million bins of this width lie between 0 and the values.
  std::vector<float> values = draw("relu");
  for (float& x : values) x = 1e6f + std::round(x * 16) / 16;
  const TensorStats stats = stats_of(values);
  for (const Observer& observer : all_observers())
    for (const Grid& grid : {kUint8, kInt8, kUint4}) {
      const Range range = observer.range(stats, grid, {});
      EXPECT_GE(range.low, 0) << observer.name;
      EXPECT_NEAR(range.high, 1e6, 2e4) << observer.name;
    }
}

TEST(Observers, StayInsideWhatWasSeen) {
  for (const Reference& r : kReferences) {
    const TensorStats stats = stats_of(draw(r.name));
    for (const Observer& observer : all_observers())
      for (const Grid& grid : {kUint8, kInt8, kUint4}) {
        const Range range = observer.range(stats, grid, {});
        EXPECT_GE(range.low, seen_range(stats).low) << observer.name << ' ' << r.name;
        EXPECT_LE(range.high, seen_range(stats).high) << observer.name << ' ' << r.name;
        EXPECT_LT(range.low, range.high) << observer.name << ' ' << r.name;
      }
  }
}

// Without what its row does not name an observer must choose the same, without what it does another
// range (on one of the tensors at least).
TEST(Observers, ReadWhatTheTableSays) {
  for (const Observer& observer : all_observers()) {
    bool by_histogram = false, by_chunks = false;
    for (const Reference& r : kReferences)
      for (const Grid& grid : {kUint8, kInt8, kUint4}) {
        const TensorStats all = stats_of(draw(r.name));
        TensorStats no_histogram = all, no_chunks = all;
        no_histogram.histogram = {};
        no_chunks.chunks.clear();
        const Range range = observer.range(all, grid, {.percentile = 90});
        by_histogram |= observer.range(no_histogram, grid, {.percentile = 90}) != range;
        by_chunks |= observer.range(no_chunks, grid, {.percentile = 90}) != range;
      }
    const Reads found = by_histogram ? Reads::kHistogram
                        : by_chunks  ? Reads::kChunks
                                     : Reads::kRange;
    EXPECT_EQ(observer.reads, found) << observer.name;
  }
}

TEST(Observers, AutoNeedsWhatAnyOfThemDoes) {
  EXPECT_EQ(calibrator_needs("auto").reads, Reads::kHistogram);
  EXPECT_TRUE(calibrator_needs("auto").searches_error);
  EXPECT_EQ(calibrator_needs("moving_average").reads, Reads::kChunks);
  EXPECT_FALSE(calibrator_needs("entropy").searches_error);
  EXPECT_TRUE(calibrator_needs(kDefaultCalibrator).searches_error);
  EXPECT_THROW(calibrator_needs("automatic"), Error);
}

TEST(Observers, ParametersOutOfRangeAreRefused) {
  EXPECT_NO_THROW(check_params({}));
  EXPECT_NO_THROW(check_params({.percentile = 50, .momentum = 1}));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const ObserverParams& wrong : {ObserverParams{.percentile = 49.9},
                                      {.percentile = 100.5},
                                      {.percentile = nan},
                                      {.momentum = 0},
                                      {.momentum = 1.01},
                                      {.momentum = nan}})
    EXPECT_THROW(check_params(wrong), Error) << wrong.percentile << ' ' << wrong.momentum;
}

TEST(Observers, UnknownNamesAreRefusedWithTheClosest) {
  try {
    find_observer("entrop");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_NE(std::string(error.what()).find("entropy"), std::string::npos) << error.what();
  }
}

TEST(Observers, TheListEndsWithAuto) {
  std::vector<std::string> names;
  for (const CalibratorInfo& info : list_calibrators()) {
    names.push_back(info.name);
    EXPECT_FALSE(info.help.empty()) << info.name;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"minmax", "moving_average", "percentile", "mse",
                                             "mse_guarded", "entropy", "auto"}));
}

}  // namespace
}  // namespace lapidary
