#include <algorithm>

#include "prune/criterion.h"

namespace lapidary::prune {

namespace {

/// s_m(u) = mean over the unit's places of the mean rank of their maps, for each value m that is
/// read, once however many nodes read it                              (HRank, Lin et al. 2020)
struct ActivationRank {
  static const FieldTable& fields() {
    static const FieldTable kTable{"activation_rank", {}};
    return kTable;
  }
  MemberScores operator()(const GroupView& group) const {
    std::vector<const MemberView*> values;
    for (const MemberView& read : group.read) {
      const auto same = [&](const MemberView* other) { return other->read == read.read; };
      if (std::ranges::none_of(values, same)) values.push_back(&read);
    }
    return score_each(values, [](const MemberView& m, size_t unit) {
      const std::vector<int64_t>& places = m.member->elements[unit];
      double sum = 0;
      for (const int64_t place : places) sum += m.read->rank[static_cast<size_t>(place)];
      return sum / static_cast<double>(places.size());
    });
  }
};

}  // namespace

const Criterion& criterion_activation_rank() {
  static constexpr Criterion kDef = criterion_row<ActivationRank>(
      "activation_rank", "mean rank of a unit's maps over samples (HRank, Lin et al. 2020)",
      ScoreNeeds::kRanks);
  return kDef;
}

}  // namespace lapidary::prune
