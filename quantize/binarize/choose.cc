#include "quantize/binarize/choose.h"

#include <algorithm>

#include "quantize/binarize/nodes.h"
#include "quantize/qat/bits.h"
#include "quantize/targets.h"
#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ops/binarize.h"
#include "src/passes/edit.h"
#include "src/passes/parameters.h"

namespace lapidary {

namespace {

/// A sum of fewer signs takes too few values to tell anything.
constexpr int64_t kLeastProducts = 16;

void check_name(const std::string& what, const std::string& name,
                const std::vector<std::string>& names) {
  if (std::find(names.begin(), names.end(), name) == names.end())
    fail_usage("{}: '{}', there are {}{}", what, printable(name), fmt::join(names, ", "),
               did_you_mean(name, names));
}

/// Why a layer has no binary form; empty where it has one.
std::string refuse(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const bool conv = node.is("Conv");
  if (!conv && !node.is("Gemm") && !node.is("MatMul")) return "only Conv, Gemm and MatMul are";
  const WeightSlot slot = weight_slot(graph, id);
  const ValueId constant = trained_constant(graph, node.inputs[1]);
  if (slot.slot != 1 || !constant.valid()) return "its weights are not constant";
  const Tensor& weight = *graph.constant(constant);
  if (weight.dtype() != DType::kF32) return "its weights are not float32";
  if (weight.rank() != (conv ? 4 : 2))
    return conv ? "its kernel has not two axes" : "its weights are no matrix";
  if (graph.constant(node.inputs[0])) return "its input is a constant";
  const ValueId bias = input_of(graph, id, 2);
  if (bias.valid() &&
      !(graph.constant(bias) && graph.constant(bias)->size() == weight.dim(slot.axis)))
    return "its bias is no constant of one value per output";
  if (conv && int_attr(graph, id, "group", 1) != 1)
    return "grouped: a sum has the signs of one group only";
  if (conv && string_attr(graph, id, "auto_pad", "NOTSET") != "NOTSET")
    return "its padding depends on a size that is not known";
  if (node.is("Gemm")) {
    if (int_attr(graph, id, "transA", 0) != 0) return "its left side is transposed";
    if (float_attr(graph, id, "alpha", 1) != 1 || float_attr(graph, id, "beta", 1) != 1)
      return "alpha and beta other than 1 have no binary form";
  }
  const int64_t products = weight.size() / std::max<int64_t>(weight.dim(slot.axis), 1);
  if (products < kLeastProducts)
    return fmt::format("too small: {} products to a sum, at least {} are wanted", products,
                       kLeastProducts);
  return {};
}

/// All nodes with trained weights that inputs are multiplied by.
NodeSet layers_of(const Graph& graph) {
  NodeSet layers;
  for (const NodeId id : graph.nodes())
    if (const WeightSlot slot = weight_slot(graph, id); slot.slot >= 0)
      if (trained_constant(graph, input_of(graph, id, static_cast<size_t>(slot.slot))).valid())
        layers.insert(id.index);
  return layers;
}

}  // namespace

BinaryMethod check_options(const BinarizeOptions& options) {
  check_name("weights", options.weights, {"binary", "ternary", "float"});
  check_name("padding", options.padding, {"zero", "one"});
  check_name("format", options.format, {"packed", "standard"});
  find_target(options.target);
  BinaryMethod out{options.method, options.estimator, {}};
  const bool is_float = options.weights == "float", ternary = options.weights == "ternary";
  if (is_float && !out.method.empty())
    fail_usage("method '{}' is one of weights, and they stay float", printable(out.method));
  if (!is_float && out.method.empty()) out.method = ternary ? "twn" : "xnor";
  if (ternary) check_name("method of ternary weights", out.method, {"twn", "ttq"});
  if (options.weights == "binary")
    check_name("method of binary weights", out.method, {"xnor", "irnet", "sign"});
  if (options.activations != 1 && options.activations != 8 && options.activations != 32)
    fail_usage("activations: {} bits; there are 1, 8 and 32", options.activations);
  if (options.first_last != 8 && options.first_last != 32)
    fail_usage("first_last: {} bits; there are 8 and 32", options.first_last);
  if (is_float && options.activations != 1)
    fail_usage("weights: float with activations of {} bits leaves nothing binary",
               options.activations);
  if (options.activations != 1 && options.padding == "one")
    fail_usage("padding: one is of activations of 1 bit");
  if (options.activations != 1 && options.react)
    fail_usage("react: shifts are learned before signs; activations have {} bits",
               options.activations);
  if (!(options.threshold >= 0 && options.threshold < 1))
    fail_usage("threshold: {}, expected 0 <= threshold < 1", options.threshold);
  if (out.estimator.empty()) out.estimator = out.method == "irnet" ? "ede" : "ste";
  check_name("estimator", out.estimator, {std::begin(kEstimators), std::end(kEstimators)});
  out.weight_estimator = out.estimator == "bireal" ? "ste" : out.estimator;
  return out;
}

ChosenLayers choose_layers(const Graph& graph, const BinarizeOptions& options) {
  const NodeSet layers = layers_of(graph), at_ends = layers_at_ends(graph, layers);
  const NodeSet skipped = match_nodes(graph, options.skip);
  const bool taken_on = has_binarize(graph);
  NodeSet named;
  for (const std::string& pattern : options.layers) {
    const std::vector<NodeId> found = match_nodes(graph, pattern);
    const auto convertible = [&](NodeId id) {
      return layers.contains(id.index) && refuse(graph, id).empty();
    };
    if (std::none_of(found.begin(), found.end(), convertible))
      fail_usage("layers: '{}' matches nodes, but no layer that can be converted",
                 printable(pattern, 200));
    for (const NodeId id : found) named.insert(id.index);
  }
  ChosenLayers out;
  const auto keep = [&](NodeId id, std::string reason) {
    out.kept_float.push_back({node_key(graph, id), graph.node(id).op, std::move(reason)});
  };
  for (const NodeId id : graph.nodes()) {
    if (!layers.contains(id.index)) continue;
    const bool wanted =
        options.layers.empty() ? !at_ends.contains(id.index) || taken_on : named.contains(id.index);
    std::string reason;
    if (skipped.contains(id.index))
      reason = "skipped on request";
    else if (taken_on && !sign_before(graph, graph.node(id).inputs[0]).valid())
      reason = "no signs are read by it in the model that is trained on";
    else if (!wanted)
      reason = options.layers.empty() ? "the first or last layer" : "not among `layers`";
    else
      reason = refuse(graph, id);
    if (reason.empty()) {
      out.converted.push_back(id);
      continue;
    }
    if (at_ends.contains(id.index) && !skipped.contains(id.index)) out.ends.insert(id.index);
    keep(id, std::move(reason));
  }
  if (out.converted.empty())
    fail_usage("no layer is left to convert{}",
               out.kept_float.empty()
                   ? std::string(": the model has none with constant weights")
                   : fmt::format(": '{}' stays as it is: {}", printable(out.kept_float[0].node),
                                 out.kept_float[0].reason));
  return out;
}

}  // namespace lapidary
