#include <cmath>

#include "prune/criterion.h"
#include "src/base/parallel.h"

namespace lapidary::prune {

namespace {

/// A unit's elements, one after another.
std::vector<float> elements_of(const MemberView& m, size_t unit) {
  std::vector<float> out;
  m.each(unit, [&](size_t at, size_t) { out.push_back(m.values[at]); });
  return out;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double d = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += d * d;
  }
  return std::sqrt(sum);
}

/// s_m(u) = sum over all units v of |w_u - w_v|_2, for each weight m that computes the units (that
/// reads them, where none does): the least is nearest to the geometric median  (He et al. 2019)
struct Fpgm {
  static const FieldTable& fields() {
    static const FieldTable kTable{"fpgm", {}};
    return kTable;
  }
  MemberScores operator()(const GroupView& group) const {
    MemberScores out;
    for (const MemberView* m : group.output_weights()) {
      std::vector<std::vector<float>> rows;
      for (size_t unit = 0; unit < m->units(); ++unit) rows.push_back(elements_of(*m, unit));
      std::vector<double>& scores = out.emplace_back(rows.size(), 0.0);
      parallel_for(std::ssize(rows), 1, [&](int64_t begin, int64_t end, int) {
        for (auto u = static_cast<size_t>(begin); u < static_cast<size_t>(end); ++u)
          for (const std::vector<float>& other : rows) scores[u] += distance(rows[u], other);
      });
    }
    return out;
  }
};

}  // namespace

const Criterion& criterion_fpgm() {
  static constexpr Criterion kDef = criterion_row<Fpgm>(
      "fpgm", "distance of a unit's weights to all others' (geometric median, He et al. 2019)");
  return kDef;
}

}  // namespace lapidary::prune
