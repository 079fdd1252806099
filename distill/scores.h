#pragma once

#include "distill/fragment.h"
#include "src/base/params.h"

namespace lapidary {

/// Scores of classes over a temperature, a row for each sample or position: [M, C].
struct ScoreRows {
  ValueId student, teacher;
  int64_t axis = 0;  ///< of classes in what they were made of, not negative
};
/// Throws Error{kUsage} where shapes differ, or `axis` is not one behind the samples'.
ScoreRows score_rows(DistillFragment& f, const LayerPair& pair, double temperature, int64_t axis);

/// [M, C], [M, C] -> [M, 1]: KL(p || q) = sum_c p (log p - log q)
ValueId kl_divergence(DistillFragment& f, ValueId log_p, ValueId log_q);
/// log softmax of rows
inline ValueId log_softmax(DistillFragment& f, ValueId rows) {
  return f.op("LogSoftmax", {rows}, {{"axis", int64_t{-1}}});
}

template <class P>
Field temperature_field(double P::*member) {
  return field("temperature", member, "Scores are divided by it; the loss is times its square")
      .range(0.01, 100);
}
template <class P>
Field class_axis_field(int64_t P::*member) {
  return field("axis", member, "Axis of classes").range(-8, 7);
}

}  // namespace lapidary
