#include "prune/surgery.h"

#include <algorithm>
#include <map>
#include <set>

#include "src/base/fail.h"
#include "src/ir/builder.h"
#include "src/ops/elements.h"
#include "src/ops/movement.h"
#include "src/passes/edit.h"

namespace lapidary::prune {

namespace {

constexpr int64_t kWhereOpset = 9;

/// Numbers to be written into a list of integers, by place.
using Numbers = std::map<int64_t, int64_t>;

class Cut {
 public:
  Cut(const Kept& kept, const InferredElements& known)
      : kept_(kept), known_(known), graph_(kept.system().graph()) {}

  Graph run(KeptElements* kept_elements) {
    write_sizes();
    cut_constants(kept_elements);
    forget_types();
    infer_types(graph_, {.replace_declared = true});
    graph_.verify();
    return std::move(graph_);
  }

 private:
  const AxisSystem& system() const { return kept_.system(); }

  /// Places of each axis of a tensor that keeps not all of them; empty: nothing is cut.
  std::map<int64_t, std::vector<int64_t>> kept_places(ValueId value) const {
    std::map<int64_t, std::vector<int64_t>> places;
    const auto axes = system().axes(value);
    for (size_t a = 0; a < axes.size(); ++a)
      if (kept_.cuts(axes[a])) places[static_cast<int64_t>(a)] = kept_.places(axes[a]);
    return places;
  }

  Tensor without_removed(const Tensor& tensor, ValueId like) const {
    const auto places = kept_places(like);
    if (places.empty()) return tensor;
    AxisTables tables = identity_tables(tensor.shape());
    for (const auto& [axis, kept] : places) tables[static_cast<size_t>(axis)] = kept;
    return take_axes(tensor, tables);
  }

  void write_sizes() {
    // (node, slot) -> numbers of that input or output
    std::map<std::pair<NodeId, size_t>, Numbers> inputs, outputs;
    for (const SizeWrite& w : system().writes()) {
      if (w.to == SizeWrite::To::kOutputStays) {
        const AxisSystem::Axis& axis = system().axis(w.count.axis);
        if (kept_.cuts(axis)) outputs[{w.node, w.slot}][w.index] = axis.size;
        continue;
      }
      const int64_t number = kept_.count(w.count);
      if (w.to == SizeWrite::To::kInput)
        inputs[{w.node, w.slot}][w.index] = number;
      else
        write_attr(w, number);
    }
    for (const auto& [at, numbers] : outputs) correct_output(at.first, at.second, numbers);
    for (const auto& [at, numbers] : inputs) write_input(at.first, at.second, numbers);
  }

  void write_attr(const SizeWrite& w, int64_t number) {
    const Attr* attr = graph_.node(w.node).attr(w.name);
    if (w.index < 0) {
      const int64_t* now = attr ? std::get_if<int64_t>(attr) : nullptr;
      if (now == nullptr || *now != number) graph_.set_attr(w.node, w.name, number);
      return;
    }
    std::vector<int64_t> list = std::get<std::vector<int64_t>>(*attr);
    list.at(static_cast<size_t>(w.index)) = number;
    graph_.set_attr(w.node, w.name, std::move(list));
  }

  /// The integers of a value of the uncut graph, where all are known.
  std::optional<Tensor> known_integers(ValueId value) const {
    if (const Tensor* constant = system().graph().constant(value)) return *constant;
    if (const auto at = known_.tensors.find(value.index); at != known_.tensors.end())
      return at->second;
    const auto at = known_.shape_values.find(value.index);
    if (at == known_.shape_values.end() ||
        std::ranges::any_of(at->second, [](const Dim& d) { return !d.known(); }))
      return std::nullopt;
    std::vector<int64_t> values;
    for (const Dim& d : at->second) values.push_back(d.value);
    const auto& shape = system().graph().value(value).type.shape;
    return Tensor::of<int64_t>(shape && shape->empty() ? Shape{} : Shape{std::ssize(values)},
                               values);
  }

  static Tensor with_numbers(Tensor tensor, const Numbers& numbers) {
    for (const auto& [index, number] : numbers)
      if (tensor.dtype() == DType::kI32)
        tensor.mutable_data<int32_t>()[static_cast<size_t>(index)] = static_cast<int32_t>(number);
      else
        tensor.mutable_data<int64_t>()[static_cast<size_t>(index)] = number;
    return tensor;
  }

  /// `value` may be new by now, where an output that it read was corrected; what is known, and of
  /// which axes, is said of the uncut graph's.
  void write_input(NodeId id, size_t slot, const Numbers& numbers) {
    const ValueId value = graph_.node(id).inputs[slot];
    const ValueId uncut = system().graph().node(id).inputs[slot];
    if (const auto before = known_integers(uncut)) {
      const Tensor after = without_removed(with_numbers(*before, numbers), uncut);
      if (after.equals(*before)) return;
      if (value == uncut && graph_.constant(value) && graph_.use_count(value) == 1) {
        graph_.mutable_value(value).constant = after;
        graph_.mutable_value(value).type = tensor_type(after);
        written_.insert(value);
      } else {
        graph_.set_input(id, slot, add_constant(graph_, graph_.value(value).name, after));
        drop_unused(graph_, value);
      }
      return;
    }
    const auto& shape = system().graph().value(uncut).type.shape;
    if (!shape || shape->size() != 1 || !(*shape)[0].known()) return;
    graph_.set_input(id, slot, patched(value, (*shape)[0].value, numbers, id));
  }

  /// Computed numbers, but for those given: Where(given, numbers, computed).
  ValueId patched(ValueId computed, int64_t length, const Numbers& numbers, NodeId before) {
    if (graph_.opset() < kWhereOpset)
      fail_unsupported(
          "{} computes a shape that pruning changes; in opset {} it cannot be corrected, upgrade "
          "the model to opset {}",
          node_label(graph_, before), graph_.opset(), kWhereOpset);
    Tensor mask(DType::kBool, {length}), values(DType::kI64, {length});
    for (const auto& [index, number] : numbers) {
      mask.mutable_data<bool>()[static_cast<size_t>(index)] = true;
      values.mutable_data<int64_t>()[static_cast<size_t>(index)] = number;
    }
    const std::string& name = graph_.value(computed).name;
    GraphBuilder b(graph_, before);
    return b.op("Where",
                {b.constant(name + "_given", std::move(mask)),
                 b.constant(name + "_sizes", std::move(values)), computed},
                {}, graph_.unique_name(name + "_pruned"));
  }

  /// Readers of sizes (nodes, branches, callers) see those of the uncut graph.
  void correct_output(NodeId id, size_t slot, const Numbers& numbers) {
    const ValueId value = graph_.node(id).outputs[slot];
    if (!value || graph_.use_count(value) == 0) return;
    if (const auto before = known_integers(value)) {
      graph_.replace_uses(value, add_constant(graph_, graph_.value(value).name, *before));
      return;
    }
    const auto& shape = system().graph().value(value).type.shape;
    const ValueId stays = patched(value, (*shape)[0].value, numbers, graph_.next(id));
    const NodeId where = graph_.value(stays).producer;
    graph_.replace_uses(value, stays);
    graph_.set_input(where, 2,
                     value);  // Where's `computed` is the only one that goes on reading it
  }

  void cut_constants(KeptElements* kept_elements) {
    for (ValueId v : system().graph().values()) {
      if (!graph_.alive(v) || !graph_.value(v).constant || written_.contains(v)) continue;
      const auto places = kept_places(v);
      if (places.empty()) continue;
      Value& value = graph_.mutable_value(v);
      value.constant = without_removed(*value.constant, v);
      value.type = tensor_type(*value.constant);
      if (kept_elements) (*kept_elements)[value.name] = places;
    }
  }

  void forget_types() {
    for (NodeId id : graph_.nodes())
      for (ValueId v : graph_.node(id).outputs)
        if (v && !graph_.is_output(v)) graph_.mutable_value(v).type.shape.reset();
  }

  const Kept& kept_;
  const InferredElements& known_;
  Graph graph_;
  std::set<ValueId> written_;  ///< constants that are as they should be
};

}  // namespace

Graph cut(const Kept& kept, const InferredElements& known, KeptElements* kept_elements) {
  return Cut(kept, known).run(kept_elements);
}

}  // namespace lapidary::prune
