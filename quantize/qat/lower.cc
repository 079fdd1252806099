#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "lapidary/passes.h"
#include "lapidary/qat.h"
#include "quantize/int4.h"
#include "quantize/placement.h"
#include "quantize/qat/biases.h"
#include "quantize/qat/fake_nodes.h"
#include "quantize/qat/make.h"
#include "quantize/qat/weights.h"
#include "quantize/qdq_graph.h"
#include "quantize/targets.h"
#include "quantize/weights.h"
#include "src/base/fail.h"
#include "src/base/parallel.h"
#include "src/ops/fake_quantize.h"
#include "src/ops/infer.h"
#include "src/passes/edit.h"
#include "src/passes/parameters.h"

namespace lapidary {

namespace {

/// A trained graph with the FakeQuantize nodes taken out, and what they said.
class Lowerer {
 public:
  Lowerer(const Graph& trained, const TargetRecord& target, std::string method)
      : graph_(trained), target_(target), method_(std::move(method)) {}

  QdqGraph run(QuantizeLog& log) {
    take_biases(graph_);
    take_weights();
    take_activations();
    fold();
    run_passes(graph_, {"remove_dead_code"});
    settle_own_import(graph_);  // Binarize nodes stay
    infer_types(graph_);
    mark_activations();
    mark_layers(log);
    for (const NodeId id : graph_.nodes())
      if (placement_.integer.contains(id.index)) log.quantized.push_back(node_key(graph_, id));
    log_activations(log);
    QdqGraph qdq = insert_qdq(std::move(graph_), placement_, target_);
    log_layers(qdq, method_, log);
    return qdq;
  }

 private:
  /// Weights become the constants that layers multiplied by, FakeQuantize done.
  void take_weights() {
    for (const NodeId id : graph_.nodes()) {
      const WeightSlot at = weight_slot(graph_, id);
      if (at.slot < 0) continue;
      const auto slot = static_cast<size_t>(at.slot);
      const ValueId read = graph_.node(id).inputs[slot];
      const auto fake = weight_fake(graph_, read);
      if (!fake) continue;
      QuantParams params = params_of(graph_, *fake);
      const bool folded = read != fake->output;  // FakeQuantize(w r) / r
      layers_[id] = {std::move(params), folded};
      values_[id] = computed_constant(graph_, read);
    }
    for (const auto& [id, rounded] : values_) put_weight(id, rounded);
  }

  void put_weight(NodeId id, const Tensor& rounded) {
    const auto slot = static_cast<size_t>(weight_slot(graph_, id).slot);
    const ValueId was = graph_.node(id).inputs[slot];
    const ValueId w = trained_constant(graph_, was);
    const auto [at, added] = stored_.emplace(w, rounded);
    const bool same = added || at->second.equals(rounded);
    const std::string name = graph_.value(w).name;
    const ValueId to = same ? w : add_constant(graph_, name, rounded);
    graph_.set_input(id, slot, to);
    drop_unused(graph_, was);
    graph_.mutable_value(to).constant = rounded;
  }

  /// Nothing is rounded any more; which values were, by name.
  void take_activations() {
    for (const FakeNode& fake : fake_nodes(graph_)) {
      QuantParams params = params_of(graph_, fake);
      const bool constant = graph_.constant(fake.x) != nullptr;
      if (constant)
        for (const Use& use : graph_.value(fake.output).uses)
          placement_.integer.insert(use.node.index);
      const uint32_t group = fake.scale.index;
      graph_.replace_uses(fake.output, fake.x);
      drop_node(graph_, fake.node);
      activations_.push_back({graph_.value(fake.x).name, std::move(params), group});
    }
  }

  /// Folds BatchNormalization with its running statistics; scales of layers' weights become those
  /// of w r.
  void fold() {
    std::map<NodeId, std::pair<NodeId, std::vector<double>>> norms;
    for (const auto& [id, layer] : layers_) {
      const NodeId next = only_user(graph_, graph_.node(id).outputs[0]);
      if (next.valid() && is_op(graph_, next, "BatchNormalization") &&
          constant_floats(graph_, input_of(graph_, next, 1)) &&
          constant_floats(graph_, input_of(graph_, next, 4)))
        norms[id] = {next, batchnorm_factors(graph_, next)};
    }
    run_passes(graph_, {"fold_batchnorm"});
    for (const auto& [id, norm] : norms) {
      auto& [params, folded] = layers_.at(id);
      if (graph_.alive(norm.first) || folded) continue;
      fold_scales(params, norm.second, weight_slot(graph_, id).axis);
    }
  }

  static void fold_scales(QuantParams& params, const std::vector<double>& r, int64_t axis) {
    if (params.per_tensor()) {
      params.axis = axis;
      params.scale.assign(r.size(), params.scale[0]);
      params.zero_point.assign(r.size(), params.zero_point[0]);
    }
    float largest = 0;
    for (size_t c = 0; c < r.size(); ++c) {
      params.scale[c] = static_cast<float>(params.scale[c] * std::fabs(r[c]));
      largest = std::max(largest, params.scale[c]);
    }
    // As weight_qparams: a channel that is as good as zero must not blow up its bias.
    for (float& s : params.scale) s = std::max({s, largest * 0x1p-24f, kLeastFakeScale});
  }

  void mark_activations() {
    std::map<uint32_t, ValueId> groups;
    for (auto& [name, params, group] : activations_) {
      const ValueId id = graph_.find_value(name);
      LAPIDARY_CHECK(id.valid());
      graph_.mutable_value(id).quant = std::move(params);
      placement_.quantized.push_back(id);
      placement_.marks.insert(id.index);
      const auto [at, added] = groups.emplace(group, id);
      if (!added) placement_.scales.join(at->second, id);
    }
  }

  void mark_layers(QuantizeLog& log) {
    std::map<ValueId, QuantParams> shared;
    std::vector<std::string> crowded;
    for (LinearLayer& layer : place(graph_, target_, {}).layers) {
      const auto at = layers_.find(layer.node);
      if (at == layers_.end() || !placement_.is_quantized(layer.input)) continue;
      QuantParams& params = shared.try_emplace(layer.weight, at->second.first).first->second;
      if (layer.bias.valid() && target_.integer_bias) {
        const float input = graph_.value(layer.input).quant->scale[0];
        const int64_t raised =
            guard_bias(params, input, graph_.constant(layer.bias)->data<float>());
        if (raised > 0) crowded.push_back(layer.key);
      }
      placement_.integer.insert(layer.node.index);
      if (layer.bias_node.valid()) placement_.integer.insert(layer.bias_node.index);
      placement_.layers.push_back(std::move(layer));
    }
    for (auto& [weight, params] : shared) graph_.mutable_value(weight).quant = std::move(params);
    if (!crowded.empty())
      log.warnings.push_back(fmt::format(
          "{} layer{} ('{}'{}) learned a bias that, in units of input scale times weight scale, is "
          "beyond int32: the weight scales of such channels were raised until it fits, which "
          "rounds their weights more coarsely than in training",
          crowded.size(), crowded.size() == 1 ? "" : "s", crowded[0],
          crowded.size() == 1 ? "" : " among them"));
  }

  void log_activations(QuantizeLog& log) const {
    constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
    for (const ValueId id : placement_.quantized) {
      const QuantParams& params = *graph_.value(id).quant;
      const double scale = params.scale[0];
      log.tensors.push_back({graph_.value(id).name,
                             "activation",
                             method_,
                             params,
                             {kUnknown, kUnknown},
                             {scale * (params.qmin - params.zero_point[0]),
                              scale * (params.qmax - params.zero_point[0])}});
    }
  }

  struct Activation {
    std::string name;
    QuantParams params;
    uint32_t group;  ///< the scale's constant
  };
  Graph graph_;
  const TargetRecord& target_;
  const std::string method_;
  Placement placement_;
  std::map<NodeId, std::pair<QuantParams, bool>> layers_;
  std::map<NodeId, Tensor> values_;
  std::map<ValueId, Tensor> stored_;
  std::vector<Activation> activations_;
};

}  // namespace

Graph lower_qat(const Graph& trained, const QatOptions& options, QuantizeLog* log_out) {
  const ThreadScope scope(options.threads);
  const TargetRecord target = target_of(options);
  if (fake_nodes(trained).empty())
    fail_usage(
        "the graph has no FakeQuantize node: it was not made for training with quantization");
  QuantizeLog log;
  QdqGraph qdq = Lowerer(trained, target, options.method).run(log);
  infer_types(qdq.graph);
  run_passes(qdq.graph, {"remove_dead_code"});
  if (options.int4 && store_int4_weights(qdq.graph) == 0)
    log.warnings.push_back("no layer's weights have 4 bits or fewer: none is stored as int4");
  for (const std::string& warning : log.warnings) options.log.warn(warning);
  if (log_out) *log_out = std::move(log);
  return std::move(qdq.graph);
}

}  // namespace lapidary
