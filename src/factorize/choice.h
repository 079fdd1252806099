#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "src/factorize/method.h"

namespace lapidary::lowrank {

/// A method with ranks, for a layer.
struct Choice {
  const Method* method = nullptr;
  Ranks ranks;
  double energy = 1;
  FactorizeCost cost;
};

/// A layer that some method fits, with its weights taken apart by each of these.
struct Taken {
  Layer* layer = nullptr;
  Matrix w;
  std::optional<Matrix> inputs = {};  ///< as Method::take_apart has them
  std::vector<std::pair<const Method*, std::unique_ptr<Decomposition>>> parts = {};

  const Decomposition& part(const Method* method) const {
    return *std::ranges::find(parts, method, [](const auto& p) { return p.first; })->second;
  }
};

/// Rounded up to a multiple, at most full.
int64_t round_rank(int64_t rank, int64_t round_to, int64_t full);

/// All ranks of all methods that are multiples of `round_to` or full, with fewer MACs than the
/// layer has.
std::vector<Choice> all_choices(const Taken& taken, int64_t round_to);

/// What the rule, which is no target, says of the layer: of the methods' choices the one of fewest
/// MACs, be they fewer than the layer's or not. None: no ranks keep the energy.
std::optional<Choice> choose_alone(const Taken& taken, const RankRule& rule, int64_t round_to);

/// Of one layer: points that are worth taking, by falling cost, each with what is lost.
struct Point {
  std::optional<Choice> choice;  ///< none: the layer as it is
  double cost = 0;
  double lost = 0;  ///< share of energy
};

/// One point of each layer, so that the sum of their costs is `bound` at most and little is lost:
/// the step between neighbours on a layer's lower hull that loses least per cost goes first; what
/// the last one saved too much is then given back. None where no points meet the bound.
std::optional<std::vector<size_t>> meet_bound(const std::vector<std::vector<Point>>& layers,
                                              double bound);

/// Indices of the points on the lower convex hull of (cost, lost), by falling cost, the first one
/// (the layer as it is) included.
std::vector<size_t> lower_hull(const std::vector<Point>& points);

}  // namespace lapidary::lowrank
