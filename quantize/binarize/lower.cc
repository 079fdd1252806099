#include <algorithm>
#include <cmath>
#include <map>

#include "lapidary/passes.h"
#include "quantize/binarize/choose.h"
#include "quantize/binarize/emit.h"
#include "quantize/binarize/nodes.h"
#include "quantize/binarize/qat_part.h"
#include "quantize/qat/fake_nodes.h"
#include "src/base/fail.h"
#include "src/base/parallel.h"
#include "src/base/text.h"
#include "src/ops/fake_quantize.h"
#include "src/ops/infer.h"
#include "src/passes/edit.h"
#include "src/passes/parameters.h"

namespace lapidary {

namespace {

class BinaryLowerer {
 public:
  BinaryLowerer(const Graph& trained, const BinarizeOptions& options)
      : graph_(trained), options_(options) {}

  Graph run(QuantizeLog& log) {
    take_weights();
    if (layers_.empty() && !has_binarize(graph_))
      fail_usage("the graph has no binary or ternary layer: it was not made for training them");
    if (fake_nodes(graph_).empty())
      run_passes(graph_, {"fold_batchnorm"});
    else
      graph_ = lower_qat(graph_, qat_options(options_), &log);
    log_layers(log);
    if (options_.format == "packed")
      for (const LoweredLayer& layer : layers_) pack(layer);
    emit_signs(graph_);
    run_passes(graph_, {"remove_dead_code"});
    settle_own_import(graph_);
    graph_.sort();
    graph_.verify();
    infer_types(graph_);
    return std::move(graph_);
  }

 private:
  /// Rounded weights become constants; those of integer layers with a FakeQuantize of three levels
  /// that leaves them as they are.
  void take_weights() {
    for (const NodeId id : graph_.nodes()) {
      const WeightSlot slot = weight_slot(graph_, id);
      if (slot.slot != 1) continue;
      const ValueId read = graph_.node(id).inputs[1];
      const WeightKind kind = weight_kind(graph_, read);
      if (kind == WeightKind::kFloat) continue;
      Tensor weight = computed_constant(graph_, read);
      const auto w = weight.data<float>();
      if (!std::all_of(w.begin(), w.end(), [](float v) { return std::isfinite(v); }))
        fail_invalid("{}: not all weights are finite", node_label(graph_, id));
      layers_.push_back({id, kind, slot.axis});
      const ValueId constant =
          add_constant(graph_, graph_.value(trained_constant(graph_, read)).name, weight);
      const bool integer =
          kind != WeightKind::kLearnedTernary && faked(graph_, graph_.node(id).inputs[0]);
      graph_.set_input(id, 1, integer ? faked_levels(id, constant, layers_.back()) : constant);
      drop_unused(graph_, read);
    }
  }

  ValueId faked_levels(NodeId id, ValueId constant, const LoweredLayer& layer) {
    const CodedWeight coded =
        read_codes(*graph_.constant(constant), layer.axis, layer.kind != WeightKind::kBinary);
    QuantParams params{.storage = DType::kI8, .axis = layer.axis, .qmin = -1, .qmax = 1};
    for (size_t c = 0; c < coded.positive.size(); ++c) {
      const float size = std::max(coded.positive[c], coded.negative[c]);
      params.scale.push_back(size > 0 ? size : 1);
    }
    params.zero_point.assign(params.scale.size(), 0);
    const std::string name = graph_.value(constant).name;
    const auto [scale, zero] = fake_constants(graph_, name, params, true);
    return add_fake_quantize(graph_, constant, scale, zero, params, name + "_fake_quantized", id);
  }

  /// Integer layers are in the log already: with the bits of what holds their weights.
  void log_layers(QuantizeLog& log) const {
    std::map<std::string, LayerBits> by_key;
    for (const LayerBits& known : log.layers) by_key[known.node] = known;
    for (const LoweredLayer& layer : layers_) {
      const std::string key = node_key(graph_, layer.node);
      const bool signs = sign_before(graph_, graph_.node(layer.node).inputs[0]).valid();
      LayerBits& bits =
          by_key.try_emplace(key, LayerBits{key, graph_.node(layer.node).op, 0, signs ? 1 : 32})
              .first->second;
      bits.weights = layer.kind == WeightKind::kBinary ? 1 : 2;
      if (signs && layer.kind == WeightKind::kBinary) log.quantized.push_back(key);
    }
    log.layers.clear();
    for (const NodeId id : graph_.nodes())
      if (const auto at = by_key.find(node_key(graph_, id)); at != by_key.end())
        log.layers.push_back(at->second);
  }

  void pack(const LoweredLayer& layer) {
    const NodeId sign = sign_before(graph_, graph_.node(layer.node).inputs[0]);
    if (sign.valid() && layer.kind == WeightKind::kBinary)
      emit_binary_product(graph_, layer, sign);
    else
      emit_unpacked(graph_, layer);
  }

  Graph graph_;
  const BinarizeOptions& options_;
  std::vector<LoweredLayer> layers_;
};

}  // namespace

Graph lower_binary(const Graph& trained, const BinarizeOptions& options, QuantizeLog* log_out) {
  const ThreadScope scope(options.threads);
  check_options(options);
  QuantizeLog log;
  Graph out = BinaryLowerer(trained, options).run(log);
  if (log_out) *log_out = std::move(log);
  return out;
}

}  // namespace lapidary
