#include <algorithm>
#include <cmath>
#include <map>

#include "lapidary/ops.h"
#include "lapidary/qat.h"
#include "quantize/binarize/choose.h"
#include "quantize/binarize/nodes.h"
#include "quantize/binarize/qat_part.h"
#include "quantize/binarize/signs.h"
#include "quantize/checks.h"
#include "quantize/qat/fake_nodes.h"
#include "quantize/qat/learn.h"
#include "quantize/qat/make.h"
#include "src/base/fail.h"
#include "src/base/parallel.h"
#include "src/base/text.h"
#include "src/ops/fake_quantize.h"
#include "src/ops/infer.h"
#include "src/passes/edit.h"
#include "src/passes/parameters.h"
#include "src/passes/qdq/qdq.h"

namespace lapidary {

QatOptions qat_options(const BinarizeOptions& options) {
  return {.target = options.target,
          .skip = options.skip,
          .calibrator = options.calibrator,
          .samples = options.samples,
          .ranks = options.ranks,
          .threads = options.threads,
          .log = options.log};
}

namespace {

class BinaryMaker {
 public:
  BinaryMaker(const BinarizeOptions& options, BinaryGraph& out)
      : options_(options), method_(check_options(options)), out_(out), graph_(out.graph) {}

  void run(const Graph& from, const Statistics* statistics, const Dataset* samples) {
    const bool taken_on = has_binarize(from) || has_weights(from);
    refuse_quantized(from, taken_on);
    const QatOptions qat = qat_options(options_);
    graph_ = taken_on ? from : training_form(from, qat, out_.warnings);
    if (graph_.opset(kOwnDomain) == 0) graph_.set_opset(kOwnDomain, 1);
    chosen_ = choose_layers(graph_, options_);
    out_.kept_float = chosen_.kept_float;
    for (const NodeId layer : chosen_.converted) out_.layers.push_back(node_key(graph_, layer));
    warn_of_no_norms();
    for (const std::string& name : sharpness_constants(graph_))  // training begins anew
      graph_.mutable_value(graph_.find_value(name)).constant = Tensor::scalar(kLeastSharpness);
    if (!taken_on && options_.activations == 1) make_signs();
    const bool integer = options_.activations == 8 && !taken_on;
    if (!integer) make_weights();
    if (!taken_on && (integer || options_.first_last == 8)) make_integers(statistics, samples);
    if (integer) make_weights();
    graph_.sort();
    graph_.verify();
    infer_types(graph_);
    out_.parameters = set_learning(graph_, qat, out_.warnings);
    for (const auto& [name, share] : learned_)
      out_.parameters.push_back({.name = name, .decay = false, .least_share = share});
  }

 private:
  static bool has_weights(const Graph& graph) {
    const auto nodes = graph.nodes();
    return std::any_of(nodes.begin(), nodes.end(), [&](NodeId id) {
      return graph.node(id).is("BinarizeWeight", kOwnDomain) ||
             graph.node(id).is("TernarizeWeight", kOwnDomain);
    });
  }

  static void refuse_quantized(const Graph& graph, bool taken_on) {
    std::string where;
    if (is_quantized_model(graph, &where))
      fail_usage("the model is quantized ({}); binary layers are made of a float model", where);
    if (!taken_on && !fake_nodes(graph).empty())
      fail_usage("the model trains with quantization; binary layers are made of a float model");
  }

  void warn(std::string text) { out_.warnings.push_back(std::move(text)); }

  /// Sums of signs are large and change in jumps: what normalizes them keeps signs of both kinds.
  void warn_of_no_norms() {
    std::vector<std::string> without;
    for (const NodeId layer : chosen_.converted) {
      NodeId next = only_user(graph_, output_of(graph_, layer));
      if (next.valid() && is_op(graph_, next, "Add"))
        next = only_user(graph_, output_of(graph_, next));
      if (!next.valid() || !graph_.node(next).op.ends_with("Normalization"))
        without.push_back(node_key(graph_, layer));
    }
    if (!without.empty())
      warn(
          fmt::format("no normalization reads what {} of {} converted layers make ('{}'{}): binary "
                      "and ternary layers train poorly without a BatchNormalization behind them",
                      without.size(), chosen_.converted.size(), printable(without[0]),
                      without.size() == 1 ? "" : " among them"));
  }

  ValueId sharpness() {
    if (!sharpness_.valid()) {
      const auto names = sharpness_constants(graph_);
      sharpness_ = names.empty()
                       ? add_constant(graph_, "sharpness", Tensor::scalar(kLeastSharpness))
                       : graph_.find_value(names[0]);
    }
    return sharpness_;
  }

  void make_signs() {
    SignMaker signs(graph_, options_, method_.estimator,
                    method_.estimator == "ede" ? sharpness() : ValueId{});
    signs.run(chosen_.converted);
    out_.bypassed = signs.bypassed();
    if (out_.bypassed > 0)
      options_.log.info(
          fmt::format("signs are of what {} Relu{} (or clamp at 0) read: behind it all would be +1",
                      out_.bypassed, out_.bypassed == 1 ? "" : "s"));
    if (!signs.never_negative().empty())
      warn(
          fmt::format("'{}'{} cannot be negative: its signs are all +1, and the layer that reads "
                      "them learns nothing of it{}",
                      printable(signs.never_negative()[0]),
                      signs.never_negative().size() == 1
                          ? ""
                          : fmt::format(" (one of {})", signs.never_negative().size()),
                      options_.react ? " until a shift is learned" : "; `react` learns a shift"));
    graph_.sort();
    infer_types(graph_);
  }

  void make_weights() {
    if (options_.weights == "float") return;
    for (const NodeId layer : chosen_.converted) {
      if (weight_kind(graph_, graph_.node(layer).inputs[1]) != WeightKind::kFloat) continue;
      const ValueId read = graph_.node(layer).inputs[1];
      drop_bias_rounding(layer);
      graph_.set_input(layer, 1, rounded(layer, trained_constant(graph_, read)));
      if (graph_.constant(read) == nullptr) drop_unused(graph_, read);
    }
  }

  /// FakeQuantizeBias rounds by a scale of weights that is learned no more.
  void drop_bias_rounding(NodeId layer) {
    const auto fake = weight_fake(graph_, graph_.node(layer).inputs[1]);
    if (!fake) return;
    for (const Use& use : std::vector<Use>(graph_.value(fake->scale).uses))
      if (graph_.node(use.node).is("FakeQuantizeBias", kOwnDomain))
        bypass(graph_, use.node, graph_.node(use.node).inputs[0]);
  }

  /// The weights w as the options round them; layers that share w share that.
  ValueId rounded(NodeId layer, ValueId w) {
    const int64_t axis = weight_slot(graph_, layer).axis;
    const auto [at, added] = rounded_.try_emplace({w, axis}, ValueId{});
    if (!added) return at->second;
    const std::string name = graph_.value(w).name;
    const bool ternary = options_.weights == "ternary";
    Node node{.domain = std::string(kOwnDomain),
              .op = ternary ? "TernarizeWeight" : "BinarizeWeight",
              .name = graph_.unique_node_name(name + "_rounded")};
    node.inputs = {w};
    node.attrs = {{"axis", axis}};
    if (ternary && method_.method == "ttq") {
      node.attrs = {{"threshold", static_cast<float>(options_.threshold)}};
      for (const bool positive : {true, false}) node.inputs.push_back(learned_scale(w, positive));
    } else if (!ternary) {
      node.attrs.emplace_back("scale", std::string(method_.method == "xnor"    ? "mean"
                                                   : method_.method == "irnet" ? "shift"
                                                                               : "none"));
      node.attrs.emplace_back("standardize", int64_t{method_.method == "irnet"});
      node.attrs.emplace_back("estimator", method_.weight_estimator);
      if (method_.weight_estimator == "ede") node.inputs.push_back(sharpness());
    }
    node.outputs = {graph_.add_value(graph_.unique_name(name + "_rounded"), graph_.value(w).type)};
    at->second = node.outputs[0];
    graph_.add_node(std::move(node), graph_.nodes()[0]);
    return at->second;
  }

  /// P or N begins as the mean magnitude of what it will stand for.
  ValueId learned_scale(ValueId w, bool positive) {
    const auto elements = graph_.constant(w)->data<float>();
    float most = 0;
    for (const float v : elements) most = std::max(most, std::fabs(v));
    const float limit = static_cast<float>(options_.threshold) * most;
    double sum = 0, count = 0;
    for (const float v : elements) {
      if (!((positive ? v : -v) > limit)) continue;
      sum += std::fabs(v);
      ++count;
    }
    const float begin = count > 0 ? static_cast<float>(sum / count) : std::max(most, 1e-3f);
    const ValueId scale =
        add_constant(graph_, graph_.value(w).name + (positive ? "_positive" : "_negative"),
                     Tensor::scalar(begin));
    learned_.emplace_back(graph_.value(scale).name, kLeastShare);
    return scale;
  }

  /// FakeQuantize on all that is integer: the layers at the ends, or with activations of 8 bits
  /// everything that the target quantizes.
  void make_integers(const Statistics* statistics, const Dataset* samples) {
    QatOptions qat = qat_options(options_);
    const NodeSet skipped = match_nodes(graph_, options_.skip);
    qat.skip.clear();
    for (const NodeId id : graph_.nodes())
      if ((skipped.contains(id.index) || stays_float(id)) &&
          !graph_.node(id).is("BatchNormalization"))  // float, or folded where ends are placed
        qat.skip.push_back(node_key(graph_, id));
    if (options_.activations != 8 && chosen_.ends.empty()) return;
    QatGraph made = fake_quantized(std::move(graph_), statistics, samples, qat);
    graph_ = std::move(made.graph);
    std::erase_if(out_.kept_float, [&](const KeptFloat& kept) { return is_integer(kept.node); });
  }

  bool stays_float(NodeId id) const {
    const bool end = chosen_.ends.contains(id.index);
    if (options_.activations == 8) return end && options_.first_last == 32;
    return !end && !clamps_end(id);
  }
  /// A Relu or Clip that alone reads what a layer at an end, or the norm behind that, makes.
  bool clamps_end(NodeId id) const {
    if (!clamp_bounds(graph_, id)) return false;
    ValueId read = graph_.node(id).inputs[0];
    if (only_user(graph_, read) != id) return false;
    if (const NodeId norm = producer_of(graph_, read, "BatchNormalization")) {
      read = graph_.node(norm).inputs[0];
      if (only_user(graph_, read) != norm) return false;
    }
    const NodeId layer = graph_.value(read).producer;
    return layer.valid() && chosen_.ends.contains(layer.index);
  }
  bool is_integer(const std::string& key) const {
    for (const NodeId id : graph_.nodes())
      if (node_key(graph_, id) == key) {
        const ValueId weight = input_of(graph_, id, 1);
        return weight.valid() && weight_fake(graph_, weight).has_value();
      }
    return false;
  }

  const BinarizeOptions& options_;
  const BinaryMethod method_;
  BinaryGraph& out_;
  Graph& graph_;
  ChosenLayers chosen_;
  ValueId sharpness_;
  std::map<std::pair<ValueId, int64_t>, ValueId> rounded_;
  std::vector<std::pair<std::string, double>> learned_;  ///< scales, least share
};

}  // namespace

BinaryGraph make_binary_graph(const Graph& graph, const Statistics* statistics,
                              const Dataset* samples, const BinarizeOptions& options) {
  const ThreadScope scope(options.threads);
  BinaryGraph out;
  BinaryMaker(options, out).run(graph, statistics, samples);
  for (const std::string& warning : out.warnings) options.log.warn(warning);
  return out;
}

}  // namespace lapidary
