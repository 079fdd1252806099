#include "distill/loss.h"
#include "distill/scores.h"

namespace lapidary {

namespace {

/// With p = softmax(scores / T), [M, C], and r Pearson's correlation:
///   L = T^2 (beta (1 - mean_m r(p_s[m], p_t[m])) + gamma (1 - mean_c r(p_s[:,c], p_t[:,c])))
///                                                                            (Huang et al. 2022)
struct Dist {
  double beta = 1, gamma = 1, temperature = 1;
  int64_t axis = -1;

  static const FieldTable& fields() {
    static const FieldTable kTable{
        "dist",
        {field("beta", &Dist::beta, "Weight of relations between classes").range(0, 1e6),
         field("gamma", &Dist::gamma, "Weight of relations within a class, over the batch")
             .range(0, 1e6),
         temperature_field(&Dist::temperature), class_axis_field(&Dist::axis)}};
    return kTable;
  }
  ValueId operator()(DistillFragment& f, const LayerPair& pair) const {
    const ScoreRows rows = score_rows(f, pair, temperature, axis);
    const auto softmax = [&](ValueId x) { return f.op("Softmax", {x}, {{"axis", int64_t{-1}}}); };
    const ValueId s = softmax(rows.student), t = softmax(rows.teacher);
    const ValueId loss =
        f.add(f.scaled(distance(f, s, t, 1), beta), f.scaled(distance(f, s, t, 0), gamma));
    return f.scaled(loss, temperature * temperature);
  }

 private:
  /// 1 - the mean of Pearson's correlations along `axis`.
  static ValueId distance(DistillFragment& f, ValueId x, ValueId y, int64_t axis) {
    const auto centred = [&](ValueId v) { return f.sub(v, f.mean(v, axis)); };
    return f.sub(f.number(1), f.mean_of_all(f.cosine(centred(x), centred(y), axis)));
  }
};

}  // namespace

const DistillDef& distill_dist() {
  static constexpr DistillDef kDef =
      distill_row<Dist>("dist", "correlations between and within classes (DIST, Huang et al. 2022)",
                        {.compared = Compared::kScores, .among_samples = true});
  return kDef;
}

}  // namespace lapidary
