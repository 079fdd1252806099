#include <algorithm>

#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/evaluate.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

/// Indices made non-negative against an axis of `size`; throws where one is outside.
std::vector<int64_t> checked_indices(EvalContext& ctx, size_t input, int64_t size) {
  std::vector<int64_t> indices = ctx.ints(input);
  for (int64_t& at : indices) at = normalize_index(at, size, "an index");
  return indices;
}

// -- Gather: out = data with axis `axis` replaced by the axes of indices

void infer_gather(InferContext& ctx) {
  ctx.require_dtype(1, kIndexTypes);
  ctx.set_type(0, ctx.dtype(0));
  const auto *data = ctx.shape(0), *indices = ctx.shape(1);
  if (data == nullptr) return;
  ctx.require_rank(0, 1, -1);
  const auto axis = InferContext::normalize_axis(ctx.attrs().get_int("axis", 0),
                                                 static_cast<int64_t>(data->size()));
  if (indices == nullptr) return;
  std::vector<Dim> out(data->begin(), data->begin() + axis);
  out.insert(out.end(), indices->begin(), indices->end());
  out.insert(out.end(), data->begin() + axis + 1, data->end());
  ctx.set_type(0, ctx.dtype(0), out);

  const auto values = ctx.shape_value(0);
  const auto wanted = ctx.ints(1);
  if (!values || !wanted || data->size() != 1 || indices->size() > 1) return;
  ShapeValue picked;
  for (int64_t at : *wanted)
    picked.push_back(
        (*values)[static_cast<size_t>(normalize_index(at, std::ssize(*values), "an index"))]);
  ctx.set_shape_value(0, std::move(picked));
}

void evaluate_gather(EvalContext& ctx) {
  const Tensor& data = ctx.input(0);
  const int64_t axis = InferContext::normalize_axis(ctx.attrs().get_int("axis", 0), data.rank());
  AxisTables tables = identity_tables(data.shape());
  tables[static_cast<size_t>(axis)] = checked_indices(ctx, 1, data.dim(axis));
  const Tensor flat = take_axes(data, tables);
  Shape shape(data.shape().begin(), data.shape().begin() + axis);
  shape.insert(shape.end(), ctx.input(1).shape().begin(), ctx.input(1).shape().end());
  shape.insert(shape.end(), data.shape().begin() + axis + 1, data.shape().end());
  ctx.set_output(0, flat.reshaped(std::move(shape)));
}

/// Elements that are gathered are tied to their copies; an index is how many elements are left
/// before the one it means. One index alone makes no axis: its element stays.
void gather_axes(AxisFlow& flow) {
  const int64_t rank = flow.input_rank(0), index_rank = flow.input_rank(1);
  const int64_t axis = InferContext::normalize_axis(flow.attrs().get_int("axis", 0), rank);
  for (int64_t i = 0; i < rank; ++i)
    if (i != axis)
      tie_or_freeze(flow, flow.input(0, i), flow.output(0, i < axis ? i : i - 1 + index_rank));
  for (int64_t i = 0; i < index_rank; ++i)
    tie_or_freeze(flow, flow.input(1, i), flow.output(0, axis + i));
  const AxisRef from = flow.input(0, axis);
  auto indices = flow.ints(1);
  if (!indices || index_rank > 1 || flow.size(from) < 0)
    return flow.freeze(from, "indices into it are no known list");
  for (int64_t& at : *indices) at = normalize_index(at, flow.size(from), "an index");
  const AxisRef to = index_rank == 0 ? flow.local(1) : flow.output(0, axis);
  flow.tie(from, *indices, to, positions(0, std::ssize(*indices)));
  for (size_t i = 0; i < indices->size(); ++i)
    flow.input_is(1, static_cast<int64_t>(i), {from, 0, (*indices)[i]});
}

// -- GatherElements: out[i, j, ...] = data[i, indices[i, j, ...], ...] for axis 1, likewise others

void infer_gather_elements(InferContext& ctx) {
  ctx.require_dtype(1, kIndexTypes);
  ctx.set_type(0, TensorType{ctx.dtype(0), ctx.type(1).shape});
  const auto *data = ctx.shape(0), *indices = ctx.shape(1);
  if (data == nullptr) return;
  const auto rank = static_cast<int64_t>(data->size());
  const auto axis = InferContext::normalize_axis(ctx.attrs().get_int("axis", 0), rank);
  ctx.require_rank(1, rank, rank);
  if (indices == nullptr) return;
  for (size_t i = 0; i < data->size(); ++i) {
    const Dim &have = (*data)[i], &want = (*indices)[i];
    if (static_cast<int64_t>(i) != axis && have.known() && want.known() && want.value > have.value)
      fail_invalid("indices have {} along axis {}, expected at most {} as the data", want.value, i,
                   have.value);
  }
}

void evaluate_gather_elements(EvalContext& ctx) {
  const Tensor& data = ctx.input(0);
  const int64_t axis = InferContext::normalize_axis(ctx.attrs().get_int("axis", 0), data.rank());
  std::vector<int64_t> at = checked_indices(ctx, 1, data.dim(axis));
  const Shape& shape = ctx.input(1).shape();
  const std::vector<int64_t> strides = row_major_strides(data.shape());
  std::vector<int64_t> index(shape.size(), 0);
  for (int64_t& position : at) {
    position *= strides[static_cast<size_t>(axis)];
    for (size_t i = 0; i < index.size(); ++i)
      if (static_cast<int64_t>(i) != axis) position += index[i] * strides[i];
    next_index(index, shape);
  }
  ctx.set_output(0, take_flat(data, shape, at));
}

// -- GatherND: indices [..., q] pick data[batch, i0, ..., i(q-1)]

void infer_gather_nd(InferContext& ctx) {
  ctx.require_dtype(1, kI64Only);
  ctx.set_type(0, ctx.dtype(0));
  ctx.require_rank(0, 1, -1);
  ctx.require_rank(1, 1, -1);
  const auto *data = ctx.shape(0), *indices = ctx.shape(1);
  if (data == nullptr || indices == nullptr) return;
  const int64_t batch = ctx.attrs().get_int("batch_dims", 0);
  if (batch < 0 || batch >= std::min(std::ssize(*data), std::ssize(*indices)))
    fail_invalid("batch_dims is {}, expected fewer than the ranks {} and {}", batch, data->size(),
                 indices->size());
  for (int64_t i = 0; i < batch; ++i)
    unify_dim((*data)[static_cast<size_t>(i)], (*indices)[static_cast<size_t>(i)]);
  const Dim& depth = indices->back();
  if (!depth.known()) return;
  if (depth.value < 1 || depth.value > std::ssize(*data) - batch)
    fail_invalid("the last axis of indices is {}, expected 1 to {}", depth.value,
                 std::ssize(*data) - batch);
  std::vector<Dim> out(indices->begin(), indices->end() - 1);
  out.insert(out.end(), data->begin() + batch + depth.value, data->end());
  ctx.set_type(0, ctx.dtype(0), std::move(out));
}

void evaluate_gather_nd(EvalContext& ctx) {
  const Tensor &data = ctx.input(0), &indices = ctx.input(1);
  const auto batch = ctx.attrs().get_int("batch_dims", 0);
  const int64_t depth = indices.dim(-1);
  Shape shape(indices.shape().begin(), indices.shape().end() - 1);
  shape.insert(shape.end(), data.shape().begin() + batch + depth, data.shape().end());
  const std::vector<int64_t> strides = row_major_strides(data.shape()), wanted = ctx.ints(1);
  const auto leading = std::span(data.shape()).first(static_cast<size_t>(batch));
  const int64_t batches = element_count(leading);
  const int64_t block =
      element_count(std::span(data.shape()).subspan(static_cast<size_t>(batch + depth)));
  const int64_t picks = static_cast<int64_t>(wanted.size()) / depth;
  std::vector<int64_t> positions;
  for (int64_t pick = 0; pick < picks; ++pick) {
    int64_t base =
        batch == 0 ? 0 : pick / (picks / batches) * strides[static_cast<size_t>(batch - 1)];
    for (int64_t i = 0; i < depth; ++i) {
      const auto axis = static_cast<size_t>(batch + i);
      base += strides[axis] * normalize_index(wanted[static_cast<size_t>(pick * depth + i)],
                                              data.shape()[axis], "an index");
    }
    for (int64_t i = 0; i < block; ++i) positions.push_back(base + i);
  }
  ctx.set_output(0, take_flat(data, std::move(shape), positions));
}

}  // namespace

const OpDef& op_Gather() {
  static const OpDef def{
      .name = "Gather",
      .versions = {1, 11, 13},
      .inputs = {2, 2},
      .outputs = {1, 1},
      .attrs = {{"axis", AttrKind::kInt}},
      .infer = infer_gather,
      .evaluate = evaluate_gather,
      .axes = gather_axes,
      .role = QuantRole::kPassThrough,
  };
  return def;
}

const OpDef& op_GatherElements() {
  static const OpDef def{
      .name = "GatherElements",
      .versions = {11, 13},
      .inputs = {2, 2},
      .outputs = {1, 1},
      .attrs = {{"axis", AttrKind::kInt}},
      .infer = infer_gather_elements,
      .evaluate = evaluate_gather_elements,
      .role = QuantRole::kPassThrough,
  };
  return def;
}

const OpDef& op_GatherND() {
  static const OpDef def{
      .name = "GatherND",
      .versions = {11, 12, 13},
      .inputs = {2, 2},
      .outputs = {1, 1},
      .attrs = {{"batch_dims", AttrKind::kInt, false, 12}},
      .infer = infer_gather_nd,
      .evaluate = evaluate_gather_nd,
  };
  return def;
}

}  // namespace lapidary
