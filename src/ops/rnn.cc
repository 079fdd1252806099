#include "src/ops/recurrent.h"

namespace lapidary {

namespace {

void infer(InferContext& ctx) { infer_recurrent(ctx, 1); }

/// h' = f(W x + R h + b)
void step(const RecurrentWeights& weights, std::span<const double> x, std::span<double> h,
          std::span<double>) {
  std::vector<double> next(h.size());
  for (int64_t i = 0; i < weights.hidden_size; ++i)
    next[static_cast<size_t>(i)] = weights.activate(
        0, weights.input_sum(0, i, x) + weights.hidden_sum(0, i, h) + weights.bias(0, i));
  std::ranges::copy(next, h.begin());
}

void evaluate(EvalContext& ctx) { evaluate_recurrent(ctx, 1, {"Tanh"}, step); }

}  // namespace

const OpDef& op_RNN() {
  static const OpDef def{.name = "RNN",
                         .versions = {7, 14, 22},
                         .inputs = {3, 6},
                         .outputs = {0, 2},
                         .attrs = recurrent_attrs(),
                         .infer = infer,
                         .evaluate = evaluate};
  return def;
}

}  // namespace lapidary
