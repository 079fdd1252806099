// An activation of one input may be factored in many ways. So a candidate is any closed set of
// elementwise nodes with one variable and scalar constants around an op that activations have in
// them, and what it computes is found by computing it: on a grid of x, by the reference
// evaluations.
#include <algorithm>
#include <cmath>
#include <map>

#include "lapidary/error.h"
#include "src/ops/evaluate.h"
#include "src/passes/regions/match.h"

namespace lapidary {

namespace {

constexpr std::string_view kAnchors[] = {"Erf",      "Tanh", "Sigmoid", "HardSigmoid", "Clip",
                                         "Softplus", "Gelu", "Mish",    "HardSwish",   "Log"};
constexpr std::string_view kElementwise[] = {
    "Add",         "Sub",  "Mul", "Div", "Pow",      "Erf",       "Tanh", "Sigmoid",
    "HardSigmoid", "Clip", "Exp", "Log", "Softplus", "HardSwish", "Gelu", "Mish",
    "Relu",        "Min",  "Max", "Neg", "Sqrt",     "Reciprocal"};
constexpr int kReach = 8;  // nodes from the anchor to either end; tanh GELU has six before its Tanh

double gelu(double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }
double tanh_gelu(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2.0 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
}
double silu(double x) { return x / (1 + std::exp(-x)); }
double hard_swish(double x) { return x * std::clamp(x + 3, 0.0, 6.0) / 6; }
double mish(double x) { return x * std::tanh(std::log1p(std::exp(x))); }

constexpr std::pair<RegionKind, double (*)(double)> kFunctions[] = {
    {RegionKind::kGelu, gelu},
    {RegionKind::kTanhGelu, tanh_gelu},
    {RegionKind::kSilu, silu},
    {RegionKind::kHardSwish, hard_swish},
    {RegionKind::kMish, mish}};

// Each is one of the functions, or a step of one that computes more than a path can.
constexpr std::string_view kWhole[] = {"Gelu", "HardSwish", "Mish"};

// What is asked of every node again and again, looked up once, by NodeId::index.
class NodeTraits {
 public:
  explicit NodeTraits(const Graph& graph) {
    for (NodeId id : graph.nodes()) {
      if (id.index >= traits_.size()) traits_.resize(id.index + 1);
      const Node& node = graph.node(id);
      if (!node.domain.empty() && node.domain != "ai.onnx") continue;
      const auto variables = std::count_if(node.inputs.begin(), node.inputs.end(), [&](ValueId in) {
        return in && graph.constant(in) == nullptr;
      });
      traits_[id.index] = {holds(kAnchors, node.op), holds(kElementwise, node.op),
                           variables > 1 || holds(kWhole, node.op)};
    }
  }
  bool anchor(NodeId id) const { return traits_[id.index].anchor; }
  bool elementwise(NodeId id) const { return traits_[id.index].elementwise; }
  /// Of more than one variable, or an activation by itself: every activation has such a node.
  bool joins(NodeId id) const { return traits_[id.index].joins; }

 private:
  struct Traits {
    bool anchor = false, elementwise = false, joins = false;
  };
  static bool holds(std::span<const std::string_view> ops, std::string_view op) {
    return std::find(ops.begin(), ops.end(), op) != ops.end();
  }

  std::vector<Traits> traits_;
};

// Values before the anchor, nearest first, that elementwise nodes lead to.
std::vector<ValueId> sources(const Graph& graph, const NodeTraits& traits, NodeId anchor) {
  std::vector<ValueId> found;
  std::vector<std::pair<NodeId, int>> work{{anchor, 0}};
  for (size_t i = 0; i < work.size(); ++i) {
    const auto [node, depth] = work[i];
    for (ValueId in : graph.node(node).inputs) {
      if (!in || graph.constant(in) || std::count(found.begin(), found.end(), in)) continue;
      found.push_back(in);
      const NodeId before = graph.value(in).producer;
      if (before && depth < kReach && traits.elementwise(before))
        work.push_back({before, depth + 1});
    }
  }
  return found;
}

// Values behind the anchor, along nodes that are read once.
std::vector<ValueId> sinks(const Graph& graph, const NodeTraits& traits, NodeId anchor) {
  std::vector<ValueId> found{output_of(graph, anchor)};
  for (int i = 0; i < kReach; ++i) {
    const NodeId next = only_user(graph, found.back());
    if (!next || !traits.elementwise(next)) break;
    found.push_back(output_of(graph, next));
  }
  return found;
}

// The nodes between x and y, or empty where another variable flows in.
std::vector<NodeId> between(const Graph& graph, const NodeTraits& traits, ValueId x, ValueId y) {
  std::vector<NodeId> nodes;
  std::vector<ValueId> work{y};
  while (!work.empty()) {
    const ValueId v = work.back();
    work.pop_back();
    if (v == x) continue;
    const NodeId node = graph.value(v).producer;
    if (!node || !traits.elementwise(node)) return {};
    if (std::count(nodes.begin(), nodes.end(), node)) continue;
    nodes.push_back(node);
    if (nodes.size() > 2 * kReach) return {};
    for (ValueId in : graph.node(node).inputs) {
      if (!in) continue;
      if (const Tensor* constant = graph.constant(in)) {
        if (constant->size() != 1) return {};
      } else {
        work.push_back(in);
      }
    }
  }
  return nodes;
}

// Every function here is x times a gate of x, so its variable flows at least two ways. A lone path
// of unary steps computes none of them, unless one of its ops is such a product itself.
bool may_be_activation(const NodeTraits& traits, const std::vector<NodeId>& nodes) {
  return std::any_of(nodes.begin(), nodes.end(), [&](NodeId id) { return traits.joins(id); });
}

// True where a node around the anchor may make one of its candidates an activation: in a long chain
// of unary nodes there is none, and its candidates need not be made.
bool joins_around(const Graph& graph, const NodeTraits& traits, NodeId anchor,
                  const std::vector<ValueId>& before, const std::vector<ValueId>& behind) {
  const auto joins = [&](ValueId v) {
    const NodeId made_by = graph.value(v).producer;
    return made_by && traits.joins(made_by);
  };
  return traits.joins(anchor) || std::any_of(before.begin(), before.end(), joins) ||
         std::any_of(behind.begin(), behind.end(), joins);
}

Tensor grid() {
  std::vector<float> x;
  for (int i = -64; i <= 64; ++i) x.push_back(static_cast<float>(i) / 8 + 0.013f);
  return Tensor::of<float>({static_cast<int64_t>(x.size())}, x);
}

// y on the grid, or nothing where a node cannot be evaluated.
std::optional<Tensor> compute(const Graph& graph, const std::vector<NodeId>& ordered, ValueId x,
                              ValueId y) {
  std::map<ValueId, Tensor> known{{x, grid()}};
  try {
    for (NodeId id : ordered) {
      std::vector<Tensor> scalars;
      std::vector<const Tensor*> inputs;
      scalars.reserve(graph.node(id).inputs.size());
      for (ValueId in : graph.node(id).inputs) {
        if (!in) {
          inputs.push_back(nullptr);
        } else if (const Tensor* constant = graph.constant(in)) {
          scalars.push_back(constant->reshaped({}));
          inputs.push_back(&scalars.back());
        } else {
          inputs.push_back(&known.at(in));
        }
      }
      known[output_of(graph, id)] = evaluate_node(graph, id, inputs).at(0);
    }
  } catch (const Error&) {
    return std::nullopt;  // another type than float32, or an op version that is not in the table
  }
  return known.at(y);
}

std::optional<RegionKind> recognize(const Tensor& y) {
  if (y.dtype() != DType::kF32) return std::nullopt;
  const Tensor x = grid();
  for (const auto& [kind, f] : kFunctions) {
    bool same = true;
    for (size_t i = 0; same && i < static_cast<size_t>(x.size()); ++i) {
      const double wanted = f(x.data<float>()[i]);
      same = std::abs(y.data<float>()[i] - wanted) <= 2e-5 * (1 + std::abs(wanted));
    }
    if (same) return kind;
  }
  return std::nullopt;
}

bool match_at(const Graph& graph, const NodeTraits& traits, NodeId anchor,
              const std::vector<size_t>& rank, std::set<NodeId>& taken,
              std::vector<Region>& regions) {
  const std::vector<ValueId> before = sources(graph, traits, anchor);
  const std::vector<ValueId> behind = sinks(graph, traits, anchor);
  if (!joins_around(graph, traits, anchor, before, behind)) return false;
  for (ValueId y : behind)
    for (ValueId x : before) {
      Region region;
      region.nodes = between(graph, traits, x, y);
      if (std::count(region.nodes.begin(), region.nodes.end(), anchor) == 0 ||
          !may_be_activation(traits, region.nodes) || !is_closed(graph, region.nodes, y))
        continue;
      std::sort(region.nodes.begin(), region.nodes.end(),
                [&](NodeId a, NodeId b) { return rank[a.index] < rank[b.index]; });
      const auto computed = compute(graph, region.nodes, x, y);
      const auto kind = computed ? recognize(*computed) : std::nullopt;
      if (!kind) continue;
      region.kind = *kind;
      region.inputs = {x};
      region.output = y;
      return take_region(graph, std::move(region), taken, regions);
    }
  return false;
}

}  // namespace

void find_activations(const Graph& graph, std::set<NodeId>& taken, std::vector<Region>& regions) {
  const std::vector<size_t> rank = node_ranks(graph);
  const NodeTraits traits(graph);
  for (NodeId id : graph.nodes())
    if (traits.anchor(id) && !taken.contains(id)) match_at(graph, traits, id, rank, taken, regions);
}

}  // namespace lapidary
