#include "prune/sparsity/solver.h"

#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "prune/sparsity/select.h"
#include "src/base/fail.h"

namespace lapidary {

namespace {

using Matrix = Eigen::MatrixXd;
using Index = Eigen::Index;
using RowMajor = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// U of H^-1 = U^T U, H damped.
Matrix inverse_factor(Matrix h, double damping) {
  h.diagonal().array() += damping * h.diagonal().mean();
  const Eigen::LLT<Matrix> factor(h);
  if (factor.info() == Eigen::Success) {
    const Matrix inverse = factor.solve(Matrix::Identity(h.rows(), h.cols()));
    const Eigen::LLT<Matrix, Eigen::Upper> upper(inverse);
    if (upper.info() == Eigen::Success) return upper.matrixU();
  }
  fail_invalid("the layer's inputs are too much alike for damping {}; take more, or more samples",
               damping);
}

class Solver {
 public:
  Solver(std::span<float> w, Index columns, std::span<const double> hessian,
         const SolverOptions& options)
      : out_(w.data(), std::ssize(w) / columns, columns),
        w_(out_.cast<double>()),
        options_(options) {
    Matrix h = Eigen::Map<const Matrix>(hessian.data(), columns, columns);  // symmetric
    for (Index j = 0; j < columns; ++j) {
      if (h(j, j) != 0) continue;
      h(j, j) = 1;
      w_.col(j).setZero();
    }
    u_ = inverse_factor(std::move(h), options.damping);
  }

  void run() {
    for (Index begin = 0; begin < w_.cols(); begin += options_.block)
      solve_block(begin, std::min<Index>(options_.block, w_.cols() - begin));
    out_ = w_.cast<float>();
  }

 private:
  using Dropped = Eigen::Array<bool, Eigen::Dynamic, Eigen::Dynamic>;

  bool structured() const { return options_.pattern.kind == SparsePattern::Kind::kNM; }

  double score(Index row, Index column) const {
    const double ratio = w_(row, column) / u_(column, column);
    return ratio * ratio;
  }

  void solve_block(Index begin, Index width) {
    Dropped dropped = Dropped::Constant(w_.rows(), width, false);
    if (!structured()) drop_least(begin, dropped);
    Matrix errors(w_.rows(), width);
    for (Index i = 0; i < width; ++i) {
      const Index j = begin + i, left = width - i;
      if (structured() && j % options_.pattern.m == 0) drop_of_each(begin, i, dropped);
      errors.col(i) = dropped.col(i).select(w_.col(j), Matrix::Zero(w_.rows(), 1)) / u_(j, j);
      w_.middleCols(j, left).noalias() -= errors.col(i) * u_.row(j).segment(j, left);
      w_.col(j) = dropped.col(i).select(Matrix::Zero(w_.rows(), 1), w_.col(j));
    }
    const Index rest = w_.cols() - begin - width;
    w_.rightCols(rest).noalias() -= errors * u_.block(begin, begin + width, width, rest);
  }

  /// Equal scores in order of row and column.
  void drop_least(Index begin, Dropped& dropped) {
    const auto share_of = [this](int64_t elements) {
      return std::llround(options_.ratio * static_cast<double>(elements));
    };
    const int64_t until = options_.before + w_.rows() * (begin + dropped.cols());
    const auto take = static_cast<size_t>(share_of(until) - share_of(options_.before) - taken_);
    taken_ += static_cast<int64_t>(take);
    std::vector<std::pair<double, Index>> all;
    for (Index r = 0; r < w_.rows(); ++r)
      for (Index i = 0; i < dropped.cols(); ++i)
        all.emplace_back(score(r, begin + i), r * dropped.cols() + i);
    const auto end = all.begin() + static_cast<std::ptrdiff_t>(take);
    std::nth_element(all.begin(), end, all.end());
    for (auto at = all.begin(); at != end; ++at)
      dropped(at->second / dropped.cols(), at->second % dropped.cols()) = true;
  }

  /// Of columns begin + i .. + m.
  void drop_of_each(Index begin, Index i, Dropped& dropped) const {
    const Index m = options_.pattern.m;
    std::vector<Index> order(static_cast<size_t>(m));
    for (Index r = 0; r < w_.rows(); ++r) {
      std::iota(order.begin(), order.end(), i);
      std::stable_sort(order.begin(), order.end(),
                       [&](Index a, Index b) { return score(r, begin + a) < score(r, begin + b); });
      for (Index k = 0; k < m - options_.pattern.n; ++k)
        dropped(r, order[static_cast<size_t>(k)]) = true;
    }
  }

  Eigen::Map<RowMajor> out_;
  Matrix w_, u_;
  const SolverOptions& options_;
  int64_t taken_ = 0;
};

}  // namespace

void sparsegpt_solve(std::span<float> w, int64_t columns, std::span<const double> hessian,
                     const SolverOptions& options) {
  Solver(w, columns, hessian, options).run();
}

}  // namespace lapidary
