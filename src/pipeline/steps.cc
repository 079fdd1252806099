#include <array>
#include <vector>

#include "lapidary/recipe.h"
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

namespace {

std::string plain_text(const Setting& value) {
  if (value.kind != Setting::Kind::kList) return value.text;
  std::vector<std::string> items;
  for (const Setting& item : value.items) items.push_back(plain_text(item));
  return fmt::format("{}", fmt::join(items, ", "));
}

}  // namespace

std::vector<ParameterInfo> step_parameters(const std::string& step) {
  const StepDef& def = find_step(step, {});
  const Setting defaults = def.make({})->params();
  std::vector<ParameterInfo> out;
  for (const Field& f : def.fields().fields)
    out.push_back({f.name, f.help, f.type, f.choices, plain_text(*defaults.find(f.name))});
  return out;
}

}  // namespace lapidary
