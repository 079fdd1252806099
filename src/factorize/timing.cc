#include "src/factorize/timing.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "src/ops/infer.h"

namespace lapidary::lowrank {

namespace {

/// Points of a layer that are timed, at most: each is one or two shapes for kernels to run.
constexpr size_t kMostPoints = 6;

}  // namespace

std::string Timing::key_of(const Taken& taken) { return std::to_string(taken.layer->node.index); }

double Timing::measured(const std::string& key, const Graph& graph, bool again) {
  auto& known = again ? again_ : times_;
  if (const auto found = known.find(key); found != known.end()) return found->second;
  const double ms = latency_(graph, again);
  times_.try_emplace(key, ms);
  return known[key] = ms;
}

double Timing::before(const Taken& taken, bool again) {
  return measured(key_of(taken), layer_alone(graph_, *taken.layer).graph, again);
}

double Timing::after(const Taken& taken, const Choice& choice, bool again) {
  LayerAlone alone = layer_alone(graph_, *taken.layer);
  replace_layer(alone.graph, alone.layer, taken.part(choice.method).factors(choice.ranks, false));
  infer_types(alone.graph);
  const std::string key =
      fmt::format("{} {} {}", key_of(taken), choice.method->name, fmt::join(choice.ranks, " "));
  return measured(key, alone.graph, again);
}

std::vector<Point> Timing::timed(const Taken& taken, const std::vector<Point>& points) {
  std::vector<Point> out = {{std::nullopt, before(taken, false), 0}};
  const std::vector<size_t> hull = lower_hull(points);
  const size_t steps = std::min(hull.size() - 1, kMostPoints);
  for (size_t i = 1; i <= steps; ++i) {  // spread over the hull, its end included
    const Point& point = points[hull[i * (hull.size() - 1) / steps]];
    out.push_back({point.choice, after(taken, *point.choice, false), point.lost});
  }
  return out;
}

}  // namespace lapidary::lowrank
