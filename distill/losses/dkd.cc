#include <numeric>

#include "distill/loss.h"
#include "distill/scores.h"

namespace lapidary {

namespace {

/// With p = softmax(scores / T), b = (p[label], 1 - p[label]) and p^ = softmax(scores / T) over all
/// classes but the label:
///   L = T^2 mean(alpha KL(b_t || b_s) + beta KL(p^_t || p^_s))                    (Zhao et al.
///   2022)
struct Dkd {
  double temperature = 2, alpha = 1, beta = 8;
  int64_t axis = -1;

  static const FieldTable& fields() {
    static const FieldTable kTable{
        "dkd",
        {field("alpha", &Dkd::alpha, "Weight of the label's class against the others together")
             .range(0, 1e6),
         field("beta", &Dkd::beta, "Weight of the other classes among each other").range(0, 1e6),
         temperature_field(&Dkd::temperature), class_axis_field(&Dkd::axis)}};
    return kTable;
  }

  ValueId operator()(DistillFragment& f, const LayerPair& pair) const {
    if (f.graph().find_value(kSecondLabelInput))
      fail_usage("dkd knows one label for each sample: it cannot be used with mixup");
    const ScoreRows rows = score_rows(f, pair, temperature, axis);
    const ValueId label = label_mask(f, pair.student, rows.axis);
    const auto target = [&](ValueId log_p) { return of_target(f, log_p, label); };
    const auto others = [&](ValueId log_p) { return log_softmax(f, without(f, log_p, label)); };
    const ValueId s = log_softmax(f, rows.student), t = log_softmax(f, rows.teacher);
    const ValueId tckd = kl_divergence(f, target(t), target(s));
    const ValueId nckd = kl_divergence(f, others(t), others(s));
    return f.scaled(f.mean_of_all(f.add(f.scaled(tckd, alpha), f.scaled(nckd, beta))),
                    temperature * temperature);
  }

 private:
  /// The labels of every row as float32 [M, C]: 1 at the label, else 0.
  static ValueId label_mask(DistillFragment& f, ValueId scores, int64_t axis) {
    std::vector<Dim> dims = f.dims(scores);
    const Dim classes = dims[static_cast<size_t>(axis)];
    if (!classes.known())
      fail_usage("dkd: the number of classes is not known ({})",
                 f.graph().value(scores).type.text());
    dims.erase(dims.begin() + axis);
    const ValueId labels = f.input(std::string(kLabelInput), {DType::kI64, std::move(dims)});
    std::vector<int64_t> all(static_cast<size_t>(classes.value));
    std::iota(all.begin(), all.end(), int64_t{0});
    const ValueId column = f.op("Reshape", {labels, f.integers({-1, 1})});
    return f.op("Cast", {f.op("Equal", {column, f.integers(std::move(all))})},
                {{"to", static_cast<int64_t>(DType::kF32)}});
  }
  /// Rows with the label's element out of the way of exp.
  static ValueId without(DistillFragment& f, ValueId log_p, ValueId label) {
    return f.sub(log_p, f.scaled(label, 1000));
  }
  /// log (p[label], 1 - p[label]): [M, 2]
  static ValueId of_target(DistillFragment& f, ValueId log_p, ValueId label) {
    const ValueId rest = f.reduce("ReduceLogSumExp", without(f, log_p, label), {1}, /*keep=*/true);
    return f.op("Concat", {f.sum(f.mul(log_p, label), 1), rest}, {{"axis", int64_t{1}}});
  }
};

}  // namespace

const DistillDef& distill_dkd() {
  static constexpr DistillDef kDef =
      distill_row<Dkd>("dkd", "kd with the label's class and the others apart (Zhao et al. 2022)",
                       {.compared = Compared::kScores, .reads_labels = true});
  return kDef;
}

}  // namespace lapidary
