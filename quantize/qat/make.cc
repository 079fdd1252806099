#include <algorithm>
#include <cmath>

#include "calibrate/run.h"
#include "calibrate/statistics.h"
#include "lapidary/ops.h"
#include "lapidary/passes.h"
#include "lapidary/qat.h"
#include "quantize/checks.h"
#include "quantize/clamps.h"
#include "quantize/placement.h"
#include "quantize/qat/biases.h"
#include "quantize/qat/bits.h"
#include "quantize/qat/fake_nodes.h"
#include "quantize/qat/learn.h"
#include "quantize/qat/make.h"
#include "quantize/qat/weights.h"
#include "quantize/ranges.h"
#include "quantize/targets.h"
#include "src/base/fail.h"
#include "src/base/parallel.h"
#include "src/base/text.h"
#include "src/ops/infer.h"
#include "src/passes/edit.h"

namespace lapidary {

namespace {

constexpr int64_t kQdqOpset = 13;  // what the graph is lowered to

QuantizeOptions placement_options(const QatOptions& options) {
  QuantizeOptions out;
  out.target = options.target;
  out.skip = options.skip;
  out.calibrator = options.calibrator;
  out.threads = options.threads;
  out.log = options.log;
  return out;
}

/// `statistics` with what they lack of the activations to be rounded, observed on samples.
Statistics complete(const Graph& form, const Placement& placement, const Statistics* statistics,
                    const Dataset* samples, const QatOptions& options) {
  Statistics out = statistics ? *statistics : Statistics();
  std::vector<std::string> missing;
  for (const ValueId id : placement.quantized)
    if (!form.constant(id) && !out.has(form.value(id).name)) missing.push_back(form.value(id).name);
  if (missing.empty()) return out;
  if (samples == nullptr)
    fail_usage(
        "nothing says what range '{}' has ({} tensors in all): training with quantization "
        "starts from statistics or samples",
        printable(missing[0]), missing.size());
  const int64_t count = std::min(samples->size(), std::max<int64_t>(options.samples, 1));
  const Statistics seen =
      collect_tensors(form, *samples, count, missing, options.threads, options.ranks);
  for (const std::string& name : missing)
    out.impl().tensors.emplace(name, seen.impl().tensor(name));
  return out;
}

/// The graph in training, put together from its form, and from where Q/DQ would go in the form with
/// BatchNormalization folded. Nodes have the ids that they have there, values the names.
class Maker {
 public:
  Maker(Graph form, const TargetRecord& target, const QatOptions& options)
      : graph_(std::move(form)), folded_(graph_), target_(target), options_(options) {
    run_passes(folded_, {"fold_batchnorm"});
    infer_types(folded_);
    placement_ = place(folded_, target_, placement_options(options_));
    bits_ = choose_bits(folded_, placement_, options_.bits);
  }

  Graph run(const Statistics* statistics, const Dataset* samples) {
    annotate_activations(complete(folded_, placement_, statistics, samples, options_));
    join_kept_clamps();
    for (const LinearLayer& layer : placement_.layers) fake_weight(layer);
    for (const auto& [clamp, before] : placement_.absorbed) absorb_clamp(graph_, clamp);
    for (const ValueId id : placement_.quantized) fake_activation(id);
    if (target_.integer_bias)
      for (const LinearLayer& layer : placement_.layers)
        if (layer.bias.valid()) fake_bias_of(layer);
    graph_.sort();
    graph_.verify();
    infer_types(graph_);
    return std::move(graph_);
  }
  const Placement& placement() const { return placement_; }

 private:
  ValueId value(ValueId folded) const {
    const ValueId id = graph_.find_value(folded_.value(folded).name);
    LAPIDARY_CHECK(id.valid());
    return id;
  }

  void annotate_activations(const Statistics& statistics) {
    for (const auto& [root, members] : placement_.scales.groups(placement_.quantized)) {
      QuantScheme scheme = target_.activation;
      scheme.bits = bits_.of(root);
      if (scheme.bits == 8) scheme.narrow_range = false;  // what QuantizeLinear saturates at
      const RangeOptions how{options_.calibrator, {}, scheme};
      const TensorStats seen = group_stats(folded_, placement_, statistics, members);
      const QuantParams params = choose_qparams(observe_range(seen, how).chosen, scheme);
      for (const ValueId id : members) folded_.mutable_value(id).quant = params;
    }
  }

  /// What stands before a clamp that stays keeps the scale of what stands behind it.
  void join_kept_clamps() {
    const auto before = placement_.absorbed;
    keep_clamps(folded_, placement_);
    for (const auto& entry : before)
      if (std::find(placement_.absorbed.begin(), placement_.absorbed.end(), entry) ==
          placement_.absorbed.end())
        placement_.scales.join(entry.second, folded_.node(entry.first).outputs[0]);
  }

  /// The BatchNormalization that is folded into the layer, or none.
  NodeId batchnorm_of(const LinearLayer& layer) const {
    const NodeId next = only_user(graph_, graph_.node(layer.node).outputs[0]);
    const bool folded =
        next.valid() && is_op(graph_, next, "BatchNormalization") && !folded_.alive(next);
    return folded ? next : NodeId{};
  }

  void fake_weight(const LinearLayer& layer) {
    const ValueId w = graph_.node(layer.node).inputs[1];
    QuantScheme scheme = target_.weight;
    const int bits = bits_.weights.at(layer.node);
    scheme.bits = bits == 8 ? target_.weight.bits : std::min(bits, target_.weight.bits);
    scheme.narrow_range = true;
    scheme.axis = target_.per_channel ? layer.weight_axis : -1;
    const NodeId norm = batchnorm_of(layer);
    if (norm.valid() && !target_.per_channel) return fake_folded_weight(layer, norm, w, scheme);
    if (const auto at = weights_.find(w); at != weights_.end()) {
      if (at->second.second == scheme) return graph_.set_input(layer.node, 1, at->second.first);
    }
    const QuantParams params = initial_weight_params(*graph_.constant(w), scheme, learned());
    const std::string name = graph_.value(w).name;
    const auto [scale, zero] = fake_constants(graph_, name, params, true);
    const ValueId made =
        add_fake_quantize(graph_, w, scale, zero, params, name + "_fake_quantized", layer.node);
    weights_.emplace(w, std::pair(made, scheme));
    graph_.set_input(layer.node, 1, made);
  }

  /// FakeQuantize(w r) / r, r = gamma / sqrt(variance + epsilon), 1 where gamma is 0.
  void fake_folded_weight(const LinearLayer& layer, NodeId norm, ValueId w,
                          const QuantScheme& scheme) {
    const std::string name = graph_.value(w).name;
    const auto add = [&](const std::string& op, std::vector<ValueId> inputs, ValueId like,
                         DType dtype = DType::kF32) {
      Node node{.op = op, .name = graph_.unique_name(name + "_" + op)};
      node.inputs = std::move(inputs);
      node.outputs = {graph_.add_value(graph_.unique_name(name + "_" + op),
                                       {dtype, graph_.value(like).type.shape})};
      const ValueId out = node.outputs[0];
      graph_.add_node(std::move(node), layer.node);
      return out;
    };
    const auto scalar = [&](const char* what, float v) {
      return add_constant(graph_, name + what, Tensor::scalar(v));
    };
    const ValueId gamma = graph_.node(norm).inputs[1], variance = graph_.node(norm).inputs[4];
    const ValueId epsilon = scalar("_epsilon", float_attr(graph_, norm, "epsilon", 1e-5f));
    const ValueId zero = scalar("_zero", 0), one = scalar("_one", 1);
    const ValueId none = add("Equal", {gamma, zero}, gamma, DType::kBool);
    const ValueId spread = add("Sqrt", {add("Add", {variance, epsilon}, variance)}, variance);
    const ValueId r = add("Where", {none, one, add("Div", {gamma, spread}, gamma)}, gamma);
    Shape shape(static_cast<size_t>(graph_.constant(w)->rank()), 1);
    shape[static_cast<size_t>(layer.weight_axis)] = -1;
    const ValueId to = add_constant(
        graph_, name + "_shape", Tensor::of<int64_t>({static_cast<int64_t>(shape.size())}, shape));
    const ValueId along = add("Reshape", {r, to}, w);
    graph_.mutable_value(along).type.shape.reset();
    const ValueId product = add("Mul", {w, along}, w);
    const QuantParams params = initial_weight_params(
        *folded_.constant(folded_.node(layer.node).inputs[1]), scheme, learned());
    const auto [scale, zero_point] = fake_constants(graph_, name, params, true);
    const ValueId made = add_fake_quantize(graph_, product, scale, zero_point, params,
                                           name + "_fake_quantized", layer.node);
    graph_.set_input(layer.node, 1, add("Div", {made, along}, w));
  }

  void fake_bias_of(const LinearLayer& layer) {
    if (const NodeId norm = batchnorm_of(layer); norm.valid())
      return fake_bias(graph_, {.layer = layer.node, .reader = norm, .norm = norm});
    const auto [reader, slot] = bias_place(graph_, layer.node, layer.bias_node);
    fake_bias(graph_, {.layer = layer.node, .reader = reader, .slot = slot});
  }

  void fake_activation(ValueId folded) {
    const QuantParams& params = *folded_.value(folded).quant;
    const ValueId id = value(folded);
    const std::string name = graph_.value(id).name;
    const auto [at, added] =
        groups_.try_emplace(placement_.scales.root(folded), std::pair<ValueId, ValueId>());
    if (added) at->second = fake_constants(graph_, name, params, target_.activation.symmetric);
    const auto [scale, zero] = at->second;
    const bool constant = graph_.constant(id) != nullptr;
    std::vector<Use> uses = graph_.value(id).uses;
    std::erase_if(uses, [&](const Use& use) {
      return use.capture || (constant && !placement_.integer.contains(use.node.index));
    });
    const NodeId producer = graph_.value(id).producer;
    const NodeId first = producer.valid() ? graph_.next(producer) : graph_.nodes()[0];
    const bool output = graph_.is_output(id) && producer.valid();
    if (output) graph_.rename_value(id, graph_.unique_name(name + "_float"));
    const ValueId made = add_fake_quantize(graph_, id, scale, zero, params,
                                           output ? name : name + "_fake_quantized", first);
    for (const Use& use : uses) graph_.set_input(use.node, use.slot, made);
    if (!output) return;
    auto outputs = graph_.outputs();
    std::replace(outputs.begin(), outputs.end(), id, made);
    graph_.set_outputs(std::move(outputs));
  }

  bool learned() const { return learns_weight_scales(options_.method); }

  Graph graph_, folded_;
  const TargetRecord& target_;
  const QatOptions& options_;
  Placement placement_;
  ChosenBits bits_;
  std::map<ValueId, std::pair<ValueId, QuantScheme>> weights_;  ///< what is read instead of them
  std::map<ValueId, std::pair<ValueId, ValueId>> groups_;       ///< scale and zero point, by root
};

}  // namespace

TargetRecord target_of(const QatOptions& options) {
  TargetRecord target = find_target(options.target);
  if (options.per_channel) target.per_channel = *options.per_channel;
  return target;
}

/// With BatchNormalization folded too the graph is the one that will be lowered.
Graph training_form(const Graph& graph, const QatOptions& options,
                    std::vector<std::string>& warnings) {
  QuantizeLog log;
  Graph form = quantization_source(graph, placement_options(options), log);
  warnings.insert(warnings.end(), log.warnings.begin(), log.warnings.end());
  std::vector<std::string> passes;
  for (const PassInfo& pass : list_passes())
    if (pass.name != "fold_batchnorm") passes.push_back(pass.name);
  run_passes(form, passes, {.train_safe = true});
  infer_types(form);
  if (form.opset() < kQdqOpset) upgrade_opset(form, kQdqOpset);
  infer_types(form);
  form.model.ir_version = std::max<int64_t>(form.model.ir_version, 7);
  return form;
}

QatGraph fake_quantized(Graph form, const Statistics* statistics, const Dataset* samples,
                        const QatOptions& options) {
  const TargetRecord target = target_of(options);
  Maker maker(std::move(form), target, options);
  QatGraph out;
  out.graph = maker.run(statistics, samples);
  out.kept_float = maker.placement().kept_float;
  return out;
}

QatGraph make_qat_graph(const Graph& graph, const Statistics* statistics, const Dataset* samples,
                        const QatOptions& options) {
  const ThreadScope scope(options.threads);
  check_method(options.method);
  target_of(options);
  QatGraph out;
  if (!fake_nodes(graph).empty()) {
    out.graph = graph;
  } else if (is_quantized_model(graph)) {
    out.graph = lift_qdq(graph);
  } else {
    std::vector<std::string> warnings;
    out = fake_quantized(training_form(graph, options, warnings), statistics, samples, options);
    out.warnings = std::move(warnings);
  }
  out.parameters = set_learning(out.graph, options, out.warnings);
  for (const std::string& warning : out.warnings) options.log.warn(warning);
  infer_types(out.graph);
  return out;
}

}  // namespace lapidary
