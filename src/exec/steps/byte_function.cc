#include "src/exec/steps/byte_function.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <string_view>

#include "lapidary/error.h"
#include "src/exec/steps/quant.h"
#include "src/ops/evaluate.h"

namespace lapidary::exec {

ClampedTable clamped(const Table& table) {
  ClampedTable c;
  while (c.hi > 0 && table[static_cast<size_t>(c.hi - 1)] == table[255]) --c.hi;
  while (c.lo < c.hi && table[static_cast<size_t>(c.lo + 1)] == table[0]) ++c.lo;
  for (int q = c.lo; q <= c.hi; ++q)
    if (table[static_cast<size_t>(q)] != q) c.rest = table;
  return c;
}

namespace {

constexpr size_t kMostNodes = 24;

constexpr std::string_view kElementwise[] = {"Abs",
                                             "Add",
                                             "Celu",
                                             "Clip",
                                             "Cos",
                                             "DequantizeLinear",
                                             "Div",
                                             "Elu",
                                             "Erf",
                                             "Exp",
                                             "Gelu",
                                             "HardSigmoid",
                                             "HardSwish",
                                             "LeakyRelu",
                                             "Log",
                                             "Max",
                                             "Min",
                                             "Mish",
                                             "Mul",
                                             "Neg",
                                             "Pow",
                                             "PRelu",
                                             "QuantizeLinear",
                                             "Reciprocal",
                                             "Relu",
                                             "Selu",
                                             "Sigmoid",
                                             "Sin",
                                             "Softplus",
                                             "Softsign",
                                             "Sqrt",
                                             "Sub",
                                             "Tanh",
                                             "ThresholdedRelu"};
constexpr std::string_view kElementwiseOfBytes[] = {"QLinearAdd", "QLinearLeakyRelu", "QLinearMul",
                                                    "QLinearSigmoid"};

bool is_elementwise(const Node& node) {
  const auto listed = [&](std::span<const std::string_view> ops) {
    return std::find(ops.begin(), ops.end(), node.op) != ops.end();
  };
  if (node.domain == "com.microsoft") return listed(kElementwiseOfBytes);
  return node.domain.empty() && listed(kElementwise);
}

class Search {
 public:
  Search(const PlanBuilder& b, ValueId x) : b_(b), x_(x) {
    values_.insert(x.index);
    for (std::vector<ValueId> work = {x}; !work.empty();) {
      const ValueId value = work.back();
      work.pop_back();
      for (const Use& use : b.graph().value(value).uses)
        if (!use.capture && reached_.size() < kMostNodes && takes(use.node)) {
          reached_.push_back(use.node);
          nodes_.insert(use.node.index);
          work.push_back(b.output(use.node));
          values_.insert(work.back().index);
        }
    }
  }

  std::optional<ByteFunction> longest(NodeId through, bool whole) const {
    ByteFunction best;
    std::set<uint32_t> most;
    for (const NodeId last : reached_) {
      if (!is_byte(b_.dtype(b_.output(last)))) continue;
      std::set<uint32_t> needed = needed_for(last);
      if (needed.size() <= most.size() || (through && !needed.contains(through.index))) continue;
      std::vector<NodeId> nodes = closed(needed, last, whole);
      if (nodes.empty()) continue;
      best = {std::move(nodes), b_.output(last), {}};
      most = std::move(needed);
    }
    const auto table = most.empty() ? std::nullopt : evaluate(most, best.output);
    if (!table) return std::nullopt;
    best.table = *table;
    return best;
  }

 private:
  bool takes(NodeId id) const {
    const Node& node = b_.node(id);
    if (b_.built(id) || b_.in_fusion(id) || nodes_.contains(id.index) || !is_elementwise(node) ||
        node.outputs.size() != 1)
      return false;
    const TensorType& type = b_.graph().value(node.outputs[0]).type;
    if (!type.is_static() || type.static_shape() != b_.shape(x_)) return false;
    return std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId v) {
      const Tensor* constant = b_.constant(v);
      return !v || values_.contains(v.index) || (constant != nullptr && constant->size() == 1);
    });
  }

  std::set<uint32_t> needed_for(NodeId last) const {
    std::set<uint32_t> needed;
    for (std::vector<NodeId> work = {last}; !work.empty();) {
      const NodeId id = work.back();
      work.pop_back();
      if (!needed.insert(id.index).second) continue;
      for (const ValueId v : b_.node(id).inputs)
        if (v && v != x_ && values_.contains(v.index)) work.push_back(b_.graph().value(v).producer);
    }
    return needed;
  }

  /// True where nobody outside `nodes` sees the value.
  bool inside(ValueId value, const std::set<uint32_t>& nodes) const {
    const std::vector<Use>& uses = b_.graph().value(value).uses;
    return b_.graph().use_count(value) == uses.size() &&
           std::all_of(uses.begin(), uses.end(), [&](const Use& use) {
             return !use.capture && nodes.contains(use.node.index);
           });
  }

  /// The needed nodes in order, or none where an outsider reads what they make. A DequantizeLinear
  /// of x that others read as well is left to them.
  std::vector<NodeId> closed(const std::set<uint32_t>& needed, NodeId last, bool whole) const {
    if (whole && !inside(x_, needed)) return {};
    std::vector<NodeId> nodes;
    for (const NodeId id : reached_) {
      if (!needed.contains(id.index)) continue;
      if (id != last && !inside(b_.output(id), needed)) {
        if (whole || !b_.node(id).is("DequantizeLinear") || b_.input(id, 0) != x_) return {};
        continue;
      }
      nodes.push_back(id);
    }
    return nodes;
  }

  /// All 256 bytes through the needed nodes.
  std::optional<Table> evaluate(const std::set<uint32_t>& needed, ValueId output) const {
    Shape shape(std::max<size_t>(1, b_.shape(x_).size()), 1);
    shape.back() = 256;
    Tensor all(b_.dtype(x_), std::move(shape));
    const int bias_in = b_.dtype(x_) == DType::kI8 ? 0x80 : 0;
    for (int i = 0; i < 256; ++i)
      static_cast<uint8_t*>(all.mutable_raw())[i] = static_cast<uint8_t>(i ^ bias_in);
    std::map<uint32_t, Tensor> known;
    known.emplace(x_.index, std::move(all));
    try {
      for (const NodeId id : reached_)
        if (needed.contains(id.index)) compute(id, known);
    } catch (const Error&) {
      return std::nullopt;  // a type or version without an evaluation: the node's own step says so
    }
    const Tensor& y = known.at(output.index);
    if (!is_byte(y.dtype()) || y.size() != 256) return std::nullopt;
    const int bias_out = y.dtype() == DType::kI8 ? 0x80 : 0;
    Table table;
    for (size_t i = 0; i < 256; ++i)
      table[i] = static_cast<uint8_t>(static_cast<const uint8_t*>(y.raw())[i] ^ bias_out);
    return table;
  }

  void compute(NodeId id, std::map<uint32_t, Tensor>& known) const {
    const Node& node = b_.node(id);
    std::vector<Tensor> scalars;
    scalars.reserve(node.inputs.size());
    std::vector<const Tensor*> inputs;
    for (const ValueId v : node.inputs) {
      if (!v) {
        inputs.push_back(nullptr);
      } else if (const Tensor* constant = b_.constant(v)) {
        scalars.push_back(constant->reshaped({}));
        inputs.push_back(&scalars.back());
      } else {
        inputs.push_back(&known.at(v.index));
      }
    }
    known[b_.output(id).index] = evaluate_node(b_.graph(), id, inputs)[0];
  }

  const PlanBuilder& b_;
  ValueId x_;
  std::vector<NodeId> reached_;  // each behind those that it reads
  std::set<uint32_t> values_, nodes_;
};

}  // namespace

std::optional<ByteFunction> byte_function(const PlanBuilder& b, ValueId x, NodeId through,
                                          bool whole) {
  if (!is_byte(b.dtype(x)) || b.constant(x) != nullptr) return std::nullopt;
  return Search(b, x).longest(through, whole);
}

}  // namespace lapidary::exec
