#include "src/ops/norm.h"

namespace lapidary {

void check_per_channel(const InferContext& context, size_t input, const Dim& channels) {
  const auto* shape = context.shape(input);
  if (shape == nullptr) return;
  context.require_rank(input, 1, 1);
  if ((*shape)[0].known() && channels.known() && (*shape)[0].value != channels.value)
    fail_invalid("input {} is {}, expected {} elements (channels of {})", input,
                 context.type(input).text(), channels.value, context.type(0).text());
}

Dim channels_of(const InferContext& context, int64_t min_rank) {
  context.require_rank(0, min_rank, -1);
  const auto* shape = context.shape(0);
  return shape && shape->size() > 1 ? (*shape)[1] : Dim();
}

Moments moments(std::span<const double> values) {
  Moments out;
  for (double v : values) out.mean += v;
  const auto count = static_cast<double>(values.size());
  out.mean /= count;
  for (double v : values) out.variance += (v - out.mean) * (v - out.mean);
  out.variance /= count;
  return out;
}

}  // namespace lapidary
