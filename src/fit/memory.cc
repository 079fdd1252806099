#include "src/fit/memory.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <set>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "src/ops/infer.h"
#include "src/passes/edit.h"

namespace lapidary {

namespace {

// How gradients are computed: from what of a node. Other ops: from their inputs.
/// The output is the input's memory.
constexpr std::array<std::string_view, 6> kViews = {"Reshape",   "Flatten",  "Squeeze",
                                                    "Unsqueeze", "Identity", "Transpose"};
/// From sizes alone.
constexpr std::array<std::string_view, 17> kFromNothing = {
    "Add",       "Sub",        "Sum",         "Neg",
    "Mean",      "Concat",     "Split",       "Slice",
    "Pad",       "Expand",     "Tile",        "Cast",
    "ReduceSum", "ReduceMean", "AveragePool", "GlobalAveragePool",
    "Gather"};
/// From the output.
constexpr std::array<std::string_view, 8> kFromOutput = {
    "Relu", "Sigmoid", "Tanh", "Exp", "Sqrt", "Softmax", "LogSoftmax", "Dropout"};

template <size_t N>
bool any(const std::array<std::string_view, N>& names, const Node& node) {
  return node.domain.empty() && std::find(names.begin(), names.end(), node.op) != names.end();
}

class Counter {
 public:
  Counter(const Graph& graph, const TrainerOptions& options, int64_t batch)
      : graph_(graph), options_(options), batch_(batch) {
    for (const ValueId id : graph_.inputs()) {
      auto& shape = graph_.mutable_value(id).type.shape;
      if (!graph_.constant(id) && shape && !shape->empty() && !shape->front().known())
        shape->front() = Dim(batch);
    }
    infer_types(graph_);
  }

  int64_t run() {
    for (const TrainedParameter& parameter : options_.parameters)
      if (const ValueId id = graph_.find_value(parameter.name)) {
        trained_ += bytes(id);
        // Groups have one mask, a byte an element; scores as elements.
        if (!parameter.mask.empty()) extra_ += bytes(id) / 4;
        if (parameter.movement) extra_ += bytes(id);
        learns_.insert(id.index);
      }
    for (const NodeId id : graph_.nodes()) visit(id);
    double held = 0;
    std::vector<double> sizes = {0, 0};
    for (const ValueId id : kept_) {
      held += bytes(id);
      sizes.push_back(bytes(id));
    }
    for (const ValueId id : graph_.inputs())
      if (!graph_.constant(id) && !kept_.contains(id)) held += bytes(id);
    std::partial_sort(sizes.begin(), sizes.begin() + 2, sizes.end(), std::greater<>());
    const double memories = options_.optimizer.kind == "sgd" ? 1 : 2;
    const double copies = 2 + memories + (options_.ema > 0 ? 1 : 0);
    // In flight: gradients of an output and an input, and one of them in another layout.
    return static_cast<int64_t>(trained_ * copies + extra_ + held + 2 * sizes[0] + sizes[1]);
  }

 private:
  double bytes(ValueId id) const {
    if (const Tensor* constant = graph_.constant(id))
      return static_cast<double>(constant->size_bytes());
    const TensorType& type = graph_.value(id).type;
    double out =
        static_cast<double>(dtype_size(type.dtype == DType::kUndefined ? DType::kF32 : type.dtype));
    if (!type.shape) return 0;
    for (size_t i = 0; i < type.shape->size(); ++i) {
      const Dim& dim = (*type.shape)[i];
      out *= static_cast<double>(dim.known() ? dim.value : i == 0 ? batch_ : 1);
    }
    return out;
  }

  /// The value whose memory it is.
  ValueId memory_of(ValueId id) const {
    const auto at = views_.find(id);
    return at == views_.end() ? id : at->second;
  }
  void keep(ValueId id) {
    if (id.valid() && !graph_.constant(id)) kept_.insert(memory_of(id));
  }

  void visit(NodeId id) {
    const Node& node = graph_.node(id);
    const bool learns = std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId input) {
      return input.valid() && learns_.contains(input.index);
    });
    if (!learns) return;
    for (const ValueId out : node.outputs)
      if (out.valid()) learns_.insert(out.index);
    if (any(kViews, node)) {
      views_[node.outputs[0]] = memory_of(node.inputs[0]);
    } else if (follows_norm(id)) {
      normed_.insert(node.outputs[0].index);  // computed anew from what the norm read
    } else if (any(kFromOutput, node)) {
      keep(node.outputs[0]);
    } else if (!any(kFromNothing, node)) {
      for (const ValueId input : node.inputs) keep(input);
    }
    if (node.is("BatchNormalization")) normed_.insert(node.outputs[0].index);
  }

  /// A Relu, Clip or FakeQuantize that is computed together with a BatchNormalization.
  bool follows_norm(NodeId id) const {
    const Node& node = graph_.node(id);
    const bool may = node.is("Relu") || node.is("Clip") || node.op == "FakeQuantize";
    return may && normed_.contains(node.inputs[0].index) && only_user(graph_, node.inputs[0]) == id;
  }

  Graph graph_;
  const TrainerOptions& options_;
  int64_t batch_;
  double trained_ = 0, extra_ = 0;
  std::unordered_set<uint32_t> learns_;  ///< values that depend on a parameter
  std::unordered_set<uint32_t> normed_;  ///< of a BatchNormalization and what goes with it
  std::map<ValueId, ValueId> views_;
  std::set<ValueId> kept_;
};

}  // namespace

int64_t training_memory(const Graph& graph, const TrainerOptions& options, int64_t batch) {
  return Counter(graph, options, batch).run();
}

}  // namespace lapidary
