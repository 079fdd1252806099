#include "quantize/ranges.h"

#include <cmath>

#include "calibrate/statistics.h"
#include "quantize/ptq/leaky_pairs.h"
#include "quantize/ptq/range_search.h"
#include "test/calibrate/samples.h"
#include "test/quantize/nets.h"

namespace lapidary {
namespace {

constexpr QuantScheme kUint8{.bits = 8};

TensorStats stats_of(const std::vector<float>& values) {
  return stats_in_chunks(values, values.size());
}

/// Values as Q -> DQ gives them back, and whether they were clipped: in doubles.
double round_trip(double x, const QuantParams& p, bool* clipped = nullptr) {
  const double scale = static_cast<double>(p.scale[0]), at = x / scale + p.zero_point[0];
  if (clipped && (at < p.qmin - 0.5 || at > p.qmax + 0.5)) *clipped = true;
  return (std::clamp<double>(std::rint(x / scale) + p.zero_point[0], p.qmin, p.qmax) -
          p.zero_point[0]) *
         scale;
}

double squared_error(const std::vector<float>& values, const Range& range) {
  const QuantParams params = choose_qparams(range, kUint8);
  double sum = 0;
  for (const double x : values) sum += std::pow(round_trip(x, params) - x, 2);
  return sum / static_cast<double>(values.size());
}

TEST(AutoRange, WithoutSamplesIsTheLeastErrorOfAllObservers) {
  for (const char* name : {"exponential", "outlier", "bimodal", "relu", "skewed"}) {
    const std::vector<float> values = draw(name);
    const TensorStats stats = stats_of(values);
    RangeOptions options{"auto", {.percentile = 99}, kUint8};
    const ChosenRange chosen = observe_range(stats, options);
    EXPECT_EQ(chosen.seen, seen_range(stats));
    const double error = squared_error(values, chosen.chosen);
    double least = INFINITY, most = 0;
    for (const Observer& observer : all_observers()) {
      options.calibrator = observer.name;
      const double one = squared_error(values, observe_range(stats, options).chosen);
      least = std::min(least, one);
      most = std::max(most, one);
    }
    EXPECT_LE(error, 1.05 * least) << name << ' ' << chosen.calibrator;
    EXPECT_GT(most, 2 * least) << name;  // there was something to choose
  }
}

TEST(GroupStats, MergeMembersButThoseThatOnlyMoved) {
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 16, 4, 4});
  const ValueId a = net.conv(x, 16, 16, "a"), b = net.conv(x, 16, 16, "b");
  const ValueId cat = net.op("Concat", {a, b}, "cat", {{"axis", int64_t{1}}});
  const Graph graph = net.finish({net.conv(cat, 32, 16, "d")});
  const Placement placement = place(graph, find_target("onnxruntime-cpu"), {});
  Statistics stats;
  stats.impl().tensors["a"] = stats_of({-1, 2});
  stats.impl().tensors["b"] = stats_of({0.5f, 3, -0.25f});
  stats.impl().tensors["cat"] = stats_of({-100, 100});  // moved: not asked
  const auto groups = placement.scales.groups(placement.quantized);
  const TensorStats merged =
      group_stats(graph, placement, stats, groups.at(placement.scales.root(cat)));
  EXPECT_EQ(merged.count, 5u);
  EXPECT_EQ(merged.min, -1);
  EXPECT_EQ(merged.max, 3);
  EXPECT_EQ(error_of([&] { group_stats(graph, placement, stats, {x}); }).code, ErrorCode::kUsage);
}

// -- ranges found by trying them on samples

/// x [N,8] -> Gemm -> y, weights of the last feature 0: what it holds must not cost resolution.
Graph deaf_to_the_last() {
  Net net;
  Tensor w = ramp({8, 4}, 3);
  for (size_t o = 0; o < 4; ++o) w.mutable_data<float>()[28 + o] = 0;
  const ValueId x = net.input("x", {Dim::named("N"), 8});
  return net.finish({net.op("Gemm", {x, net.constant("w", w)}, "y")});
}

/// 64 samples of bell-shaped features; the last one is 600 in every fourth.
Tensor loud_last() {
  Rng rng(3);
  Tensor x(DType::kF32, {64, 8});
  for (int64_t i = 0; i < x.size(); ++i) {
    const double v = bell(rng);
    x.mutable_data<float>()[static_cast<size_t>(i)] = static_cast<float>(i % 32 == 7 ? 600 : v);
  }
  return x;
}

TEST(RangeSearch, CountsTheErrorOfTheLayersThatRead) {
  const Graph form = calibrated_form(deaf_to_the_last());
  const Tensor x = loud_last();
  const Dataset data = dataset_of({{"x", x}});
  const Statistics stats = calibrate(form, data);
  const Placement placement = place(form, find_target("onnxruntime-cpu"), {});
  const ValueId id = form.find_value("x");
  const Tensor* w = form.constant(form.node(find_node(form, "Gemm")).inputs[1]);

  // sum over outputs and the first 16 samples of (W (Q(x) - x))^2, by loops.
  const auto output_error = [&](const Range& range) {
    const QuantParams params = choose_qparams(range, kUint8);
    double sum = 0;
    for (size_t n = 0; n < 16; ++n)
      for (size_t o = 0; o < 4; ++o) {
        double y = 0;
        for (size_t k = 0; k < 8; ++k) {
          const double v = static_cast<double>(x.data<float>()[n * 8 + k]);
          y += static_cast<double>(w->data<float>()[k * 4 + o]) * (round_trip(v, params) - v);
        }
        sum += y * y;
      }
    return sum;
  };
  const RangeOptions options{"auto", {.percentile = 90}, kUint8};
  const RangeMap searched = search_ranges(form, placement, stats, data, 16, options, 1);
  const RangeMap observed = observe_ranges(form, placement, stats, options);
  double least = INFINITY;
  for (const Observer& observer : all_observers())
    least = std::min(least, output_error(observer.range(stats.impl().tensor("x"), {256, false},
                                                        options.params)));
  // Within what a preference for the usual calibrator may cost; the histogram's choice is far off.
  EXPECT_LE(output_error(searched.at(id).chosen), 2 * least) << searched.at(id).calibrator;
  EXPECT_GT(output_error(observed.at(id).chosen), 10 * least) << observed.at(id).calibrator;
  EXPECT_LT(searched.at(id).chosen.high, 10);
  EXPECT_EQ(searched.at(id).seen.high, 600);
}

TEST(RangeSearch, ThreadsAgree) {
  const Graph form = calibrated_form(tiny_net());
  const Dataset data = tiny_data(20);
  const Statistics stats = calibrate(form, data);
  const Placement placement = place(form, find_target("onnxruntime-cpu"), {});
  const RangeOptions options{"auto", {}, kUint8};
  const RangeMap one = search_ranges(form, placement, stats, data, 16, options, 1);
  const RangeMap two = search_ranges(form, placement, stats, data, 16, options, 2);
  ASSERT_EQ(one.size(), two.size());
  for (const auto& [root, range] : one) {
    EXPECT_EQ(range.chosen, two.at(root).chosen);
    EXPECT_EQ(range.calibrator, two.at(root).calibrator);
  }
}

// -- x -> LeakyRelu -> y

/// quantize_reference.py, "leaky_pairs".
std::vector<float> leaky_values(double factor, int every) {
  Rng rng(11);
  std::vector<float> values;
  for (int i = 0; i < 4000; ++i)
    values.push_back(
        static_cast<float>(i % every == 0 ? -factor * stairs(rng) : std::fabs(bell(rng))));
  return values;
}

Graph leaky_net() {
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 2, 4, 4});
  const ValueId c = net.conv(x, 2, 2, "c");
  const ValueId f = net.op("LeakyRelu", {c}, "f", {{"alpha", 0.02f}});
  return net.finish({net.conv(f, 2, 2, "d")});
}

/// Mean of (Q_y(f(Q_x(x))) - f(x))^2, clipped values counted four times.
double leaky_error(const std::vector<float>& values, const Range& x_range, const Range& y_range) {
  const QuantParams px = choose_qparams(x_range, kUint8), py = choose_qparams(y_range, kUint8);
  const auto f = [](double v) { return v < 0 ? 0.02 * v : v; };
  double sum = 0;
  for (const double x : values) {
    bool clipped = false;
    const double inner = round_trip(x, px, &clipped);
    round_trip(f(x), py, &clipped);
    sum += std::pow(round_trip(f(inner), py) - f(x), 2) * (clipped ? 4 : 1);
  }
  return sum / static_cast<double>(values.size());
}

struct LeakyCase {
  double factor;
  int every;
  double sum, seen_error, least_error;
};
constexpr LeakyCase kLeaky[] = {
    {6, 100, 2826.2028045654297, 0.003382187099039954, 0.0009276511313370524},
    {10, 200, 2729.5558166503906, 0.017217402961148428, 0.004637694477502305},
};

TEST(LeakyPairs, ReachTheLeastErrorOfAnyPair) {
  for (const LeakyCase& c : kLeaky) {
    const std::vector<float> values = leaky_values(c.factor, c.every);
    double sum = 0;
    for (const float v : values) sum += static_cast<double>(v);
    ASSERT_NEAR(sum, c.sum, 1e-2);
    std::vector<float> made = values;
    for (float& v : made) v = v < 0 ? 0.02f * v : v;
    const Graph graph = leaky_net();
    const Placement placement = place(graph, find_target("onnxruntime-cpu"), {});
    const ValueId x = graph.find_value("c"), y = graph.find_value("f");
    Statistics stats;
    stats.impl().tensors["x"] = stats_of({-1, 1});
    stats.impl().tensors["d"] = stats_of({-1, 1});
    stats.impl().tensors["c"] = stats_of(values);
    stats.impl().tensors["f"] = stats_of(made);
    RangeMap ranges = observe_ranges(graph, placement, stats, {"minmax", {}, kUint8});
    ASSERT_NEAR(leaky_error(values, ranges.at(x).chosen, ranges.at(y).chosen), c.seen_error,
                0.02 * c.seen_error);
    EXPECT_EQ(pair_leaky_ranges(graph, placement, stats, kUint8, ranges), 1);
    const double found = leaky_error(values, ranges.at(x).chosen, ranges.at(y).chosen);
    EXPECT_LE(found, 1.05 * c.least_error) << c.factor;
    EXPECT_GE(found, 0.95 * c.least_error) << c.factor;
    EXPECT_EQ(ranges.at(x).calibrator, "minmax+pair");
    EXPECT_EQ(ranges.at(y).calibrator, "minmax+pair");
    EXPECT_EQ(ranges.at(graph.find_value("x")).calibrator, "minmax");
  }
}

TEST(LeakyPairs, NotWhereSomethingElseReadsThePair) {
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 2, 4, 4});
  const ValueId c = net.conv(x, 2, 2, "c");
  const ValueId f = net.op("LeakyRelu", {c}, "f");
  const Graph graph = net.finish({net.conv(f, 2, 2, "d"), c});
  const Placement placement = place(graph, find_target("onnxruntime-cpu"), {});
  Statistics stats;
  for (const char* name : {"x", "c", "f", "d"})
    stats.impl().tensors[name] = stats_of(leaky_values(6, 100));
  RangeMap ranges = observe_ranges(graph, placement, stats, {"minmax", {}, kUint8});
  EXPECT_EQ(pair_leaky_ranges(graph, placement, stats, kUint8, ranges), 0);
  const QuantScheme symmetric{.bits = 8, .is_signed = true, .symmetric = true};
  EXPECT_EQ(pair_leaky_ranges(leaky_net(), placement, stats, symmetric, ranges), 0);
}

}  // namespace
}  // namespace lapidary
