#include <algorithm>

#include "src/ops/movement.h"

namespace lapidary {

namespace {

inline constexpr DType kFloat[] = {DType::kF32};

/// boxes [batches, boxes, 4], scores [batches, classes, boxes] -> rows (batch, class, box).
void infer(InferContext& ctx) {
  ctx.require_dtype(0, kFloat);
  ctx.require_dtype(1, kFloat);
  ctx.require_rank(0, 3, 3);
  ctx.require_rank(1, 3, 3);
  if (const auto* boxes = ctx.shape(0), *scores = ctx.shape(1); boxes && scores) {
    unify_dim((*boxes)[0], (*scores)[0]);
    unify_dim((*boxes)[1], (*scores)[2]);
    unify_dim((*boxes)[2], 4);
  }
  ctx.require_dtype(2, kI64Only);
  ctx.require_dtype(3, kFloat);
  ctx.require_dtype(4, kFloat);
  for (size_t i = 2; i < 5; ++i) list_length(ctx, i, true);
  ctx.set_type(0, DType::kI64, {Dim{}, 3});
}

struct Box {
  float top, left, bottom, right;
  float area() const { return (bottom - top) * (right - left); }
};

/// Two opposite corners (y, x) in any order, or (x, y) of the center, width and height.
Box read_box(const float* b, bool center) {
  if (center) return {b[1] - b[3] / 2, b[0] - b[2] / 2, b[1] + b[3] / 2, b[0] + b[2] / 2};
  return {std::min(b[0], b[2]), std::min(b[1], b[3]), std::max(b[0], b[2]), std::max(b[1], b[3])};
}

float intersection_over_union(const Box& a, const Box& b) {
  const float height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  const float width = std::min(a.right, b.right) - std::max(a.left, b.left);
  if (height <= 0 || width <= 0) return 0;
  const float shared = height * width;
  return shared / (a.area() + b.area() - shared);
}

template <class T>
T scalar_or(const EvalContext& ctx, size_t input, T otherwise) {
  return ctx.has_input(input) && ctx.input(input).size() > 0 ? ctx.input(input).data<T>()[0]
                                                             : otherwise;
}

/// Boxes by falling score; one that overlaps a kept one by more than the threshold is dropped.
void evaluate(EvalContext& ctx) {
  const Tensor &boxes = ctx.input(0), &scores = ctx.input(1);
  const int64_t batches = scores.dim(0), classes = scores.dim(1), count = scores.dim(2);
  const auto most = scalar_or<int64_t>(ctx, 2, 0);
  const auto overlap = scalar_or<float>(ctx, 3, 0);
  const bool center = ctx.attrs().get_int("center_point_box", 0) != 0;
  std::vector<int64_t> rows;
  for (int64_t batch = 0; batch < batches; ++batch)
    for (int64_t label = 0; label < classes; ++label) {
      const float* score = scores.data<float>().data() + (batch * classes + label) * count;
      const float* corners = boxes.data<float>().data() + batch * count * 4;
      std::vector<int64_t> order = iota_table(count);
      if (ctx.has_input(4) && ctx.input(4).size() > 0)
        std::erase_if(order,
                      [&](int64_t i) { return !(score[i] > ctx.input(4).data<float>()[0]); });
      std::stable_sort(order.begin(), order.end(),
                       [&](int64_t a, int64_t b) { return total_less(score[b], score[a]); });
      std::vector<Box> kept;
      for (int64_t i : order) {
        if (std::ssize(kept) >= most) break;
        const Box box = read_box(corners + i * 4, center);
        if (std::ranges::any_of(
                kept, [&](const Box& k) { return intersection_over_union(box, k) > overlap; }))
          continue;
        kept.push_back(box);
        rows.insert(rows.end(), {batch, label, i});
      }
    }
  ctx.set_output(0, Tensor::of<int64_t>({std::ssize(rows) / 3, 3}, rows));
}

}  // namespace

const OpDef& op_NonMaxSuppression() {
  static const OpDef def{.name = "NonMaxSuppression",
                         .versions = {10, 11},
                         .inputs = {2, 5},
                         .outputs = {1, 1},
                         .attrs = {{"center_point_box", AttrKind::kInt}},
                         .infer = infer,
                         .evaluate = evaluate,
                         .half_since = kNoHalfForm};
  return def;
}

}  // namespace lapidary
