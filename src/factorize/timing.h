#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "src/factorize/choice.h"

namespace lapidary::lowrank {

/// Times of layers alone, as they are and in factors.
class Timing {
 public:
  using Latency = std::function<double(const Graph&, bool again)>;
  /// `graph` outlives it and has its layers as they are whenever one is timed.
  Timing(const Graph& graph, const Latency& latency) : graph_(graph), latency_(latency) {}

  bool wanted() const { return static_cast<bool>(latency_); }
  /// Milliseconds, the first that were measured; `again`: those of a second measurement.
  double before(const Taken& taken, bool again);
  double after(const Taken& taken, const Choice& choice, bool again);
  double model(const Graph& whole) { return measured("", whole, false); }
  /// The layer's time was asked for.
  bool knows(const Taken& taken) const { return times_.contains(key_of(taken)); }
  /// Both timed again.
  bool beats_layer(const Taken& taken, const Choice& choice) {
    return after(taken, choice, true) < before(taken, true);
  }
  /// The points with milliseconds as cost: the layer as it is, and a few of those on the lower hull
  /// of the cost that they come with.
  std::vector<Point> timed(const Taken& taken, const std::vector<Point>& points);

 private:
  double measured(const std::string& key, const Graph& graph, bool again);
  static std::string key_of(const Taken& taken);

  const Graph& graph_;
  const Latency& latency_;
  std::map<std::string, double> times_, again_;
};

}  // namespace lapidary::lowrank
