#include "distill/loss.h"

namespace lapidary {

namespace {

/// L = mean (s - t)^2                                    (of scores: Ba, Caruana 2014)
struct LayerMse {
  static const FieldTable& fields() {
    static const FieldTable kTable{"layer_mse", {}};
    return kTable;
  }
  ValueId operator()(DistillFragment& f, const LayerPair& pair) const {
    require_same_shape(f, pair);
    return f.mean_of_all(f.square(f.sub(pair.student, pair.teacher)));
  }
};

}  // namespace

const DistillDef& distill_layer_mse() {
  static constexpr DistillDef kDef = distill_row<LayerMse>(
      "layer_mse", "mean squared error of values", {.compared = Compared::kValues});
  return kDef;
}

}  // namespace lapidary
