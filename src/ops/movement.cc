#include "src/ops/movement.h"

#include <algorithm>
#include <numeric>

#include "src/base/checked.h"

namespace lapidary {

bool next_index(std::vector<int64_t>& index, std::span<const int64_t> shape) {
  for (size_t axis = index.size(); axis-- > 0;) {
    if (++index[axis] < shape[axis]) return true;
    index[axis] = 0;
  }
  return false;
}

std::vector<int64_t> iota_table(int64_t count) {
  // A longer axis would not fit memory: an error before allocating, not an out-of-memory kill.
  constexpr int64_t kMaxAxis = int64_t{1} << 30;
  if (count > kMaxAxis)
    fail(ErrorCode::kResource, "an axis of {} elements, at most {} can be computed", count,
         kMaxAxis);
  std::vector<int64_t> table(static_cast<size_t>(count));
  std::iota(table.begin(), table.end(), int64_t{0});
  return table;
}

AxisTables identity_tables(std::span<const int64_t> shape) {
  AxisTables tables;
  for (int64_t size : shape) tables.push_back(iota_table(size));
  return tables;
}

namespace {

bool is_identity(std::span<const int64_t> table, int64_t size) {
  if (static_cast<int64_t>(table.size()) != size) return false;
  for (size_t i = 0; i < table.size(); ++i)
    if (table[i] != static_cast<int64_t>(i)) return false;
  return true;
}

/// The walk of take_axes over axes [0, axes), each element of which is a run of `block` elements.
template <class T>
struct Taker {
  const T* from;
  T* to;
  T fill;
  const AxisTables& tables;
  std::vector<int64_t> strides, out_blocks;  // elements of `from` a step; of `to` below each axis
  size_t axes;
  int64_t block;

  void run(size_t axis, int64_t base, bool inside) {
    if (axis == axes || !inside) {
      const int64_t count = axis == axes ? block : out_blocks[axis];
      if (inside)
        std::copy_n(from + base, count, to);
      else
        std::fill_n(to, count, fill);
      to += count;
      return;
    }
    if (axis + 1 == axes && block == 1) {
      for (int64_t at : tables[axis]) *to++ = at < 0 ? fill : from[base + at * strides[axis]];
      return;
    }
    for (int64_t at : tables[axis]) run(axis + 1, base + at * strides[axis], at >= 0);
  }
};

}  // namespace

Tensor take_axes(const Tensor& from, const AxisTables& tables, const Tensor* fill) {
  LAPIDARY_CHECK(tables.size() == from.shape().size());
  Shape shape;
  for (const auto& table : tables) shape.push_back(static_cast<int64_t>(table.size()));
  Tensor out(from.dtype(), shape);
  if (out.size() == 0) return out;
  size_t axes = tables.size();
  int64_t block = 1;
  while (axes > 0 && is_identity(tables[axes - 1], from.shape()[axes - 1])) block *= shape[--axes];
  std::vector<int64_t> out_blocks = row_major_strides(shape);
  for (size_t i = 0; i < shape.size(); ++i) out_blocks[i] *= shape[i];
  with_storage(from.dtype(), [&]<class T>(T zero) {
    const T filling = fill ? *static_cast<const T*>(fill->raw()) : zero;
    Taker<T>{static_cast<const T*>(from.raw()),
             static_cast<T*>(out.mutable_raw()),
             filling,
             tables,
             row_major_strides(from.shape()),
             out_blocks,
             axes,
             block}
        .run(0, 0, true);
  });
  return out;
}

Tensor take_flat(const Tensor& from, Shape shape, std::span<const int64_t> positions) {
  Tensor out(from.dtype(), std::move(shape));
  LAPIDARY_CHECK(out.size() == static_cast<int64_t>(positions.size()));
  with_storage(from.dtype(), [&]<class T>(T) {
    const T* source = static_cast<const T*>(from.raw());
    T* target = static_cast<T*>(out.mutable_raw());
    for (int64_t at : positions) *target++ = source[at];
  });
  return out;
}

Tensor transposed(const Tensor& from, std::span<const int64_t> perm) {
  const std::vector<int64_t> source_strides = row_major_strides(from.shape());
  Shape shape;
  std::vector<int64_t> strides;
  for (int64_t axis : perm) {
    shape.push_back(from.shape()[static_cast<size_t>(axis)]);
    strides.push_back(source_strides[static_cast<size_t>(axis)]);
  }
  Tensor out(from.dtype(), shape);
  if (out.size() == 0) return out;
  if (shape.empty()) return from;
  const int64_t row = shape.back(), step = strides.back();
  const std::span<const int64_t> outer(shape.data(), shape.size() - 1);
  with_storage(from.dtype(), [&]<class T>(T) {
    const T* source = static_cast<const T*>(from.raw());
    T* target = static_cast<T*>(out.mutable_raw());
    std::vector<int64_t> index(outer.size(), 0);
    do {
      int64_t base = 0;
      for (size_t i = 0; i < index.size(); ++i) base += index[i] * strides[i];
      for (int64_t i = 0; i < row; ++i) *target++ = source[base + i * step];
    } while (next_index(index, outer));
  });
  return out;
}

int64_t normalize_index(int64_t index, int64_t size, std::string_view what) {
  if (index < -size || index >= size)
    fail_invalid("{} is {}, expected one in [{}, {})", what, index, -size, size);
  return index < 0 ? index + size : index;
}

std::vector<int64_t> normalize_axes(std::span<const int64_t> axes, int64_t rank) {
  std::vector<int64_t> out;
  for (int64_t axis : axes) {
    const int64_t normal = InferContext::normalize_axis(axis, rank, "axes");
    if (std::find(out.begin(), out.end(), normal) != out.end())
      fail_invalid("axes {} name axis {} twice", shape_text(axes), normal);
    out.push_back(normal);
  }
  return out;
}

Dim mul_dims(const Dim& a, const Dim& b) {
  if (a.known() && b.known()) return checked_mul(a.value, b.value);
  if (a.value == 0 || b.value == 0) return 0;
  if (a.value == 1) return b;
  if (b.value == 1) return a;
  return {};
}

Dim add_dims(const Dim& a, const Dim& b) {
  if (a.known() && b.known()) return checked_add(a.value, b.value);
  if (a.value == 0) return b;
  if (b.value == 0) return a;
  return {};
}

Dim product(std::span<const Dim> dims) {
  // A zero makes the whole zero, however large the others are.
  for (const Dim& d : dims)
    if (d.value == 0) return 0;
  Dim out = 1;
  for (const Dim& d : dims) out = mul_dims(out, d);
  return out;
}

std::optional<Shape> known_shape(std::span<const Dim> dims) {
  Shape shape;
  for (const Dim& d : dims) {
    if (!d.known()) return std::nullopt;
    shape.push_back(d.value);
  }
  return shape;
}

std::string dims_text(std::span<const Dim> dims) {
  std::vector<std::string> parts;
  for (const Dim& d : dims)
    parts.push_back(d.known() ? std::to_string(d.value) : d.symbol.empty() ? "?" : d.symbol);
  return fmt::format("[{}]", fmt::join(parts, ","));
}

std::vector<Dim> to_dims(std::span<const int64_t> shape) { return {shape.begin(), shape.end()}; }

void require_arity(const InferContext& ctx, size_t min, size_t max) {
  for (size_t i = 0; i < std::max(min, ctx.input_count()); ++i) {
    if (i < min && !ctx.has_input(i))
      fail_invalid("input {} is absent, expected {} inputs in version {}", i, min, ctx.version());
    if (i >= max && ctx.has_input(i))
      fail_invalid("input {} is given, expected at most {} inputs in version {}", i, max,
                   ctx.version());
  }
}

void attr_to_input(Graph& graph, NodeId id, std::string_view attr, size_t slot) {
  const Attr* given = graph.node(id).attr(attr);
  const auto* values = given ? std::get_if<std::vector<int64_t>>(given) : nullptr;
  if (values == nullptr) return;
  const ValueId input =
      graph.add_constant(graph.unique_name(fmt::format("{}_{}", node_key(graph, id), attr)),
                         Tensor::of<int64_t>({std::ssize(*values)}, *values));
  graph.set_input(id, slot, input);
  graph.erase_attr(id, attr);
}

std::optional<int64_t> list_length(const InferContext& ctx, size_t i, bool scalar_allowed) {
  ctx.require_rank(i, scalar_allowed ? 0 : 1, 1);
  const auto* shape = ctx.shape(i);
  if (shape == nullptr) return std::nullopt;
  if (shape->empty()) return 1;
  return (*shape)[0].known() ? std::optional((*shape)[0].value) : std::nullopt;
}

DType output_datatype(const AttrView& attrs) {
  const int64_t code = attrs.get_int("output_datatype", static_cast<int64_t>(DType::kF32));
  for (DType known : kNumericDTypes)
    if (code == static_cast<int64_t>(known)) return known;
  fail_invalid("output_datatype {} is no numeric type", code);
}

}  // namespace lapidary
