#include <cmath>

#include "prune/criterion.h"

namespace lapidary::prune {

namespace {

/// s_m(u) = |sum over the unit's elements of w g|^p, g = d loss / d w, for each constant m with
/// gradients: for p = 1, to first order what the loss changes by when they become zero
///                                                                    (Molchanov et al. 2019)
struct Taylor {
  int64_t p = 1;

  static const FieldTable& fields() {
    static const FieldTable kTable{
        "taylor", {field("p", &Taylor::p, "1: the change of the loss, 2: its square").range(1, 2)}};
    return kTable;
  }
  MemberScores operator()(const GroupView& group) const {
    std::vector<const MemberView*> learned;
    for (const MemberView& member : group.members)
      if (member.gradients != nullptr) learned.push_back(&member);
    if (learned.empty())
      fail_usage("no gradients of its constants, '{}' among them", group.members[0].member->tensor);
    return score_each(learned, [&](const MemberView& m, size_t unit) {
      double change = 0;
      m.each(unit, [&](size_t at, size_t) {
        change += static_cast<double>(m.values[at]) * static_cast<double>(m.gradients[at]);
      });
      return p == 2 ? change * change : std::fabs(change);
    });
  }
};

}  // namespace

const Criterion& criterion_taylor() {
  static constexpr Criterion kDef = criterion_row<Taylor>(
      "taylor", "the loss's change to first order, by gradients (Molchanov et al. 2019)",
      ScoreNeeds::kGradients);
  return kDef;
}

}  // namespace lapidary::prune
