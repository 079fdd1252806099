#include "src/exec/control_flow.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>

#include "src/base/checked.h"
#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ops/control_flow.h"
#include "src/ops/evaluate.h"

namespace lapidary::exec {

namespace {

using Inputs = std::span<const Tensor* const>;

bool condition(const Tensor& tensor) {
  if (tensor.dtype() != DType::kBool || tensor.size() != 1)
    fail_invalid("the condition is {}{}, expected one bool", dtype_name(tensor.dtype()),
                 shape_text(tensor.shape()));
  return tensor.data<bool>()[0];
}

int64_t trip_count(const Tensor& tensor) {
  if (tensor.dtype() != DType::kI64 || tensor.size() != 1)
    fail_invalid("the trip count is {}{}, expected one int64", dtype_name(tensor.dtype()),
                 shape_text(tensor.shape()));
  return tensor.data<int64_t>()[0];
}

/// Rows of one shape, stacked along a new axis. What they take is checked as they come.
class Stack {
 public:
  void add(Tensor row) {
    if (row.dtype() == DType::kString) fail_unsupported("stacked outputs of strings");
    if (!rows_.empty() && (row.dtype() != rows_[0].dtype() || row.shape() != rows_[0].shape()))
      fail_invalid("stacked output {} in one iteration, {} in another",
                   tensor_type(rows_[0]).text(), tensor_type(row).text());
    bytes_ = checked_add(bytes_, static_cast<int64_t>(row.size_bytes()));
    require_memory(bytes_);
    rows_.push_back(std::move(row));
  }

  /// `type`: of a row, where there is none. Axes as of the result.
  Tensor take(int64_t axis, bool reversed, const TensorType& type) {
    if (reversed) std::ranges::reverse(rows_);
    Shape shape = rows_.empty() ? nothing_of(type) : rows_[0].shape();
    const auto rank = static_cast<int64_t>(shape.size()) + 1;
    const auto at = InferContext::normalize_axis(axis, rank);
    const int64_t outer = element_count(std::span(shape).first(static_cast<size_t>(at)));
    shape.insert(shape.begin() + at, static_cast<int64_t>(rows_.size()));
    Tensor out(rows_.empty() ? type.dtype : rows_[0].dtype(), shape);
    if (out.size() == 0) return out;
    const size_t chunk = rows_[0].size_bytes() / static_cast<size_t>(outer);
    auto* to = static_cast<char*>(out.mutable_raw());
    for (int64_t i = 0; i < outer; ++i)
      for (const Tensor& row : rows_) {
        std::memcpy(to, static_cast<const char*>(row.raw()) + static_cast<size_t>(i) * chunk,
                    chunk);
        to += chunk;
      }
    return out;
  }

 private:
  static Shape nothing_of(const TensorType& type) {
    if (type.dtype == DType::kUndefined || !type.shape)
      fail_unsupported("no iteration, and the type of the stacked output is not known");
    Shape shape;
    for (const Dim& dim : *type.shape) shape.push_back(dim.known() ? dim.value : 0);
    return shape;
  }

  std::vector<Tensor> rows_;
  int64_t bytes_ = 0;
};

/// Element `index` along `axis`.
Tensor slice(const Tensor& tensor, int64_t axis, int64_t index) {
  if (tensor.dtype() == DType::kString) fail_unsupported("scanned inputs of strings");
  Shape shape = tensor.shape();
  const auto at = static_cast<size_t>(axis);
  const int64_t outer = element_count(std::span(shape).first(at));
  const int64_t length = shape[at];
  shape.erase(shape.begin() + axis);
  Tensor out(tensor.dtype(), shape);
  if (out.size() == 0) return out;
  const size_t chunk = out.size_bytes() / static_cast<size_t>(outer);
  auto* to = static_cast<char*>(out.mutable_raw());
  const auto* from = static_cast<const char*>(tensor.raw());
  for (int64_t i = 0; i < outer; ++i)
    std::memcpy(to + static_cast<size_t>(i) * chunk,
                from + static_cast<size_t>(i * length + index) * chunk, chunk);
  return out;
}

std::vector<Tensor> run_if(const Node& node, Inputs inputs, LoopBudget& budget) {
  const std::string_view branch = condition(*inputs[0]) ? "then_branch" : "else_branch";
  return run_body(body_of(node, branch), branch, node, {}, inputs.subspan(node.inputs.size()),
                  budget);
}

const TensorType& type_of_output(const Graph& body, size_t i) {
  return body.value(body.outputs()[i]).type;
}

/// body(i, condition, carried...) -> condition, carried..., rows...
std::vector<Tensor> run_loop(const Node& node, Inputs inputs, LoopBudget& budget) {
  const Graph& body = body_of(node, "body");
  const auto listed = [&](size_t i) { return i < node.inputs.size() ? inputs[i] : nullptr; };
  const Tensor* trips = listed(0);
  const int64_t most = trips ? trip_count(*trips) : std::numeric_limits<int64_t>::max();
  Tensor go_on = listed(1) ? *listed(1) : Tensor::scalar(true);
  std::vector<Tensor> carried;
  for (size_t i = 2; i < node.inputs.size(); ++i) {
    if (inputs[i] == nullptr) fail_invalid("input {}, which is carried around, is absent", i);
    carried.push_back(*inputs[i]);
  }
  std::vector<Stack> stacks(node.outputs.size() - carried.size());
  for (int64_t trip = 0; trip < most && condition(go_on); ++trip) {
    budget.spend();
    std::vector<Tensor> given{Tensor::scalar(trip), std::move(go_on)};
    given.insert(given.end(), carried.begin(), carried.end());
    std::vector<Tensor> made =
        run_body(body, "body", node, given, inputs.subspan(node.inputs.size()), budget);
    go_on = std::move(made[0]);
    for (size_t i = 0; i < carried.size(); ++i) carried[i] = std::move(made[i + 1]);
    for (size_t i = 0; i < stacks.size(); ++i)
      stacks[i].add(std::move(made[1 + carried.size() + i]));
  }
  std::vector<Tensor> outputs = std::move(carried);
  for (Stack& stack : stacks)
    outputs.push_back(stack.take(0, false, type_of_output(body, outputs.size() + 1)));
  return outputs;
}

/// body(carried..., slices...) -> carried..., rows...
std::vector<Tensor> run_scan(const Node& node, const ScanLayout& layout, Inputs inputs,
                             LoopBudget& budget) {
  const Graph& body = body_of(node, "body");
  std::vector<Tensor> carried;
  for (size_t i = 0; i < node.inputs.size(); ++i)
    if (inputs[i] == nullptr) fail_invalid("input {} is absent", i);
  for (size_t i = 0; i < layout.states; ++i) carried.push_back(*inputs[i]);
  const size_t scanned = node.inputs.size() - layout.states;
  std::vector<int64_t> axes;
  int64_t length = -1;
  for (size_t i = 0; i < scanned; ++i) {
    const Tensor& x = *inputs[layout.states + i];
    axes.push_back(InferContext::normalize_axis(layout.input_axes[i], x.rank()));
    const int64_t size = x.dim(axes[i]);
    if (length >= 0 && size != length)
      fail_invalid("scanned inputs have lengths {} and {}", length, size);
    length = size;
  }
  std::vector<Stack> stacks(node.outputs.size() - carried.size());
  for (int64_t step = 0; step < length; ++step) {
    budget.spend();
    std::vector<Tensor> given = carried;
    for (size_t i = 0; i < scanned; ++i)
      given.push_back(slice(*inputs[layout.states + i], axes[i],
                            layout.input_reversed[i] ? length - 1 - step : step));
    std::vector<Tensor> made =
        run_body(body, "body", node, given, inputs.subspan(node.inputs.size()), budget);
    for (size_t i = 0; i < carried.size(); ++i) carried[i] = std::move(made[i]);
    for (size_t i = 0; i < stacks.size(); ++i) stacks[i].add(std::move(made[carried.size() + i]));
  }
  std::vector<Tensor> outputs = std::move(carried);
  for (size_t i = 0; i < stacks.size(); ++i)
    outputs.push_back(stacks[i].take(layout.output_axes[i], layout.output_reversed[i],
                                     type_of_output(body, outputs.size())));
  return outputs;
}

/// The row's own checks, on the types at hand: numbers of inputs and outputs fit afterwards.
ResolvedOp checked_op(const Graph& graph, NodeId id, Inputs inputs) {
  check_node(graph, id);
  const ResolvedOp op = require_op(graph, id);
  const Node& node = graph.node(id);
  std::vector<InferContext::Input> known;
  for (const Tensor* t : inputs.first(node.inputs.size()))
    known.push_back(t ? InferContext::Input{true, tensor_type(*t), t} : InferContext::Input{});
  InferContext types(AttrView(node, op.version), std::move(known), node.outputs.size());
  op.def->infer(types);
  return op;
}

}  // namespace

void LoopBudget::spend() {
  if (--left_ < 0)
    fail(ErrorCode::kResource, "loops have taken more than {} iterations", kMostIterations);
  if (std::chrono::steady_clock::now() > deadline_)
    fail(ErrorCode::kResource, "loops have taken more than {} minutes", kMostTime.count());
}

std::vector<Tensor> run_control_flow(const Graph& graph, NodeId id, Inputs inputs,
                                     LoopBudget& budget) {
  const ResolvedOp op = checked_op(graph, id, inputs);
  const Node& node = graph.node(id);
  if (node.is("If")) return run_if(node, inputs, budget);
  if (node.is("Loop")) return run_loop(node, inputs, budget);
  const AttrView attrs(node, op.version);
  return run_scan(node, scan_layout(attrs, node.inputs.size(), node.outputs.size()), inputs,
                  budget);
}

}  // namespace lapidary::exec
