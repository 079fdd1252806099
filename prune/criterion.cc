#include "prune/criterion.h"

#include "src/base/text.h"

namespace lapidary {

namespace prune {

#define LAPIDARY_CRITERION(name) const Criterion& criterion_##name();
#include "prune/criteria.def"
#undef LAPIDARY_CRITERION

std::span<const Criterion* const> all_criteria() {
  static const std::vector<const Criterion*> kAll = {
#define LAPIDARY_CRITERION(name) &criterion_##name(),
#include "prune/criteria.def"
#undef LAPIDARY_CRITERION
  };
  return kAll;
}

const Criterion& find_criterion(std::string_view name) {
  std::vector<std::string> names;
  for (const Criterion* criterion : all_criteria()) {
    if (criterion->name == name) return *criterion;
    names.emplace_back(criterion->name);
  }
  fail_usage("no criterion is called '{}'; there are {}{}", printable(name), fmt::join(names, ", "),
             did_you_mean(name, names));
}

std::vector<const MemberView*> GroupView::of(UnitRole role) const {
  std::vector<const MemberView*> out;
  for (const MemberView& member : members)
    if (member.member->role == role) out.push_back(&member);
  return out;
}

std::vector<const MemberView*> GroupView::output_weights() const {
  const auto computing = of(UnitRole::kWeightOut);
  return computing.empty() ? of(UnitRole::kWeightIn) : computing;
}

}  // namespace prune

bool needs_gradients(const CriterionSpec& spec) {
  return prune::find_criterion(spec.kind).needs == prune::ScoreNeeds::kGradients;
}

bool needs_data(const CriterionSpec& spec) { return prune::find_criterion(spec.kind).needs_data(); }

std::vector<NamedHelp> list_criteria() {
  std::vector<NamedHelp> out;
  for (const prune::Criterion* criterion : prune::all_criteria())
    out.push_back({std::string(criterion->name), std::string(criterion->help)});
  return out;
}

}  // namespace lapidary
