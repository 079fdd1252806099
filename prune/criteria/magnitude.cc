#include <cmath>

#include "prune/criterion.h"

namespace lapidary::prune {

namespace {

/// s_m(u) = sum over the unit's elements of |w|^p, for each weight m that computes or reads the
/// units: no root is taken before members are reduced         (as Fang et al. 2023, DepGraph)
struct Magnitude {
  int64_t p = 2;

  static const FieldTable& fields() {
    static const FieldTable kTable{
        "magnitude", {field("p", &Magnitude::p, "Power of |w| that is summed").range(1, 2)}};
    return kTable;
  }
  MemberScores operator()(const GroupView& group) const {
    std::vector<const MemberView*> weights;
    for (const MemberView& member : group.members)
      if (member.is_weight()) weights.push_back(&member);
    return score_each(weights, [&](const MemberView& m, size_t unit) {
      double sum = 0;
      m.each(unit, [&](size_t at, size_t) {
        const double w = m.values[at];
        sum += p == 2 ? w * w : std::fabs(w);
      });
      return sum;
    });
  }
};

}  // namespace

const Criterion& criterion_magnitude() {
  static constexpr Criterion kDef = criterion_row<Magnitude>(
      "magnitude", "weights to the power p, summed, of what computes a unit and of what reads it");
  return kDef;
}

}  // namespace lapidary::prune
