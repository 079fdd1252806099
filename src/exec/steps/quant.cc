#include "src/exec/steps/quant.h"

#include <algorithm>
#include <cmath>

namespace lapidary::exec {

std::optional<ByteParams> byte_params(const PlanBuilder& b, ValueId scale, ValueId zero,
                                      DType storage) {
  const Tensor* s = b.constant(scale);
  if (!is_byte(storage) || s == nullptr || s->dtype() != DType::kF32 || s->size() != 1)
    return std::nullopt;
  ByteParams p{s->data<float>()[0], byte_shift(storage)};
  if (!zero) return p;
  const Tensor* z = b.constant(zero);
  if (z == nullptr || z->size() != 1 || z->dtype() != storage) return std::nullopt;
  p.zero += storage == DType::kI8 ? z->data<int8_t>()[0] : z->data<uint8_t>()[0];
  return p;
}

Table requantize_table(const ByteParams& x, const ByteParams& y) {
  Table table;
  for (int q = 0; q < 256; ++q) {
    const float real = static_cast<float>(q - x.zero) * x.scale;
    const float v = std::nearbyint(real / y.scale) + static_cast<float>(y.zero);
    table[static_cast<size_t>(q)] = static_cast<uint8_t>(std::clamp(v, 0.0f, 255.0f));
  }
  return table;
}

Table composed(const Table& first, const Table& second) {
  Table table;
  for (size_t i = 0; i < 256; ++i) table[i] = second[first[i]];
  return table;
}

namespace {

/// True where the value is operand A (slot 0) or B (slot 3), and the other is of the same shape and
/// computed before.
bool adds_computed(const PlanBuilder& b, NodeId add, ValueId value, size_t* slot) {
  const DType dtype = b.dtype(value);
  if (!b.node(add).is("QLinearAdd", "com.microsoft") || !is_byte(dtype)) return false;
  *slot = b.input(add, 0) == value ? 0 : 3;
  const ValueId other = b.input(add, 3 - *slot);
  if (other == value || !b.computed(other) || b.constant(other) != nullptr) return false;
  if (b.shape(other) != b.shape(value) || b.shape(b.output(add)) != b.shape(value)) return false;
  for (const size_t at : {size_t{1}, size_t{4}, size_t{6}})
    if (!byte_params(b, add, at, dtype)) return false;
  return true;
}

}  // namespace

ByteTail byte_tail(const PlanBuilder& b, NodeId id, bool residual) {
  ByteTail tail{.nodes = {id}, .output = b.output(id)};
  if (const auto f = is_byte(b.dtype(tail.output))
                         ? byte_function(b, tail.output, {}, /*whole=*/true)
                         : std::nullopt) {
    tail.table = f->table;
    tail.nodes.insert(tail.nodes.end(), f->nodes.begin(), f->nodes.end());
    tail.output = f->output;
  }
  const NodeId next = b.only_consumer(tail.output);
  if (next && residual && adds_computed(b, next, tail.output, &tail.add_slot)) {
    tail.add = next;
    tail.nodes.push_back(next);
    const ByteClamp clamp = byte_clamp(b, b.output(next));
    tail.nodes.insert(tail.nodes.end(), clamp.nodes.begin(), clamp.nodes.end());
    tail.output = clamp.output;
    tail.add_lo = clamp.lo;
    tail.add_hi = clamp.hi;
  }
  return tail;
}

ByteClamp byte_clamp(const PlanBuilder& b, ValueId x) {
  if (is_byte(b.dtype(x)))
    if (auto f = byte_function(b, x, {}, /*whole=*/true); f && b.dtype(f->output) == b.dtype(x))
      if (const ClampedTable table = clamped(f->table); !table.rest)
        return {std::move(f->nodes), f->output, table.lo, table.hi};
  return {{}, x, 0, 255};
}

}  // namespace lapidary::exec
