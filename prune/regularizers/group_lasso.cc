#include "prune/regularizer.h"

namespace lapidary::prune {

namespace {

/// Penalty strength sum_u ||w_u||, of gradient strength w_u / ||w_u||, as its proximal step
/// w_u = w_u max(0, 1 - lr strength / ||w_u||)             (Yuan, Lin 2006; Parikh, Boyd 2014, 6.5)
struct GroupLasso {
  static const FieldTable& fields() {
    static const FieldTable kTable{"group_lasso", {}};
    return kTable;
  }
  double operator()(double strength, double norm, double lr, int64_t) const {
    return norm > lr * strength ? 1 - lr * strength / norm : 0;
  }
};

}  // namespace

const Regularizer& regularizer_group_lasso() {
  static const Regularizer kRow = regularizer_row<GroupLasso>(
      "group_lasso", "the norm of each unit's elements, all its members together");
  return kRow;
}

}  // namespace lapidary::prune
