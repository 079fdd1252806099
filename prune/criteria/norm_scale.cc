#include <cmath>

#include "prune/criterion.h"

namespace lapidary::prune {

namespace {

/// s_m(u) = mean over the unit's elements of |gain|, for each normalization m of the group
///                                                                        (Liu et al. 2017)
struct NormScale {
  static const FieldTable& fields() {
    static const FieldTable kTable{"norm_scale", {}};
    return kTable;
  }
  MemberScores operator()(const GroupView& group) const {
    return score_each(group.of(UnitRole::kGain), [](const MemberView& m, size_t unit) {
      double sum = 0;
      int64_t count = 0;
      m.each(unit, [&](size_t at, size_t) {
        sum += std::fabs(static_cast<double>(m.values[at]));
        ++count;
      });
      return sum / static_cast<double>(count);
    });
  }
};

}  // namespace

const Criterion& criterion_norm_scale() {
  static constexpr Criterion kDef = criterion_row<NormScale>(
      "norm_scale", "magnitude of normalizations' gains (Liu et al. 2017)");
  return kDef;
}

}  // namespace lapidary::prune
