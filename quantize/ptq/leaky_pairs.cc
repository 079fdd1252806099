#include "quantize/ptq/leaky_pairs.h"

#include <algorithm>
#include <cmath>

#include "src/base/fail.h"
#include "src/passes/edit.h"

namespace lapidary {

namespace {

struct Grid1 {
  float scale, zero, least, most;
  explicit Grid1(const QuantParams& p)
      : scale(p.scale[0]),
        zero(static_cast<float>(p.zero_point[0])),
        least(static_cast<float>(p.qmin) - zero),
        most(static_cast<float>(p.qmax) - zero) {}
  float round(float x) const {
    const float at = std::min(std::max(x / scale, least), most);
    return ((at + 0x1.8p23f) - 0x1.8p23f) * scale;
  }
  bool clips(float x) const { return x < (least - 0.5f) * scale || x > (most + 0.5f) * scale; }
};

struct Pair {
  QuantParams x, y;
};

class Search {
 public:
  Search(const Histogram& histogram, float alpha) : alpha_(alpha) {
    for (int64_t i = 0; i < histogram.bins(); ++i) {
      double n = static_cast<double>(histogram.counts[static_cast<size_t>(i)]);
      if (histogram.first + i == 0) n -= static_cast<double>(histogram.zeros);
      if (n <= 0) continue;
      values_.push_back(static_cast<float>(histogram.middle(i)));
      weights_.push_back(n);
    }
  }

  double error(const Pair& pair) const {
    const Grid1 gx(pair.x), gy(pair.y);
    double sum = 0;
    for (size_t i = 0; i < values_.size(); ++i) {
      const float x = values_[i], y = leaky(x);
      const double d = static_cast<double>(gy.round(leaky(gx.round(x)))) - y;
      sum += weights_[i] * d * d * (gx.clips(x) || gy.clips(y) ? kClipWeight : 1);
    }
    return sum;
  }
  float leaky(float x) const { return x < 0 ? x * alpha_ : x; }

 private:
  float alpha_;
  std::vector<float> values_;
  std::vector<double> weights_;
};

/// One scale s for both: x over [low, high], y's zero point just deep enough for alpha * low.
Pair tied(double low, double high, double alpha, const QuantScheme& scheme) {
  Pair pair;
  pair.x = choose_qparams(Range{low, high}, scheme);
  pair.y = pair.x;
  const double depth = std::ceil(-low * alpha / static_cast<double>(pair.x.scale[0]));
  pair.y.zero_point[0] = scheme.qmin() + static_cast<int32_t>(std::clamp<double>(
                                             depth, 0, scheme.qmax() - scheme.qmin()));
  return pair;
}

/// Only x's group, and y's but for values that moved.
bool alone(const Placement& placement, const std::vector<ValueId>& members, ValueId id) {
  return std::all_of(members.begin(), members.end(), [&](ValueId member) {
    return member == id || placement.moved.contains(member.index);
  });
}

}  // namespace

int64_t pair_leaky_ranges(const Graph& graph, const Placement& placement, const Statistics& stats,
                          const QuantScheme& scheme, RangeMap& ranges) {
  if (scheme.symmetric) return 0;
  constexpr int kLows = 24, kHighs = 12;
  const auto groups = placement.scales.groups(placement.quantized);
  int64_t pairs = 0;
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    if (!node.is("LeakyRelu") || !placement.integer.contains(id.index)) continue;
    const ValueId x = node.inputs[0], y = node.outputs[0];
    if (!placement.is_quantized(x) || !placement.is_quantized(y)) continue;
    const ValueId x_root = placement.scales.root(x), y_root = placement.scales.root(y);
    if (x_root == y_root || only_user(graph, x) != id || !alone(placement, groups.at(x_root), x) ||
        !alone(placement, groups.at(y_root), y))
      continue;
    const Attr* given = node.attr("alpha");
    const double alpha = given ? static_cast<double>(std::get<float>(*given)) : 0.01;
    const TensorStats& seen = stats.impl().tensor(graph.value(x).name);
    if (!(alpha > 0 && alpha < 1) || !(seen.min < 0 && seen.max > 0)) continue;
    const Search search(seen.histogram, static_cast<float>(alpha));
    Pair best{choose_qparams(ranges.at(x_root).chosen, scheme),
              choose_qparams(ranges.at(y_root).chosen, scheme)};
    double least = search.error(best);
    const auto attempt = [&](const Pair& pair) {
      const double error = search.error(pair);
      if (error >= least) return;
      least = error;
      best = pair;
    };
    for (int i = 1; i <= kLows; ++i)
      for (int j = kHighs / 3; j <= kHighs; ++j) {
        const double low = static_cast<double>(seen.min) * i / kLows;
        const double high = static_cast<double>(seen.max) * j / kHighs;
        attempt(tied(low, high, alpha, scheme));
        attempt({choose_qparams(Range{low, high}, scheme),
                 choose_qparams(Range{alpha * low, high}, scheme)});
      }
    ranges.at(x_root).chosen = covered_range(best.x);
    ranges.at(y_root).chosen = covered_range(best.y);
    ranges.at(x_root).calibrator += "+pair";
    ranges.at(y_root).calibrator += "+pair";
    ++pairs;
  }
  return pairs;
}

}  // namespace lapidary
