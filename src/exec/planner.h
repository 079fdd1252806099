#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "src/exec/plan.h"
#include "src/exec/saturation.h"
#include "src/ops/opdef.h"

namespace lapidary::exec {

struct Fusion;

/// What a step rule hands to the builder.
struct StepSpec {
  std::vector<NodeId> nodes;  ///< the node, then those fused into it
  std::string op;             ///< empty: the nodes' ops joined with '+'
  std::string kernel;
  std::string precision = "float32";
  std::vector<Operand> reads, writes;
  std::vector<int> scratch;
  std::function<void(const StepRun&)> run;
};

struct PlanOptions {
  int threads = 1;
  int winograd = 0;             ///< as ExecOptions has it
  bool reference_only = false;  ///< no rules, shapes as they come: the judge
  FloatArithmetic float_arithmetic = FloatArithmetic::kF32;
  IntegerArithmetic integer_arithmetic = IntegerArithmetic::kExact;
  SaturationCounts* saturation = nullptr;  ///< outlives the plan; needed where sums saturate
  std::vector<std::string> taps;           ///< values of the graph, kept by being among its outputs
  /// How many of the graph's outputs are the caller's; the others are only tapped.
  size_t outputs = 0;
};

/// Turns a graph with bound shapes into steps, node by node in topological order. The rules of
/// `steps/` use it: they ask for operands in the layout that they need (conversions are emitted
/// where the value does not lie so), make the outputs, and emit a step.
class PlanBuilder {
 public:
  PlanBuilder(const Graph& graph, PlanOptions options);
  Plan build();

  const Graph& graph() const { return graph_; }
  const Node& node(NodeId id) const { return graph_.node(id); }
  int threads() const { return plan_.threads; }
  int winograd() const { return options_.winograd; }
  FloatArithmetic float_arithmetic() const { return options_.float_arithmetic; }
  /// True where products by s8 weights saturate.
  bool saturates() const {
    return options_.integer_arithmetic == IntegerArithmetic::kAvx2Saturating;
  }
  SaturationCounts::Layer& saturation(NodeId id) const {
    return options_.saturation->layer(node_key(graph_, id), node(id).op);
  }
  AttrView attrs(NodeId id) const;
  /// Input or output of a node; none where absent.
  ValueId input(NodeId id, size_t slot) const;
  ValueId output(NodeId id, size_t slot = 0) const;
  bool wants_output(NodeId id, size_t slot) const { return output(id, slot).valid(); }

  // -- types (static wherever a rule is asked)
  DType dtype(ValueId id) const { return graph_.value(id).type.dtype; }
  Shape shape(ValueId id) const { return graph_.value(id).type.static_shape(); }
  /// Elements known now: the graph's constants, and what was computed from constants alone (weights
  /// behind DequantizeLinear, which passes leave as they are).
  const Tensor* constant(ValueId id) const;

  /// True once a step computes the node.
  bool built(NodeId id) const { return done_.contains(id.index); }

  // -- operands
  bool computed(ValueId id) const { return forms_.contains(id.index); }
  /// Where the value lies already (channels last preferred).
  const Operand& operand(ValueId id);
  /// The value in that form; emits a conversion where it lies otherwise.
  Operand get(ValueId id, Layout layout, bool biased = false);
  /// s8 values biased, others as they are: what the integer kernels read.
  Operand get_u8(ValueId id, Layout layout) { return get(id, layout, dtype(id) == DType::kI8); }
  Operand row_major(ValueId id) { return get(id, Layout::kRowMajor); }
  Operand channels_last(ValueId id) { return get(id, Layout::kChannelsLast); }
  /// Room for a value that the next step writes.
  Operand create(ValueId id, Layout layout, bool biased = false);
  Operand create_u8(ValueId id, Layout layout) {
    return create(id, layout, dtype(id) == DType::kI8);
  }
  /// As create, in the layout and, where only `nodes` still read them, the bytes of `from`.
  Operand create_over(ValueId id, const Operand& from, std::span<const NodeId> nodes);
  /// True where only `nodes` still read those bytes, so that they may be written over.
  bool reusable(const Operand& operand, std::span<const NodeId> nodes);
  /// Room, channels last, for a value that several steps write; `create` gives it to the last.
  const Operand& reserve(ValueId id);
  /// The room reserved for a value, or null.
  const Operand* reserved(ValueId id) const;
  /// A value that the next step writes into some channels of reserved room.
  Operand create_slice(ValueId id, const Operand& room);
  /// `id` is the same bytes as `lies`, under its own shape.
  void alias(ValueId id, const Operand& lies, Layout layout);
  /// The signs of a float value as conv_b1 reads them, channels along `axis`: where a step has put
  /// them, or null. Such a step need not make the value itself.
  const Operand* signs(ValueId id, size_t axis) const;
  /// Room for them that the next step writes.
  Operand create_signs(ValueId id, size_t axis);
  /// Bytes for one step's own use.
  int scratch(int64_t size_bytes);
  /// Weights in a kernel's own order; counted in Plan::packed_bytes.
  Tensor packed(int64_t size_bytes);

  // -- layout
  /// True where consumers of the value rather have it channels last.
  bool prefers_channels_last(ValueId id) const { return prefers_.contains(id.index); }
  /// For ops that work in any layout: channels last where an input lies so or the output prefers
  /// it.
  Layout follow(NodeId id);

  // -- fusion
  /// The only reader of a value that nobody else (caller, tap, subgraph) sees; none otherwise, and
  /// none where it is in a fusion.
  NodeId only_consumer(ValueId id) const;
  /// True for a node that waits to be built with others.
  bool in_fusion(NodeId id) const { return fusion_of_.contains(id.index); }

  /// Appends the step. The written values now lie where it wrote them.
  void emit(StepSpec spec);
  /// The fallback: reference evaluation on row-major tensors.
  void emit_reference(NodeId id);

 private:
  void find_preferences();
  /// Builds the node's fusion where it is the last of it; false where it is in none.
  bool build_fused(NodeId id);
  void define(ValueId id, const Operand& operand);
  Operand allocate(ValueId id, Layout layout, bool biased);
  void build_node(NodeId id);
  bool known_and_not_empty(NodeId id) const;
  bool fold(NodeId id);
  void finish(NodeId id);
  Operand constant_operand(ValueId id, Layout layout);
  void convert(const Operand& from, const Operand& to, ValueId id);
  void touch(int storage);
  void add_step_costs(StepInfo& info, const StepSpec& spec) const;
  void place();

  const Graph& graph_;
  PlanOptions options_;
  Plan plan_;
  std::unordered_map<uint32_t, std::vector<Operand>> forms_;  // value -> where it lies
  std::unordered_map<uint32_t, Operand> reserved_;
  std::map<std::pair<ValueId, size_t>, Operand> signs_;  // of a value along an axis
  std::unordered_map<uint32_t, Tensor> folded_;
  std::vector<std::pair<ValueId, Operand>> created_;       // by the step being built
  std::unordered_map<int, std::vector<ValueId>> sharers_;  // storage -> values in it
  std::unordered_map<uint32_t, int64_t> pending_;          // value -> reads not yet built
  std::unordered_set<uint32_t> prefers_, tapped_, returned_;
  std::unordered_set<uint32_t> done_;  // nodes
  std::vector<std::shared_ptr<const Fusion>> fusions_;
  std::unordered_map<uint32_t, const Fusion*> fusion_of_;  // node -> the fusion that it waits for
};

/// Bound graph -> plan.
Plan build_plan(const Graph& graph, PlanOptions options);

}  // namespace lapidary::exec
