#include "distill/loss.h"

namespace lapidary {

namespace {

/// L = mean (1 - <s, t> / (|s| |t|)), the vectors those of channels: of each position of
/// [N, C, ...], each token of [N, T, C], each sample of [N, C]                (Sanh et al. 2019)
struct Cosine {
  static const FieldTable& fields() {
    static const FieldTable kTable{"cosine", {}};
    return kTable;
  }
  ValueId operator()(DistillFragment& f, const LayerPair& pair) const {
    require_same_shape(f, pair);
    const int64_t rank = f.rank(pair.student), axis = channel_axis(rank);
    if (rank < 2) fail_usage("cosine wants vectors, [N,C] or more: {}", f.text(pair));
    return f.sub(f.number(1), f.mean_of_all(f.cosine(pair.student, pair.teacher, axis)));
  }
};

}  // namespace

const DistillDef& distill_cosine() {
  static constexpr DistillDef kDef =
      distill_row<Cosine>("cosine", "angles between vectors of channels (Sanh et al. 2019)",
                          {.compared = Compared::kValues});
  return kDef;
}

}  // namespace lapidary
