#include <array>
#include <vector>

#include "src/base/text.h"
#include "src/pipeline/step.h"

namespace lapidary {

#define LAPIDARY_STEP(name) const StepDef& step_##name();
#include "src/pipeline/steps/steps.def"
#undef LAPIDARY_STEP

std::span<const StepDef* const> all_steps() {
  static const std::vector<const StepDef*> kAll = {
#define LAPIDARY_STEP(name) &step_##name(),
#include "src/pipeline/steps/steps.def"
#undef LAPIDARY_STEP
  };
  return kAll;
}

const StepDef& find_step(std::string_view name, const Setting& at) {
  std::vector<std::string> names;
  for (const StepDef* def : all_steps()) {
    if (def->name == name) return *def;
    names.emplace_back(def->name);
  }
  fail_key(at, "no step is called '{}'; there are {}{}", name, fmt::join(names, ", "),
           did_you_mean(name, names));
}

}  // namespace lapidary
