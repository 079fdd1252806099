#pragma once

#include <functional>
#include <string>
#include <vector>

#include "test/train/net.h"

namespace lapidary {

/// One use of an op: what is built is compared, values and gradients, with the reference executor.
struct LoweringCase {
  std::string op;       ///< with its domain where it has one: "ai.lapidary.FakeQuantize"
  std::string variant;  ///< "" where there is but one
  std::function<ValueId(Net&)> build;
  bool batch_statistics = false;
};

std::vector<LoweringCase> arithmetic_cases();
std::vector<LoweringCase> activation_cases();
std::vector<LoweringCase> product_cases();
std::vector<LoweringCase> recurrent_cases();
std::vector<LoweringCase> norm_cases();
std::vector<LoweringCase> loss_cases();
std::vector<LoweringCase> pool_cases();
std::vector<LoweringCase> reduce_cases();
std::vector<LoweringCase> movement_cases();

}  // namespace lapidary
