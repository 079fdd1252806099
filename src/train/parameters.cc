#include "src/train/parameters.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/train/convert.h"

namespace lapidary::train {

namespace {

/// Parameters begin at multiples of 64 bytes.
constexpr int64_t kAlignment = 16;

ParameterGroup& group_of(std::vector<ParameterGroup>& groups, const TrainedParameter& asked) {
  for (ParameterGroup& group : groups)
    if (group.decay == asked.decay && group.lr_scale == asked.lr_scale &&
        group.least_share == asked.least_share && group.moves == asked.movement)
      return group;
  return groups.emplace_back(ParameterGroup{.decay = asked.decay,
                                            .lr_scale = asked.lr_scale,
                                            .least_share = asked.least_share,
                                            .moves = asked.movement});
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
    if (group.moves) group.movement = flat();
    if (group.least_share > 0) group.least = group.elements.detach().mul(group.least_share);
  }
  for (const TrainedParameter& asked : options.parameters)
    if (!asked.mask.empty()) set_mask(asked.name, asked.mask);
}

const Parameter* Parameters::find(const std::string& name) const {
  const auto found = at_.find(name);
  return found == at_.end() ? nullptr
                            : &groups_[found->second.first].parameters[found->second.second];
}

std::pair<ParameterGroup*, Parameter*> Parameters::place_of(const std::string& name) {
  const auto found = at_.find(name);
  if (found == at_.end()) fail_usage("'{}' is no parameter that is trained", printable(name, 200));
  ParameterGroup& group = groups_[found->second.first];
  return {&group, &group.parameters[found->second.second]};
}

const ParameterGroup& Parameters::group_with(const std::string& name) const {
  return *const_cast<Parameters*>(this)->place_of(name).first;
}

Tensor Parameters::mask(const std::string& name) const {
  const ParameterGroup& group = group_with(name);
  const Parameter& parameter = *find(name);
  if (!parameter.has_mask) return {};
  return to_host(parameter.view_of(group.masked).logical_not().to(at::kByte));
}

void Parameters::set_mask(const std::string& name, const Tensor& mask) {
  const at::NoGradGuard guard;
  const auto [group, parameter] = place_of(name);
  parameter->has_mask = !mask.empty();
  if (mask.empty()) {
    if (group->masked.defined()) parameter->view_of(group->masked).fill_(false);
    return;
  }
  if (mask.dtype() != DType::kU8 || mask.shape() != parameter->shape)
    fail_invalid("the mask of '{}' is {}, expected uint8{}", printable(name, 200),
                 tensor_type(mask).text(), shape_text(parameter->shape));
  if (!group->masked.defined())
    group->masked = at::zeros_like(group->elements, at::TensorOptions(at::kBool));
  parameter->view_of(group->masked).copy_(to_aten(mask, at::kCPU).eq(0));
  group->clear_masked();
}

void ParameterGroup::clear_masked() {
  if (!masked.defined()) return;
  elements.masked_fill_(masked, 0);
  if (average.defined()) average.masked_fill_(masked, 0);
}

void Parameters::mask_gradients() {
  for (ParameterGroup& group : groups_)
    if (group.masked.defined()) group.gradients.masked_fill_(group.masked, 0);
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
