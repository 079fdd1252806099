#include <ATen/ops/_add_relu.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/minimum.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/threshold_backward.h>
#include <ATen/ops/where.h>
#include <torch/csrc/autograd/custom_function.h>

#include "src/base/fail.h"
#include "src/train/convert.h"
#include "src/train/lowering.h"

// Element by element, with ONNX's (NumPy's) broadcasting.

namespace lapidary::train {

namespace {

/// a op b, into a where that is nobody else's and large enough for the result.
template <class InPlace, class Fresh>
Outputs into_first(LowerContext& c, InPlace in_place, Fresh fresh) {
  const at::Tensor &a = c.input(0), &b = c.input(1);
  const bool fits =
      c.may_overwrite(0) && a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type();
  return {fits ? in_place(at::Tensor(a), b) : fresh(a, b)};
}

template <class F>
Outputs fold_left(const LowerContext& c, F f) {
  at::Tensor out = c.input(0);
  for (size_t i = 1; i < c.input_count(); ++i) out = f(out, c.input(i));
  return {out};
}

/// max(a + b, 0) in one pass, of equal shapes; into a where `overwrites`.
struct AddReluFunction : torch::autograd::Function<AddReluFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, at::Tensor a,
                            const at::Tensor& b, bool overwrites) {
    if (overwrites) context->mark_dirty({a});
    const at::Tensor y = overwrites ? at::_add_relu_(a, b) : at::_add_relu(a, b);
    context->save_for_backward({y});
    return y;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& up) {
    const at::Tensor g = at::threshold_backward(up[0], context->get_saved_variables()[0], 0);
    return {g, g, {}};
  }
};

}  // namespace

bool follows_add(const Graph& graph, const Analysis&, const std::vector<NodeId>& chain) {
  return chain.size() == 2 && graph.node(chain[1]).is("Relu");
}

Outputs lower_add(LowerContext& c) {
  const at::Tensor &a = c.input(0), &b = c.input(1);
  if (!c.following().empty() && a.sizes() == b.sizes() && a.scalar_type() == at::kFloat &&
      b.scalar_type() == at::kFloat && a.is_cpu()) {
    c.take_following();
    const bool second = !c.may_overwrite(0) && c.may_overwrite(1);
    return {second ? AddReluFunction::apply(b, a, true)
                   : AddReluFunction::apply(a, b, c.may_overwrite(0))};
  }
  if (!c.may_overwrite(0) && c.may_overwrite(1) && a.sizes() == b.sizes())
    return {at::Tensor(b).add_(a)};
  return into_first(
      c, [](at::Tensor x, const at::Tensor& y) { return x.add_(y); },
      [](const at::Tensor& x, const at::Tensor& y) { return x.add(y); });
}

Outputs lower_sub(LowerContext& c) {
  return into_first(
      c, [](at::Tensor x, const at::Tensor& y) { return x.sub_(y); },
      [](const at::Tensor& x, const at::Tensor& y) { return x.sub(y); });
}

Outputs lower_mul(LowerContext& c) { return {c.input(0).mul(c.input(1))}; }

Outputs lower_div(LowerContext& c) {
  const at::Tensor &a = c.input(0), &b = c.input(1);
  if (at::isIntegralType(a.scalar_type(), true)) return {a.div(b, "trunc")};
  return {a.div(b)};
}

Outputs lower_pow(LowerContext& c) {
  const at::Tensor& x = c.input(0);
  if (const auto exponent = c.fixed_scalar(1)) return {x.pow(*exponent)};
  return {at::pow(x, c.input(1)).to(x.scalar_type())};
}

Outputs lower_min(LowerContext& c) {
  return fold_left(c, [](const at::Tensor& a, const at::Tensor& b) { return at::minimum(a, b); });
}

Outputs lower_max(LowerContext& c) {
  return fold_left(c, [](const at::Tensor& a, const at::Tensor& b) { return at::maximum(a, b); });
}

Outputs lower_sum(LowerContext& c) {
  return fold_left(c, [](const at::Tensor& a, const at::Tensor& b) { return a.add(b); });
}

Outputs lower_mean(LowerContext& c) {
  return {lower_sum(c)[0].div(static_cast<double>(c.input_count()))};
}

Outputs lower_where(LowerContext& c) { return {at::where(c.input(0), c.input(1), c.input(2))}; }

Outputs lower_equal(LowerContext& c) { return {c.input(0).eq(c.input(1))}; }
Outputs lower_less(LowerContext& c) { return {c.input(0).lt(c.input(1))}; }
Outputs lower_greater(LowerContext& c) { return {c.input(0).gt(c.input(1))}; }
Outputs lower_less_or_equal(LowerContext& c) { return {c.input(0).le(c.input(1))}; }
Outputs lower_greater_or_equal(LowerContext& c) { return {c.input(0).ge(c.input(1))}; }
Outputs lower_and(LowerContext& c) { return {c.input(0).logical_and(c.input(1))}; }
Outputs lower_or(LowerContext& c) { return {c.input(0).logical_or(c.input(1))}; }
Outputs lower_xor(LowerContext& c) { return {c.input(0).logical_xor(c.input(1))}; }
Outputs lower_not(LowerContext& c) { return {c.input(0).logical_not()}; }

Outputs lower_cast(LowerContext& c) {
  const auto to = static_cast<DType>(c.attrs().get_int("to", 0));
  const auto type = scalar_type(to);
  if (!type) fail_unsupported("a cast to {} in training", dtype_name(to));
  return {c.input(0).to(*type)};
}

}  // namespace lapidary::train
