#include <algorithm>

#include "src/ops/movement.h"

namespace lapidary {

namespace {

/// Unique slices along the axis (elements of the flattened input without one), then i64 lists:
/// first occurrences, the inverse, and counts.
void infer(InferContext& ctx) {
  for (size_t i = 1; i < ctx.output_count(); ++i) ctx.set_type(i, DType::kI64, {Dim{}});
  ctx.set_type(0, ctx.dtype(0));
  const auto* shape = ctx.shape(0);
  std::vector<Dim> out(1);
  if (ctx.attrs().has("axis")) {
    if (shape == nullptr) return;
    out = *shape;
    const auto axis = InferContext::normalize_axis(ctx.attrs().get_int("axis", 0), std::ssize(out));
    if (ctx.output_count() > 2) ctx.set_type(2, DType::kI64, {out[static_cast<size_t>(axis)]});
    out[static_cast<size_t>(axis)] = Dim{};
  } else if (shape && ctx.output_count() > 2) {
    ctx.set_type(2, DType::kI64, {product(*shape)});
  }
  ctx.set_type(0, ctx.dtype(0), std::move(out));
}

template <class T>
int compare(const T& a, const T& b) {
  if constexpr (std::is_same_v<T, std::string>)
    return a.compare(b);
  else
    return total_less(load(a), load(b)) ? -1 : total_less(load(b), load(a)) ? 1 : 0;
}

/// Groups of equal rows of a [count, width] array, each by its rows in ascending order; the groups
/// by the order of first occurrence, or of the rows' elements.
template <class T>
std::vector<std::vector<int64_t>> groups(const T* rows, int64_t count, int64_t width, bool sorted) {
  const auto order_of = [&](int64_t a, int64_t b) {
    for (int64_t i = 0; i < width; ++i)
      if (const int order = compare(rows[a * width + i], rows[b * width + i])) return order;
    return 0;
  };
  std::vector<int64_t> order = iota_table(count);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return order_of(a, b) < 0; });
  std::vector<std::vector<int64_t>> out;
  for (int64_t row : order) {
    if (out.empty() || order_of(out.back().front(), row) != 0) out.emplace_back();
    out.back().push_back(row);
  }
  if (!sorted)
    std::sort(out.begin(), out.end(), [](auto& a, auto& b) { return a.front() < b.front(); });
  return out;
}

void evaluate(EvalContext& ctx) {
  const bool flat = !ctx.attrs().has("axis");
  const Tensor x = flat ? ctx.input(0).reshaped({ctx.input(0).size()}) : ctx.input(0);
  const auto axis = static_cast<size_t>(
      flat ? 0 : InferContext::normalize_axis(ctx.attrs().get_int("axis", 0), x.rank()));
  std::vector<int64_t> perm = iota_table(x.rank());  // the axis first
  std::rotate(perm.begin(), perm.begin() + static_cast<int64_t>(axis),
              perm.begin() + static_cast<int64_t>(axis) + 1);
  const Tensor rows = transposed(x, perm);
  const int64_t count = x.shape()[axis];
  std::vector<std::vector<int64_t>> found;
  dispatch<AnyTypes>(x.dtype(), [&]<class T>() {
    found = groups(rows.data<T>().data(), count, count == 0 ? 0 : x.size() / count,
                   ctx.attrs().get_int("sorted", 1) != 0);
  });
  std::vector<int64_t> first, counts, inverse(static_cast<size_t>(count));
  for (const auto& group : found) {
    for (int64_t row : group) inverse[static_cast<size_t>(row)] = std::ssize(first);
    first.push_back(group.front());
    counts.push_back(std::ssize(group));
  }
  AxisTables tables = identity_tables(x.shape());
  tables[axis] = first;
  ctx.set_output(0, take_axes(x, tables));
  ctx.set_output(1, Tensor::of<int64_t>({std::ssize(first)}, first));
  ctx.set_output(2, Tensor::of<int64_t>({count}, inverse));
  ctx.set_output(3, Tensor::of<int64_t>({std::ssize(counts)}, counts));
}

}  // namespace

const OpDef& op_Unique() {
  static const OpDef def{.name = "Unique",
                         .versions = {11},
                         .later = {28},  // bfloat16
                         .inputs = {1, 1},
                         .outputs = {1, 4},
                         .attrs = {{"axis", AttrKind::kInt}, {"sorted", AttrKind::kInt}},
                         .infer = infer,
                         .evaluate = evaluate};
  return def;
}

}  // namespace lapidary
