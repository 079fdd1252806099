#include <algorithm>

#include "prune/regularizer.h"

namespace lapidary::prune {

namespace {

/// Penalty weight(step) ||w_u||^2 / 2 of the units that are to go,
/// weight(step) = min(limit, strength floor(step / every)):
/// w_u = w_u max(0, 1 - lr weight(step))                                  (GReg-1, Wang et al.
/// 2021)
struct Growing {
  int64_t every = 10;
  double limit = 1;

  static const FieldTable& fields() {
    static const FieldTable kTable{
        "growing",
        {field("every", &Growing::every, "The weight grows by the strength once in so many steps")
             .range(1, 1e9),
         field("limit", &Growing::limit, "Where it stops growing").range(0, 1e9)}};
    return kTable;
  }
  double operator()(double strength, double, double lr, int64_t step) const {
    const double weight = std::min(limit, strength * static_cast<double>(step / every));
    return std::max(0.0, 1 - lr * weight);
  }
};

}  // namespace

const Regularizer& regularizer_growing() {
  static const Regularizer kRow = regularizer_row<Growing>(
      "growing", "decay of the units that are to go, stronger and stronger", false, true);
  return kRow;
}

}  // namespace lapidary::prune
