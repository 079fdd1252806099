#include "src/exec/steps/place.h"

#include <algorithm>

#include "src/exec/steps/quant.h"

namespace lapidary::exec {

namespace {

bool is_identity(const Table& table) {
  for (size_t i = 0; i < 256; ++i)
    if (table[i] != i) return false;
  return true;
}

struct Slot {
  ValueId whole;
  int64_t begin = 0;
  std::optional<Table> table;
};

/// The Concat along channels that is the value's only reader, where it can be given the value in
/// place.
std::optional<Slot> slot_of(const PlanBuilder& b, ValueId y, bool takes_table) {
  const NodeId id = b.only_consumer(y);
  const Shape shape = b.shape(y);
  if (!id || shape.size() < 3 || layouts_coincide(shape)) return std::nullopt;
  const auto parts = concat_parts(b, id);
  if (!parts || parts->axis != 1) return std::nullopt;
  const ValueId whole = b.output(id);
  const auto usable = [&](ValueId v) {
    const TensorType& type = b.graph().value(v).type;
    return type.is_static() && element_count(type.static_shape()) > 0 &&
           type.dtype == b.dtype(whole);
  };
  if (!usable(whole) || !std::all_of(parts->values.begin(), parts->values.end(), usable))
    return std::nullopt;
  const auto i = static_cast<size_t>(std::find(parts->values.begin(), parts->values.end(), y) -
                                     parts->values.begin());
  Slot slot{whole, parts->begins[i], std::nullopt};
  if (parts->tables.empty() || is_identity(parts->tables[i])) return slot;
  if (!takes_table) return std::nullopt;
  slot.table = parts->tables[i];
  return slot;
}

std::optional<Place> place_in_concat(PlanBuilder& b, ValueId y, bool takes_table) {
  const auto slot = slot_of(b, y, takes_table);
  if (!slot) return std::nullopt;
  const Operand& room = b.reserve(slot->whole);
  return Place{b.create_slice(y, room), slot->begin, room.shape[1], slot->table};
}

}  // namespace

std::optional<ConcatParts> concat_parts(const PlanBuilder& b, NodeId id) {
  const Node& node = b.node(id);
  const ValueId y = b.output(id);
  if (!y || !b.graph().value(y).type.shape) return std::nullopt;
  ConcatParts parts;
  if (node.is("Concat")) {
    parts.values = node.inputs;
  } else if (node.is("QLinearConcat", "com.microsoft")) {
    // y_scale, y_zero, then tensor, scale, zero of each input.
    const auto result = byte_params(b, id, 0, b.dtype(y));
    if (!result) return std::nullopt;
    for (size_t i = 2; i < node.inputs.size(); i += 3) {
      const auto params = byte_params(b, id, i + 1, b.dtype(b.input(id, i)));
      if (!params) return std::nullopt;
      parts.values.push_back(b.input(id, i));
      parts.tables.push_back(requantize_table(*params, *result));
    }
  } else {
    return std::nullopt;
  }
  const auto rank = static_cast<int64_t>(b.graph().value(y).type.shape->size());
  parts.axis = b.attrs(id).get_int("axis", 1);
  if (parts.axis < 0) parts.axis += rank;
  int64_t at = 0;
  for (const ValueId v : parts.values) {
    const TensorType& type = b.graph().value(v).type;
    if (!type.is_static()) return std::nullopt;
    parts.begins.push_back(at);
    at += type.static_shape()[static_cast<size_t>(parts.axis)];
  }
  return parts;
}

std::vector<int64_t> Place::strides() const {
  std::vector<int64_t> own = out.strides();
  if (stride > 0)
    for (size_t axis = 0; axis < own.size(); ++axis)
      if (axis != 1) own[axis] = own[axis] / out.shape[1] * stride;
  return own;
}

Place place_result(PlanBuilder& b, ValueId y, bool takes_table) {
  if (const auto place = place_in_concat(b, y, takes_table)) return *place;
  return {.out = b.create_u8(y, Layout::kChannelsLast)};
}

Place place_over(PlanBuilder& b, ValueId y, const Operand& residual,
                 std::span<const NodeId> nodes) {
  if (const auto place = place_in_concat(b, y, /*takes_table=*/false)) return *place;
  return {.out = b.create_over(y, residual, nodes)};
}

}  // namespace lapidary::exec
