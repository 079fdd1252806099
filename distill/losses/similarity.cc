#include "distill/loss.h"

namespace lapidary {

namespace {

/// Q = features as [b, F], G = Q Q^T, each row over its 2-norm:
///   L = |G_s - G_t|^2 / b^2                              (similarity-preserving, Tung, Mori 2019)
/// Features may have any shapes.
struct Similarity {
  static const FieldTable& fields() {
    static const FieldTable kTable{"similarity", {}};
    return kTable;
  }
  ValueId operator()(DistillFragment& f, const LayerPair& pair) const {
    const auto gram = [&](ValueId x) { return f.unit(f.products_of_rows(f.rows(x)), 1); };
    return f.mean_of_all(f.square(f.sub(gram(pair.student), gram(pair.teacher))));
  }
};

}  // namespace

const DistillDef& distill_similarity() {
  static constexpr DistillDef kDef =
      distill_row<Similarity>("similarity", "which samples of a batch are alike (Tung, Mori 2019)",
                              {.compared = Compared::kFeatures, .among_samples = true});
  return kDef;
}

}  // namespace lapidary
