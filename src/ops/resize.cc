#include "src/ops/resize.h"

#include <algorithm>
#include <cmath>

#include "src/ops/axis_flow.h"
#include "src/ops/axis_rules.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

inline constexpr DType kFloat[] = {DType::kF32};

std::vector<float> floats(const Tensor* tensor) {
  return tensor ? read_as<float>(*tensor) : std::vector<float>{};
}

// -- inference

/// Whether the node says something there: an empty list stands for an absent one.
bool given(const InferContext& ctx, size_t slot) {
  if (slot == 0 || !ctx.has_input(slot)) return false;
  const auto* shape = ctx.shape(slot);
  return !(shape && shape->size() == 1 && (*shape)[0].value == 0);
}

void check_inputs(const InferContext& ctx, const ResizeSlots& slots) {
  if (slots.scales == 0) return require_arity(ctx, 1, 1);
  require_arity(ctx, ctx.version() < 11 ? 2 : 1, ctx.version() < 11 ? 2 : 4);
  if (given(ctx, slots.scales)) {
    ctx.require_dtype(slots.scales, kFloat);
    list_length(ctx, slots.scales);
  }
  if (given(ctx, slots.sizes)) {
    ctx.require_dtype(slots.sizes, kI64Only);
    list_length(ctx, slots.sizes);
  }
  if (given(ctx, slots.scales) == given(ctx, slots.sizes))
    fail_invalid("expected one of scales and sizes, found {}",
                 given(ctx, slots.scales) ? "both" : "none");
}

/// Sizes along `axes` where all of input and request are known.
std::vector<Dim> static_dims(const AttrView& attrs, const Shape& in, std::span<const float> scales,
                             std::span<const int64_t> sizes) {
  const std::vector<float> any_roi(2 * touched_axes(attrs, std::ssize(in)).size());
  std::vector<Dim> out;
  for (const ResizeAxis& axis : resize_axes(attrs, in, scales, sizes, any_roi))
    out.emplace_back(axis.out);
  return out;
}

/// A scale of 1 leaves a symbol as it is; a size may itself be a symbol.
std::vector<Dim> symbolic_dims(const AttrView& attrs, const std::vector<Dim>& in,
                               std::span<const float> scales,
                               const std::optional<ShapeValue>& sizes) {
  const auto axes = touched_axes(attrs, std::ssize(in));
  const bool stretch = attrs.get_string("keep_aspect_ratio_policy", "stretch") == "stretch";
  std::vector<Dim> out = in;
  for (size_t i = 0; i < axes.size(); ++i) {
    Dim& dim = out[static_cast<size_t>(axes[i])];
    if (sizes)
      dim = stretch && i < sizes->size() ? (*sizes)[i] : Dim{};
    else if (i >= scales.size())
      dim = Dim{};
    else if (dim.known())
      dim = scaled_axis(dim.value, scales[i]).out;
    else if (scales[i] != 1)
      dim = Dim{};
  }
  return out;
}

void infer(InferContext& ctx) {
  const ResizeSlots slots = resize_slots(ctx.attrs());
  read_resize_rules(ctx.attrs());
  check_inputs(ctx, slots);
  ctx.set_type(0, ctx.dtype(0));
  const auto* in = ctx.shape(0);
  if (in == nullptr) return;
  const auto scales = slots.scales == 0          ? ctx.attrs().get_floats("scales")
                      : given(ctx, slots.scales) ? floats(ctx.constant(slots.scales))
                                                 : std::vector<float>{};
  const bool sized = given(ctx, slots.sizes);
  const auto sizes = sized ? ctx.ints(slots.sizes) : std::nullopt;
  const auto shape = known_shape(*in);
  std::vector<Dim> out;
  if (shape && (sizes || !scales.empty()))
    out = static_dims(ctx.attrs(), *shape, scales, sizes.value_or(std::vector<int64_t>{}));
  else
    out = symbolic_dims(ctx.attrs(), *in, scales,
                        sized ? ctx.shape_value(slots.sizes) : std::nullopt);
  if (const auto known = known_shape(out)) element_count(*known);
  ctx.set_type(0, ctx.dtype(0), std::move(out));
}

// -- evaluation

Tensor pick_nearest(const Tensor& x, const std::vector<std::vector<ResizeTaps>>& taps,
                    float extrapolation) {
  AxisTables tables;
  for (const auto& axis : taps) {
    tables.emplace_back();
    for (const ResizeTaps& tap : axis) tables.back().push_back(tap.empty() ? -1 : tap[0].at);
  }
  Tensor fill;
  if (extrapolation != 0)
    dispatch<NumericTypes>(x.dtype(), [&]<class T>() {
      fill = Tensor::scalar<T>(store<T>(static_cast<Real<T>>(extrapolation)));
    });
  return take_axes(x, tables, fill.empty() ? nullptr : &fill);
}

/// Integers take the value without its fraction, as ONNX Runtime does; cubic overshoot saturates.
template <class T>
T to_element(Real<T> value) {
  return store<T>(value);
}
template <class T>
T to_element(float value) requires std::is_integral_v<T> {
  const auto low = static_cast<double>(std::numeric_limits<T>::min());
  const auto high = static_cast<double>(std::numeric_limits<T>::max());
  const double whole = std::trunc(static_cast<double>(value));
  if (!(whole > low)) return std::numeric_limits<T>::min();
  return whole >= high ? std::numeric_limits<T>::max() : static_cast<T>(whole);
}

/// out = sum over the taps of every axis of (product of their weights) * x, one output at a time.
template <class T>
class Interpolation {
 public:
  using Sum = std::conditional_t<std::is_same_v<T, double>, double, float>;

  Interpolation(const Tensor& x, const std::vector<std::vector<ResizeTaps>>& taps)
      : x_(x.data<T>().data()), taps_(taps), strides_(row_major_strides(x.shape())) {}

  /// Absent where the position lies outside along some axis.
  std::optional<Sum> at(std::span<const int64_t> position) {
    for (size_t axis = 0; axis < taps_.size(); ++axis)
      if (taps_[axis][static_cast<size_t>(position[axis])].empty()) return std::nullopt;
    sum_ = 0;
    add(position, 0, 0, 1);
    return sum_;
  }

 private:
  void add(std::span<const int64_t> position, size_t axis, int64_t offset, float weight) {
    if (axis == taps_.size()) {
      sum_ += static_cast<Sum>(weight) * static_cast<Sum>(load(x_[offset]));
      return;
    }
    for (const ResizeTap& tap : taps_[axis][static_cast<size_t>(position[axis])])
      add(position, axis + 1, offset + tap.at * strides_[axis], weight * tap.weight);
  }

  const T* x_;
  const std::vector<std::vector<ResizeTaps>>& taps_;
  std::vector<int64_t> strides_;
  Sum sum_ = 0;
};

void evaluate(EvalContext& ctx) {
  const Tensor& x = ctx.input(0);
  const ResizeRules rules = read_resize_rules(ctx.attrs());
  const ResizeSlots slots = resize_slots(ctx.attrs());
  const auto read = [&](size_t slot) {
    return slot != 0 && ctx.has_input(slot) ? &ctx.input(slot) : nullptr;
  };
  const auto scales =
      slots.scales == 0 ? ctx.attrs().get_floats("scales") : floats(read(slots.scales));
  const auto sizes = read(slots.sizes) ? ctx.ints(slots.sizes) : std::vector<int64_t>{};
  Shape shape;
  std::vector<std::vector<ResizeTaps>> taps;
  for (const ResizeAxis& axis :
       resize_axes(ctx.attrs(), x.shape(), scales, sizes, floats(read(slots.roi)))) {
    shape.push_back(axis.out);
    taps.push_back(resize_taps(rules, axis));
  }
  if (rules.mode == ResizeMode::kNearest)
    return ctx.set_output(0, pick_nearest(x, taps, rules.extrapolation));
  Tensor out(x.dtype(), shape);
  dispatch<NumericTypes>(x.dtype(), [&]<class T>() {
    using Sum = typename Interpolation<T>::Sum;
    Interpolation<T> interpolation(x, taps);
    std::vector<int64_t> position(shape.size(), 0);
    for (T& element : out.mutable_data<T>()) {
      const auto value = interpolation.at(position);
      element = to_element<T>(value ? *value : static_cast<Sum>(rules.extrapolation));
      next_index(position, shape);
    }
  });
  ctx.set_output(0, std::move(out));
}

/// Axes that keep their size are one to one: a scale between 1 and 1 + 1/size would keep it too,
/// and is not told apart where it is an input. Nothing is said of the others, nor of axes that a
/// region or a policy changes.
void axes(AxisFlow& flow) {
  const AttrView& attrs = flow.attrs();
  const auto touched = touched_axes(attrs, flow.input_rank(0));
  tie_all_but(flow, 0, 0, touched);
  if (attrs.get_string("coordinate_transformation_mode", "") == "tf_crop_and_resize" ||
      attrs.get_string("keep_aspect_ratio_policy", "stretch") != "stretch")
    return;
  const size_t sizes = resize_slots(attrs).sizes;
  const std::vector<float> scales = attrs.get_floats("scales");
  const bool sized = sizes != 0 && flow.has_input(sizes) && flow.input_shape(sizes)[0] != 0;
  for (size_t i = 0; i < touched.size(); ++i) {
    const AxisRef from = flow.input(0, touched[i]), to = flow.output(0, touched[i]);
    if (flow.size(from) < 0 || flow.size(from) != flow.size(to)) continue;
    if (i < scales.size() && scales[i] != 1) continue;
    flow.tie(from, to);
    if (sized) flow.input_is(sizes, static_cast<int64_t>(i), {to});
  }
}

// -- upgrades

/// Upsample: scales, attribute -> input.
void upgrade_upsample_to_9(Graph& graph, NodeId id) {
  const Attr* attr = graph.node(id).attr("scales");
  const auto* scales = attr ? std::get_if<std::vector<float>>(attr) : nullptr;
  if (scales == nullptr) return;
  const ValueId input = graph.add_constant(graph.unique_name(node_key(graph, id) + "_scales"),
                                           Tensor::of<float>({std::ssize(*scales)}, *scales));
  graph.set_input(id, 1, input);
  graph.erase_attr(id, "scales");
}

/// Upsample was renamed.
void upgrade_upsample_to_10(Graph& graph, NodeId id) { graph.set_op(id, "", "Resize"); }

bool is_nearest(const Node& node) {
  const Attr* mode = node.attr("mode");
  const auto* word = mode ? std::get_if<std::string>(mode) : nullptr;
  return word == nullptr || *word == "nearest";
}

/// Makes `id` a version 11 node with the scales of `scales`.
void write_version_11(Graph& graph, NodeId id, ValueId scales, const std::string& nearest) {
  const ValueId roi =
      graph.add_constant(graph.unique_name(node_key(graph, id) + "_roi"), Tensor(DType::kF32, {0}));
  graph.set_input(id, 1, roi);
  graph.set_input(id, 2, scales);
  graph.set_attr(id, "coordinate_transformation_mode", std::string("asymmetric"));
  if (is_nearest(graph.node(id))) graph.set_attr(id, "nearest_mode", nearest);
}

/// Version 10 rounds down where it grows an axis and up where it shrinks it; version 11 has one
/// nearest_mode a node, so that a node which does both becomes two.
void upgrade_resize_to_11(Graph& graph, NodeId id) {
  const ValueId scales = graph.node(id).inputs.at(1);
  if (!is_nearest(graph.node(id))) return write_version_11(graph, id, scales, "");
  const Tensor* known = graph.constant(scales);
  if (known == nullptr)
    fail_unsupported("scales of {} are computed: how version 10 rounds depends on them",
                     node_label(graph, id));
  std::vector<float> grow = floats(known), shrink = grow;
  for (float& scale : grow) scale = std::max(scale, 1.0f);
  for (float& scale : shrink) scale = std::min(scale, 1.0f);
  const auto all_one = [](const std::vector<float>& s) {
    return std::ranges::all_of(s, [](float scale) { return scale == 1; });
  };
  if (all_one(shrink)) return write_version_11(graph, id, scales, "floor");
  if (all_one(grow)) return write_version_11(graph, id, scales, "ceil");
  const std::string key = node_key(graph, id);
  const auto constant = [&](const std::string& name, const std::vector<float>& values) {
    return graph.add_constant(graph.unique_name(key + name),
                              Tensor::of<float>({std::ssize(values)}, values));
  };
  Node first = graph.node(id);
  first.name = key + "_grown";
  first.captures.clear();
  first.outputs = {graph.add_value(graph.unique_name(key + "_grown"))};
  const ValueId between = first.outputs[0];
  const NodeId grown = graph.add_node(std::move(first), id);
  write_version_11(graph, grown, constant("_grow", grow), "floor");
  graph.set_input(id, 0, between);
  write_version_11(graph, id, constant("_shrink", shrink), "ceil");
}

/// tf_half_pixel_for_nn is gone: its positions are those of half_pixel plus a half, which two of
/// the four roundings of "nearest" can take up.
void upgrade_resize_to_13(Graph& graph, NodeId id) {
  const auto word = [&](const char* name, const char* otherwise) {
    const Attr* attr = graph.node(id).attr(name);
    const auto* text = attr ? std::get_if<std::string>(attr) : nullptr;
    return text ? *text : std::string(otherwise);
  };
  if (word("coordinate_transformation_mode", "half_pixel") != "tf_half_pixel_for_nn") return;
  const std::string rounding = word("nearest_mode", "round_prefer_floor");
  const bool expressible = rounding == "floor" || rounding == "round_prefer_floor";
  if (!is_nearest(graph.node(id)) || !expressible)
    fail_unsupported("{}: tf_half_pixel_for_nn with this mode has no form from version 13 on",
                     node_label(graph, id));
  graph.set_attr(id, "coordinate_transformation_mode", std::string("half_pixel"));
  graph.set_attr(id, "nearest_mode",
                 std::string(rounding == "floor" ? "round_prefer_ceil" : "ceil"));
}

}  // namespace

const OpDef& op_Resize() {
  static const OpDef def{.name = "Resize",
                         .versions = {10, 11, 13, 18, 19},
                         .inputs = {1, 4},
                         .outputs = {1, 1},
                         .attrs = {{"mode", AttrKind::kString},
                                   {"coordinate_transformation_mode", AttrKind::kString, false, 11},
                                   {"nearest_mode", AttrKind::kString, false, 11},
                                   {"cubic_coeff_a", AttrKind::kFloat, false, 11},
                                   {"exclude_outside", AttrKind::kInt, false, 11},
                                   {"extrapolation_value", AttrKind::kFloat, false, 11},
                                   {"antialias", AttrKind::kInt, false, 18},
                                   {"axes", AttrKind::kInts, false, 18},
                                   {"keep_aspect_ratio_policy", AttrKind::kString, false, 18}},
                         .infer = infer,
                         .evaluate = evaluate,
                         .axes = axes,
                         .role = QuantRole::kPassThrough,
                         .half_since = kNoHalfForm,
                         .upgrades = {{11, upgrade_resize_to_11}, {13, upgrade_resize_to_13}}};
  return def;
}

const OpDef& op_Upsample() {
  static const OpDef def{
      .name = "Upsample",
      .versions = {7, 9},
      .later = {10},
      .inputs = {1, 2},
      .outputs = {1, 1},
      .attrs = {{"mode", AttrKind::kString}, {"scales", AttrKind::kFloats, true, 7, 8}},
      .infer = infer,
      .evaluate = evaluate,
      .axes = axes,
      .role = QuantRole::kPassThrough,
      .half_since = kNoHalfForm,
      .upgrades = {{9, upgrade_upsample_to_9}, {10, upgrade_upsample_to_10}}};
  return def;
}

}  // namespace lapidary
