#pragma once

#include "src/factorize/matrix.h"

namespace lapidary::lowrank {

/// Eigenvectors of a symmetric matrix that is not negative, in descending order of eigenvalues,
/// which are not negative.
struct Eigenvectors {
  Matrix vectors;
  Vector values;
};
Eigenvectors eigenvectors(const Matrix& symmetric);

/// A matrix [rows, columns] and what of it any rank keeps.
///   M ~ P M with the leading left singular vectors P = U_r U_r^T, or M Q with right ones,
///   whichever side is shorter: the best of rank r in the Frobenius norm.
/// Given sums of x x^T of what the columns multiply, P is of M X: the best for ||(M - M') X||.
class LowRank {
 public:
  explicit LowRank(Matrix m, const Matrix* inputs = nullptr);

  int64_t full() const { return std::min(m_.rows(), m_.cols()); }
  /// Share of the squared singular values (of M X where inputs were given) up to rank r.
  double energy(int64_t r) const;
  /// Squared singular values, descending, `full()` of them.
  Vector squares() const { return basis_.values.head(full()); }
  int64_t vbmf() const;

  /// left [rows, r] right [r, columns], rows of right as long as columns of left: with singular
  /// values s and no inputs each has sqrt(s).
  struct Pair {
    Matrix left, right;
  };
  Pair split(int64_t r) const;

 private:
  Matrix m_;
  bool of_rows_ = true;  ///< the basis is of the left side
  bool weighted_ = false;
  Eigenvectors basis_;
};

}  // namespace lapidary::lowrank
