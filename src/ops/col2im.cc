#include "src/base/checked.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

/// Windows of `block` over an image, each a column of [N, C * block elements, windows].
struct Geometry {
  std::vector<int64_t> image, block, windows, strides, dilations, begins;
};

Geometry read_geometry(const AttrView& attrs, const std::vector<int64_t>& image,
                       const std::vector<int64_t>& block) {
  const size_t axes = image.size();
  Geometry g{image,
             block,
             {},
             attrs.get_ints("strides", std::vector<int64_t>(axes, 1)),
             attrs.get_ints("dilations", std::vector<int64_t>(axes, 1)),
             {}};
  const auto pads = attrs.get_ints("pads", std::vector<int64_t>(2 * axes, 0));
  if (block.size() != axes || g.strides.size() != axes || g.dilations.size() != axes ||
      pads.size() != 2 * axes)
    fail_invalid("image_shape {}, block_shape {}, strides, dilations and pads differ in length",
                 shape_text(image), shape_text(block));
  g.begins.assign(pads.begin(), pads.begin() + static_cast<int64_t>(axes));
  for (size_t i = 0; i < axes; ++i) {
    if (image[i] < 1 || block[i] < 1 || g.strides[i] < 1 || g.dilations[i] < 1 || pads[i] < 0 ||
        pads[axes + i] < 0)
      fail_invalid("axis {}: sizes, strides and dilations are positive, pads not negative", i);
    const int64_t reach = checked_add(checked_mul(g.dilations[i], block[i] - 1), 1);
    const int64_t room =
        checked_sub(checked_add(checked_add(image[i], pads[i]), pads[axes + i]), reach);
    if (room < 0) fail_invalid("axis {}: a block of {} does not fit {}", i, reach, image[i]);
    g.windows.push_back(room / g.strides[i] + 1);
  }
  return g;
}

void infer(InferContext& ctx) {
  ctx.require_rank(0, 3, 3);
  for (size_t i : {1, 2}) {
    ctx.require_dtype(i, kI64Only);
    list_length(ctx, i);
  }
  ctx.set_type(0, ctx.dtype(0));
  const auto* x = ctx.shape(0);
  const auto image = ctx.ints(1), block = ctx.ints(2);
  if (!image || !block) return;
  const Geometry g = read_geometry(ctx.attrs(), *image, *block);
  const int64_t elements = element_count(g.block);
  std::vector<Dim> out(2);
  if (x) {
    out[0] = (*x)[0];
    unify_dim((*x)[2], element_count(g.windows));
    if ((*x)[1].known()) {
      if ((*x)[1].value % elements != 0)
        fail_invalid("axis 1 is {}, expected a multiple of the block's {}", (*x)[1].value,
                     elements);
      out[1] = (*x)[1].value / elements;
    }
  }
  out.insert(out.end(), g.image.begin(), g.image.end());
  if (const auto known = known_shape(out)) element_count(*known);
  ctx.set_type(0, ctx.dtype(0), std::move(out));
}

/// out[n, c, window * stride - pad + tap * dilation] += x[n, c * taps + tap, window]
void evaluate(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const Geometry g = read_geometry(ctx.attrs(), ctx.ints(1), ctx.ints(2));
  const int64_t taps = element_count(g.block), windows = element_count(g.windows);
  const int64_t pixels = element_count(g.image);
  Shape shape = {x.dim(0), x.dim(1) / taps};
  shape.insert(shape.end(), g.image.begin(), g.image.end());
  Tensor out(x.dtype(), shape);
  const auto strides = row_major_strides(g.image);
  dispatch<NumericTypes>(x.dtype(), [&]<class T>() {
    const T* from = x.data<T>().data();
    T* to = out.mutable_data<T>().data();
    for (int64_t plane = 0; plane < shape[0] * shape[1]; ++plane, to += pixels) {
      std::vector<int64_t> tap(g.block.size(), 0);
      for (int64_t t = 0; t < taps; ++t, next_index(tap, g.block)) {
        std::vector<int64_t> window(g.block.size(), 0);
        for (int64_t w = 0; w < windows; ++w, next_index(window, g.windows), ++from) {
          int64_t at = 0;
          bool inside = true;
          for (size_t i = 0; i < tap.size(); ++i) {
            const int64_t place = window[i] * g.strides[i] - g.begins[i] + tap[i] * g.dilations[i];
            inside = inside && place >= 0 && place < g.image[i];
            at += place * strides[i];
          }
          if (inside) to[at] = store<T>(static_cast<Real<T>>(load(to[at]) + load(*from)));
        }
      }
    }
  });
  ctx.set_output(0, std::move(out));
}

}  // namespace

const OpDef& op_Col2Im() {
  static const OpDef def{.name = "Col2Im",
                         .versions = {18},
                         .inputs = {3, 3},
                         .outputs = {1, 1},
                         .attrs = {{"dilations", AttrKind::kInts},
                                   {"pads", AttrKind::kInts},
                                   {"strides", AttrKind::kInts}},
                         .infer = infer,
                         .evaluate = evaluate};
  return def;
}

}  // namespace lapidary
