#include "src/exec/steps/steps.h"

#include <map>

#include "src/exec/steps/rules.h"

namespace lapidary::exec {

const StepRule* find_step_rule(std::string_view domain, std::string_view op) {
  using enum LayoutRole;
  static const std::map<std::pair<std::string_view, std::string_view>, StepRule> kRules = {
#define LAPIDARY_STEP(domain, op, layout, build) {{domain, op}, {domain, op, layout, build}},
#include "src/exec/steps/steps.def"
#undef LAPIDARY_STEP
  };
  const auto found = kRules.find({domain, op});
  return found == kRules.end() ? nullptr : &found->second;
}

}  // namespace lapidary::exec
