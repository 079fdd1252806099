#define EIGEN_DONT_PARALLELIZE  // threads are parallel_for's
#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "prune/criterion.h"
#include "src/base/parallel.h"

namespace lapidary::prune {

namespace {

using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
constexpr Eigen::Index kColumns = 4096, kTile = 32;

/// The units' elements, one row each.
std::vector<std::vector<float>> rows_of(const MemberView& m) {
  std::vector<std::vector<float>> rows(m.units());
  for (size_t unit = 0; unit < rows.size(); ++unit)
    m.each(unit, [&](size_t at, size_t) { rows[unit].push_back(m.values[at]); });
  return rows;
}

/// R R^T, tile by tile: the order of sums does not depend on threads.
Rows products(const std::vector<std::vector<float>>& rows) {
  const auto units = std::ssize(rows), all = std::ssize(rows[0]);
  Rows gram = Rows::Zero(units, units);
  for (Eigen::Index begin = 0; begin < all; begin += kColumns) {
    Rows part(units, std::min(kColumns, all - begin));
    for (Eigen::Index u = 0; u < units; ++u)
      part.row(u) = Eigen::Map<const Eigen::RowVectorXf>(
                        rows[static_cast<size_t>(u)].data() + begin, part.cols())
                        .cast<double>();
    parallel_for((units + kTile - 1) / kTile, 1, [&](int64_t first, int64_t last, int) {
      for (int64_t tile = first; tile < last; ++tile) {
        const Eigen::Index at = tile * kTile, count = std::min(kTile, units - at);
        gram.middleRows(at, count) += part.middleRows(at, count) * part.transpose();
      }
    });
  }
  return gram;
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
      const Rows gram = products(rows_of(*m));
      std::vector<double>& scores = out.emplace_back(m->units(), 0.0);
      for (Eigen::Index u = 0; u < gram.rows(); ++u)
        for (Eigen::Index v = 0; v < gram.rows(); ++v) {
          // |w_u - w_v|^2 = |w_u|^2 + |w_v|^2 - 2 w_u w_v
          const double square = gram(u, u) + gram(v, v) - 2 * gram(u, v);
          if (u != v) scores[static_cast<size_t>(u)] += std::sqrt(std::max(square, 0.0));
        }
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
