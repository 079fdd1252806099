#include "src/pipeline/training/loss_term.h"

#include <algorithm>

#include "distill/loss.h"
#include "src/base/text.h"
#include "src/pipeline/step.h"

namespace lapidary {

namespace {

bool holds(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

bool LossTerm::reads_labels() const {
  const auto* taught = std::get_if<DistillSpec>(&spec);
  if (taught) return find_distill_loss(taught->kind).reads_labels;
  return std::get<LossSpec>(spec).target.empty();
}

bool LossTerm::among_samples() const {
  const auto* taught = std::get_if<DistillSpec>(&spec);
  return taught && find_distill_loss(taught->kind).among_samples;
}

LossTerm FieldCodec<LossTerm>::parse(const Setting& s, const Field& f) {
  const bool one_key = s.kind == Setting::Kind::kMap && s.entries.size() == 1;
  if (s.kind != Setting::Kind::kScalar && !one_key)
    fail_setting(s, "a loss is a name, or {{NAME: {{...}}}} with its parameters");
  const std::string& kind = one_key ? s.entries[0].first : s.text;
  std::vector<std::string> names = names_of(list_losses());
  const std::vector<std::string> taught = names_of(list_distill_losses());
  if (holds(names, kind)) return {FieldCodec<LossSpec>::parse(s, f)};
  if (holds(taught, kind)) return {FieldCodec<DistillSpec>::parse(s, f)};
  names.insert(names.end(), taught.begin(), taught.end());
  fail_setting(s, "no loss is called '{}'; there are {}{}", printable(kind), fmt::join(names, ", "),
               did_you_mean(kind, names));
}

Setting FieldCodec<LossTerm>::format(const LossTerm& v) {
  return std::visit(
      [](const auto& spec) { return FieldCodec<std::decay_t<decltype(spec)>>::format(spec); },
      v.spec);
}

}  // namespace lapidary
