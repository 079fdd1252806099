#include <ATen/ops/cumsum.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/topk.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "src/train/lowering.h"

// Sums, means and extremes along axes.

namespace lapidary::train {

namespace {

struct Reduction {
  std::vector<int64_t> axes;  ///< non-negative, descending; empty: nothing is reduced
  bool keep = true;
};

Reduction reduction(LowerContext& c) {
  Reduction out{.axes = c.attrs().get_ints("axes"), .keep = c.attrs().get_int("keepdims", 1) != 0};
  if (c.has(1)) out.axes = c.ints(1);
  const int64_t rank = c.input(0).dim();
  if (out.axes.empty() && c.attrs().get_int("noop_with_empty_axes", 0) == 0) {
    out.axes.resize(static_cast<size_t>(rank));
    std::iota(out.axes.begin(), out.axes.end(), int64_t{0});
  }
  for (int64_t& axis : out.axes)
    if (axis < 0) axis += rank;
  std::sort(out.axes.begin(), out.axes.end(), std::greater<>());
  return out;
}

/// f(x, axes, keep) where something is reduced, else g(x): the function on single elements.
template <class F, class G>
Outputs reduce(LowerContext& c, F f, G g) {
  const at::Tensor& x = c.input(0);
  const Reduction r = reduction(c);
  return {r.axes.empty() ? g(x) : f(x, r.axes, r.keep)};
}

using Axes = std::vector<int64_t>;
at::Tensor same(const at::Tensor& x) { return x; }

}  // namespace

Outputs lower_reduce_sum(LowerContext& c) {
  return reduce(
      c, [](const at::Tensor& x, const Axes& a, bool k) { return x.sum(a, k); }, same);
}
Outputs lower_reduce_mean(LowerContext& c) {
  return reduce(
      c, [](const at::Tensor& x, const Axes& a, bool k) { return x.mean(a, k); }, same);
}
Outputs lower_reduce_max(LowerContext& c) {
  return reduce(
      c, [](const at::Tensor& x, const Axes& a, bool k) { return x.amax(a, k); }, same);
}
Outputs lower_reduce_min(LowerContext& c) {
  return reduce(
      c, [](const at::Tensor& x, const Axes& a, bool k) { return x.amin(a, k); }, same);
}
Outputs lower_reduce_prod(LowerContext& c) {
  return reduce(
      c,
      [](const at::Tensor& x, const Axes& axes, bool keep) {
        at::Tensor y = x;
        for (const int64_t axis : axes) y = y.prod(axis, keep);
        return y;
      },
      same);
}
Outputs lower_reduce_l1(LowerContext& c) {
  return reduce(
      c, [](const at::Tensor& x, const Axes& a, bool k) { return x.abs().sum(a, k); },
      [](const at::Tensor& x) { return x.abs(); });
}
/// Its gradient at 0 is 0.
Outputs lower_reduce_l2(LowerContext& c) {
  return reduce(
      c,
      [](const at::Tensor& x, const Axes& a, bool k) { return at::linalg_vector_norm(x, 2, a, k); },
      [](const at::Tensor& x) { return x.abs(); });
}
Outputs lower_reduce_sum_square(LowerContext& c) {
  return reduce(
      c, [](const at::Tensor& x, const Axes& a, bool k) { return x.square().sum(a, k); },
      [](const at::Tensor& x) { return x.square(); });
}
Outputs lower_reduce_log_sum(LowerContext& c) {
  return reduce(
      c, [](const at::Tensor& x, const Axes& a, bool k) { return x.sum(a, k).log(); },
      [](const at::Tensor& x) { return x.log(); });
}
Outputs lower_reduce_log_sum_exp(LowerContext& c) {
  return reduce(
      c, [](const at::Tensor& x, const Axes& a, bool k) { return at::logsumexp(x, a, k); }, same);
}

Outputs lower_cum_sum(LowerContext& c) {
  const int64_t axis = c.ints(1)[0];
  const bool reverse = c.attrs().get_int("reverse", 0) != 0;
  const at::Tensor x = reverse ? c.input(0).flip({axis}) : c.input(0);
  at::Tensor y = at::cumsum(x, axis);
  if (c.attrs().get_int("exclusive", 0) != 0) y = y.sub(x);
  return {reverse ? y.flip({axis}) : y};
}

/// The k largest (or smallest) elements and where they were.
Outputs lower_top_k(LowerContext& c) {
  const auto [values, indices] = at::topk(c.input(0), c.ints(1)[0], c.attrs().get_int("axis", -1),
                                          c.attrs().get_int("largest", 1) != 0, true);
  return {values, indices};
}

}  // namespace lapidary::train
