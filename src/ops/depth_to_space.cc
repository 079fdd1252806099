#include "src/base/checked.h"
#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/evaluate.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

int64_t block_size(const AttrView& attrs) {
  const int64_t block = attrs.get_int("blocksize", 0);
  if (block < 1) fail_invalid("blocksize is {}, expected 1 or more", block);
  return block;
}

/// True for "CRD" (column, row, depth), the order of pixel shuffle; "DCR" otherwise.
bool columns_first(const AttrView& attrs) {
  const std::string mode = attrs.get_string("mode", "DCR");
  if (mode != "DCR" && mode != "CRD") fail_invalid("mode is '{}', expected DCR or CRD", mode);
  return mode == "CRD";
}

Dim divided(const Dim& dim, int64_t by, std::string_view what) {
  if (!dim.known()) return by == 1 ? dim : Dim{};
  if (dim.value % by != 0) fail_invalid("{} is {}, expected a multiple of {}", what, dim.value, by);
  return dim.value / by;
}

/// [N, C, H, W] -> [N, C/b^2, H*b, W*b]
void infer_depth_to_space(InferContext& ctx) {
  const int64_t block = block_size(ctx.attrs());
  columns_first(ctx.attrs());
  ctx.require_rank(0, 4, 4);
  ctx.set_type(0, ctx.dtype(0), std::vector<Dim>(4));
  const auto* x = ctx.shape(0);
  if (x == nullptr) return;
  ctx.set_type(0, ctx.dtype(0),
               {(*x)[0], divided((*x)[1], checked_mul(block, block), "the channel count"),
                mul_dims((*x)[2], block), mul_dims((*x)[3], block)});
}

void evaluate_depth_to_space(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const int64_t b = block_size(ctx.attrs());
  const int64_t n = x.dim(0), c = x.dim(1) / (b * b), h = x.dim(2), w = x.dim(3);
  const bool crd = columns_first(ctx.attrs());
  const Tensor split = x.reshaped(crd ? Shape{n, c, b, b, h, w} : Shape{n, b, b, c, h, w});
  const std::vector<int64_t> perm =
      crd ? std::vector<int64_t>{0, 1, 4, 2, 5, 3} : std::vector<int64_t>{0, 3, 4, 1, 5, 2};
  ctx.set_output(0, transposed(split, perm).reshaped({n, c, h * b, w * b}));
}

/// [N, C, H, W] -> [N, C*b^2, H/b, W/b]
void infer_space_to_depth(InferContext& ctx) {
  const int64_t block = block_size(ctx.attrs());
  ctx.require_rank(0, 4, 4);
  ctx.set_type(0, ctx.dtype(0), std::vector<Dim>(4));
  const auto* x = ctx.shape(0);
  if (x == nullptr) return;
  ctx.set_type(0, ctx.dtype(0),
               {(*x)[0], mul_dims((*x)[1], checked_mul(block, block)),
                divided((*x)[2], block, "the height"), divided((*x)[3], block, "the width")});
}

void evaluate_space_to_depth(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const int64_t b = block_size(ctx.attrs());
  const int64_t n = x.dim(0), c = x.dim(1), h = x.dim(2) / b, w = x.dim(3) / b;
  const std::vector<int64_t> perm = {0, 3, 5, 1, 2, 4};
  ctx.set_output(0,
                 transposed(x.reshaped({n, c, h, b, w, b}), perm).reshaped({n, c * b * b, h, w}));
}

/// `deep` is [c, b, b], or [b, b, c]; `c` is the channels of the other side.
void tie_blocks(AxisFlow& flow, AxisRef deep, AxisRef c, bool channels_first) {
  tie_or_freeze(flow, flow.input(0, 0), flow.output(0, 0));
  if (flow.size(deep) < 0 || flow.size(c) < 0) return;
  const int64_t b = block_size(flow.attrs());
  const AxisRef row = flow.local(b), column = flow.local(b);
  for (const AxisRef axis : {row, column}) flow.freeze(axis, "rows and columns of blocks");
  if (channels_first)
    flow.multiply(deep, {c, row, column});
  else
    flow.multiply(deep, {row, column, c});
}

void depth_to_space_axes(AxisFlow& flow) {
  tie_blocks(flow, flow.input(0, 1), flow.output(0, 1), columns_first(flow.attrs()));
}
void space_to_depth_axes(AxisFlow& flow) {
  tie_blocks(flow, flow.output(0, 1), flow.input(0, 1), false);
}

}  // namespace

const OpDef& op_DepthToSpace() {
  static const OpDef def{
      .name = "DepthToSpace",
      .versions = {1, 11, 13, 28},
      .inputs = {1, 1},
      .outputs = {1, 1},
      .attrs = {{"blocksize", AttrKind::kInt, true}, {"mode", AttrKind::kString, false, 11}},
      .infer = infer_depth_to_space,
      .evaluate = evaluate_depth_to_space,
      .axes = depth_to_space_axes,
  };
  return def;
}

const OpDef& op_SpaceToDepth() {
  static const OpDef def{
      .name = "SpaceToDepth",
      .versions = {1, 13},
      .later = {28},  // orders of blocks
      .inputs = {1, 1},
      .outputs = {1, 1},
      .attrs = {{"blocksize", AttrKind::kInt, true}},
      .infer = infer_space_to_depth,
      .evaluate = evaluate_space_to_depth,
      .axes = space_to_depth_axes,
  };
  return def;
}

}  // namespace lapidary
