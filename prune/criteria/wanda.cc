#include <algorithm>
#include <cmath>
#include <numeric>

#include "prune/criterion.h"

namespace lapidary::prune {

namespace {

/// 2-norms over samples of what is read at a unit's places: one for each of `wanted` elements of a
/// weight where there are as many, else their mean for all.
std::vector<double> norms_of(const MemberView& read, size_t unit, size_t wanted) {
  std::vector<double> norms;
  for (const int64_t place : read.member->elements[unit])
    norms.push_back(std::sqrt(read.read->squares[static_cast<size_t>(place)]));
  if (norms.size() == wanted) return norms;
  const double mean =
      std::accumulate(norms.begin(), norms.end(), 0.0) / static_cast<double>(norms.size());
  return std::vector<double>(wanted, mean);
}

/// s_m(u) = sum over the unit's elements of |w| |x|_2, x what they are multiplied by, over all
/// samples, for each weight m that reads the units                        (Sun et al. 2023)
/// Weights of grouped convolutions read several channels by one element: |x|_2 is their mean.
struct Wanda {
  static const FieldTable& fields() {
    static const FieldTable kTable{"wanda", {}};
    return kTable;
  }
  MemberScores operator()(const GroupView& group) const {
    std::vector<const MemberView*> weights;
    for (const MemberView* weight : group.of(UnitRole::kWeightIn))
      if (value_read(group, *weight) != nullptr) weights.push_back(weight);
    return score_each(weights, [&](const MemberView& m, size_t unit) {
      const std::vector<double> norms =
          norms_of(*value_read(group, m), unit, m.member->elements[unit].size());
      double sum = 0;
      m.each(unit, [&](size_t at, size_t k) {
        sum += std::fabs(static_cast<double>(m.values[at])) * norms[k];
      });
      return sum;
    });
  }

 private:
  /// What the node of a weight reads; null: nothing of the group.
  static const MemberView* value_read(const GroupView& group, const MemberView& weight) {
    const auto at = std::ranges::find_if(group.read, [&](const MemberView& read) {
      return read.member->node == weight.member->node;
    });
    return at == group.read.end() ? nullptr : &*at;
  }
};

}  // namespace

const Criterion& criterion_wanda() {
  static constexpr Criterion kDef = criterion_row<Wanda>(
      "wanda", "weights times the norm of what they are multiplied by (Sun et al. 2023)",
      ScoreNeeds::kSquares);
  return kDef;
}

}  // namespace lapidary::prune
