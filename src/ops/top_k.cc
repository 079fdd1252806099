#include <algorithm>

#include "src/ops/movement.h"

namespace lapidary {

namespace {

/// k, an attribute before version 10; absent where an input's element is not known.
std::optional<int64_t> stated_k(const InferContext& ctx) {
  std::optional<int64_t> k;
  if (ctx.version() < 10) {
    k = ctx.attrs().get_int("k", 0);
  } else if (const auto values = ctx.ints(1)) {
    if (values->size() != 1) fail_invalid("k has {} elements, expected 1", values->size());
    k = (*values)[0];
  }
  if (k && *k < 0) fail_invalid("k is {}, expected 0 or more", *k);
  return k;
}

void infer(InferContext& ctx) {
  require_arity(ctx, ctx.version() < 10 ? 1 : 2, ctx.version() < 10 ? 1 : 2);
  if (ctx.version() >= 10) {
    ctx.require_dtype(1, kI64Only);
    list_length(ctx, 1, true);
  }
  ctx.set_type(0, ctx.dtype(0));
  ctx.set_type(1, DType::kI64);
  const auto k = stated_k(ctx);
  const auto* shape = ctx.shape(0);
  if (shape == nullptr) return;
  std::vector<Dim> out = *shape;
  Dim& dim = out[static_cast<size_t>(
      InferContext::normalize_axis(ctx.attrs().get_int("axis", -1), std::ssize(out)))];
  if (k && dim.known() && *k > dim.value)
    fail_invalid("k is {}, expected at most the axis's size {}", *k, dim.value);
  dim = k ? Dim(*k) : Dim{};
  ctx.set_type(0, ctx.dtype(0), out);
  ctx.set_type(1, DType::kI64, std::move(out));
}

/// Sorted by value, the lower index first among equals; NaN counts as larger than any number.
template <class T>
std::vector<int64_t> best(const T* row, int64_t step, int64_t size, int64_t k, bool largest) {
  std::vector<int64_t> order = iota_table(size);
  const auto value = [&](int64_t i) { return load(row[i * step]); };
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return largest ? total_less(value(b), value(a)) : total_less(value(a), value(b));
  });
  order.resize(static_cast<size_t>(k));
  return order;
}

void evaluate(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const int64_t k = ctx.version() < 10 ? ctx.attrs().get_int("k", 0) : ctx.ints(1)[0];
  const bool largest = ctx.attrs().get_int("largest", 1) != 0;
  const int64_t axis = InferContext::normalize_axis(ctx.attrs().get_int("axis", -1), x.rank());
  const int64_t size = x.dim(axis), step = row_major_strides(x.shape())[static_cast<size_t>(axis)];
  Shape shape = x.shape();
  shape[static_cast<size_t>(axis)] = k;
  Tensor values(x.dtype(), shape), indices(DType::kI64, shape);
  const int64_t outer = x.size() == 0 ? 0 : x.size() / (size * step);
  dispatch<NumericTypes>(x.dtype(), [&]<class T>() {
    const auto from = x.data<T>();
    auto to = values.mutable_data<T>();
    auto where = indices.mutable_data<int64_t>();
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i = 0; i < step; ++i) {
        const T* row = from.data() + o * size * step + i;
        const auto order = best(row, step, size, k, largest);
        for (int64_t j = 0; j < k; ++j) {
          const auto at = static_cast<size_t>((o * k + j) * step + i);
          to[at] = row[order[static_cast<size_t>(j)] * step];
          where[at] = order[static_cast<size_t>(j)];
        }
      }
  });
  ctx.set_output(0, std::move(values));
  ctx.set_output(1, std::move(indices));
}

/// k: attribute -> input.
void upgrade_to_10(Graph& graph, NodeId id) {
  const Attr* k = graph.node(id).attr("k");
  if (k == nullptr || !std::holds_alternative<int64_t>(*k)) return;
  const ValueId input = graph.add_constant(graph.unique_name(node_key(graph, id) + "_k"),
                                           Tensor::of<int64_t>({1}, {std::get<int64_t>(*k)}));
  graph.set_input(id, 1, input);
  graph.erase_attr(id, "k");
}

}  // namespace

const OpDef& op_TopK() {
  static const OpDef def{
      .name = "TopK",
      .versions = {1, 10, 11, 24},
      .inputs = {1, 2},
      .outputs = {1, 2},
      .attrs = {{"axis", AttrKind::kInt},
                {"k", AttrKind::kInt, true, 1, 9},
                {"largest", AttrKind::kInt, false, 11},
                {"sorted", AttrKind::kInt, false, 11}},
      .infer = infer,
      .evaluate = evaluate,
      .half_since = kNoHalfForm,
      .upgrades = {{10, upgrade_to_10}},
  };
  return def;
}

}  // namespace lapidary
