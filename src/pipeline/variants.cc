#include "src/pipeline/variants.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "distill/distill_spec.h"
#include "distill/loss.h"
#include "prune/regularizer.h"
#include "src/data/augment.h"
#include "src/fit/loss.h"
#include "src/fit/schedule.h"

namespace lapidary {

namespace {

/// A row of losses or schedules; `common`: keys that all of them have, with their defaults.
template <class Def>
Variant variant_of(const Def& def, const FieldTable& common = {}, const Setting& initial = {}) {
  Variant out{std::string(def.name), std::string(def.help), def.fields().fields, def.defaults()};
  out.fields.insert(out.fields.end(), common.fields.begin(), common.fields.end());
  out.defaults.entries.insert(out.defaults.entries.end(), initial.entries.begin(),
                              initial.entries.end());
  return out;
}

std::vector<Variant> schedules() {
  std::vector<Variant> out;
  for (const ScheduleDef* def : all_schedules()) out.push_back(variant_of(*def));
  return out;
}

std::vector<Variant> losses() {
  std::vector<Variant> out;
  const LossSpec on_labels;
  for (const LossDef* def : all_losses())
    out.push_back(variant_of(*def, loss_term_fields(), unbind(loss_term_fields(), &on_labels)));
  const DistillSpec taught;
  for (const DistillDef* def : all_distill_losses()) {
    out.push_back(variant_of(*def, distill_term_fields(), unbind(distill_term_fields(), &taught)));
    out.back().help = "of a teacher: " + out.back().help;
  }
  return out;
}

std::vector<Variant> regularizers() {
  std::vector<Variant> out;
  const RegularizerSpec usual;
  for (const prune::Regularizer* row : prune::all_regularizers())
    out.push_back(variant_of(*row, regularizer_fields(), unbind(regularizer_fields(), &usual)));
  return out;
}

std::vector<Variant> augmentations() {
  std::vector<Variant> out;
  for (const AugmentKind& kind : augment_kinds())
    out.push_back({std::string(kind.name),
                   std::string(kind.help),
                   {{.name = "amount", .type = "number", .min = 0, .max = kind.most}},
                   Setting::map({})});
  return out;
}

constexpr std::array<VariantType, 4> kTypes = {
    {{"schedule", "Schedules", "schedules",
      "`schedule: NAME`, or `schedule: {NAME: {KEY: VALUE}}`.", false, schedules},
     {"loss", "Losses", "losses", "Each of `losses` is `NAME`, or `{NAME: {KEY: VALUE}}`.", false,
      losses},
     {"regularizer", "Regularizers", "regularizers",
      "`regularizer: NAME`, or `regularizer: {NAME: {KEY: VALUE}}`.", false, regularizers},
     {"augmentation", "Augmentations", "augmentations", "Each of `augment` is `{NAME: AMOUNT}`.",
      true, augmentations}}};

std::string plain_text(const Setting& value) {
  if (value.kind != Setting::Kind::kList) return value.text;
  std::vector<std::string> items;
  for (const Setting& item : value.items) items.push_back(plain_text(item));
  return fmt::format("{}", fmt::join(items, ", "));
}

}  // namespace

std::span<const VariantType> variant_types() { return kTypes; }

const VariantType* find_variant_type(std::string_view type) {
  const auto at = std::find_if(kTypes.begin(), kTypes.end(),
                               [&](const VariantType& each) { return each.type == type; });
  return at == kTypes.end() ? nullptr : &*at;
}

ParameterInfo parameter_info(const Field& f, const Setting* value) {
  ParameterInfo out{f.name, f.help, f.type, f.choices, value ? plain_text(*value) : ""};
  if (std::isfinite(f.min) && std::isfinite(f.max))
    out.range = fmt::format("{}..{}", f.min, f.max);
  else if (std::isfinite(f.min))
    out.range = fmt::format("from {}", f.min);
  return out;
}

}  // namespace lapidary
