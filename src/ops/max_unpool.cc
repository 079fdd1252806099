#include "src/base/checked.h"
#include "src/ops/movement.h"
#include "src/ops/window.h"

namespace lapidary {

namespace {

/// The input shape of the pooling that is undone: (in - 1) stride + kernel - pads.
std::vector<Dim> pooled_from(const AttrView& attrs, const std::vector<Dim>& in) {
  const WindowAttrs window = read_window(attrs, attrs.get_ints("kernel_shape"));
  const size_t axes = window.rank();
  if (in.size() != axes + 2)
    fail_invalid("kernel_shape has {} axes, expected {}", axes, std::ssize(in) - 2);
  std::vector<Dim> out = in;
  for (size_t i = 0; i < axes; ++i) {
    Dim& dim = out[i + 2];
    if (!dim.known()) continue;
    const int64_t pads = checked_add(window.pads[i], window.pads[axes + i]);
    const int64_t span = checked_mul(checked_sub(dim.value, 1), window.strides[i]);
    const int64_t size = checked_sub(checked_add(span, window.kernel[i]), pads);
    if (size < 1) fail_invalid("axis {} of {} becomes {}", i + 2, dim.value, size);
    dim = size;
  }
  return out;
}

void infer(InferContext& ctx) {
  ctx.require_dtype(1, kI64Only);
  ctx.require_dtype(2, kI64Only);
  ctx.require_rank(0, 3, -1);
  ctx.set_type(0, ctx.dtype(0));
  const auto* in = ctx.shape(0);
  if (in == nullptr) return;
  ctx.require_rank(1, std::ssize(*in), std::ssize(*in));
  for (size_t i = 0; ctx.shape(1) && i < in->size(); ++i) unify_dim((*in)[i], (*ctx.shape(1))[i]);
  std::vector<Dim> out = pooled_from(ctx.attrs(), *in);
  if (ctx.has_input(2)) {
    const auto numbers = ctx.ints(2);
    if (numbers && numbers->size() != in->size())
      fail_invalid("output_shape has {} numbers, expected {}", numbers->size(), in->size());
    for (size_t i = 0; i < out.size(); ++i) {
      if (numbers && out[i].known() && (*numbers)[i] < out[i].value)
        fail_invalid("output_shape {} is smaller than what was pooled, {}", shape_text(*numbers),
                     dims_text(out));
      out[i] = numbers ? Dim((*numbers)[i]) : Dim{};
    }
  }
  if (const auto known = known_shape(out)) element_count(*known);
  ctx.set_type(0, ctx.dtype(0), std::move(out));
}

/// Zero but where an index (flat, in the array that was pooled) puts an element; a larger
/// output_shape pads with zeros at the ends.
void evaluate(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const Shape pooled = *known_shape(pooled_from(ctx.attrs(), to_dims(x.shape())));
  Tensor out(x.dtype(), pooled);
  const auto targets = ctx.ints(1);
  with_storage(x.dtype(), [&]<class T>(T) {
    const T* from = static_cast<const T*>(x.raw());
    T* to = static_cast<T*>(out.mutable_raw());
    for (int64_t at : targets) {
      if (at < 0 || at >= out.size())
        fail_invalid("an index is {}, expected 0 to {}", at, out.size() - 1);
      to[at] = *from++;
    }
  });
  if (!ctx.has_input(2)) return ctx.set_output(0, std::move(out));
  AxisTables tables;
  const Shape wanted = ctx.ints(2);
  for (size_t i = 0; i < wanted.size(); ++i) {
    tables.push_back(iota_table(wanted[i]));
    for (int64_t& at : tables[i]) at = at < pooled[i] ? at : -1;
  }
  ctx.set_output(0, take_axes(out, tables));
}

}  // namespace

const OpDef& op_MaxUnpool() {
  static const OpDef def{
      .name = "MaxUnpool",
      .versions = {9, 11, 22},
      .inputs = {2, 3},
      .outputs = {1, 1},
      .attrs = {{"kernel_shape", AttrKind::kInts, true}, kPadsSpec, kStridesSpec},
      .infer = infer,
      .evaluate = evaluate};
  return def;
}

}  // namespace lapidary
