#include "test/ops/axis_case.h"

#include <algorithm>
#include <cmath>

#include "src/ops/elements.h"
#include "src/ops/evaluate.h"
#include "src/ops/movement.h"

// What axis_case.h declares: no cases of its own.

namespace lapidary {

namespace {

std::optional<Shape> shape_of(const Graph& graph, ValueId id) {
  if (!id) return std::nullopt;
  Shape out;
  for (const Dim& d : graph.value(id).type.shape.value()) out.push_back(d.value);
  return out;
}

std::optional<std::vector<int64_t>> ints_of(const Graph& graph, ValueId id) {
  const Tensor* tensor = id ? graph.constant(id) : nullptr;
  if (tensor == nullptr || !is_int(tensor->dtype())) return std::nullopt;
  return read_as<int64_t>(*tensor);
}

/// Sizes of -1 are not known.
TensorType float_type(const Shape& shape) {
  std::vector<Dim> dims;
  for (int64_t size : shape) dims.push_back(size < 0 ? Dim() : Dim(size));
  return {DType::kF32, std::move(dims)};
}

using Kept = std::vector<std::vector<bool>>;  // by axis, by element

/// Factors' elements of element `at` of their product.
std::vector<int64_t> factor_elements(const RecordedFlow& flow, const RecordedFlow::Product& product,
                                     int64_t at) {
  std::vector<int64_t> out(product.factors.size());
  for (size_t f = out.size(); f-- > 0;) {
    out[f] = at % flow.size(product.factors[f]);
    at /= flow.size(product.factors[f]);
  }
  return out;
}

/// What must go too is removed. Of a product whose element goes, the last factor that may lose one.
class Closure {
 public:
  Closure(const RecordedFlow& flow, Kept& keep) : flow_(flow), keep_(keep) {}

  /// False where an element would go that may not.
  bool run() {
    do {
      changed_ = false;
      for (const auto& tie : flow_.ties)
        for (size_t k = 0; k < tie.at_a.size(); ++k) {
          if (!kept(tie.a, tie.at_a[k])) remove(tie.b, tie.at_b[k]);
          if (!kept(tie.b, tie.at_b[k])) remove(tie.a, tie.at_a[k]);
        }
      for (const auto& product : flow_.products)
        for (int64_t at = 0; at < flow_.size(product.whole); ++at) follow(product, at);
    } while (changed_ && allowed_);
    return allowed_;
  }
  void remove(AxisRef axis, int64_t at) {
    if (!kept(axis, at)) return;
    keep_[axis.id][static_cast<size_t>(at)] = false;
    changed_ = true;
    allowed_ = allowed_ && may_change(axis);
  }

 private:
  bool kept(AxisRef axis, int64_t at) const { return keep_[axis.id][static_cast<size_t>(at)]; }
  bool may_change(AxisRef axis) const {
    const RecordedFlow::Axis& a = flow_.axes[axis.id];
    return a.named && !a.frozen && a.size > 1;
  }
  void follow(const RecordedFlow::Product& product, int64_t at) {
    const std::vector<int64_t> own = factor_elements(flow_, product, at);
    bool all = true;
    size_t last = own.size();
    for (size_t f = 0; f < own.size(); ++f) {
      all = all && kept(product.factors[f], own[f]);
      if (may_change(product.factors[f])) last = f;
    }
    if (!all) return remove(product.whole, at);
    if (kept(product.whole, at)) return;
    if (last < own.size())
      remove(product.factors[last], own[last]);
    else
      allowed_ = false;
  }

  const RecordedFlow& flow_;
  Kept& keep_;
  bool changed_ = false, allowed_ = true;
};

/// Elements of `tensor` that are kept along each of its axes.
Tensor taken(RecordedFlow& flow, const Kept& keep, char kind, size_t index, const Tensor& tensor) {
  AxisTables tables = identity_tables(tensor.shape());
  for (uint32_t i = 0; i < keep.size(); ++i)
    if (const auto& axis = flow.axes[i]; axis.kind == kind && axis.tensor == index)
      std::erase_if(tables[static_cast<size_t>(axis.axis)],
                    [&](int64_t at) { return !keep[i][static_cast<size_t>(at)]; });
  return take_axes(tensor, tables);
}

/// Zeros in place of the elements that axes of sums lose.
Tensor zeroed(const RecordedFlow& flow, const Kept& keep, size_t input, const Tensor& tensor) {
  AxisTables tables = identity_tables(tensor.shape());
  for (uint32_t i = 0; i < keep.size(); ++i)
    if (const auto& axis = flow.axes[i]; axis.kind == 'x' && axis.tensor == input && axis.sums)
      for (int64_t& at : tables[static_cast<size_t>(axis.axis)])
        if (!keep[i][static_cast<size_t>(at)]) at = -1;
  return take_axes(tensor, tables);
}

int64_t value_of(const Kept& keep, const KeptCount& count) {
  const std::vector<bool>& kept = keep[count.axis.id];
  const auto end = count.end < 0 ? std::ssize(kept) : count.end;
  return count.factor * std::count(kept.begin() + count.begin, kept.begin() + end, true);
}

void set_element(Tensor& list, int64_t index, int64_t value) {
  list.mutable_data<int64_t>()[static_cast<size_t>(index)] = value;
}

void set_attr(GraphBuilder::Attrs& attrs, const RecordedFlow::Number& number, int64_t value) {
  for (auto& [name, attr] : attrs) {
    if (name != number.attr) continue;
    if (number.index < 0)
      attr = value;
    else
      std::get<std::vector<int64_t>>(attr).at(static_cast<size_t>(number.index)) = value;
    return;
  }
  ADD_FAILURE() << "no attribute " << number.attr;
}

void expect_equal(const Tensor& found, const Tensor& expected, bool values) {
  ASSERT_EQ(shape_text(found.shape()), shape_text(expected.shape()));
  if (!values) return;
  if (found.dtype() == DType::kBool) return;
  const auto a = read_as<double>(found), b = read_as<double>(expected);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5 * (1 + std::abs(b[i]))) << i;
}

}  // namespace

RecordedFlow::RecordedFlow(std::shared_ptr<const Graph> graph, NodeId id, int version)
    : AxisFlow(AttrView(graph->node(id), version)), graph_(std::move(graph)) {
  for (ValueId v : graph_->node(id).inputs) {
    inputs_.push_back(shape_of(*graph_, v));
    ints_.push_back(ints_of(*graph_, v));
  }
  for (ValueId v : graph_->node(id).outputs) outputs_.push_back(shape_of(*graph_, v));
}

AxisRef RecordedFlow::tensor_axis(char kind, size_t tensor, int64_t axis) {
  const Shape& shape = kind == 'x' ? input_shape(tensor) : output_shape(tensor);
  axis = InferContext::normalize_axis(axis, std::ssize(shape));
  for (uint32_t i = 0; i < axes.size(); ++i)
    if (axes[i].kind == kind && axes[i].tensor == tensor && axes[i].axis == axis) return {i};
  axes.push_back({kind, tensor, axis, shape[static_cast<size_t>(axis)]});
  return {static_cast<uint32_t>(axes.size() - 1)};
}

AxisRef RecordedFlow::local(int64_t size) {
  const auto before = std::ranges::count(axes, 'l', &Axis::kind);
  axes.push_back({'l', static_cast<size_t>(before), 0, size, true});
  return {static_cast<uint32_t>(axes.size() - 1)};
}

RecordedFlow::Axis& RecordedFlow::named(AxisRef axis) {
  axes.at(axis.id).named = true;
  return axes[axis.id];
}

std::string RecordedFlow::name(AxisRef ref) const {
  const Axis& axis = axes.at(ref.id);
  if (axis.kind == 'l')
    return fmt::format("{}:{}", static_cast<char>('a' + axis.tensor), axis.size);
  return fmt::format("{}{}.{}", axis.kind, axis.tensor, axis.axis);
}

std::string RecordedFlow::name(const KeptCount& count) const {
  const std::string range =
      count.begin == 0 && count.end < 0 ? "" : fmt::format("[{},{})", count.begin, count.end);
  return fmt::format("{}#{}{}", count.factor == -1 ? "-" : "", name(count.axis), range);
}

void RecordedFlow::tie(AxisRef a, AxisRef b) {
  EXPECT_EQ(size(a), size(b)) << name(a) << " " << name(b);
  named(a), named(b);
  said.push_back(fmt::format("{} = {}", std::min(name(a), name(b)), std::max(name(a), name(b))));
  std::vector<int64_t> all = iota_table(std::max<int64_t>(0, size(a)));
  ties.push_back({a, b, all, all});
}

void RecordedFlow::tie(AxisRef a, std::span<const int64_t> at_a, AxisRef b,
                       std::span<const int64_t> at_b) {
  ASSERT_EQ(at_a.size(), at_b.size());
  for (size_t i = 0; i < at_a.size(); ++i) {
    EXPECT_TRUE(at_a[i] >= 0 && at_a[i] < size(a)) << name(a) << " has no element " << at_a[i];
    EXPECT_TRUE(at_b[i] >= 0 && at_b[i] < size(b)) << name(b) << " has no element " << at_b[i];
  }
  named(a), named(b);
  said.push_back(name(a) + shape_text(at_a) + " = " + name(b) + shape_text(at_b));
  ties.push_back({a, b, {at_a.begin(), at_a.end()}, {at_b.begin(), at_b.end()}});
}

void RecordedFlow::multiply(AxisRef whole, std::span<const AxisRef> factors) {
  named(whole);
  int64_t product = 1;
  std::vector<std::string> names;
  for (AxisRef factor : factors) {
    named(factor);
    product *= size(factor);
    names.push_back(name(factor));
  }
  EXPECT_EQ(size(whole), product) << name(whole);
  said.push_back(fmt::format("{} = {}", name(whole), fmt::join(names, " * ")));
  products.push_back({whole, {factors.begin(), factors.end()}});
}

void RecordedFlow::leave(AxisRef axis) {
  named(axis);
  said.push_back("leave " + name(axis));
}
void RecordedFlow::sums(AxisRef axis) {
  named(axis).sums = true;
  said.push_back("sums " + name(axis));
}
void RecordedFlow::freeze(AxisRef axis, std::string_view reason) {
  EXPECT_FALSE(reason.empty());
  named(axis).frozen = true;
  said.push_back("freeze " + name(axis));
}
void RecordedFlow::lossy(AxisRef axis, std::string_view reason) {
  EXPECT_FALSE(reason.empty());
  named(axis).lossy = true;
  said.push_back("lossy " + name(axis));
}
void RecordedFlow::attr_is(std::string_view attr, int64_t index, KeptCount count) {
  said.push_back(
      fmt::format("{}{} = {}", attr, index < 0 ? "" : fmt::format("[{}]", index), name(count)));
  numbers.push_back({std::string(attr), 0, index, count});
}
void RecordedFlow::input_is(size_t input, int64_t index, KeptCount count) {
  EXPECT_TRUE(has_input(input));
  said.push_back(fmt::format("x{}[{}] = {}", input, index, name(count)));
  numbers.push_back({"", input, index, count});
}
void RecordedFlow::output_tells(size_t output, int64_t index, AxisRef axis) {
  said.push_back(fmt::format("y{}[{}] tells {}", output, index, name(axis)));
}

// -- AxisCase

AxisCase& AxisCase::in(const Shape& shape) {
  if (std::ranges::count(shape, -1) > 0) {
    tensors_.emplace_back();
    types_.push_back(float_type(shape));
    return *this;
  }
  Tensor tensor(DType::kF32, shape);
  const auto salt = static_cast<int64_t>(tensors_.size()) + 1;
  auto data = tensor.mutable_data<float>();
  for (size_t i = 0; i < data.size(); ++i)
    data[i] = 0.25f + static_cast<float>((static_cast<int64_t>(i) * 7 * salt + salt) % 23) * 0.125f;
  return in(std::move(tensor));
}

AxisCase& AxisCase::in(Tensor tensor) {
  types_.push_back(tensor_type(tensor));
  tensors_.push_back(std::move(tensor));
  return *this;
}

AxisCase& AxisCase::unknown_ints(const Shape& shape) {
  tensors_.emplace_back();
  types_.push_back(tensor_type(DType::kI64, shape));
  return *this;
}

AxisCase& AxisCase::declared(const Shape& shape) {
  declared_ = float_type(shape);
  return *this;
}

AxisCase& AxisCase::absent() {
  tensors_.emplace_back();
  types_.emplace_back();
  return *this;
}

std::pair<Graph, NodeId> AxisCase::build(const Tensors& tensors,
                                         const GraphBuilder::Attrs& attrs) const {
  Graph graph;
  graph.set_opset("", domain_.empty() ? opset_ : kWorkingOpset);
  if (!domain_.empty()) graph.set_opset(domain_, opset_);
  GraphBuilder builder(graph);
  std::vector<ValueId> inputs;
  for (size_t i = 0; i < types_.size(); ++i) {
    const std::string name = "in" + std::to_string(i);
    // Only integers are constants: those that inference may read.
    if (tensors[i] && is_int(tensors[i]->dtype()))
      inputs.push_back(builder.constant(name, *tensors[i]));
    else if (tensors[i])
      inputs.push_back(builder.input(name, tensors[i]->dtype(), to_dims(tensors[i]->shape())));
    else if (types_[i] == TensorType{})
      inputs.emplace_back();
    else
      inputs.push_back(builder.input(name, types_[i].dtype, *types_[i].shape));
  }
  const auto made = builder.ops(op_, outputs_, std::move(inputs), attrs, "node", domain_);
  const NodeId node = graph.value(made[0]).producer;
  if (declared_.shape) graph.mutable_value(made[0]).type = declared_;
  for (size_t i : dropped_) graph.set_output(node, i, {});
  return {std::move(graph), node};
}

std::unique_ptr<RecordedFlow> AxisCase::record() const {
  auto [graph, node] = build(tensors_, attrs_);
  infer_types(graph);
  const ResolvedOp op = require_op(graph, node);
  auto flow = std::make_unique<RecordedFlow>(std::make_shared<const Graph>(std::move(graph)), node,
                                             op.version);
  if (op.def->axes != nullptr) op.def->axes(*flow);
  return flow;
}

std::vector<Tensor> AxisCase::run(const Tensors& tensors, const GraphBuilder::Attrs& attrs) const {
  const auto [graph, node] = build(tensors, attrs);
  std::vector<const Tensor*> inputs;
  for (const auto& t : tensors) inputs.push_back(t ? &*t : nullptr);
  return evaluate_node(graph, node, inputs);
}

void AxisCase::check_removal(RecordedFlow& flow, const Kept& keep) const {
  Tensors before = tensors_, after = tensors_;
  GraphBuilder::Attrs attrs = attrs_;
  for (const auto& number : flow.numbers) {
    const int64_t value = value_of(keep, number.count);
    if (number.attr.empty())
      set_element(after[number.input].value(), number.index, value);
    else
      set_attr(attrs, number, value);
  }
  bool exact = true;
  for (uint32_t i = 0; i < keep.size(); ++i)
    exact = exact && (!flow.axes[i].lossy || std::ranges::count(keep[i], false) == 0);
  for (size_t i = 0; i < before.size(); ++i) {
    if (!before[i]) continue;
    before[i] = zeroed(flow, keep, i, *before[i]);
    after[i] = taken(flow, keep, 'x', i, *after[i]);
  }
  const auto expected = run(before, attrs_), found = run(after, attrs);
  for (size_t i = 0; i < found.size(); ++i)
    if (flow.has_output(i)) expect_equal(found[i], taken(flow, keep, 'y', i, expected[i]), exact);
}

int AxisCase::check_removals() const {
  const auto flow = record();
  int removals = 0;
  for (uint32_t i = 0; i < flow->axes.size(); ++i)
    for (int64_t at = 0; at < flow->size(AxisRef{i}); ++at) {
      Kept keep;
      for (const auto& axis : flow->axes) keep.emplace_back(static_cast<size_t>(axis.size), true);
      Closure closure(*flow, keep);
      closure.remove(AxisRef{i}, at);
      if (!closure.run()) continue;
      ++removals;
      SCOPED_TRACE(fmt::format("{} without element {} of {}", op_, at, flow->name(AxisRef{i})));
      check_removal(*flow, keep);
    }
  return removals;
}

}  // namespace lapidary
