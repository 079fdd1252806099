#include "src/factorize/low_rank.h"

#include <Eigen/Eigenvalues>
#include <cmath>

#include "src/base/fail.h"
#include "src/factorize/vbmf.h"

namespace lapidary::lowrank {

Eigenvectors eigenvectors(const Matrix& symmetric) {
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(symmetric);
  if (solver.info() != Eigen::Success) fail_invalid("eigenvectors were not found");
  return {solver.eigenvectors().rowwise().reverse(), solver.eigenvalues().reverse().cwiseMax(0.0)};
}

LowRank::LowRank(Matrix m, const Matrix* inputs)
    : m_(std::move(m)),
      of_rows_(inputs != nullptr || m_.rows() <= m_.cols()),
      weighted_(inputs != nullptr) {
  if (inputs != nullptr)
    basis_ = eigenvectors(m_ * *inputs * m_.transpose());
  else if (of_rows_)
    basis_ = eigenvectors(m_ * m_.transpose());
  else
    basis_ = eigenvectors(m_.transpose() * m_);
}

double LowRank::energy(int64_t r) const {
  const double all = basis_.values.sum();
  return all > 0 ? basis_.values.head(r).sum() / all : 1;
}

int64_t LowRank::vbmf() const {
  LAPIDARY_CHECK(!weighted_);
  return vbmf_rank(squares().cwiseSqrt(), m_.rows(), m_.cols());
}

LowRank::Pair LowRank::split(int64_t r) const {
  const Matrix b = basis_.vectors.leftCols(r);
  Pair out = of_rows_ ? Pair{b, b.transpose() * m_} : Pair{m_ * b, b.transpose()};
  for (Index k = 0; k < r; ++k) {
    const double left = out.left.col(k).norm(), right = out.right.row(k).norm();
    if (left == 0 || right == 0) continue;
    const double scale = std::sqrt(right / left);
    out.left.col(k) *= scale;
    out.right.row(k) /= scale;
  }
  return out;
}

}  // namespace lapidary::lowrank
