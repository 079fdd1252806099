#include "prune/regularizer.h"

namespace lapidary::prune {

namespace {

/// Penalty strength sum |gain|, as its proximal step
/// gain = sign(gain) max(0, |gain| - lr strength): the subgradient's lr strength sign(gain) of
/// network slimming (Liu et al. 2017), which stops at 0. There it passed the optimizer: with a
/// momentum m, strength / (1 - m) here is as strong.
struct Slimming {
  static const FieldTable& fields() {
    static const FieldTable kTable{"slimming", {}};
    return kTable;
  }
  double operator()(double strength, double norm, double lr, int64_t) const {
    return norm > lr * strength ? 1 - lr * strength / norm : 0;
  }
};

}  // namespace

const Regularizer& regularizer_slimming() {
  static const Regularizer kRow = regularizer_row<Slimming>(
      "slimming", "the magnitude of normalizations' gains, each by itself", true);
  return kRow;
}

}  // namespace lapidary::prune
