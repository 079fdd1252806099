#include "quantize/qat/learn.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "quantize/qat/fake_nodes.h"
#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/passes/edit.h"
#include "src/passes/parameters.h"

namespace lapidary {

namespace {

bool is_weight(const Graph& graph, const FakeNode& fake) {
  return trained_constant(graph, fake.x).valid() &&
         std::any_of(graph.value(fake.output).uses.begin(), graph.value(fake.output).uses.end(),
                     [&](const Use& use) {
                       if (graph.node(use.node).is("Div")) return true;
                       return weight_slot(graph, use.node).slot == static_cast<int>(use.slot);
                     });
}

/// Elements that one scale serves: of weights; of one sample of activations, as far as sizes are
/// known.
double elements(const Graph& graph, const FakeNode& fake, bool weight) {
  double count = 1;
  const auto& shape = graph.value(fake.x).type.shape;
  for (size_t d = weight ? 0 : 1; shape && d < shape->size(); ++d)
    if ((*shape)[d].known()) count *= static_cast<double>(std::max<int64_t>((*shape)[d].value, 1));
  const Tensor* scale = graph.constant(fake.scale);
  return weight && scale ? count / static_cast<double>(scale->size()) : count;
}

/// W' = tanh(W) max|W| / max|tanh(W)|: DoReFa's weights, at the size that they had. FakeQuantize
/// rounds them to symmetric levels, so that 0 is one.
void through_tanh(Graph& graph, const FakeNode& fake) {
  const ValueId w = trained_constant(graph, fake.x);
  const Tensor& elements = *graph.constant(w);
  float most = 0;
  for (const float v : elements.data<float>()) most = std::max(most, std::fabs(v));
  if (most == 0) return;
  NodeId first = fake.node;  // the node of the weight's way that reads it
  while (graph.node(first).inputs[0] != w)
    first = graph.value(graph.node(first).inputs[0]).producer;
  if (graph.node(first).is("Tanh")) return;
  const std::string name = graph.value(w).name;
  const auto add = [&](const std::string& op, std::vector<ValueId> inputs, bool scalar = false) {
    Node node{.op = op, .name = graph.unique_name(name + "_" + op)};
    node.inputs = std::move(inputs);
    TensorType type = graph.value(w).type;
    if (scalar) type.shape = std::vector<Dim>{};
    node.outputs = {graph.add_value(graph.unique_name(name + "_" + op), std::move(type))};
    if (scalar) node.attrs = {{"keepdims", int64_t{0}}};
    const ValueId out = node.outputs[0];
    graph.add_node(std::move(node), first);
    return out;
  };
  const ValueId bent = add("Tanh", {w});
  const ValueId largest = add("ReduceMax", {add("Abs", {bent})}, true);
  const ValueId size = add_constant(graph, name + "_size", Tensor::scalar(most));
  const ValueId scaled = add("Mul", {add("Div", {bent, largest}), size});
  graph.set_input(first, 0, scaled);
  if (first != fake.node) {  // times r of a BatchNormalization
    most = 0;
    const Tensor seen = computed_constant(graph, graph.node(fake.node).inputs[0]);
    for (const float v : seen.data<float>()) most = std::max(most, std::fabs(v));
  }
  Tensor& scale = *graph.mutable_value(fake.scale).constant;
  for (float& s : scale.mutable_data<float>()) s = most / static_cast<float>(fake.qmax);
}

class Learner {
 public:
  Learner(Graph& graph, const QatOptions& options) : graph_(graph), method_(options.method) {}

  std::vector<TrainedParameter> run() {
    for (const FakeNode& fake : fake_nodes(graph_))
      is_weight(graph_, fake) ? set_weight(fake) : set_activation(fake);
    graph_.sort();
    for (const ParameterUse& use : parameter_uses(graph_))
      if (is_trained(use.role)) train(use.constant, decays(use.role));
    for (const auto& [name, least_share] : learned_)
      train(graph_.find_value(name), false, least_share);
    return std::move(parameters_);
  }
  int64_t zero_points() const { return zero_points_; }

 private:
  void set(const FakeNode& fake, const char* gradient, double factor) {
    graph_.set_attr(fake.node, "gradient", std::string(gradient));
    graph_.set_attr(fake.node, "gradient_scale", static_cast<float>(factor));
  }
  void learn_scale(ValueId id) { learned_.emplace_back(graph_.value(id).name, kLeastShare); }
  void learn_zero_point(ValueId id) { learned_.emplace_back(graph_.value(id).name, 0); }

  void set_weight(const FakeNode& fake) {
    if (method_ == "pact" || method_ == "dorefa") through_tanh(graph_, fake);
    if (!learns_weight_scales(method_)) return set(fake, "ste", 1);
    set(fake, "lsq", 1 / std::sqrt(elements(graph_, fake, true) * fake.qmax));
    learn_scale(fake.scale);
  }

  void set_activation(const FakeNode& fake) {
    if (method_ == "dorefa" || method_ == "fixed") return set(fake, "ste", 1);
    const int32_t zero = params_of(graph_, fake).zero_point[0];
    if (method_ == "pact" && fake.qmin - zero == 0) {
      // SGD moves alpha = qmax s as if that were the parameter.
      set(fake, "pact", std::pow(fake.qmax - zero, -2.0));
    } else {
      const int32_t levels = std::max(fake.qmax - zero, zero - fake.qmin);  // on the longer side
      set(fake, "lsq", 1 / std::sqrt(elements(graph_, fake, false) * levels));
      // Where nothing is negative a Relu may have gone: 0 stays the least level.
      if (method_ == "lsq+" && fake.zero_point.valid() && fake.qmin - zero < 0) {
        learn_zero_point(fake.zero_point);
        ++zero_points_;
      }
    }
    learn_scale(fake.scale);
  }

  void train(ValueId id, bool decay, double least_share = 0) {
    const Tensor* constant = id.valid() ? graph_.constant(id) : nullptr;
    if (constant == nullptr || constant->dtype() != DType::kF32) return;
    if (seen_.insert(id.index).second)
      parameters_.push_back(
          {.name = graph_.value(id).name, .decay = decay, .least_share = least_share});
  }

  Graph& graph_;
  const std::string& method_;
  std::vector<std::pair<std::string, double>> learned_;  ///< scales and zero points, least share
  int64_t zero_points_ = 0;                              ///< that are learned
  std::vector<TrainedParameter> parameters_;
  std::unordered_set<uint32_t> seen_;
};

constexpr const char* kMethods[] = {"lsq", "lsq+", "pact", "dorefa", "fixed"};

}  // namespace

void check_method(const std::string& method) {
  const std::vector<std::string> names(std::begin(kMethods), std::end(kMethods));
  if (std::find(names.begin(), names.end(), method) == names.end())
    fail_usage("no method of training with quantization is called '{}'{}", printable(method),
               did_you_mean(method, names));
}

bool learns_weight_scales(const std::string& method) { return method == "lsq" || method == "lsq+"; }

std::vector<TrainedParameter> set_learning(Graph& graph, const QatOptions& options,
                                           std::vector<std::string>& warnings) {
  Learner learner(graph, options);
  std::vector<TrainedParameter> parameters = learner.run();
  if (options.method == "lsq+" && learner.zero_points() == 0)
    warnings.push_back(
        "`lsq+` learns no zero point here and is what `lsq` is: no activation takes either sign, "
        "or the target keeps zero points in the middle");
  return parameters;
}

}  // namespace lapidary
