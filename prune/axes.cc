#include "prune/axes.h"

#include <fmt/format.h>

#include <algorithm>

#include "src/base/fail.h"
#include "src/ops/elements.h"

namespace lapidary::prune {

namespace {

std::optional<std::vector<int64_t>> ints_of(const Tensor& tensor) {
  if (tensor.dtype() != DType::kI64 && tensor.dtype() != DType::kI32) return std::nullopt;
  return read_as<int64_t>(tensor);
}

}  // namespace

/// One node's view, while its rule runs.
class AxisSystem::NodeFlow final : public AxisFlow {
 public:
  NodeFlow(AxisSystem& system, NodeId id, AttrView attrs)
      : AxisFlow(attrs), system_(system), id_(id), node_(system.graph_->node(id)) {
    for (ValueId v : node_.inputs) inputs_.push_back(shape_of(v));
    for (ValueId v : node_.outputs) outputs_.push_back(shape_of(v));
  }

  size_t input_count() const override { return inputs_.size(); }
  size_t output_count() const override { return outputs_.size(); }
  bool has_input(size_t i) const override { return i < inputs_.size() && node_.inputs[i].valid(); }
  bool has_output(size_t i) const override {
    return i < outputs_.size() && node_.outputs[i].valid();
  }
  const Shape& input_shape(size_t i) const override { return inputs_[i]; }
  const Shape& output_shape(size_t i) const override { return outputs_[i]; }

  std::optional<std::vector<int64_t>> ints(size_t input) const override {
    if (!has_input(input)) return std::nullopt;
    const ValueId v = node_.inputs[input];
    if (const Tensor* constant = system_.graph_->constant(v)) return ints_of(*constant);
    if (const auto found = system_.known_->tensors.find(v.index);
        found != system_.known_->tensors.end())
      return ints_of(found->second);
    const auto found = system_.known_->shape_values.find(v.index);
    if (found == system_.known_->shape_values.end()) return std::nullopt;
    std::vector<int64_t> values;
    for (const Dim& d : found->second) {
      if (!d.known()) return std::nullopt;
      values.push_back(d.value);
    }
    return values;
  }

  AxisRef input(size_t i, int64_t axis) override { return of(node_.inputs[i], axis); }
  AxisRef output(size_t i, int64_t axis) override { return of(node_.outputs[i], axis); }

  AxisRef local(int64_t size) override {
    const Axis axis{system_.elements_.add(size < 0 ? 1 : size), size};
    system_.axes_.push_back(axis);
    system_.named_.push_back(true);
    const AxisRef ref{static_cast<uint32_t>(system_.axes_.size() - 1)};
    if (size < 0) freeze(ref, "its size is unknown");
    if (size == 1) freeze(ref, "it has one element");
    return ref;
  }
  int64_t size(AxisRef axis) const override { return system_.axis(axis).size; }

  void tie(AxisRef a, AxisRef b) override {
    if (!same_size(a, b)) return;
    for (int64_t i = 0; i < name(a).elements(); ++i)
      system_.elements_.unify(element(a, i), element(b, i));
    name(b);
  }

  void tie(AxisRef a, std::span<const int64_t> at_a, AxisRef b,
           std::span<const int64_t> at_b) override {
    if (name(a).size < 0 || name(b).size < 0) return freeze_both(a, b);
    for (size_t i = 0; i < at_a.size(); ++i)
      system_.elements_.unify(element(a, at_a[i]), element(b, at_b[i]));
  }

  void multiply(AxisRef whole, std::span<const AxisRef> factors) override {
    const Axis all = name(whole);
    int64_t product = 1;
    bool known = all.size >= 0;
    for (AxisRef f : factors) {
      known = known && name(f).size >= 0;
      product *= size(f);
    }
    if (!known || product != all.size) {
      freeze(whole, "its size is unknown");
      for (AxisRef f : factors) freeze(f, "its size is unknown");
      return;
    }
    std::vector<Element> row(factors.size());
    for (int64_t i = 0; i < all.size; ++i) {
      int64_t rest = i;
      for (size_t f = factors.size(); f-- > 0; rest /= size(factors[f]))
        row[f] = element(factors[f], rest % size(factors[f]));
      system_.elements_.multiply(element(whole, i), row);
    }
  }

  void leave(AxisRef axis) override { name(axis); }
  void sums(AxisRef axis) override {
    name(axis);
    for (size_t i = 0; i < node_.inputs.size(); ++i)
      for (size_t d = 0; has_input(i) && d < inputs_[i].size(); ++d)
        if (input(i, static_cast<int64_t>(d)).id == axis.id)
          system_.sums_.push_back({id_, i, static_cast<int64_t>(d)});
  }
  void freeze(AxisRef axis, std::string_view reason) override {
    name(axis);
    system_.freeze_axis(axis, fmt::format("{}: {}", label(), reason));
  }
  void lossy(AxisRef axis, std::string_view reason) override {
    const Axis a = name(axis);
    const std::string text = fmt::format("{}: {}", label(), reason);
    for (int64_t i = 0; i < a.elements(); ++i) system_.elements_.lossy(element(axis, i), text);
  }

  void attr_is(std::string_view name, int64_t index, KeptCount count) override {
    write({id_, SizeWrite::To::kAttr, std::string(name), 0, index, count});
  }
  void input_is(size_t input, int64_t index, KeptCount count) override {
    write({id_, SizeWrite::To::kInput, {}, input, index, count});
  }
  void output_tells(size_t output, int64_t index, AxisRef axis) override {
    write({id_, SizeWrite::To::kOutputStays, {}, output, index, {.axis = axis}});
  }

  /// Axes that the rule did not name.
  void freeze_rest() {
    const auto freeze_unnamed = [&](const std::vector<ValueId>& values) {
      for (ValueId v : values) {
        if (!v) continue;
        for (uint32_t i = 0; i < system_.of_value_[v.index].count; ++i) {
          const AxisRef ref{system_.of_value_[v.index].first + i};
          if (std::ranges::count(named_here_, ref.id) == 0)
            system_.freeze_axis(ref, fmt::format("{}: its rule says nothing of the axis", label()));
        }
      }
    };
    freeze_unnamed(node_.inputs);
    freeze_unnamed(node_.outputs);
  }

 private:
  Shape shape_of(ValueId v) const {
    Shape shape;
    if (!v) return shape;
    for (const Axis& axis : system_.axes(v)) shape.push_back(axis.size);
    return shape;
  }
  std::string label() const { return node_label(*system_.graph_, id_); }
  AxisRef of(ValueId v, int64_t axis) const {
    const Range range = system_.of_value_[v.index];
    if (axis < 0) axis += range.count;
    if (axis < 0 || axis >= range.count)
      fail(ErrorCode::kInternal, "{}: axis {} of '{}' of rank {}", label(), axis,
           system_.graph_->value(v).name, range.count);
    return {range.first + static_cast<uint32_t>(axis)};
  }
  const Axis& name(AxisRef ref) {
    system_.named_[ref.id] = true;
    if (std::ranges::count(named_here_, ref.id) == 0) named_here_.push_back(ref.id);
    return system_.axes_[ref.id];
  }
  Element element(AxisRef ref, int64_t i) const {
    const Axis& axis = system_.axes_[ref.id];
    if (i < 0 || i >= axis.elements())
      fail(ErrorCode::kInternal, "{}: element {} of an axis of {}", label(), i, axis.size);
    return axis.first + static_cast<Element>(i);
  }
  void freeze_both(AxisRef a, AxisRef b) {
    freeze(a, "it goes with an axis of unknown size");
    freeze(b, "it goes with an axis of unknown size");
  }
  bool same_size(AxisRef a, AxisRef b) {
    if (name(a).size == name(b).size) return true;
    if (size(a) >= 0 && size(b) >= 0)
      fail(ErrorCode::kInternal, "{}: axes of {} and {} elements tied", label(), size(a), size(b));
    freeze_both(a, b);
    return false;
  }
  void write(SizeWrite w) {
    name(w.count.axis);
    if (w.count.end < 0) w.count.end = size(w.count.axis);
    if (size(w.count.axis) >= 0) system_.writes_.push_back(std::move(w));
  }

  AxisSystem& system_;
  NodeId id_;
  const Node& node_;
  std::vector<Shape> inputs_, outputs_;
  std::vector<uint32_t> named_here_;
};

AxisSystem::AxisSystem(const Graph& graph, const InferredElements& known)
    : graph_(&graph), known_(&known) {
  uint32_t last = 0;
  for (ValueId v : graph.values()) last = std::max(last, v.index + 1);
  of_value_.resize(last);
  for (ValueId v : graph.values()) add_axes(v);
  for (ValueId v : graph.inputs())
    freeze_axes(v, fmt::format("'{}' is an input of the graph", graph.value(v).name));
  for (ValueId v : graph.outputs())
    freeze_axes(v, fmt::format("'{}' is an output of the graph", graph.value(v).name));
  for (NodeId id : graph.nodes()) visit(id);
  elements_.solve();
}

std::span<const AxisSystem::Axis> AxisSystem::axes(ValueId value) const {
  const Range range = of_value_[value.index];
  return std::span(axes_).subspan(range.first, range.count);
}

bool AxisSystem::named(ValueId value, int64_t axis) const {
  return named_[of_value_[value.index].first + static_cast<uint32_t>(axis)];
}

void AxisSystem::add_axes(ValueId value) {
  const Value& v = graph_->value(value);
  std::vector<Dim> dims;
  if (v.constant)
    for (int64_t size : v.constant->shape()) dims.emplace_back(size);
  else if (v.type.shape)
    dims = *v.type.shape;
  of_value_[value.index] = {static_cast<uint32_t>(axes_.size()),
                            static_cast<uint32_t>(dims.size())};
  for (const Dim& dim : dims) {
    const int64_t size = dim.known() ? dim.value : -1;
    axes_.push_back({elements_.add(size < 0 ? 1 : size), size});
    named_.push_back(false);
    const AxisRef ref{static_cast<uint32_t>(axes_.size() - 1)};
    if (size < 0) freeze_axis(ref, fmt::format("'{}': the axis's size is unknown", v.name));
    if (size == 1) freeze_axis(ref, fmt::format("'{}': the axis has one element", v.name));
  }
}

void AxisSystem::freeze_axis(AxisRef ref, std::string_view reason) {
  const Axis& axis = axes_[ref.id];
  for (int64_t i = 0; i < axis.elements(); ++i)
    elements_.freeze(axis.first + static_cast<Element>(i), reason);
}

void AxisSystem::freeze_axes(ValueId value, std::string_view reason) {
  const Range range = of_value_[value.index];
  for (uint32_t i = 0; i < range.count; ++i) freeze_axis({range.first + i}, reason);
}

void AxisSystem::freeze_node(NodeId id, std::string_view reason) {
  const Node& node = graph_->node(id);
  const std::string text = fmt::format("{}: {}", node_label(*graph_, id), reason);
  for (const auto* list : {&node.inputs, &node.outputs})
    for (ValueId v : *list)
      if (v) freeze_axes(v, text);
}

/// Why a value has no rank: the node before it, or before those before, that gave none.
std::string AxisSystem::untyped(const Value& value) const {
  const std::string text = fmt::format("the rank of '{}' is unknown", value.name);
  NodeId node = value.producer;
  for (bool further = true; node.valid() && further;) {
    further = false;
    for (ValueId in : graph_->node(node).inputs) {
      if (!in || graph_->value(in).constant || graph_->value(in).type.shape ||
          !graph_->value(in).producer.valid())
        continue;
      node = graph_->value(in).producer;
      further = true;
      break;
    }
  }
  if (!node.valid()) return text;
  return fmt::format("{}: {} {}", text, node_label(*graph_, node),
                     resolve_op(*graph_, node) ? "gives none" : "is not known");
}

void AxisSystem::visit(NodeId id) {
  const Node& node = graph_->node(id);
  for (const Capture& capture : node.captures)
    freeze_axes(capture.outer,
                fmt::format("{}: a graph inside it reads the tensor", node_label(*graph_, id)));
  const ResolvedOp op = resolve_op(*graph_, id);
  if (!op) return freeze_node(id, "the op is not known");
  if (op.def->axes == nullptr) return freeze_node(id, "the op has no rule for its axes");
  for (const auto* list : {&node.inputs, &node.outputs})
    for (ValueId v : *list) {
      if (!v) continue;
      const Value& value = graph_->value(v);
      if (!value.constant && !value.type.shape) return freeze_node(id, untyped(value));
    }
  NodeFlow flow(*this, id, AttrView(node, op.version));
  op.def->axes(flow);
  flow.freeze_rest();
}

}  // namespace lapidary::prune
