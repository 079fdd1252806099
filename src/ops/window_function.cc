#include <cmath>
#include <numbers>

#include "src/ops/movement.h"

namespace lapidary {

namespace {

/// A list of `size` numbers.
void infer(InferContext& ctx) {
  ctx.require_dtype(0, kIndexTypes);
  list_length(ctx, 0, true);
  Dim size;
  if (const auto value = ctx.shape_value(0); value && value->size() == 1) size = (*value)[0];
  if (const auto numbers = ctx.ints(0); numbers && (numbers->size() != 1 || (*numbers)[0] < 0))
    fail_invalid("size is {}, expected one number of 0 or more", shape_text(*numbers));
  ctx.set_type(0, output_datatype(ctx.attrs()), {size});
}

/// w[i] = a0 - a1 cos(2 pi i / n) + a2 cos(4 pi i / n), n = size (periodic) or size - 1.
void evaluate(EvalContext& ctx, double a0, double a1, double a2) {
  const int64_t size = ctx.ints(0)[0];
  const bool periodic = ctx.attrs().get_int("periodic", 1) != 0;
  const double turn =
      2 * std::numbers::pi / static_cast<double>(periodic || size < 2 ? size : size - 1);
  Tensor out(output_datatype(ctx.attrs()), {size});
  dispatch<NumericTypes>(out.dtype(), [&]<class T>() {
    auto to = out.mutable_data<T>();
    for (size_t i = 0; i < to.size(); ++i) {
      const double angle = turn * static_cast<double>(i);
      const double value = a0 - a1 * std::cos(angle) + a2 * std::cos(2 * angle);
      to[i] = store<T>(static_cast<Real<T>>(value));
    }
  });
  ctx.set_output(0, std::move(out));
}

void evaluate_hann(EvalContext& ctx) { evaluate(ctx, 0.5, 0.5, 0); }
void evaluate_hamming(EvalContext& ctx) { evaluate(ctx, 25.0 / 46, 21.0 / 46, 0); }
void evaluate_blackman(EvalContext& ctx) { evaluate(ctx, 0.42, 0.5, 0.08); }

OpDef window(std::string_view name, void (*evaluate_of)(EvalContext&)) {
  return {.name = name,
          .versions = {17},
          .inputs = {1, 1},
          .outputs = {1, 1},
          .attrs = {{"output_datatype", AttrKind::kInt}, {"periodic", AttrKind::kInt}},
          .infer = infer,
          .evaluate = evaluate_of};
}

}  // namespace

const OpDef& op_BlackmanWindow() {
  static const OpDef def = window("BlackmanWindow", evaluate_blackman);
  return def;
}

const OpDef& op_HammingWindow() {
  static const OpDef def = window("HammingWindow", evaluate_hamming);
  return def;
}

const OpDef& op_HannWindow() {
  static const OpDef def = window("HannWindow", evaluate_hann);
  return def;
}

}  // namespace lapidary
