#include "quantize/placement.h"

#include <algorithm>

#include "calibrate/tensors.h"
#include "quantize/regions.h"
#include "src/base/fail.h"
#include "src/ops/opdef.h"
#include "src/passes/edit.h"

namespace lapidary {

ValueId ScaleGroups::root(ValueId id) const {
  const auto at = parent_.find(id.index);
  if (at == parent_.end() || at->second == id.index) return id;
  const ValueId top = root(ValueId{at->second});
  at->second = top.index;
  return top;
}

void ScaleGroups::join(ValueId a, ValueId b) {
  const ValueId x = root(a), y = root(b);
  if (x != y) parent_[std::max(x, y).index] = std::min(x, y).index;
}

std::map<ValueId, std::vector<ValueId>> ScaleGroups::groups(const std::vector<ValueId>& ids) const {
  std::map<ValueId, std::vector<ValueId>> out;
  for (const ValueId id : ids) out[root(id)].push_back(id);
  return out;
}

namespace {

bool is_float(const Graph& graph, ValueId id) {
  return id.valid() && graph.value(id).type.dtype == DType::kF32;
}

class Placer {
 public:
  Placer(const Graph& graph, const TargetRecord& target, const QuantizeOptions& options)
      : graph_(graph),
        target_(target),
        outputs_(target.outputs && !options.inputs_only),
        linear_only_(options.inputs_only),
        skipped_(match_nodes(graph, options.skip)),
        regions_(float_regions(graph)) {}

  Placement run() {
    for (const NodeId id : graph_.nodes()) find_layer(id);
    for (const NodeId id : graph_.nodes()) decide(id);
    decide_beside();
    if (outputs_) drop_idle_movers();
    collect();
    out_.layers_only = linear_only_;
    return std::move(out_);
  }

 private:
  void keep(NodeId id, std::string reason) {
    out_.kept_float.push_back({node_key(graph_, id), graph_.node(id).op, std::move(reason)});
  }
  void mark(ValueId id) { out_.marks.insert(id.index); }
  bool marked(ValueId id) const { return out_.marks.contains(id.index); }

  /// The clamp behind `made` that an integer op's saturation can stand for, or none.
  NodeId clamp_behind(ValueId made) const {
    const NodeId reader = only_user(graph_, made);
    if (!reader.valid() || skipped_.contains(reader.index) || !is_clamp(graph_, reader)) return {};
    return graph_.node(reader).inputs[0] == made ? reader : NodeId{};
  }

  /// Marks what an integer op makes, the clamp behind it absorbed where the target does that; what
  /// was marked.
  ValueId mark_output(ValueId made) {
    const NodeId clamp = target_.absorb_clamps ? clamp_behind(made) : NodeId{};
    if (clamp.valid()) {
      out_.absorbed.emplace_back(clamp, made);
      out_.integer.insert(clamp.index);
      made = graph_.node(clamp).outputs[0];
    }
    mark(made);
    return made;
  }

  /// The op of the absorbed clamp that makes the value, or "".
  std::string absorbed_clamp(ValueId made) const {
    const NodeId producer = graph_.value(made).producer;
    const bool is = std::any_of(out_.absorbed.begin(), out_.absorbed.end(),
                                [&](const auto& entry) { return entry.first == producer; });
    return is ? graph_.node(producer).op : std::string();
  }

  void find_layer(NodeId id);
  std::string refuse_linear(NodeId id) const;
  std::string refuse_conv(NodeId id) const;
  bool is_vector_product(NodeId id) const;
  void decide(NodeId id);
  void decide_elementwise(NodeId id, const OpRule& rule);
  void decide_addition_inputs(NodeId id);
  void decide_beside();
  bool integer_beside(NodeId id) const;
  void decide_mover(NodeId id);
  void drop_idle_movers();
  bool integer_reader(ValueId id) const;
  void collect();

  const Graph& graph_;
  const TargetRecord& target_;
  bool outputs_, linear_only_;
  NodeSet skipped_;
  std::unordered_map<uint32_t, std::string> regions_;
  std::unordered_map<uint32_t, std::string> refusals_;  ///< of linear nodes
  NodeSet movers_;
  std::vector<NodeId> beside_;  ///< nodes that follow their neighbours
  Placement out_;
};

std::string not_float(const Graph& graph, const Node& node) {
  for (size_t i = 0; i < 2; ++i)
    if (!is_float(graph, node.inputs[i])) return "its inputs are not float32";
  return {};
}

/// Why a linear node cannot be an integer layer; empty where it can.
std::string Placer::refuse_linear(NodeId id) const {
  const Node& node = graph_.node(id);
  const AttrView attrs(node, 0);
  if (node.inputs.size() < 2) return "it has no weights";
  if (auto bad = not_float(graph_, node); !bad.empty()) return bad;
  if (node.op == "Gemm") {
    if (attrs.get_int("transA", 0) != 0) return "its left side is transposed";
    if (attrs.get_float("alpha", 1) != 1 || attrs.get_float("beta", 1) != 1)
      return "alpha and beta other than 1 have no integer form";
  }
  if (node.op == "MatMul" && !target_.vector_products && is_vector_product(id))
    return "one row or one column: this target has no integer product of a matrix and a vector";
  const Tensor* weight = graph_.constant(node.inputs[1]);
  if (!weight) {
    if (node.op == "MatMul" && target_.activation_products) return {};
    return "its weights are not constant";
  }
  if (graph_.constant(node.inputs[0])) return "its input is a constant";
  if (node.op != "MatMul" && node.inputs.size() > 2 && node.inputs[2].valid() &&
      !graph_.constant(node.inputs[2]))
    return "its bias is not constant";
  if (node.op == "Gemm" && node.inputs.size() > 2 && node.inputs[2].valid() &&
      graph_.constant(node.inputs[2])->size() != weight->dim(attrs.get_int("transB", 0) ? 0 : 1))
    return "its bias is no vector of one value per output";
  return node.op == "Conv" ? refuse_conv(id) : std::string();
}

/// Why the target runs a convolution better in float; empty where it does not.
std::string Placer::refuse_conv(NodeId id) const {
  const Node& node = graph_.node(id);
  const Tensor& weight = *graph_.constant(node.inputs[1]);
  if (weight.rank() < 3) return "its weights have no kernel";
  const int64_t group = AttrView(node, 0).get_int("group", 1);
  const int64_t in = weight.dim(1) * group, out = weight.dim(0);
  const std::vector<int64_t> kernel(weight.shape().begin() + 2, weight.shape().end());
  const auto [least, most] = std::minmax_element(kernel.begin(), kernel.end());
  if (group > 1 && (out % target_.grouped_multiple != 0 || *least < target_.grouped_least_kernel))
    return "this target's grouped integer convolution wants more outputs or a wider kernel";
  if (std::min(in, out) >= target_.least_channels) return {};
  const bool wide = std::max(in, out) >= target_.least_channels || graph_.is_input(node.inputs[0]);
  if (group == 1 && *least == *most && (in % 8 == 0 || out % 8 == 0) && wide) return {};
  return "too few channels for this target's integer convolution";
}

/// One row or one column of results for each matrix.
bool Placer::is_vector_product(NodeId id) const {
  const auto is_one = [&](ValueId value, size_t from_last) {
    const auto& shape = graph_.value(value).type.shape;
    if (!shape) return false;
    if (shape->size() < 2) return true;  // a vector
    const Dim& dim = (*shape)[shape->size() - from_last];
    return dim.known() && dim.value == 1;
  };
  const auto& inputs = graph_.node(id).inputs;
  return is_one(inputs[0], 2) || is_one(inputs[1], 1);
}

void Placer::find_layer(NodeId id) {
  const Node& node = graph_.node(id);
  const OpRule* rule = target_.rule(node.op);
  if (!node.domain.empty() || !rule || rule->form != IntegerForm::kLinear) return;
  if (skipped_.contains(id.index)) return;
  if (regions_.contains(id.index)) return;
  if (std::string bad = refuse_linear(id); !bad.empty()) {
    refusals_.emplace(id.index, std::move(bad));
    return;
  }
  out_.integer.insert(id.index);
  mark(node.inputs[0]);
  const Tensor* weight = graph_.constant(node.inputs[1]);
  if (!weight) return mark(node.inputs[1]);
  LinearLayer layer{.node = id,
                    .key = node_key(graph_, id),
                    .input = node.inputs[0],
                    .weight = node.inputs[1],
                    .made = node.outputs[0]};
  const OpDef* def = find_op("", node.op);
  LAPIDARY_CHECK(def && def->weight.channel_axis);
  layer.weight_axis = def->weight.channel_axis(AttrView(node, 0), weight->rank());
  if (node.op != "MatMul" && node.inputs.size() > 2) layer.bias = node.inputs[2];
  if (node.op == "MatMul" && weight->rank() == 2) {
    const NodeId add = only_user(graph_, layer.made);
    const int slot = bias_slot(graph_, add, layer.made, weight->dim(1));
    if (slot >= 0 && !skipped_.contains(add.index)) {
      layer.bias = graph_.node(add).inputs[static_cast<size_t>(slot)];
      layer.bias_node = add;
      layer.made = graph_.node(add).outputs[0];
      out_.integer.insert(add.index);
    }
  }
  out_.layers.push_back(std::move(layer));
}

void Placer::decide(NodeId id) {
  const Node& node = graph_.node(id);
  const ResolvedOp op = resolve_op(graph_, id);
  const OpRule* rule = node.domain.empty() ? target_.rule(node.op) : nullptr;
  const bool touches_float = std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId v) {
    return is_float(graph_, v) && !graph_.constant(v);
  });
  if (!touches_float) return;
  if (out_.integer.contains(id.index)) {
    if (rule && rule->form == IntegerForm::kLinear && rule->needs_output && outputs_)
      mark_output(node.outputs[0]);
    return;  // a layer, a bias Add or an absorbed clamp
  }
  if (skipped_.contains(id.index)) return keep(id, "skipped on request");
  if (const auto region = regions_.find(id.index); region != regions_.end())
    return keep(id, "part of " + region->second + ", which stays float");
  if (const auto bad = refusals_.find(id.index); bad != refusals_.end())
    return keep(id, bad->second);
  if (!rule) {
    if (!op) return keep(id, "unknown op");
    if (op.def->role == QuantRole::kCompute || op.def->macs)
      keep(id, std::string("target ") + std::string(target_.name) + " has no integer form of it");
    return;
  }
  if (linear_only_) return keep(id, "only inputs of Conv, Gemm and MatMul are quantized");
  if (rule->beside) return beside_.push_back(id);
  if (rule->form == IntegerForm::kElementwise) decide_elementwise(id, *rule);
  if (rule->form == IntegerForm::kMover) decide_mover(id);
}

/// Integer where all it reads is quantized for other reasons: an integer island costs accuracy and
/// time.
void Placer::decide_elementwise(NodeId id, const OpRule& rule) {
  const Node& node = graph_.node(id);
  if (!outputs_) {
    if (target_.add_skip_only && node.op == "Add") return decide_addition_inputs(id);
    for (const ValueId input : node.inputs)
      if (is_float(graph_, input) && !graph_.constant(input)) mark(input);
    out_.integer.insert(id.index);
    return;
  }
  bool any = false;
  for (const ValueId input : node.inputs) {
    if (!is_float(graph_, input) || graph_.constant(input)) continue;
    any = true;
    if (!marked(input))
      return keep(id, "its input '" + graph_.value(input).name +
                          "' is float: an integer form would only add error");
  }
  if (!any) return keep(id, "all it reads is constant");
  if (node.op == "Clip" && !is_clamp(graph_, id)) return keep(id, "its bounds are not constant");
  const bool clamp = is_clamp(graph_, id);
  for (const ValueId input : node.inputs)
    if (!clamp && is_float(graph_, input)) mark(input);
  out_.integer.insert(id.index);
  if (!rule.needs_output) return;
  const ValueId made = mark_output(node.outputs[0]);
  if (node.op != "Concat" || !target_.concat_shares) return;
  // An input that nothing else reads takes the output's scale: joining then rounds nothing again.
  // Not where only some are clamped: the joint scale would not saturate where the clamps do.
  const bool alike = std::all_of(node.inputs.begin(), node.inputs.end(), [&](ValueId input) {
    return absorbed_clamp(input) == absorbed_clamp(node.inputs[0]);
  });
  bool all = true;
  for (const ValueId input : node.inputs) {
    const bool alone = alike && only_user(graph_, input) == id;
    if (alone) out_.scales.join(input, made);
    all = all && alone;
  }
  if (all && made == node.outputs[0]) out_.moved.insert(made.index);
}

/// Of a residual addition only the side that is not a convolution's own result is quantized.
void Placer::decide_addition_inputs(NodeId id) {
  const Node& node = graph_.node(id);
  const auto fused = [&](ValueId v) {
    const NodeId producer = graph_.value(v).producer;
    return producer.valid() && out_.integer.contains(producer.index) &&
           only_user(graph_, v) == id &&
           target_.rule(graph_.node(producer).op)->form == IntegerForm::kLinear;
  };
  if (!fused(node.inputs[0]) && !fused(node.inputs[1]))
    return keep(id, "no convolution that it could be fused with feeds it");
  const ValueId skip = fused(node.inputs[0]) ? node.inputs[1] : node.inputs[0];
  if (!graph_.constant(skip)) mark(skip);
  out_.integer.insert(id.index);
}

/// True where what makes an input or reads an output of the node is integer, clamps looked through.
bool Placer::integer_beside(NodeId id) const {
  const auto integer = [&](NodeId at) { return at.valid() && out_.integer.contains(at.index); };
  NodeId made_by = graph_.value(graph_.node(id).inputs[0]).producer;
  if (is_clamp(graph_, made_by) && !integer(made_by))
    made_by = graph_.value(graph_.node(made_by).inputs[0]).producer;
  if (integer(made_by)) return true;
  ValueId made = graph_.node(id).outputs[0];
  const NodeId clamp = only_user(graph_, made);
  if (is_clamp(graph_, clamp) && !integer(clamp)) made = graph_.node(clamp).outputs[0];
  const auto& uses = graph_.value(made).uses;
  return std::any_of(uses.begin(), uses.end(),
                     [&](const Use& use) { return !use.capture && integer(use.node); });
}

/// Nodes that follow their neighbours, until no more of them become integer.
void Placer::decide_beside() {
  for (size_t before = beside_.size() + 1; before != beside_.size();) {
    before = beside_.size();
    std::erase_if(beside_, [&](NodeId id) {
      if (!integer_beside(id)) return false;
      decide_elementwise(id, *target_.rule(graph_.node(id).op));
      return true;
    });
  }
  for (const NodeId id : beside_)
    keep(id, "no integer op makes what it reads or reads what it makes");
}

void Placer::decide_mover(NodeId id) {
  const Node& node = graph_.node(id);
  const auto data_inputs = node.op == "Concat" ? node.inputs.size() : size_t{1};
  for (size_t i = 0; i < data_inputs; ++i)
    if (!is_float(graph_, node.inputs[i]) || !marked(node.inputs[i])) return;
  out_.integer.insert(id.index);
  movers_.insert(id.index);
  for (const ValueId output : node.outputs) {
    if (!is_float(graph_, output)) continue;
    mark(output);
    out_.moved.insert(output.index);
    for (size_t i = 0; i < data_inputs; ++i) out_.scales.join(node.inputs[i], output);
  }
}

bool Placer::integer_reader(ValueId id) const {
  for (const Use& use : graph_.value(id).uses) {
    if (use.capture || !out_.integer.contains(use.node.index)) continue;
    if (!movers_.contains(use.node.index)) return true;
    for (const ValueId output : graph_.node(use.node).outputs)
      if (output.valid() && marked(output)) return true;
  }
  return false;
}

/// Movers whose results only float nodes read move floats: one DequantizeLinear before them is
/// enough.
void Placer::drop_idle_movers() {
  const auto nodes = graph_.nodes();
  for (auto at = nodes.rbegin(); at != nodes.rend(); ++at) {
    if (!movers_.contains(at->index)) continue;
    const auto& outputs = graph_.node(*at).outputs;
    const bool read = std::any_of(outputs.begin(), outputs.end(), [&](ValueId v) {
      return v.valid() && marked(v) && integer_reader(v);
    });
    if (read) continue;
    for (const ValueId output : outputs) {
      out_.marks.erase(output.index);
      out_.moved.erase(output.index);
    }
    out_.integer.erase(at->index);
    movers_.erase(at->index);
  }
}

void Placer::collect() {
  for (const ValueId id : graph_.values())
    if (marked(id)) out_.quantized.push_back(id);
}

}  // namespace

int bias_slot(const Graph& graph, NodeId add, ValueId product, int64_t n) {
  if (!add.valid() || !graph.node(add).is("Add")) return -1;
  const auto& inputs = graph.node(add).inputs;
  const int slot = inputs[0] == product ? 1 : 0;
  const Tensor* bias = graph.constant(inputs[static_cast<size_t>(slot)]);
  if (!bias || bias->dtype() != DType::kF32 || bias->size() != n) return -1;
  const auto& shape = graph.value(product).type.shape;
  const int64_t most = shape ? std::ssize(*shape) : 1;
  return bias->rank() >= 1 && bias->rank() <= most && bias->dim(-1) == n ? slot : -1;
}

std::pair<NodeId, size_t> bias_place(const Graph& graph, NodeId layer, NodeId bias_node) {
  if (!bias_node.valid()) return {layer, 2};
  const ValueId product = graph.node(layer).outputs[0];
  return {bias_node, graph.node(bias_node).inputs[0] == product ? 1 : 0};
}

Placement place(const Graph& graph, const TargetRecord& target, const QuantizeOptions& options) {
  return Placer(graph, target, options).run();
}

}  // namespace lapidary
