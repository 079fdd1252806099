#include "src/exec/steps/quant.h"

#include <algorithm>
#include <cmath>

#include "src/exec/fusion.h"
#include "src/ops/evaluate.h"

namespace lapidary::exec {

std::optional<ByteParams> byte_params(const PlanBuilder& b, ValueId scale, ValueId zero,
                                      DType storage) {
  const Tensor* s = b.constant(scale);
  if (!is_byte(storage) || s == nullptr || s->dtype() != DType::kF32 || s->size() != 1)
    return std::nullopt;
  ByteParams p{s->data<float>()[0], storage == DType::kI8 ? 128 : 0};
  if (!zero) return p;
  const Tensor* z = b.constant(zero);
  if (z == nullptr || z->size() != 1 || z->dtype() != storage) return std::nullopt;
  p.zero += storage == DType::kI8 ? z->data<int8_t>()[0] : z->data<uint8_t>()[0];
  return p;
}

std::optional<Table> table_by_reference(const PlanBuilder& b, NodeId id, size_t slot) {
  const Node& node = b.node(id);
  std::vector<const Tensor*> inputs;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const Tensor* given = b.constant(node.inputs[i]);
    if (i != slot && node.inputs[i] && given == nullptr) return std::nullopt;
    inputs.push_back(given);
  }
  const bool biased_in = b.dtype(node.inputs[slot]) == DType::kI8;
  Tensor all(b.dtype(node.inputs[slot]), {256});
  auto* bytes = static_cast<uint8_t*>(all.mutable_raw());
  for (int i = 0; i < 256; ++i) bytes[i] = static_cast<uint8_t>(biased_in ? i ^ 0x80 : i);
  inputs[slot] = &all;
  const Tensor made = evaluate_node(b.graph(), id, inputs)[0];
  if (!is_byte(made.dtype()) || made.size() != 256) return std::nullopt;
  Table table;
  const auto* out = static_cast<const uint8_t*>(made.raw());
  for (size_t i = 0; i < 256; ++i)
    table[i] = static_cast<uint8_t>(made.dtype() == DType::kI8 ? out[i] ^ 0x80 : out[i]);
  return table;
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

namespace {

bool is_table_op(const Node& node) {
  return node.is("QLinearSigmoid", "com.microsoft") || node.is("QLinearLeakyRelu", "com.microsoft");
}

/// True where the value is operand A (slot 0) or B (slot 3), and the other is u8, of the same shape
/// and computed before.
bool adds_computed(const PlanBuilder& b, NodeId add, ValueId value, size_t* slot) {
  if (!b.node(add).is("QLinearAdd", "com.microsoft") || b.dtype(value) != DType::kU8) return false;
  *slot = b.input(add, 0) == value ? 0 : 3;
  const ValueId other = b.input(add, 3 - *slot);
  if (other == value || !b.computed(other) || b.constant(other) != nullptr) return false;
  if (b.shape(other) != b.shape(value) || b.shape(b.output(add)) != b.shape(value)) return false;
  for (const size_t at : {size_t{1}, size_t{4}, size_t{6}})
    if (!byte_params(b, add, at, DType::kU8)) return false;
  return true;
}

}  // namespace

ByteTail byte_tail(const PlanBuilder& b, NodeId id, bool residual) {
  ByteTail tail{.nodes = {id}, .output = b.output(id)};
  const auto take_table = [&tail](const Table& table) {
    Table composed = table;
    if (tail.table)
      for (size_t i = 0; i < 256; ++i) composed[i] = table[(*tail.table)[i]];
    tail.table = composed;
  };
  while (true) {
    if (const Fusion* fusion = b.fusion_behind(tail.output)) {
      if (!fusion->table || fusion->input != tail.output) return tail;
      take_table(*fusion->table);
      tail.nodes.insert(tail.nodes.end(), fusion->nodes.begin(), fusion->nodes.end());
      tail.output = fusion->output;
      continue;
    }
    const NodeId next = b.only_consumer(tail.output);
    if (next && is_table_op(b.node(next)) && b.input(next, 0) == tail.output) {
      const auto table = table_by_reference(b, next, 0);
      if (!table) return tail;
      take_table(*table);
    } else if (next && residual && adds_computed(b, next, tail.output, &tail.add_slot)) {
      tail.add = next;
    } else {
      return tail;
    }
    tail.nodes.push_back(next);
    tail.output = b.output(next);
    if (tail.add) return tail;
  }
}

}  // namespace lapidary::exec
