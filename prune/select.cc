#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "lapidary/prune.h"
#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ir/patterns.h"

namespace lapidary {

namespace {

/// Shares that are further apart are not the same.
constexpr double kMissed = 0.01;

/// What a target counts, of a graph without some units.
class Measure {
 public:
  Measure(const PruningGraph& graph, const SelectOptions& options)
      : graph_(graph), options_(options), before_(amount(RemovedUnits(graph.groups().size()))) {}

  double share_left(const RemovedUnits& removed) const {
    return before_ > 0 ? amount(removed) / before_ : 1;
  }

 private:
  double amount(const RemovedUnits& removed) const {
    const std::string& of = options_.target.of;
    if (of == "units") {
      int64_t left = 0;
      for (size_t g = 0; g < removed.size(); ++g)
        left += graph_.groups()[g].units - std::ssize(removed[g]);
      return static_cast<double>(left);
    }
    if (of == "latency") {
      if (!options_.latency) fail_usage("a target of latency needs SelectOptions::latency");
      return options_.latency(removed);
    }
    const PruneCost cost = graph_.cost(removed);
    if (of == "macs") return static_cast<double>(cost.macs);
    if (of == "parameters") return static_cast<double>(cost.parameters);
    if (of == "size") return static_cast<double>(cost.bytes);
    fail_usage("a target is of units, macs, parameters, size or latency, not of '{}'", of);
  }

  const PruningGraph& graph_;
  const SelectOptions& options_;
  const double before_;
};

/// How many units go, as one number between nothing (0) and all that may (1), in the order of their
/// scores: what a search runs over.
class Ranking {
 public:
  Ranking(const PruningGraph& graph, const UnitScores& scores, const SelectOptions& options,
          const Measure& measure)
      : graph_(graph), options_(options), measure_(measure) {
    const auto& groups = graph.groups();
    if (scores.size() != groups.size())
      fail_usage("scores of {} groups are given, the graph has {}", scores.size(), groups.size());
    match_patterns();
    for (size_t g = 0; g < groups.size(); ++g) {
      std::vector<int64_t> order(static_cast<size_t>(groups[g].units));
      for (size_t u = 0; u < order.size(); ++u) order[u] = static_cast<int64_t>(u);
      if (scores[g].size() != order.size())
        fail_usage("group '{}' has {} units, {} scores are given", groups[g].name, order.size(),
                   scores[g].size());
      std::ranges::stable_sort(order, {},
                               [&](int64_t u) { return scores[g][static_cast<size_t>(u)]; });
      orders_.push_back(std::move(order));
    }
    for (size_t g = 0; g < groups.size(); ++g) {
      if (ratios_[g] || !reasons_[g].empty()) continue;
      const double per = options.per_cost ? saved_by_one(g) : 1;
      for (int64_t i = 0; i < most(g); ++i) {
        const int64_t unit = orders_[g][static_cast<size_t>(i)];
        ranked_.push_back({scores[g][static_cast<size_t>(unit)] / per, g});
      }
    }
    std::ranges::stable_sort(ranked_, {}, &Ranked::score);
  }

  int64_t steps() const { return options_.scope == "global" ? std::ssize(ranked_) : int64_t{1000}; }

  /// The units that go at step 0..steps().
  RemovedUnits at(int64_t step) const {
    std::vector<int64_t> counts(orders_.size());
    if (options_.scope == "global") {
      for (int64_t i = 0; i < step; ++i) ++counts[ranked_[static_cast<size_t>(i)].group];
    } else {
      for (size_t g = 0; g < counts.size(); ++g)
        if (reasons_[g].empty())
          counts[g] = std::min(most(g), share_of(g, static_cast<double>(step) / 1000.0));
    }
    RemovedUnits removed;
    for (size_t g = 0; g < counts.size(); ++g) {
      const int64_t count = ratios_[g] ? share_of(g, *ratios_[g]) : counts[g];
      const int64_t go = rounded(g, count);
      std::vector<int64_t> units(orders_[g].begin(), orders_[g].begin() + go);
      std::ranges::sort(units);
      removed.push_back(std::move(units));
    }
    return removed;
  }

  /// Of the target's cost, by the first unit of a group that goes; latency changes in steps, so
  /// that a quarter of the group stands for it there.
  double saved_by_one(size_t g) const {
    const int64_t count =
        options_.target.of == "latency" ? std::max<int64_t>(1, units(g) / 4) : int64_t{1};
    RemovedUnits one(orders_.size());
    one[g] = {orders_[g].begin(), orders_[g].begin() + count};
    std::ranges::sort(one[g]);
    return std::max(1e-12, 1 - measure_.share_left(one)) / static_cast<double>(count);
  }

  const std::vector<std::string>& reasons() const { return reasons_; }

  /// Options without which more could go than at the last step, or as many as asked.
  std::vector<std::string> limits() const {
    std::vector<std::string> out;
    bool round = false, most_bound = false, lossy = false, one = false;
    for (size_t g = 0; g < orders_.size(); ++g) {
      lossy |= !options_.lossy && !graph_.groups()[g].lossy.empty();
      if (ratios_[g] || !reasons_[g].empty()) continue;
      one |= rounded(g, units(g) - 1) == units(g) - 1;
      most_bound |= most(g) < units(g) - 1;
      round |= options_.round_to > 1 && rounded(g, most(g)) < most(g);
    }
    if (round) out.push_back(fmt::format("round_to ({})", options_.round_to));
    if (most_bound) out.push_back(fmt::format("max_ratio ({:g})", options_.max_ratio));
    if (!options_.keep.empty()) out.emplace_back("keep");
    if (!options_.ratios.empty()) out.emplace_back("ratios");
    if (lossy) out.emplace_back("lossy (false)");
    if (one) out.emplace_back("one unit of each group stays");
    if (out.empty()) out.emplace_back("axes that are frozen");
    return out;
  }

 private:
  struct Ranked {
    double score;
    size_t group;
  };

  int64_t units(size_t g) const { return graph_.groups()[g].units; }
  int64_t share_of(size_t g, double share) const {
    return std::llround(share * static_cast<double>(units(g)));
  }
  /// How many may go.
  int64_t most(size_t g) const {
    return std::min(units(g) - 1,
                    static_cast<int64_t>(options_.max_ratio * static_cast<double>(units(g))));
  }
  /// What is left is a multiple of round_to, the nearest that the limits allow; a group that has
  /// fewer units keeps all.
  int64_t rounded(size_t g, int64_t go) const {
    const int64_t by = options_.round_to, left = units(g) - go;
    if (go == 0) return 0;
    int64_t keep = (left + by / 2) / by * by;
    const int64_t least = ratios_[g] ? 1 : units(g) - most(g);
    while (keep < std::max<int64_t>(1, least)) keep += by;
    return keep >= units(g) ? 0 : units(g) - keep;
  }

  /// Groups of that name, or whose units a node or weight computes that the pattern matches.
  std::vector<size_t> matching(const std::string& pattern) const {
    const auto& groups = graph_.groups();
    const auto computes = [](const PruneGroup& group, auto&& matches) {
      return std::ranges::any_of(group.members, [&](const PruneMember& m) {
        return m.role == UnitRole::kWeightOut && matches(m);
      });
    };
    std::vector<size_t> found;
    for (size_t g = 0; g < groups.size(); ++g)
      if (groups[g].name == pattern ||
          computes(groups[g], [&](const PruneMember& m) { return glob_match(pattern, m.tensor); }))
        found.push_back(g);
    std::set<std::string> nodes;
    try {
      for (const NodeId id : match_nodes(graph_.graph(), pattern))
        nodes.insert(node_key(graph_.graph(), id));
    } catch (const Error&) {
      if (found.empty()) throw;
    }
    for (size_t g = 0; g < groups.size(); ++g)
      if (std::ranges::count(found, g) == 0 &&
          computes(groups[g], [&](const PruneMember& m) { return nodes.contains(m.node); }))
        found.push_back(g);
    if (!found.empty()) return found;
    std::vector<std::string> names;
    for (const PruneGroup& group : groups) names.push_back(group.name);
    fail_usage(
        "'{}' matches no node whose output channels can be removed{}; `lapidary prune "
        "--groups` lists them",
        printable(pattern, 200), did_you_mean(pattern, names));
  }

  void match_patterns() {
    const auto& groups = graph_.groups();
    reasons_.resize(groups.size());
    ratios_.resize(groups.size());
    std::vector<std::string> by(groups.size());  // the pattern of `ratios`
    for (size_t g = 0; g < groups.size(); ++g) {
      if (!options_.lossy && !groups[g].lossy.empty())
        reasons_[g] = "lossy: " + groups[g].lossy;
      else if (groups[g].units == 1)
        reasons_[g] = "one unit";
    }
    for (const auto& [pattern, ratio] : options_.ratios) {
      if (!(ratio >= 0 && ratio < 1))
        fail_usage("the ratio of '{}' is {}, expected 0 or more and less than 1", pattern, ratio);
      for (const size_t g : matching(pattern)) {
        if (!by[g].empty() && ratios_[g] && *ratios_[g] != ratio)
          fail_usage("'{}' and '{}' of 'ratios' give group '{}' two shares", by[g], pattern,
                     groups[g].name);
        by[g] = pattern;
        if (reasons_[g].empty()) ratios_[g] = ratio;
      }
    }
    for (const std::string& pattern : options_.keep)
      for (const size_t g : matching(pattern)) {
        if (!by[g].empty())
          fail_usage("'{}' of 'keep' and '{}' of 'ratios' are both of group '{}'", pattern, by[g],
                     groups[g].name);
        reasons_[g] = "by name: " + pattern;
      }
  }

  const PruningGraph& graph_;
  const SelectOptions& options_;
  const Measure& measure_;
  std::vector<std::vector<int64_t>> orders_;  ///< units of each group, lowest score first
  std::vector<Ranked> ranked_;                ///< of all groups that take part
  std::vector<std::string> reasons_;          ///< why a group loses nothing
  std::vector<std::optional<double>> ratios_;
};

void check(const SelectOptions& options) {
  if (!(options.target.share > 0 && options.target.share <= 1))
    fail_usage("the target is {} of the {}, expected more than 0, at most 1", options.target.share,
               options.target.of);
  if (options.scope != "global" && options.scope != "local")
    fail_usage("the scope is '{}', expected global or local", options.scope);
  if (options.round_to < 1) fail_usage("round_to is {}, expected 1 or more", options.round_to);
  if (!(options.max_ratio >= 0 && options.max_ratio < 1))
    fail_usage("max_ratio is {}, expected 0 or more and less than 1", options.max_ratio);
}

}  // namespace

Selection select_units(const PruningGraph& graph, const UnitScores& scores,
                       const SelectOptions& options) {
  check(options);
  Selection out;
  out.asked = options.target.share;
  out.before = graph.cost(RemovedUnits(graph.groups().size()));
  const Measure measure(graph, options);
  const Ranking ranking(graph, scores, options, measure);
  const auto left = [&](int64_t step) { return measure.share_left(ranking.at(step)); };
  // The first step that reaches the target; the one before it may be nearer.
  int64_t low = 0, high = ranking.steps();
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (left(middle) <= options.target.share)
      high = middle;
    else
      low = middle + 1;
  }
  if (low > 0 && std::abs(left(low - 1) - out.asked) < std::abs(left(low) - out.asked)) --low;
  out.removed = ranking.at(low);
  out.after = graph.cost(out.removed);
  out.got = left(low);
  out.reasons = ranking.reasons();
  const bool all_gone = low == ranking.steps() && out.got > out.asked;
  if (std::abs(out.got - out.asked) > kMissed && (all_gone || out.asked < 1)) {
    if (all_gone)
      out.in_the_way = ranking.limits();
    else if (options.round_to > 1)
      out.in_the_way = {fmt::format("round_to ({})", options.round_to)};
    else if (low == 0 && !options.ratios.empty())
      out.in_the_way = {"ratios"};
  }
  return out;
}

}  // namespace lapidary
