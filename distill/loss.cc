#include "distill/loss.h"

#include "src/base/text.h"

namespace lapidary {

#define LAPIDARY_DISTILL_LOSS(name) const DistillDef& distill_##name();
#include "distill/losses/losses.def"
#undef LAPIDARY_DISTILL_LOSS

std::span<const DistillDef* const> all_distill_losses() {
  static const std::vector<const DistillDef*> kAll = {
#define LAPIDARY_DISTILL_LOSS(name) &distill_##name(),
#include "distill/losses/losses.def"
#undef LAPIDARY_DISTILL_LOSS
  };
  return kAll;
}

const DistillDef& find_distill_loss(std::string_view name) {
  std::vector<std::string> names;
  for (const DistillDef* def : all_distill_losses()) {
    if (def->name == name) return *def;
    names.emplace_back(def->name);
  }
  fail_usage("no loss of distillation is called '{}'{}", printable(name),
             did_you_mean(name, names));
}

std::vector<NamedHelp> list_distill_losses() {
  std::vector<NamedHelp> out;
  for (const DistillDef* def : all_distill_losses())
    out.push_back({std::string(def->name), std::string(def->help)});
  return out;
}

}  // namespace lapidary
