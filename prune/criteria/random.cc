#include "prune/criterion.h"
#include "src/base/rng.h"

namespace lapidary::prune {

namespace {

/// s(u) uniform in [0, 1), by seed, group and unit.
struct Random {
  uint64_t seed = 0;

  static const FieldTable& fields() {
    static const FieldTable kTable{"random", {}};
    return kTable;
  }
  MemberScores operator()(const GroupView& group) const {
    MemberScores out(1);
    for (size_t unit = 0; unit < group.units(); ++unit)
      out[0].push_back(Rng::of(seed, {group.index, unit}).uniform());
    return out;
  }
};

}  // namespace

const Criterion& criterion_random() {
  static constexpr Criterion kDef =
      criterion_row<Random>("random", "chance: what other criteria are measured against");
  return kDef;
}

}  // namespace lapidary::prune
