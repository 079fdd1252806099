#include "quantize/qat/fake_nodes.h"

#include <algorithm>
#include <cmath>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ops/fake_quantize.h"
#include "src/ops/opdef.h"
#include "src/passes/edit.h"
#include "src/passes/parameters.h"

namespace lapidary {

namespace {

FakeNode read(const Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const AttrView attrs(node, 1);
  const Tensor* scale = graph.constant(node.inputs[1]);
  const bool single = scale != nullptr && scale->rank() == 0;
  return {.node = id,
          .x = node.inputs[0],
          .scale = node.inputs[1],
          .zero_point = input_of(graph, id, 2),
          .output = node.outputs[0],
          .axis = single ? -1 : attrs.get_int("axis", -1),
          .qmin = static_cast<int32_t>(attrs.get_int("qmin", 0)),
          .qmax = static_cast<int32_t>(attrs.get_int("qmax", 0))};
}

const Tensor& constant_of(const Graph& graph, const FakeNode& fake, ValueId id) {
  const Tensor* constant = graph.constant(id);
  if (constant == nullptr)
    fail_invalid("{}: '{}' is no constant", node_label(graph, fake.node),
                 printable(graph.value(id).name));
  for (const float v : constant->data<float>())
    if (!std::isfinite(v))
      fail_invalid("{}: '{}' holds {}", node_label(graph, fake.node),
                   printable(graph.value(id).name), v);
  return *constant;
}

DType storage_of(int32_t qmin, int32_t qmax) {
  if (qmin < 0) return qmin >= -128 && qmax <= 127 ? DType::kI8 : DType::kI16;
  return qmax <= 255 ? DType::kU8 : DType::kU16;
}

}  // namespace

bool is_fake_quantize(const Graph& graph, NodeId node) {
  return node.valid() && graph.node(node).is("FakeQuantize", kOwnDomain);
}

std::vector<FakeNode> fake_nodes(const Graph& graph) {
  std::vector<FakeNode> found;
  for (const NodeId id : graph.nodes())
    if (is_fake_quantize(graph, id)) found.push_back(read(graph, id));
  return found;
}

std::optional<FakeNode> faked(const Graph& graph, ValueId value) {
  const NodeId producer = value.valid() ? graph.value(value).producer : NodeId{};
  if (!is_fake_quantize(graph, producer)) return std::nullopt;
  return read(graph, producer);
}

QuantParams params_of(const Graph& graph, const FakeNode& fake) {
  QuantParams params;
  params.storage = storage_of(fake.qmin, fake.qmax);
  params.axis = fake.axis;
  params.qmin = fake.qmin;
  params.qmax = fake.qmax;
  for (const float s : constant_of(graph, fake, fake.scale).data<float>())
    params.scale.push_back(std::max(s, kLeastFakeScale));
  params.zero_point.assign(params.scale.size(), 0);
  if (!fake.zero_point.valid()) return params;
  const auto zeros = constant_of(graph, fake, fake.zero_point).data<float>();
  for (size_t c = 0; c < zeros.size(); ++c)
    params.zero_point[c] =
        static_cast<int32_t>(std::clamp<double>(std::nearbyint(zeros[c]), fake.qmin, fake.qmax));
  return params;
}

void settle_own_import(Graph& graph) {
  const auto nodes = graph.nodes();
  const bool any = std::any_of(nodes.begin(), nodes.end(),
                               [&](NodeId id) { return graph.node(id).domain == kOwnDomain; });
  if (!any)
    std::erase_if(graph.opsets, [](const OpsetImport& i) { return i.domain == kOwnDomain; });
  else if (graph.opset(kOwnDomain) == 0)
    graph.set_opset(kOwnDomain, 1);
}

ValueId add_fake_quantize(Graph& graph, ValueId x, ValueId scale, ValueId zero_point,
                          const QuantParams& params, const std::string& output, NodeId before) {
  if (graph.opset(kOwnDomain) == 0) graph.set_opset(kOwnDomain, 1);
  Node node;
  node.domain = std::string(kOwnDomain);
  node.op = "FakeQuantize";
  node.name = graph.unique_name(output);
  node.inputs = {x, scale};
  if (zero_point.valid()) node.inputs.push_back(zero_point);
  const ValueId out = graph.add_value(graph.unique_name(output), graph.value(x).type);
  node.outputs = {out};
  node.attrs = {{"qmin", int64_t{params.qmin}}, {"qmax", int64_t{params.qmax}}};
  if (!params.per_tensor()) node.attrs.emplace_back("axis", params.axis);
  graph.add_node(std::move(node), before);
  return out;
}

std::pair<ValueId, ValueId> fake_constants(Graph& graph, const std::string& name,
                                           const QuantParams& params, bool symmetric) {
  const auto tensor = [&](const std::vector<float>& values) {
    return params.per_tensor() ? Tensor::scalar(values[0])
                               : Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
  };
  const ValueId scale = add_constant(graph, name + "_scale", tensor(params.scale));
  const bool zero = std::all_of(params.zero_point.begin(), params.zero_point.end(),
                                [](int32_t z) { return z == 0; });
  if (symmetric && zero) return {scale, {}};
  return {scale, add_constant(graph, name + "_zero_point",
                              tensor({params.zero_point.begin(), params.zero_point.end()}))};
}

std::optional<FakeNode> weight_fake(const Graph& graph, ValueId weight) {
  const NodeId divided = producer_of(graph, weight, "Div");
  const auto fake = faked(graph, divided.valid() ? graph.node(divided).inputs[0] : weight);
  if (!fake || !trained_constant(graph, fake->x).valid()) return std::nullopt;
  return fake;
}

}  // namespace lapidary
