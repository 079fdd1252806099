#include "prune/map_rank.h"

#include <Eigen/Eigenvalues>
#include <algorithm>

namespace lapidary::prune {

int64_t map_rank(std::span<const float> elements, int64_t rows, int64_t columns) {
  if (std::ranges::all_of(elements, [](float x) { return x == 0; })) return 0;
  using Map =
      Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
  const Eigen::MatrixXd a = Map(elements.data(), rows, columns).cast<double>();
  // Squares of the singular values. In double their error, some n 2^-52 of the largest, is far
  // below the square of the threshold, n^2 2^-46.
  const Eigen::MatrixXd gram =
      rows < columns ? Eigen::MatrixXd(a * a.transpose()) : Eigen::MatrixXd(a.transpose() * a);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(gram, Eigen::EigenvaluesOnly);
  const Eigen::VectorXd& squares = solver.eigenvalues();
  const double least = static_cast<double>(std::max(rows, columns)) * 0x1p-23;
  const double threshold = least * least * squares.maxCoeff();
  return (squares.array() > threshold).count();
}

}  // namespace lapidary::prune
