#include "src/ops/recurrent.h"

namespace lapidary {

namespace {

constexpr int64_t kUpdate = 0, kReset = 1, kHidden = 2;  // order of the gates in W, R and B

void infer(InferContext& ctx) { infer_recurrent(ctx, 3); }

/// z = f(Wz x + Rz h + bz), r = f(Wr x + Rr h + br),
/// n = g(Wh x + Rh (r * h) + bh), or with linear_before_reset g(Wh x + wbh + r * (Rh h + rbh)),
/// h' = (1 - z) n + z h
void step(const RecurrentWeights& weights, bool linear_before_reset, std::span<const double> x,
          std::span<double> h) {
  const auto gate = [&](int64_t which, int64_t i) {
    return weights.activate(0, weights.input_sum(which, i, x) + weights.hidden_sum(which, i, h) +
                                   weights.bias(which, i));
  };
  std::vector<double> reset(h.size()), kept(h.size()), next(h.size());
  for (int64_t i = 0; i < weights.hidden_size; ++i) {
    const auto at = static_cast<size_t>(i);
    reset[at] = gate(kReset, i);
    kept[at] = reset[at] * h[at];
  }
  for (int64_t i = 0; i < weights.hidden_size; ++i) {
    const auto at = static_cast<size_t>(i),
               row = static_cast<size_t>(kHidden * weights.hidden_size + i);
    double sum = weights.input_sum(kHidden, i, x) + weights.w_bias[row];
    if (linear_before_reset)
      sum += reset[at] * (weights.hidden_sum(kHidden, i, h) + weights.r_bias[row]);
    else
      sum += weights.hidden_sum(kHidden, i, kept) + weights.r_bias[row];
    const double update = gate(kUpdate, i);
    next[at] = (1 - update) * weights.activate(1, sum) + update * h[at];
  }
  std::ranges::copy(next, h.begin());
}

void evaluate(EvalContext& ctx) {
  const bool linear = ctx.attrs().get_int("linear_before_reset", 0) != 0;
  evaluate_recurrent(
      ctx, 3, {"Sigmoid", "Tanh"},
      [linear](const RecurrentWeights& weights, std::span<const double> x, std::span<double> h,
               std::span<double>) { step(weights, linear, x, h); });
}

}  // namespace

const OpDef& op_GRU() {
  static const OpDef def{.name = "GRU",
                         .versions = {7, 14, 22},
                         .inputs = {3, 6},
                         .outputs = {0, 2},
                         .attrs = recurrent_attrs({{"linear_before_reset", AttrKind::kInt}}),
                         .infer = infer,
                         .evaluate = evaluate};
  return def;
}

}  // namespace lapidary
