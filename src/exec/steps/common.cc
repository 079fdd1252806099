#include "src/exec/steps/common.h"

#include <cstring>
#include <limits>

#include "src/ops/window.h"

namespace lapidary::exec {

using kernels::ActivationF32;
using kernels::ConvShape;

std::optional<ConvShape> window_shape(const PlanBuilder& b, NodeId id, ValueId x, ValueId y,
                                      std::vector<int64_t> kernel) {
  const Shape in = b.shape(x), out = b.shape(y);
  if (in.size() < 3 || in.size() > 4 || kernel.size() + 2 != in.size()) return std::nullopt;
  const WindowAttrs window = read_window(b.attrs(id), std::move(kernel));
  const auto axes = resolve_window(window, std::span(in).subspan(2));
  const WindowAxis &h = axes[1], &w = axes[2];
  if (h.pad_begin < 0 || w.pad_begin < 0 || h.pad_end < 0 || w.pad_end < 0) return std::nullopt;
  ConvShape s;
  s.batch = in[0];
  s.in_c = in[1];
  s.out_c = out[1];
  s.in_h = h.in;
  s.in_w = w.in;
  s.out_h = h.out;
  s.out_w = w.out;
  s.kernel_h = h.kernel;
  s.kernel_w = w.kernel;
  s.stride_h = h.stride;
  s.stride_w = w.stride;
  s.dilation_h = h.dilation;
  s.dilation_w = w.dilation;
  s.pad_top = h.pad_begin;
  s.pad_left = w.pad_begin;
  return s;
}

std::optional<float> scalar_float(const PlanBuilder& b, ValueId id, float otherwise) {
  if (!id) return otherwise;
  const Tensor* t = b.constant(id);
  if (t == nullptr || t->dtype() != DType::kF32 || t->size() != 1) return std::nullopt;
  return std::optional<float>(t->data<float>()[0]);
}

std::optional<ActivationF32> activation_of(const PlanBuilder& b, NodeId id) {
  const Node& node = b.node(id);
  if (!node.domain.empty() || node.outputs.empty() || b.dtype(b.output(id)) != DType::kF32)
    return std::nullopt;
  if (node.op == "Relu") return ActivationF32{.lo = 0.0f};
  if (node.op == "LeakyRelu") return ActivationF32{.slope = b.attrs(id).get_float("alpha", 0.01f)};
  if (node.op != "Clip") return std::nullopt;
  constexpr float kMax = std::numeric_limits<float>::max();
  const AttrView attrs = b.attrs(id);
  const auto lo = scalar_float(b, b.input(id, 1), attrs.get_float("min", -kMax));
  const auto hi = scalar_float(b, b.input(id, 2), attrs.get_float("max", kMax));
  if (!lo || !hi) return std::nullopt;
  return ActivationF32{.lo = *lo, .hi = *hi};
}

namespace {

/// The other operand of an Add that reads `value` once.
ValueId other_addend(const PlanBuilder& b, NodeId add, ValueId value) {
  if (!b.node(add).is("Add")) return {};
  const ValueId other = b.input(add, b.input(add, 0) == value ? 1 : 0);
  return other == value ? ValueId() : other;
}

}  // namespace

Tail float_tail(const PlanBuilder& b, NodeId id, bool residual) {
  Tail tail{.nodes = {id}, .output = b.output(id)};
  NodeId next = b.only_consumer(tail.output);
  if (next && residual) {
    const ValueId other = other_addend(b, next, tail.output);
    if (other && b.computed(other) && b.constant(other) == nullptr &&
        b.shape(other) == b.shape(tail.output)) {
      tail.residual = other;
      tail.nodes.push_back(next);
      tail.output = b.output(next);
      next = b.only_consumer(tail.output);
    }
  }
  if (!next) return tail;
  if (const auto activation = activation_of(b, next)) {
    tail.activation = *activation;
    tail.nodes.push_back(next);
    tail.output = b.output(next);
  }
  return tail;
}

Tensor column_vector(const Tensor& tensor, int64_t columns, float factor) {
  if (tensor.dtype() != DType::kF32) return {};
  const bool one = tensor.size() == 1;
  if (!one && (tensor.size() != columns || tensor.dim(-1) != columns)) return {};
  Tensor out(DType::kF32, {columns});
  const auto from = tensor.data<float>();
  auto to = out.mutable_data<float>();
  for (size_t i = 0; i < to.size(); ++i) to[i] = factor * from[one ? 0 : i];
  return out;
}

Tensor owned_floats(const Tensor& tensor) {
  Tensor copy(DType::kF32, {tensor.size()});
  std::memcpy(copy.mutable_raw(), tensor.raw(), tensor.size_bytes());
  return copy;
}

}  // namespace lapidary::exec
