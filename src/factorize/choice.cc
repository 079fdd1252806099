#include "src/factorize/choice.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lapidary::lowrank {

namespace {

/// Multiples of `round_to`, then the full rank.
std::vector<int64_t> rounded_ranks(int64_t round_to, int64_t full) {
  std::vector<int64_t> out;
  for (int64_t r = round_to; r < full; r += round_to) out.push_back(r);
  out.push_back(full);
  return out;
}

template <class F>
void each_ranks(const Ranks& full, int64_t round_to, F&& f) {
  for (const int64_t first : rounded_ranks(round_to, full[0])) {
    if (full.size() == 1)
      f(Ranks{first});
    else
      for (const int64_t second : rounded_ranks(round_to, full[1])) f(Ranks{first, second});
  }
}

int64_t by_value(double share, int64_t full) {
  return std::max<int64_t>(1, std::llround(share * static_cast<double>(full)));
}

/// What share and vbmf say.
Ranks ranks_of(const Decomposition& part, const RankRule& rule, int64_t round_to) {
  const Ranks full = part.full();
  Ranks out = rule.by == "vbmf" ? part.vbmf() : full;
  for (size_t i = 0; i < full.size(); ++i) {
    const int64_t away = rule.by == "vbmf" ? full[i] - out[i] : 0;
    const int64_t rank =
        rule.by == "vbmf"
            ? std::max<int64_t>(1, full[i] - std::llround(rule.value * static_cast<double>(away)))
            : by_value(rule.value, full[i]);
    out[i] = round_rank(rank, round_to, full[i]);
  }
  return out;
}

bool cheaper(const Choice& a, const std::optional<Choice>& b) {
  return !b || a.cost.macs < b->cost.macs || (a.cost.macs == b->cost.macs && a.energy > b->energy);
}

}  // namespace

int64_t round_rank(int64_t rank, int64_t round_to, int64_t full) {
  return std::min(full, (rank + round_to - 1) / round_to * round_to);
}

std::vector<Choice> all_choices(const Taken& taken, int64_t round_to) {
  std::vector<Choice> out;
  for (const auto& [method, part] : taken.parts)
    each_ranks(part->full(), round_to, [&](Ranks ranks) {
      const FactorizeCost cost = part->cost(ranks);
      if (cost.macs >= taken.layer->macs()) return;
      const double energy = part->energy(ranks);
      out.push_back({method, std::move(ranks), energy, cost});
    });
  return out;
}

std::optional<Choice> choose_alone(const Taken& taken, const RankRule& rule, int64_t round_to) {
  std::optional<Choice> best;
  const auto offer = [&](const Method* method, const Decomposition& part, Ranks ranks) {
    const Choice one{method, ranks, part.energy(ranks), part.cost(ranks)};
    if (cheaper(one, best)) best = one;
  };
  for (const auto& [method, part] : taken.parts) {
    if (rule.by == "energy")
      each_ranks(part->full(), round_to, [&](Ranks ranks) {
        if (part->energy(ranks) >= rule.value) offer(method, *part, std::move(ranks));
      });
    else
      offer(method, *part, ranks_of(*part, rule, round_to));
  }
  return best;
}

std::vector<size_t> lower_hull(const std::vector<Point>& points) {
  std::vector<size_t> order(points.size());
  std::iota(order.begin(), order.end(), size_t{0});
  // By falling cost; of one cost the least lost first.
  std::ranges::stable_sort(order, [&](size_t a, size_t b) {
    return points[a].cost > points[b].cost ||
           (points[a].cost == points[b].cost && points[a].lost < points[b].lost);
  });
  order.erase(order.begin(), std::ranges::find(order, size_t{0}));  // dearer than the layer
  const auto slope = [&](size_t from, size_t to) {
    return (points[to].lost - points[from].lost) / (points[from].cost - points[to].cost);
  };
  std::vector<size_t> hull = {0};
  for (const size_t i : order) {
    if (points[i].cost >= points[hull.back()].cost) continue;
    while (hull.size() > 1 &&
           slope(hull[hull.size() - 2], i) <= slope(hull[hull.size() - 2], hull.back()))
      hull.pop_back();
    hull.push_back(i);
  }
  return hull;
}

std::optional<std::vector<size_t>> meet_bound(const std::vector<std::vector<Point>>& layers,
                                              double bound) {
  std::vector<std::vector<size_t>> hulls;
  double total = 0;
  for (const auto& points : layers) {
    hulls.push_back(lower_hull(points));
    total += points[0].cost;
  }
  std::vector<size_t> at(layers.size()), chosen(layers.size());
  while (total > bound) {
    std::optional<size_t> best;
    double least = 0;
    for (size_t i = 0; i < layers.size(); ++i) {
      if (at[i] + 1 >= hulls[i].size()) continue;
      const Point &from = layers[i][hulls[i][at[i]]], &to = layers[i][hulls[i][at[i] + 1]];
      const double slope = (to.lost - from.lost) / (from.cost - to.cost);
      if (!best || slope < least) best = i, least = slope;
    }
    if (!best) return std::nullopt;
    const Point& from = layers[*best][hulls[*best][at[*best]]];
    chosen[*best] = hulls[*best][++at[*best]];
    total += layers[*best][chosen[*best]].cost - from.cost;
  }
  // From the layer that lost most on: the point that loses least of those that fit.
  std::vector<size_t> order(layers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) {
    return layers[a][chosen[a]].lost > layers[b][chosen[b]].lost;
  });
  for (const size_t i : order) {
    const double rest = total - layers[i][chosen[i]].cost;
    for (size_t p = 0; p < layers[i].size(); ++p)
      if (rest + layers[i][p].cost <= bound && layers[i][p].lost < layers[i][chosen[i]].lost)
        chosen[i] = p;
    total = rest + layers[i][chosen[i]].cost;
  }
  return chosen;
}

}  // namespace lapidary::lowrank
