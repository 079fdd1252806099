#include <ATen/ops/arange.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include "src/train/lowering.h"

// GatherND and ScatterND: x as rows of what one index chooses, by the rows' numbers.

namespace lapidary::train {

namespace {

/// x [b..., d..., rest...] with indices [b..., ..., number of d]: the number of the row [rest...]
/// that each index chooses, flat.
at::Tensor rows_of(const at::Tensor& x, const at::Tensor& indices, int64_t batch) {
  const at::Tensor wide = indices.to(at::kLong);
  const int64_t depth = wide.size(-1);
  at::Tensor row =
      at::zeros(wide.sizes().slice(0, static_cast<size_t>(wide.dim()) - 1), wide.options());
  for (int64_t i = 0; i < batch; ++i) {
    std::vector<int64_t> along(static_cast<size_t>(row.dim()), 1);
    along[static_cast<size_t>(i)] = -1;
    row = row.mul(x.size(i)).add(at::arange(x.size(i), wide.options()).reshape(along));
  }
  for (int64_t k = 0; k < depth; ++k) {
    const int64_t size = x.size(batch + k);
    const at::Tensor at = wide.select(-1, k);
    row = row.mul(size).add(at::where(at.lt(0), at.add(size), at));
  }
  return row.reshape({-1});
}

/// The axes of x behind the first `count`.
std::vector<int64_t> rest_of(const at::Tensor& x, int64_t count) {
  return x.sizes().slice(static_cast<size_t>(count)).vec();
}

at::Tensor by_rows(const at::Tensor& x, std::vector<int64_t> rest) {
  rest.insert(rest.begin(), -1);
  return x.reshape(rest);
}

}  // namespace

Outputs lower_gather_nd(LowerContext& c) {
  const at::Tensor &x = c.input(0), &indices = c.input(1);
  const int64_t batch = c.attrs().get_int("batch_dims", 0);
  const std::vector<int64_t> rest = rest_of(x, batch + indices.size(-1));
  std::vector<int64_t> shape = indices.sizes().vec();
  shape.pop_back();
  shape.insert(shape.end(), rest.begin(), rest.end());
  return {by_rows(x, rest).index_select(0, rows_of(x, indices, batch)).reshape(shape)};
}

std::string refuse_scatter_nd(const AttrView& attrs) {
  const std::string reduction = attrs.get_string("reduction", "none");
  return reduction == "none" || reduction == "add" ? "" : "reduction = " + reduction;
}

Outputs lower_scatter_nd(LowerContext& c) {
  const at::Tensor &x = c.input(0), &indices = c.input(1);
  const std::vector<int64_t> rest = rest_of(x, indices.size(-1));
  const at::Tensor rows = rows_of(x, indices, 0);
  const at::Tensor base = by_rows(x, rest), updates = by_rows(c.input(2), rest);
  const at::Tensor y = c.attrs().get_string("reduction", "none") == "add"
                           ? base.index_add(0, rows, updates)
                           : base.index_copy(0, rows, updates);
  return {y.reshape(x.sizes())};
}

}  // namespace lapidary::train
