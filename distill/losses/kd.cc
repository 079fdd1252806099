#include "distill/loss.h"
#include "distill/scores.h"

namespace lapidary {

namespace {

/// L = T^2 mean KL(softmax(t / T) || softmax(s / T))            (Hinton, Vinyals, Dean 2015)
/// Their cross-entropy has the same gradient; this is 0 where the two agree.
struct Kd {
  double temperature = 2;
  int64_t axis = -1;

  static const FieldTable& fields() {
    static const FieldTable kTable{
        "kd", {temperature_field(&Kd::temperature), class_axis_field(&Kd::axis)}};
    return kTable;
  }
  ValueId operator()(DistillFragment& f, const LayerPair& pair) const {
    const ScoreRows rows = score_rows(f, pair, temperature, axis);
    const ValueId kl = kl_divergence(f, log_softmax(f, rows.teacher), log_softmax(f, rows.student));
    return f.scaled(f.mean_of_all(kl), temperature * temperature);
  }
};

}  // namespace

const DistillDef& distill_kd() {
  static constexpr DistillDef kDef =
      distill_row<Kd>("kd", "softened scores, by KL divergence (Hinton et al. 2015)",
                      {.compared = Compared::kScores});
  return kDef;
}

}  // namespace lapidary
