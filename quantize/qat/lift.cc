#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "lapidary/ops.h"
#include "lapidary/passes.h"
#include "lapidary/qat.h"
#include "quantize/placement.h"
#include "quantize/qat/biases.h"
#include "quantize/qat/fake_nodes.h"
#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ops/evaluate.h"
#include "src/ops/infer.h"
#include "src/ops/opdef.h"
#include "src/ops/quant.h"
#include "src/passes/edit.h"
#include "src/passes/parameters.h"
#include "src/passes/qdq/qdq.h"

namespace lapidary {

namespace {

/// `name` without the ending that insert_qdq gave it.
std::string stem(const std::string& name, std::string_view ending) {
  return name.ends_with(ending) ? name.substr(0, name.size() - ending.size()) : name;
}

class Lifter {
 public:
  explicit Lifter(const Graph& graph) : graph_(graph) { infer_types(graph_); }

  Graph run() {
    for (const NodeId id : graph_.nodes())
      if (graph_.alive(id) && is_dequantize(graph_, id)) lift(*read(id));
    run_passes(graph_, {"remove_dead_code"});
    refuse_integers();
    share_across_movers();
    fake_biases();
    graph_.sort();
    infer_types(graph_);
    return std::move(graph_);
  }

 private:
  std::optional<QdqNode> read(NodeId id) const {
    auto node = read_qdq(graph_, id);
    if (!node || !node->scales || node->scales->dtype() != DType::kF32 || node->block_size > 0 ||
        (node->zero_point.valid() && !node->zero_points) || !storage(node->storage))
      fail_unsupported("{}: only constant float32 scales of a tensor or an axis can be lifted",
                       node_label(graph_, id));
    return node;
  }
  static bool storage(DType dtype) {
    return dtype == DType::kI32 || storage_range(dtype).has_value();
  }

  void lift(const QdqNode& dq) {
    if (graph_.constant(dq.data)) return lift_constant(dq);
    NodeId maker = graph_.value(dq.data).producer;
    const bool clipped = is_op(graph_, maker, "Clip");
    const NodeId clip = clipped ? maker : NodeId{};
    if (clipped) maker = graph_.value(graph_.node(clip).inputs[0]).producer;
    if (!is_quantize(graph_, maker)) return;  // refused below
    const QdqNode q = *read(maker);
    if (const auto at = made_.find(dq.data); at != made_.end()) {
      graph_.replace_uses(dq.output, at->second);
      return drop_node(graph_, dq.node);
    }
    QuantParams params = params_of_pair(q, clip);
    put(dq, q.data, constants_of(dq, graph_.value(q.data).name), params);
    made_[dq.data] = dq.output;
    if (!graph_.is_output(dq.output))
      rename(dq.output, stem(graph_.value(dq.output).name, "_dequantized") + "_fake_quantized");
  }

  QuantParams params_of_pair(const QdqNode& q, NodeId clip) const {
    QuantParams params;
    const IntRange range = *storage_range(q.storage);
    params.qmin = range.low;
    params.qmax = range.high;
    params.axis = q.scales->rank() == 0 ? -1 : q.axis;
    if (!clip.valid()) return params;
    const auto bound = [&](size_t slot, int32_t& level) {
      const ValueId id = input_of(graph_, clip, slot);
      if (id.valid() && graph_.constant(id)) level = read_quantized(*graph_.constant(id)).at(0);
    };
    bound(1, params.qmin);
    bound(2, params.qmax);
    return params;
  }

  /// The fewest levels that hold weights: of 2 to 8 bits, the lowest left out where it is.
  static void fit_levels(const std::vector<int32_t>& stored, QuantParams& params) {
    int32_t least = 0, most = 0;
    for (const int32_t q : stored) {
      least = std::min(least, q);
      most = std::max(most, q);
    }
    for (int bits = 2; bits <= 8; ++bits) {
      params.qmax = (1 << (bits - 1)) - 1;
      params.qmin = -params.qmax;
      if (least >= params.qmin && most <= params.qmax) return;
    }
    params.qmin = -128;
  }

  void lift_constant(const QdqNode& dq) {
    std::vector<const Tensor*> inputs;
    for (const ValueId in : graph_.node(dq.node).inputs)
      inputs.push_back(in.valid() ? graph_.constant(in) : nullptr);
    const Tensor real = evaluate_node(graph_, dq.node, inputs).at(0);
    const std::string name = stem(graph_.value(dq.data).name, "_quantized");
    const ValueId constant = graph_.add_constant(graph_.unique_name(name), real);
    if (dq.storage == DType::kI32) {
      biases_.insert(constant);
      graph_.replace_uses(dq.output, constant);
      return drop_node(graph_, dq.node);
    }
    QuantParams params = params_of_pair(dq, {});
    if (dq.storage == DType::kI8) fit_levels(read_quantized(*graph_.constant(dq.data)), params);
    put(dq, constant, constants_of(dq, name), params);
    rename(dq.output, name + "_fake_quantized");
  }

  /// The scale, and a float zero point unless all are 0 of signed integers; of the pairs that share
  /// theirs, the same.
  std::pair<ValueId, ValueId> constants_of(const QdqNode& dq, const std::string& name) {
    const auto [at, added] = floats_.try_emplace({dq.scale, dq.zero_point});
    if (!added) return at->second;
    QuantParams params;
    const auto scales = dq.scales->data<float>();
    params.scale.assign(scales.begin(), scales.end());
    params.axis = dq.scales->rank() == 0 ? -1 : dq.axis;
    params.zero_point =
        dq.zero_points ? read_quantized(*dq.zero_points) : std::vector<int32_t>(scales.size());
    at->second = fake_constants(graph_, name + "_fake", params, dq.storage == DType::kI8);
    return at->second;
  }

  /// FakeQuantize in the place of DequantizeLinear.
  void put(const QdqNode& dq, ValueId x, std::pair<ValueId, ValueId> how,
           const QuantParams& params) {
    const NodeId next = graph_.next(dq.node);
    graph_.remove_node(dq.node);
    const ValueId out = add_fake_quantize(graph_, x, how.first, how.second, params,
                                          graph_.value(dq.output).name + "_", next);
    const NodeId fake = graph_.value(out).producer;
    graph_.set_output(fake, 0, dq.output);
    graph_.remove_value(out);
    graph_.rename_node(fake, graph_.value(dq.output).name);
  }

  void rename(ValueId id, const std::string& name) {
    graph_.rename_value(id, graph_.unique_name(name));
    graph_.rename_node(graph_.value(id).producer, graph_.value(id).name);
  }

  void refuse_integers() const {
    for (const NodeId id : graph_.nodes()) {
      const OpDef* def = find_op(graph_.node(id).domain, graph_.node(id).op);
      if (def && def->role == QuantRole::kInteger)
        fail_unsupported(
            "{}: only pairs of QuantizeLinear and DequantizeLinear can be lifted; "
            "start from the float model",
            node_label(graph_, id));
    }
  }

  /// Biases that were int32 go on being rounded as such.
  void fake_biases() {
    for (const NodeId id : graph_.nodes()) {
      if (weight_slot(graph_, id).slot != 1) continue;
      NodeId add;
      if (is_op(graph_, id, "MatMul")) {
        add = only_user(graph_, output_of(graph_, id));
        if (!add.valid() || !is_op(graph_, add, "Add")) continue;
      }
      const auto [reader, slot] = bias_place(graph_, id, add);
      if (biases_.contains(input_of(graph_, reader, slot)))
        fake_bias(graph_, {.layer = id, .reader = reader, .slot = slot});
    }
  }

  /// What a mover makes keeps the scale of what it moves, where they are equal now.
  void share_across_movers() {
    for (const FakeNode& fake : fake_nodes(graph_)) {
      const NodeId mover = graph_.value(fake.x).producer;
      const OpDef* def =
          mover.valid() ? find_op(graph_.node(mover).domain, graph_.node(mover).op) : nullptr;
      if (!def || def->role != QuantRole::kPassThrough) continue;
      const auto before = faked(graph_, graph_.node(mover).inputs[0]);
      if (!before || params_of(graph_, *before) != params_of(graph_, fake)) continue;
      graph_.set_input(fake.node, 1, before->scale);
      if (before->zero_point.valid()) graph_.set_input(fake.node, 2, before->zero_point);
      drop_unused(graph_, fake.scale);
      if (fake.zero_point.valid()) drop_unused(graph_, fake.zero_point);
    }
  }

  Graph graph_;
  std::set<ValueId> biases_;         ///< that were int32
  std::map<ValueId, ValueId> made_;  ///< by the integers that are dequantized
  std::map<std::pair<ValueId, ValueId>, std::pair<ValueId, ValueId>> floats_;
};

}  // namespace

Graph lift_qdq(const Graph& graph) { return Lifter(graph).run(); }

}  // namespace lapidary
