#include <algorithm>

#include "src/ops/movement.h"

namespace lapidary {

namespace {

enum class Reduction { kNone, kAdd, kMul, kMin, kMax };

Reduction reduction_of(const AttrView& attrs) {
  const std::string name = attrs.get_string("reduction", "none");
  if (name == "none") return Reduction::kNone;
  if (name == "add") return Reduction::kAdd;
  if (name == "mul") return Reduction::kMul;
  if (name == "min" && attrs.version() >= 18) return Reduction::kMin;
  if (name == "max" && attrs.version() >= 18) return Reduction::kMax;
  fail_invalid("reduction is '{}', expected none, add, mul or (from version 18) min, max", name);
}

template <class R>
R reduce(Reduction reduction, R old, R update) {
  switch (reduction) {
    case Reduction::kNone:
      break;
    case Reduction::kAdd:
      return static_cast<R>(old + update);
    case Reduction::kMul:
      return static_cast<R>(old * update);
    case Reduction::kMin:
      return std::min(old, update);
    case Reduction::kMax:
      return std::max(old, update);
  }
  return update;
}

/// out = data; out[targets[i]] = reduce(out[targets[i]], updates[i]) for i in order.
Tensor scattered(const Tensor& data, std::span<const int64_t> targets, const Tensor& updates,
                 Reduction reduction) {
  Tensor out = data;
  if (reduction == Reduction::kNone) {
    with_storage(data.dtype(), [&]<class T>(T) {
      T* to = static_cast<T*>(out.mutable_raw());
      const T* from = static_cast<const T*>(updates.raw());
      for (int64_t at : targets) to[at] = *from++;
    });
    return out;
  }
  dispatch<NumericTypes>(data.dtype(), [&]<class T>() {
    auto to = out.mutable_data<T>();
    const auto from = updates.data<T>();
    for (size_t i = 0; i < targets.size(); ++i) {
      T& element = to[static_cast<size_t>(targets[i])];
      element = store<T>(reduce(reduction, load(element), load(from[i])));
    }
  });
  return out;
}

// -- ScatterElements: out[i, indices[i, j], ...] takes updates[i, j, ...] for axis 1

void infer_elements(InferContext& ctx) {
  ctx.require_dtype(1, kIndexTypes);
  ctx.require_same_dtype(0, 2);
  reduction_of(ctx.attrs());
  ctx.set_type(0, ctx.type(0));
  const auto *data = ctx.shape(0), *indices = ctx.shape(1), *updates = ctx.shape(2);
  if (data == nullptr) return;
  const int64_t rank = std::ssize(*data);
  const auto axis = InferContext::normalize_axis(ctx.attrs().get_int("axis", 0), rank);
  ctx.require_rank(1, rank, rank);
  ctx.require_rank(2, rank, rank);
  for (int64_t i = 0; indices && i < rank; ++i) {
    const Dim& at = (*indices)[static_cast<size_t>(i)];
    if (updates) unify_dim(at, (*updates)[static_cast<size_t>(i)]);
    const Dim& have = (*data)[static_cast<size_t>(i)];
    if (i != axis && at.known() && have.known() && at.value > have.value)
      fail_invalid("indices have {} along axis {}, expected at most {} as the data", at.value, i,
                   have.value);
  }
}

void evaluate_elements(EvalContext& ctx) {
  const Tensor& data = ctx.input(0);
  const Shape& shape = ctx.input(1).shape();
  if (shape != ctx.input(2).shape())
    fail_invalid("indices are {} and updates {}, expected one shape", shape_text(shape),
                 shape_text(ctx.input(2).shape()));
  const auto axis = static_cast<size_t>(
      InferContext::normalize_axis(ctx.attrs().get_int("axis", 0), data.rank()));
  const auto strides = row_major_strides(data.shape());
  std::vector<int64_t> targets = ctx.ints(1);
  std::vector<int64_t> index(shape.size(), 0);
  for (int64_t& at : targets) {
    int64_t position = normalize_index(at, data.shape()[axis], "an index") * strides[axis];
    for (size_t i = 0; i < index.size(); ++i)
      if (i != axis) position += index[i] * strides[i];
    at = position;
    next_index(index, shape);
  }
  ctx.set_output(0, scattered(data, targets, ctx.input(2), reduction_of(ctx.attrs())));
}

// -- ScatterND: rows of indices [..., q] name blocks data[i0, ..., i(q-1)]

void infer_nd(InferContext& ctx) {
  ctx.require_dtype(1, kI64Only);
  ctx.require_same_dtype(0, 2);
  reduction_of(ctx.attrs());
  ctx.set_type(0, ctx.type(0));
  ctx.require_rank(0, 1, -1);
  ctx.require_rank(1, 1, -1);
  const auto *data = ctx.shape(0), *indices = ctx.shape(1), *updates = ctx.shape(2);
  if (!data || !indices || !indices->back().known()) return;
  const int64_t depth = indices->back().value;
  if (depth < 1 || depth > std::ssize(*data))
    fail_invalid("the last axis of indices is {}, expected 1 to {}", depth, data->size());
  std::vector<Dim> expected(indices->begin(), indices->end() - 1);
  expected.insert(expected.end(), data->begin() + depth, data->end());
  const auto rank = std::ssize(expected);
  ctx.require_rank(2, rank, rank);
  for (size_t i = 0; updates && i < expected.size(); ++i) unify_dim(expected[i], (*updates)[i]);
}

void evaluate_nd(EvalContext& ctx) {
  const Tensor& data = ctx.input(0);
  const int64_t depth = ctx.input(1).dim(-1);
  const auto strides = row_major_strides(data.shape()), rows = ctx.ints(1);
  const int64_t block = element_count(std::span(data.shape()).subspan(static_cast<size_t>(depth)));
  std::vector<int64_t> targets;
  for (size_t row = 0; row < rows.size(); row += static_cast<size_t>(depth)) {
    int64_t base = 0;
    for (size_t i = 0; i < static_cast<size_t>(depth); ++i)
      base += strides[i] * normalize_index(rows[row + i], data.shape()[i], "an index");
    for (int64_t i = 0; i < block; ++i) targets.push_back(base + i);
  }
  ctx.set_output(0, scattered(data, targets, ctx.input(2), reduction_of(ctx.attrs())));
}

/// Scatter was renamed.
void upgrade_to_11(Graph& graph, NodeId id) { graph.set_op(id, "", "ScatterElements"); }

}  // namespace

const OpDef& op_Scatter() {
  static const OpDef def{.name = "Scatter",
                         .versions = {9},
                         .later = {11},
                         .inputs = {3, 3},
                         .outputs = {1, 1},
                         .attrs = {{"axis", AttrKind::kInt}},
                         .infer = infer_elements,
                         .evaluate = evaluate_elements,
                         .upgrades = {{11, upgrade_to_11}}};
  return def;
}

const OpDef& op_ScatterElements() {
  static const OpDef def{
      .name = "ScatterElements",
      .versions = {11, 13, 16, 18},
      .inputs = {3, 3},
      .outputs = {1, 1},
      .attrs = {{"axis", AttrKind::kInt}, {"reduction", AttrKind::kString, false, 16}},
      .infer = infer_elements,
      .evaluate = evaluate_elements};
  return def;
}

const OpDef& op_ScatterND() {
  static const OpDef def{.name = "ScatterND",
                         .versions = {11, 13, 16, 18},
                         .inputs = {3, 3},
                         .outputs = {1, 1},
                         .attrs = {{"reduction", AttrKind::kString, false, 16}},
                         .infer = infer_nd,
                         .evaluate = evaluate_nd};
  return def;
}

}  // namespace lapidary
