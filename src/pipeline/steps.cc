#include <array>
#include <vector>

#include "lapidary/recipe.h"
#include "src/base/text.h"
#include "src/fit/check.h"
#include "src/pipeline/step.h"
#include "src/pipeline/variants.h"

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

void Step::check_checkpoint(const StepContext& context) const {
  check_checkpoint_recipe(context.checkpoint, context.params);
}

std::vector<ParameterInfo> step_parameters(const std::string& step) {
  const StepDef& def = find_step(step, {});
  const Setting defaults = def.make({})->params();
  std::vector<ParameterInfo> out;
  for (const Field& f : def.fields().fields)
    out.push_back(parameter_info(f, defaults.find(f.name)));
  return out;
}

}  // namespace lapidary
