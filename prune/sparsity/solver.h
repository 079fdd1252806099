#pragma once

#include <cstdint>
#include <span>

#include "lapidary/sparsify.h"

namespace lapidary {

struct SolverOptions {
  SparsePattern pattern = {};  ///< unstructured or n:m
  double ratio = 0.5;
  double damping = 0.01;
  int64_t block = 128;  ///< a multiple of m
  int64_t before = 0;   ///< elements of the layer's groups before this one, for the rounding
};

/// SparseGPT (Frantar, Alistarh 2023, algorithm 1) on a layer's `w`, [rows, columns] row-major,
/// with H of its inputs [columns, columns]:
///   H += damping mean(diag H) I,   H^-1 = U^T U, U upper triangular (columns without input: H_jj =
///   1, w = 0)
///   for each block of columns: of its elements those of least w^2 / U_jj^2 go, round(ratio
///   elements) of all groups and columns so far (n:m: of each m columns, when the first of them is
///   reached) for each column j: e = (w_j - kept w_j) / U_jj,   w[:, j:] -= e U[j, j:]
/// so that each row's error on the inputs grows least. Throws Error{kInvalid} where H stays
/// singular.
void sparsegpt_solve(std::span<float> w, int64_t columns, std::span<const double> hessian,
                     const SolverOptions& options);

}  // namespace lapidary
