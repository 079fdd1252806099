#include "src/train/analysis.h"

#include <algorithm>
#include <map>

#include "src/base/fail.h"
#include "src/train/lowering.h"

namespace lapidary::train {

namespace {

/// Inputs 3 and 4 of BatchNormalization, which steps move.
constexpr size_t kRunningMean = 3, kRunningVariance = 4;

bool is_differentiable(const Graph& graph, ValueId id) {
  const DType dtype = graph.value(id).type.dtype;
  return dtype == DType::kUndefined || is_float(dtype);
}

bool makes_float(const Graph& graph, const lapidary::Node& node) {
  return std::any_of(node.outputs.begin(), node.outputs.end(),
                     [&](ValueId id) { return id && is_differentiable(graph, id); });
}

class Analyser {
 public:
  Analyser(const Graph& graph, Branches branches, const std::set<ValueId>& trained)
      : graph_(graph) {
    for (const auto& [id, guard] : branches.guard_of) of(id).guard = guard;
    out_.guards = std::move(branches.guards);
    for (const ValueId id : graph.values()) {
      of(id) = graph.is_input(id) ? Dependence::kData : Dependence::kFixed;
      if (trained.contains(id)) of(id) = Dependence::kGradient;
    }
    for (const NodeId id : graph.nodes()) {
      const lapidary::Node& node = graph.node(id);
      if (!node.is("BatchNormalization")) continue;
      for (const size_t slot : {kRunningMean, kRunningVariance})
        if (slot < node.inputs.size()) raise(of(node.inputs[slot]), Dependence::kRun);
    }
  }

  Analysis run(ValueId loss) {
    for (const NodeId id : graph_.nodes()) visit(id);
    refuse(loss);
    return std::move(out_);
  }

 private:
  Dependence& of(ValueId id) {
    if (out_.values.size() <= id.index) out_.values.resize(id.index + 1, Dependence::kFixed);
    return out_.values[id.index];
  }
  Analysis::Node& of(NodeId id) {
    if (out_.nodes.size() <= id.index) out_.nodes.resize(id.index + 1);
    return out_.nodes[id.index];
  }
  static void raise(Dependence& of, Dependence to) { of = std::max(of, to); }

  Dependence of_inputs(const lapidary::Node& node) {
    Dependence most = Dependence::kFixed;
    for (const ValueId id : node.inputs)
      if (id) raise(most, of(id));
    for (const Capture& capture : node.captures) raise(most, of(capture.outer));
    return most;
  }

  void visit(NodeId id) {
    const lapidary::Node& node = graph_.node(id);
    const ResolvedOp op = resolve_op(graph_, id);
    Analysis::Node& plan = of(id);
    plan.version = op ? op.version : static_cast<int>(graph_.opset(node.domain));
    plan.shape_only = op && op.def->role == QuantRole::kShapeOnly;
    Dependence most = of_inputs(node);
    if (plan.shape_only) most = std::min(most, Dependence::kRun);
    if (op && !op.def->foldable) raise(most, Dependence::kRun);
    const bool integers = most <= Dependence::kRun && !makes_float(graph_, node);
    if (most != Dependence::kFixed && !plan.shape_only && !integers) choose(id, plan);
    for (const ValueId out : node.outputs)
      if (out)
        of(out) = most == Dependence::kGradient && !is_differentiable(graph_, out)
                      ? Dependence::kData
                      : most;
  }

  void choose(NodeId id, Analysis::Node& plan) {
    const lapidary::Node& node = graph_.node(id);
    if (node.is("If")) return;  // its branches are taken in: it hands on what one of them made
    plan.lowering = find_lowering(node.domain, node.op);
    std::string reason = plan.lowering ? "" : "this op has no trainable form";
    if (plan.lowering && plan.lowering->refuse)
      reason = plan.lowering->refuse(AttrView(node, plan.version));
    if (reason.empty()) return;
    plan.lowering = nullptr;  // without a gradient it can be computed
    reasons_[id] = std::move(reason);
  }

  /// Walks up from the loss along values that a gradient flows through.
  void refuse(ValueId loss) {
    std::set<ValueId> reached{loss};
    const std::vector<NodeId> nodes = graph_.nodes();
    for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
      const lapidary::Node& node = graph_.node(*it);
      if (std::none_of(node.outputs.begin(), node.outputs.end(), [&](ValueId out) {
            return out && reached.contains(out) && of(out) == Dependence::kGradient;
          }))
        continue;
      if (const auto reason = reasons_.find(*it); reason != reasons_.end())
        out_.refused.push_back(fmt::format("{}: {}", node_label(graph_, *it), reason->second));
      for (const ValueId id : node.inputs)
        if (id && of(id) == Dependence::kGradient) reached.insert(id);
      for (const Capture& capture : node.captures) reached.insert(capture.outer);
    }
    std::reverse(out_.refused.begin(), out_.refused.end());
  }

  const Graph& graph_;
  Analysis out_;
  std::map<NodeId, std::string> reasons_;
};

}  // namespace

Analysis analyse(const Graph& graph, Branches branches, const std::set<ValueId>& trained,
                 ValueId loss) {
  return Analyser(graph, std::move(branches), trained).run(loss);
}

}  // namespace lapidary::train
