#include <algorithm>

#include "src/exec/steps/convert.h"
#include "src/exec/steps/copy.h"
#include "src/exec/steps/place.h"
#include "src/exec/steps/rules.h"
#include "src/ops/elements.h"
#include "src/ops/resize.h"

namespace lapidary::exec {

namespace {

/// Axes that walk all of `shape` in both operands.
std::vector<CopyAxis> axes_of(const Shape& shape, const std::vector<int64_t>& x,
                              const std::vector<int64_t>& y) {
  std::vector<CopyAxis> axes;
  for (size_t i = 0; i < shape.size(); ++i) axes.push_back({shape[i], x[i], y[i]});
  return axes;
}

std::optional<std::vector<int64_t>> constant_ints(const PlanBuilder& b, ValueId id) {
  const Tensor* t = b.constant(id);
  if (t == nullptr) return std::nullopt;
  std::vector<int64_t> out;
  if (t->dtype() == DType::kI64)
    for (const int64_t v : t->data<int64_t>()) out.push_back(v);
  else if (t->dtype() == DType::kI32)
    for (const int32_t v : t->data<int32_t>()) out.push_back(v);
  else
    return std::nullopt;
  return out;
}

/// Room for elements of `from` that move into `y`: in place where they lie as a Concat wants them.
Place place_as(PlanBuilder& b, ValueId y, const Operand& from) {
  if (from.layout == Layout::kChannelsLast && from.biased == (from.dtype == DType::kI8))
    return place_result(b, y);
  return {.out = b.create(y, from.layout, from.biased)};
}

size_t wrapped(int64_t axis, size_t rank) {
  return static_cast<size_t>(axis < 0 ? axis + static_cast<int64_t>(rank) : axis);
}

}  // namespace

/// Another shape of the same row-major elements: no step at all.
bool build_alias(PlanBuilder& b, NodeId id) {
  b.alias(b.output(id), as_lies(b, b.input(id, 0), Layout::kRowMajor), Layout::kRowMajor);
  return true;
}

bool build_identity(PlanBuilder& b, NodeId id) {
  const AttrView attrs = b.attrs(id);
  if (b.wants_output(id, 1) || (b.node(id).op == "Dropout" && b.input(id, 2))) return false;
  if (attrs.get_int("is_test", 1) == 0) return false;
  const Operand lies = b.operand(b.input(id, 0));
  b.alias(b.output(id), lies, lies.layout);
  return true;
}

bool build_transpose(PlanBuilder& b, NodeId id) {
  const ValueId x = b.input(id, 0), y = b.output(id);
  const Operand from = b.operand(x);
  const Shape out_shape = b.shape(y);
  std::vector<int64_t> perm = b.attrs(id).get_ints("perm");
  if (perm.empty())
    for (int64_t i = static_cast<int64_t>(out_shape.size()); i-- > 0;) perm.push_back(i);
  const auto own = from.strides();
  std::vector<int64_t> strides;
  for (const int64_t axis : perm) strides.push_back(own[wrapped(axis, perm.size())]);

  for (const Layout layout : {Layout::kRowMajor, Layout::kChannelsLast}) {
    const Operand same{from.storage, from.dtype, out_shape, layout, from.biased};
    const auto wanted = same.strides();
    bool equal = true;
    for (size_t i = 0; i < wanted.size(); ++i)
      equal = equal && (out_shape[i] == 1 || wanted[i] == strides[i]);
    if (!equal) continue;
    b.alias(y, from, layout);
    return true;
  }
  const Layout layout = b.prefers_channels_last(y) ? Layout::kChannelsLast : Layout::kRowMajor;
  const Operand to = b.create(y, layout, from.biased);
  emit_moves(b, id, {make_move(from, to, axes_of(out_shape, strides, to.strides()))});
  return true;
}

/// Inputs that were written in place already are left out.
bool build_concat(PlanBuilder& b, NodeId id) {
  const ValueId y = b.output(id);
  const auto concat = concat_parts(b, id);
  if (!concat) return false;
  const Operand* room = b.reserved(y);
  const Layout layout = room ? room->layout : b.follow(id);
  const bool biased = b.dtype(y) == DType::kI8 && (room || b.operand(b.input(id, 0)).biased);
  std::vector<std::pair<Operand, int64_t>> inputs;
  for (size_t i = 0; i < concat->values.size(); ++i)
    if (const ValueId x = concat->values[i]; !b.operand(x).slice)
      inputs.push_back({b.get(x, layout, biased), concat->begins[i]});
  if (inputs.empty()) return b.alias(y, *room, layout), true;
  const Operand to = b.create(y, layout, biased);
  const auto strides = to.strides();
  std::vector<Move> moves;
  for (const auto& [from, at] : inputs)
    moves.push_back(make_move(from, to, axes_of(from.shape, from.strides(), strides), 0,
                              at * strides[static_cast<size_t>(concat->axis)]));
  emit_moves(b, id, std::move(moves));
  return true;
}

bool build_split(PlanBuilder& b, NodeId id) {
  for (const ValueId y : b.node(id).outputs)
    if (!y) return false;
  const Operand from = as_lies(b, b.input(id, 0), b.follow(id));
  const auto strides = from.strides();
  const size_t axis = wrapped(b.attrs(id).get_int("axis", 0), from.shape.size());
  std::vector<Move> moves;
  int64_t at = 0;
  for (const ValueId y : b.node(id).outputs) {
    const Operand to = b.create(y, from.layout, from.biased);
    moves.push_back(
        make_move(from, to, axes_of(to.shape, strides, to.strides()), at * strides[axis]));
    at += to.shape[axis];
  }
  emit_moves(b, id, std::move(moves));
  return true;
}

bool build_slice(PlanBuilder& b, NodeId id) {
  const ValueId x = b.input(id, 0), y = b.output(id);
  const Shape in = b.shape(x);
  std::optional<std::vector<int64_t>> starts, axes, steps;
  if (b.node(id).inputs.size() > 1) {
    starts = constant_ints(b, b.input(id, 1));
    if (b.input(id, 3)) axes = constant_ints(b, b.input(id, 3));
    if (b.input(id, 4)) steps = constant_ints(b, b.input(id, 4));
    if ((b.input(id, 3) && !axes) || (b.input(id, 4) && !steps)) return false;
  } else {
    starts = b.attrs(id).get_ints("starts");
    if (b.attrs(id).has("axes")) axes = b.attrs(id).get_ints("axes");
  }
  if (!starts) return false;
  const Operand from = as_lies(b, x, b.follow(id));
  std::vector<int64_t> strides = from.strides();
  int64_t offset = 0;
  for (size_t i = 0; i < starts->size(); ++i) {
    const size_t axis = axes ? wrapped((*axes)[i], in.size()) : i;
    const int64_t step = steps ? (*steps)[i] : 1, size = in[axis];
    const int64_t start = (*starts)[i] < 0 ? (*starts)[i] + size : (*starts)[i];
    offset += std::clamp<int64_t>(start, 0, step < 0 ? size - 1 : size) * strides[axis];
    strides[axis] *= step;
  }
  const Place place = place_as(b, y, from);
  emit_moves(b, id,
             {make_move(from, place.out, axes_of(place.out.shape, strides, place.strides()), offset,
                        place.at)});
  return true;
}

/// A copy where the index is one constant, or indices are constants that follow each other.
bool build_gather(PlanBuilder& b, NodeId id) {
  const ValueId x = b.input(id, 0), y = b.output(id);
  const auto indices = constant_ints(b, b.input(id, 1));
  if (!indices) return build_gather_rows(b, id);
  for (size_t i = 1; i < indices->size(); ++i)
    if ((*indices)[i] != (*indices)[0] + static_cast<int64_t>(i)) return build_gather_rows(b, id);
  const Shape in = b.shape(x);
  const size_t axis = wrapped(b.attrs(id).get_int("axis", 0), in.size());
  const int64_t first = (*indices)[0] < 0 ? (*indices)[0] + in[axis] : (*indices)[0];
  const auto count = static_cast<int64_t>(indices->size());
  if (first < 0 || first + count > in[axis]) return false;
  const Operand from = as_lies(b, x, Layout::kRowMajor);
  const Operand to = b.create(y, Layout::kRowMajor, from.biased);
  const int64_t inner = from.strides()[axis], outer = from.count() / (inner * in[axis]);
  emit_moves(b, id,
             {make_move(from, to, {{outer, inner * in[axis], inner * count}, {count * inner, 1, 1}},
                        first * inner)});
  return true;
}

bool build_expand(PlanBuilder& b, NodeId id) {
  const Operand from = as_lies(b, b.input(id, 0), Layout::kRowMajor);
  const Operand to = b.create(b.output(id), Layout::kRowMajor, from.biased);
  const auto own = from.strides(), target = to.strides();
  const size_t missing = to.shape.size() - from.shape.size();
  std::vector<int64_t> strides(to.shape.size(), 0);
  for (size_t i = 0; i < own.size(); ++i)
    if (from.shape[i] != 1) strides[missing + i] = own[i];
  emit_moves(b, id, {make_move(from, to, axes_of(to.shape, strides, target))});
  return true;
}

/// Constant padding; others are left to the reference.
bool build_pad(PlanBuilder& b, NodeId id) {
  const ValueId x = b.input(id, 0), y = b.output(id);
  const AttrView attrs = b.attrs(id);
  if (attrs.get_string("mode", "constant") != "constant" || b.input(id, 3)) return false;
  const auto pads = b.input(id, 1)      ? constant_ints(b, b.input(id, 1))
                    : attrs.has("pads") ? std::optional(attrs.get_ints("pads"))
                                        : std::nullopt;
  if (!pads || std::any_of(pads->begin(), pads->end(), [](int64_t p) { return p < 0; }))
    return false;
  Tensor value(b.dtype(x), {});
  if (b.dtype(x) == DType::kF32) value = Tensor::scalar(attrs.get_float("value", 0.0f));
  if (b.input(id, 2)) {
    if (b.constant(b.input(id, 2)) == nullptr) return false;
    value = b.constant(b.input(id, 2))->reshaped({});
  }
  const Operand from = as_lies(b, x, b.follow(id));
  if (from.biased)
    flip_bias(static_cast<const uint8_t*>(value.raw()), static_cast<uint8_t*>(value.mutable_raw()),
              1);
  const Operand to = b.create(y, from.layout, from.biased);
  const auto strides = to.strides();
  int64_t offset = 0;
  for (size_t i = 0; i < strides.size(); ++i) offset += (*pads)[i] * strides[i];
  emit_moves(b, id, {make_move(from, to, axes_of(from.shape, from.strides(), strides), 0, offset)},
             &value);
  return true;
}

namespace {

/// True where output o of a k-fold axis is input o / k for every o: what these pairs of settings
/// mean for whole factors.
bool repeats_elements(const AttrView& attrs, bool upsample) {
  if (attrs.get_string("mode", "nearest") != "nearest") return false;
  if (upsample || attrs.version() == 10) return true;
  const std::string where = attrs.get_string("coordinate_transformation_mode", "half_pixel");
  const std::string rounding = attrs.get_string("nearest_mode", "round_prefer_floor");
  if (where == "asymmetric") return rounding == "floor";
  return (where == "half_pixel" || where == "pytorch_half_pixel") &&
         (rounding == "round_prefer_floor" || rounding == "round_prefer_ceil");
}

/// True where every axis grows by a whole factor, which is also the node's scale: 2.4 makes 4 of 2
/// elements as 2 does, but of the first one three.
bool grows_by_whole_factors(const PlanBuilder& b, NodeId id, const Shape& in, const Shape& out) {
  for (size_t i = 0; i < in.size(); ++i)
    if (out[i] % in[i] != 0) return false;
  const AttrView attrs = b.attrs(id);
  const ResizeSlots slots = resize_slots(attrs);
  const ValueId sizes = slots.sizes != 0 ? b.input(id, slots.sizes) : ValueId();
  if (sizes && element_count(b.shape(sizes)) > 0)  // scales are the quotients of lengths
    return attrs.get_string("keep_aspect_ratio_policy", "stretch") == "stretch";
  const Tensor* given = slots.scales != 0 ? b.constant(b.input(id, slots.scales)) : nullptr;
  if (slots.scales != 0 && given == nullptr) return false;
  const auto scales = given ? read_as<float>(*given) : attrs.get_floats("scales");
  const auto axes = resize_axes(attrs, in, scales, {}, {});
  return std::all_of(axes.begin(), axes.end(), [](const ResizeAxis& axis) {
    return axis.scale == static_cast<float>(axis.out / axis.in);
  });
}

}  // namespace

/// Enlarging by whole factors, nearest element.
bool build_resize(PlanBuilder& b, NodeId id) {
  const ValueId x = b.input(id, 0), y = b.output(id);
  const Shape in = b.shape(x), out = b.shape(y);
  if (!repeats_elements(b.attrs(id), b.node(id).op == "Upsample") ||
      !grows_by_whole_factors(b, id, in, out))
    return false;
  const Operand from = as_lies(b, x, b.follow(id));
  const Place place = place_as(b, y, from);
  const auto own = from.strides(), target = place.strides();
  std::vector<CopyAxis> axes;
  for (size_t i = 0; i < in.size(); ++i) {
    const int64_t factor = out[i] / in[i];
    axes.push_back({in[i], own[i], target[i] * factor});
    axes.push_back({factor, 0, target[i]});
  }
  emit_moves(b, id, {make_move(from, place.out, std::move(axes), 0, place.at)});
  return true;
}

}  // namespace lapidary::exec
