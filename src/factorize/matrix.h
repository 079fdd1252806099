#pragma once

// Eigen as the box uses it: float64, threads are parallel_for's.
#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Core>
#include <cstdint>

namespace lapidary::lowrank {

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;
using Index = Eigen::Index;

}  // namespace lapidary::lowrank
