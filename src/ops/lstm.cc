#include "src/ops/recurrent.h"

namespace lapidary {

namespace {

constexpr int64_t kInput = 0, kOutput = 1, kForget = 2, kCell = 3;  // order of the gates in W, R, B

void infer(InferContext& ctx) { infer_recurrent(ctx, 4); }

/// i = f(Wi x + Ri h + Pi * c + bi), o and f likewise (o with the new c), n = g(Wc x + Rc h + bc),
/// c' = f * c + i * n, h' = o * act(c'); with input_forget f = 1 - i.
void step(const RecurrentWeights& weights, bool input_forget, std::span<const double> x,
          std::span<double> h, std::span<double> c) {
  const auto sum = [&](int64_t gate, int64_t i) {
    return weights.input_sum(gate, i, x) + weights.hidden_sum(gate, i, h) + weights.bias(gate, i);
  };
  const auto peek = [&](int64_t gate, int64_t i, double cell) {
    return weights.peephole[static_cast<size_t>(gate * weights.hidden_size + i)] * cell;
  };
  std::vector<double> next(h.size());
  for (int64_t i = 0; i < weights.hidden_size; ++i) {
    double& cell = c[static_cast<size_t>(i)];
    const double in = weights.activate(0, sum(kInput, i) + peek(kInput, i, cell));
    const double forget =
        input_forget ? 1 - in : weights.activate(0, sum(kForget, i) + peek(kForget, i, cell));
    cell = forget * cell + in * weights.activate(1, sum(kCell, i));
    const double out = weights.activate(0, sum(kOutput, i) + peek(kOutput, i, cell));
    next[static_cast<size_t>(i)] = out * weights.activations[2](cell);
  }
  std::ranges::copy(next, h.begin());
}

void evaluate(EvalContext& ctx) {
  const bool coupled = ctx.attrs().get_int("input_forget", 0) != 0;
  evaluate_recurrent(
      ctx, 4, {"Sigmoid", "Tanh", "Tanh"},
      [coupled](const RecurrentWeights& weights, std::span<const double> x, std::span<double> h,
                std::span<double> c) { step(weights, coupled, x, h, c); });
}

}  // namespace

const OpDef& op_LSTM() {
  static const OpDef def{.name = "LSTM",
                         .versions = {7, 14, 22},
                         .inputs = {3, 8},
                         .outputs = {0, 3},
                         .attrs = recurrent_attrs({{"input_forget", AttrKind::kInt}}),
                         .infer = infer,
                         .evaluate = evaluate};
  return def;
}

}  // namespace lapidary
