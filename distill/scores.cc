#include "distill/scores.h"

#include "src/base/fail.h"

namespace lapidary {

ScoreRows score_rows(DistillFragment& f, const LayerPair& pair, double temperature, int64_t axis) {
  require_same_shape(f, pair);
  const int64_t rank = f.rank(pair.student);
  const int64_t at = axis < 0 ? axis + rank : axis;
  if (at < 1 || at >= rank)
    fail_usage("axis {} is not one of classes, behind that of samples: {}", axis, f.text(pair));
  const auto rows = [&](ValueId x) {
    const ValueId all = f.rows_along(x, at);
    return temperature == 1 ? all : f.scaled(all, 1 / temperature);
  };
  return {rows(pair.student), rows(pair.teacher), at};
}

ValueId kl_divergence(DistillFragment& f, ValueId log_p, ValueId log_q) {
  return f.sum(f.mul(f.op("Exp", {log_p}), f.sub(log_p, log_q)), 1);
}

}  // namespace lapidary
