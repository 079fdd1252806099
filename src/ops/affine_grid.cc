#include "src/ops/movement.h"

namespace lapidary {

namespace {

void check_size(std::span<const int64_t> size) {
  if (size.size() != 4 && size.size() != 5)
    fail_invalid("size has {} numbers, expected 4 (N, C, H, W) or 5 (N, C, D, H, W)", size.size());
  for (int64_t s : size)
    if (s < 1) fail_invalid("size {} holds a number below 1", shape_text(size));
  element_count(size);
}

/// theta [N, k, k + 1] and a size of k + 2 numbers -> [N, spatial sizes, k]
void infer(InferContext& ctx) {
  ctx.require_dtype(0, kFloatDTypes);
  ctx.require_dtype(1, kI64Only);
  ctx.require_rank(0, 3, 3);
  const auto length = list_length(ctx, 1);
  ctx.set_type(0, ctx.dtype(0));
  if (const auto numbers = ctx.ints(1)) check_size(*numbers);
  if (!length) return;
  if (*length != 4 && *length != 5) fail_invalid("size has {} numbers, expected 4 or 5", *length);
  const auto size = ctx.shape_value(1).value_or(ShapeValue(static_cast<size_t>(*length)));
  if (const auto* theta = ctx.shape(0)) {
    unify_dim((*theta)[1], *length - 2);
    unify_dim((*theta)[2], *length - 1);
    unify_dim((*theta)[0], size[0]);
  }
  std::vector<Dim> out = {size[0]};
  out.insert(out.end(), size.begin() + 2, size.end());
  out.emplace_back(*length - 2);
  ctx.set_type(0, ctx.dtype(0), std::move(out));
}

/// out[n, position] = theta[n] (x, y, ..., 1), positions spread over [-1, 1], x along the last
/// axis.
void evaluate(EvalContext& ctx) {
  const std::vector<int64_t> size = ctx.ints(1);
  const bool align = ctx.attrs().get_int("align_corners", 0) != 0;
  const std::vector<double> theta = read_as<double>(ctx.input(0));
  const std::vector<int64_t> image(size.begin() + 2, size.end());
  const size_t axes = image.size();
  const auto place = [&](int64_t i, int64_t count) {
    const auto at = static_cast<double>(i), n = static_cast<double>(count);
    if (align) return count == 1 ? -1.0 : 2 * at / (n - 1) - 1;
    return (2 * at + 1) / n - 1;
  };
  std::vector<double> out;
  for (int64_t n = 0; n < size[0]; ++n) {
    std::vector<int64_t> index(axes, 0);
    do {
      for (size_t row = 0; row < axes; ++row) {
        const double* factors = theta.data() + (static_cast<size_t>(n) * axes + row) * (axes + 1);
        double sum = factors[axes];
        for (size_t axis = 0; axis < axes; ++axis)
          sum += factors[axes - 1 - axis] * place(index[axis], image[axis]);
        out.push_back(sum);
      }
    } while (next_index(index, image));
  }
  Shape shape = {size[0]};
  shape.insert(shape.end(), image.begin(), image.end());
  shape.push_back(static_cast<int64_t>(axes));
  ctx.set_output(0, make_from(ctx.input(0).dtype(), std::move(shape), out));
}

}  // namespace

const OpDef& op_AffineGrid() {
  static const OpDef def{.name = "AffineGrid",
                         .versions = {20},
                         .inputs = {2, 2},
                         .outputs = {1, 1},
                         .attrs = {{"align_corners", AttrKind::kInt}},
                         .infer = infer,
                         .evaluate = evaluate};
  return def;
}

}  // namespace lapidary
