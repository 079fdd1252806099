#include <cmath>

#include "src/ops/movement.h"

namespace lapidary {

namespace {

/// [..., M, M] -> [...]
void infer(InferContext& ctx) {
  ctx.require_dtype(0, kFloatDTypes);
  ctx.require_rank(0, 2, -1);
  ctx.set_type(0, ctx.dtype(0));
  const auto* shape = ctx.shape(0);
  if (shape == nullptr) return;
  unify_dim(shape->back(), (*shape)[shape->size() - 2]);
  ctx.set_type(0, ctx.dtype(0), std::vector<Dim>(shape->begin(), shape->end() - 2));
}

/// Gaussian elimination with partial pivoting; the product of the pivots, negated for each
/// exchange.
double determinant(std::span<double> matrix, int64_t size) {
  const auto at = [&](int64_t row, int64_t column) -> double& {
    return matrix[static_cast<size_t>(row * size + column)];
  };
  double out = 1;
  for (int64_t k = 0; k < size; ++k) {
    int64_t pivot = k;
    for (int64_t row = k + 1; row < size; ++row)
      if (std::abs(at(row, k)) > std::abs(at(pivot, k))) pivot = row;
    if (at(pivot, k) == 0) return 0;
    if (pivot != k) {
      for (int64_t column = k; column < size; ++column) std::swap(at(pivot, column), at(k, column));
      out = -out;
    }
    out *= at(k, k);
    for (int64_t row = k + 1; row < size; ++row) {
      const double factor = at(row, k) / at(k, k);
      for (int64_t column = k; column < size; ++column) at(row, column) -= factor * at(k, column);
    }
  }
  return out;
}

void evaluate(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const int64_t size = x.dim(-1);
  std::vector<double> elements = read_as<double>(x);
  const Shape shape(x.shape().begin(), x.shape().end() - 2);
  std::vector<double> out;
  for (int64_t i = 0; i < element_count(shape); ++i)
    out.push_back(determinant(std::span(elements).subspan(static_cast<size_t>(i * size * size),
                                                          static_cast<size_t>(size * size)),
                              size));
  ctx.set_output(0, make_from(x.dtype(), shape, out));
}

}  // namespace

const OpDef& op_Det() {
  static const OpDef def{.name = "Det",
                         .versions = {11, 22},
                         .inputs = {1, 1},
                         .outputs = {1, 1},
                         .infer = infer,
                         .evaluate = evaluate};
  return def;
}

}  // namespace lapidary
