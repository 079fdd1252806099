#include "src/train/constants.h"

#include <algorithm>

#include "src/base/fail.h"
#include "src/exec/reference.h"
#include "src/train/convert.h"
#include "src/train/values.h"

namespace lapidary::train {

namespace {

/// True where a convolution multiplies by it.
bool is_kernel(const Graph& graph, ValueId id) {
  const std::vector<Use>& uses = graph.value(id).uses;
  return std::any_of(uses.begin(), uses.end(), [&](const Use& use) {
    return !use.capture && use.slot == 1 && graph.node(use.node).is("Conv");
  });
}

}  // namespace

Constants::Constants(const Graph& graph, const Analysis& analysis, const Parameters& parameters,
                     bool channels_last, at::Device device)
    : graph_(graph),
      analysis_(analysis),
      parameters_(parameters),
      channels_last_(channels_last),
      device_(device) {
  for (const ValueId id : graph.values()) {
    const Value& value = graph.value(id);
    if (!value.constant || parameters.find(value.name)) continue;
    entries_[id].host = *value.constant;
    if (analysis.values[id.index] != Dependence::kRun) continue;
    entries_[id].device = to_aten(*value.constant, device).clone();
    statistics_.push_back(id);
  }
}

void Constants::give(ValueId id, Values& values) {
  if (const Parameter* parameter = parameters_.find(graph_.value(id).name)) {
    values.set(id, parameter->leaf);
    return;
  }
  if (analysis_.values[id.index] == Dependence::kRun) {
    values.set(id, entries_[id].device);
    return;
  }
  fixed(id);
  Entry& entry = entries_[id];
  if (!entry.device.defined() && is_float(entry.host.dtype())) {
    entry.device = to_aten(entry.host, device_);
    if (channels_last_ && entry.device.dim() == 4 && is_kernel(graph_, id))
      entry.device = entry.device.contiguous(at::MemoryFormat::ChannelsLast);
  }
  values.set(id, entry.device, entry.host);
}

const Tensor& Constants::fixed(ValueId id) {
  Entry& entry = entries_[id];
  if (entry.host.empty()) fold(graph_.value(id).producer);
  return entry.host;
}

void Constants::fold(NodeId id) {
  const Node& node = graph_.node(id);
  std::vector<const Tensor*> inputs;
  for (const ValueId each : node.inputs) inputs.push_back(each ? &fixed(each) : nullptr);
  for (const Capture& capture : node.captures) inputs.push_back(&fixed(capture.outer));
  std::vector<Tensor> outputs = exec::execute_node(graph_, id, inputs);
  for (size_t i = 0; i < node.outputs.size(); ++i)
    if (node.outputs[i]) entries_[node.outputs[i]] = {{}, std::move(outputs[i])};
}

Tensor Constants::read(ValueId id) const {
  if (const Parameter* parameter = parameters_.find(graph_.value(id).name))
    return to_host(parameter->leaf);
  const Entry& entry = entries_.at(id);
  return analysis_.values[id.index] == Dependence::kRun ? to_host(entry.device) : entry.host;
}

void Constants::write(ValueId id, const Tensor& elements) {
  if (const Parameter* parameter = parameters_.find(graph_.value(id).name)) {
    copy_into(parameter->leaf, elements);
    return;
  }
  if (analysis_.values[id.index] == Dependence::kRun) {
    write(id, to_aten(elements, device_));
    return;
  }
  entries_[id] = {{}, elements};
  // What was folded may follow from it.
  std::erase_if(entries_,
                [&](const auto& entry) { return graph_.value(entry.first).producer.valid(); });
}

void Constants::write(ValueId id, const at::Tensor& elements) {
  entries_[id].device = elements.detach().clone();
}

}  // namespace lapidary::train
