#include <algorithm>
#include <set>

#include "lapidary/prune.h"
#include "prune/axes.h"
#include "prune/groups.h"
#include "prune/kept.h"
#include "prune/masked.h"
#include "prune/prepare.h"
#include "prune/surgery.h"
#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ops/opdef.h"
#include "src/passes/precision.h"

namespace lapidary {

namespace {

const Graph& prunable(const Graph& graph) {
  std::string where;
  if (is_quantized_model(graph, &where))
    fail_unsupported("{}: the model is quantized; models are pruned before", where);
  if (has_half_weights(graph, &where))
    fail_unsupported("'{}' is float16; only float32 models are pruned: prune before `fp16`",
                     printable(where, 200));
  return graph;
}

}  // namespace

class PruningGraph::Impl {
 public:
  explicit Impl(Graph source)
      : graph_(std::move(source)),
        known_(prune::prepare(graph_)),
        system_(graph_, known_),
        groups_(prune::find_groups(system_)) {}

  prune::Kept kept(const RemovedUnits& removed) const {
    if (removed.size() != groups_.groups.size())
      fail_usage("units of {} groups are to be removed, the graph has {}", removed.size(),
                 groups_.groups.size());
    std::vector<prune::Element> roots;
    for (size_t g = 0; g < removed.size(); ++g) {
      const PruneGroup& group = groups_.groups[g];
      const std::set<int64_t> units(removed[g].begin(), removed[g].end());
      if (!units.empty() && (*units.begin() < 0 || *units.rbegin() >= group.units))
        fail_usage("group '{}' has units 0 to {}, asked for {}", group.name, group.units - 1,
                   *units.begin() < 0 ? *units.begin() : *units.rbegin());
      if (std::ssize(units) == group.units)
        fail_usage("group '{}' would keep none of its {} units", group.name, group.units);
      for (int64_t u : units) roots.push_back(groups_.roots[g][static_cast<size_t>(u)]);
    }
    return prune::Kept(system_, roots);
  }

  PruneCost cost(const RemovedUnits& removed) const {
    const prune::Kept left = kept(removed);
    PruneCost cost;
    const auto type_of = [&](ValueId v, bool unknown_is_one) {
      TensorType type;
      if (!v) return type;
      type.dtype = graph_.value(v).type.dtype;
      type.shape.emplace();
      for (const prune::AxisSystem::Axis& axis : system_.axes(v)) {
        const int64_t size = left.size(axis);
        type.shape->push_back(size < 0 && unknown_is_one ? 1 : size);
      }
      return type;
    };
    for (ValueId v : graph_.values()) {
      const Value& value = graph_.value(v);
      if (!value.constant) continue;
      int64_t elements = 1;
      for (const prune::AxisSystem::Axis& axis : system_.axes(v)) elements *= left.size(axis);
      cost.bytes += elements * static_cast<int64_t>(dtype_size(value.constant->dtype()));
      if (is_float(value.constant->dtype())) cost.parameters += elements;
    }
    for (NodeId id : graph_.nodes()) {
      const ResolvedOp op = resolve_op(graph_, id);
      if (!op || op.def->macs == nullptr) continue;
      const Node& node = graph_.node(id);
      std::vector<TensorType> inputs, outputs;
      for (ValueId v : node.inputs) inputs.push_back(type_of(v, true));
      for (ValueId v : node.outputs) outputs.push_back(type_of(v, true));
      if (std::ranges::any_of(node.outputs, [&](ValueId v) {
            return v && !graph_.value(v).type.shape && !graph_.value(v).constant;
          }))
        continue;
      cost.macs += op.def->macs(AttrView(node, op.version), inputs, outputs);
    }
    return cost;
  }

  // Each refers to those before it; an Impl stays where it was made.
  Graph graph_;
  InferredElements known_;
  prune::AxisSystem system_;
  prune::Groups groups_;
};

PruningGraph::PruningGraph(const Graph& graph) : impl_(std::make_unique<Impl>(prunable(graph))) {}
PruningGraph::~PruningGraph() = default;
PruningGraph::PruningGraph(PruningGraph&&) noexcept = default;
PruningGraph& PruningGraph::operator=(PruningGraph&&) noexcept = default;

const Graph& PruningGraph::graph() const { return impl_->graph_; }
const std::vector<PruneGroup>& PruningGraph::groups() const { return impl_->groups_.groups; }
const std::vector<FrozenAxis>& PruningGraph::frozen() const { return impl_->groups_.frozen; }

PruneCost PruningGraph::cost(const RemovedUnits& removed) const { return impl_->cost(removed); }

Graph PruningGraph::prune(const RemovedUnits& removed, KeptElements* kept) const {
  return prune::cut(impl_->kept(removed), impl_->known_, kept);
}

Graph PruningGraph::masked(const RemovedUnits& removed) const {
  return prune::mask_consumers(impl_->kept(removed));
}

}  // namespace lapidary
