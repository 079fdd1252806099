#include "src/train/parameters.h"

#include <ATen/ops/zeros.h>

#include <cmath>

#include "src/train/convert.h"

namespace lapidary::train {

namespace {

/// Parameters begin at multiples of 64 bytes.
constexpr int64_t kAlignment = 16;

ParameterGroup& group_of(std::vector<ParameterGroup>& groups, const TrainedParameter& asked) {
  for (ParameterGroup& group : groups)
    if (group.decay == asked.decay && group.lr_scale == asked.lr_scale &&
        group.least_share == asked.least_share)
      return group;
  return groups.emplace_back(ParameterGroup{
      .decay = asked.decay, .lr_scale = asked.lr_scale, .least_share = asked.least_share});
}

}  // namespace

at::Tensor Parameter::view_of(const at::Tensor& flat) const {
  const at::Tensor part = flat.narrow(0, offset, element_count(shape));
  if (!channels_last) return part.view(shape);
  return part.view({shape[0], shape[2], shape[3], shape[1]}).permute({0, 3, 1, 2});
}

Parameters::Parameters(const Graph& graph, const TrainerOptions& options, bool channels_last,
                       size_t memories, at::Device device) {
  for (const TrainedParameter& asked : options.parameters) {
    const Shape& shape = graph.value(graph.find_value(asked.name)).constant->shape();
    ParameterGroup& group = group_of(groups_, asked);
    group.parameters.push_back(
        {.name = asked.name, .shape = shape, .channels_last = channels_last && shape.size() == 4});
  }
  for (size_t g = 0; g < groups_.size(); ++g) {
    ParameterGroup& group = groups_[g];
    int64_t total = 0;
    for (size_t p = 0; p < group.parameters.size(); ++p) {
      Parameter& parameter = group.parameters[p];
      parameter.offset = total;
      total += (element_count(parameter.shape) + kAlignment - 1) / kAlignment * kAlignment;
      at_[parameter.name] = {g, p};
    }
    const auto flat = [&] {
      return at::zeros({total}, at::TensorOptions(at::kFloat).device(device));
    };
    group.elements = flat();
    group.gradients = flat();
    for (size_t m = 0; m < memories; ++m) group.memory.push_back(flat());
    for (Parameter& parameter : group.parameters) {
      parameter.leaf = parameter.view_of(group.elements);
      copy_into(parameter.leaf, *graph.value(graph.find_value(parameter.name)).constant);
      parameter.leaf.requires_grad_(true);
      parameter.leaf.mutable_grad() = parameter.view_of(group.gradients);
    }
    if (options.ema > 0) group.average = group.elements.clone();
    if (group.least_share > 0) group.least = group.elements.detach().mul(group.least_share);
  }
}

const Parameter* Parameters::find(const std::string& name) const {
  const auto found = at_.find(name);
  return found == at_.end() ? nullptr
                            : &groups_[found->second.first].parameters[found->second.second];
}

void Parameters::zero_gradients() {
  for (ParameterGroup& group : groups_) group.gradients.zero_();
}

double Parameters::gradient_norm() const {
  double sum = 0;
  for (const ParameterGroup& group : groups_)
    sum += group.gradients.square().sum(at::kDouble).item<double>();
  return std::sqrt(sum);
}

Gradients Parameters::gradients() const {
  Gradients out;
  for (const ParameterGroup& group : groups_)
    for (const Parameter& parameter : group.parameters)
      out[parameter.name] = to_host(parameter.view_of(group.gradients));
  return out;
}

}  // namespace lapidary::train
