#pragma once

#include "src/factorize/matrix.h"

namespace lapidary::lowrank {

/// The rank that empirical variational Bayes keeps of a matrix [rows, columns] with these singular
/// values (all of them, descending), the variance of its noise estimated as well: the global
/// analytic solution of Nakajima, Sugiyama, Babacan, Tomioka 2013 (JMLR 14). Singular values of 0
/// say nothing about noise: the axis that is shorter counts as shorter by them. May be 0.
int64_t vbmf_rank(const Vector& singular_values, int64_t rows, int64_t columns);

}  // namespace lapidary::lowrank
