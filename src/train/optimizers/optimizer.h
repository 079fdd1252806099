#pragma once

#include <string_view>

#include "src/train/parameters.h"

namespace lapidary::train {

/// What an update of one group knows. The formulas are those of OptimizerSpec.
struct UpdateContext {
  const OptimizerSpec& spec;
  double lr = 0;            ///< with the group's lr_scale
  double weight_decay = 0;  ///< 0 for groups without decay
  int64_t step = 1;         ///< t, from 1
};

struct OptimizerDef {
  std::string_view name;
  std::vector<std::string_view> memory;  ///< names of what is remembered per element, 0 at first
  /// Changes group.elements and group.memory; group.gradients may be overwritten.
  void (*update)(ParameterGroup& group, const UpdateContext& context);
};

/// Throws Error{kUsage} naming those that there are.
const OptimizerDef& find_optimizer(std::string_view name);

}  // namespace lapidary::train
