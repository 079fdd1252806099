#include <fmt/format.h>
#include "src/pipeline/report/rows.h"

namespace lapidary {

namespace {

std::string proof_text(const PruneRecord& p) {
  if (!p.difference) return "not compared with the masked model: " + p.not_checked;
  return fmt::format("outputs within {:.1g} of the masked model's", *p.difference);
}

std::string repair_text(const PruneRecord& p) {
  if (!p.repaired) return "";
  return fmt::format("; repaired without labels: weights of {} layers, statistics of {}",
                     p.repaired->weights, p.repaired->norms + p.repaired->scaled);
}

std::string summary(const PruneRecord& p) {
  const auto ratio = [](int64_t before, int64_t after) {
    return after > 0 ? static_cast<double>(before) / static_cast<double>(after) : 0;
  };
  return fmt::format(
      "{} by {}: {:.1f} % of the {} asked for, {:.1f} % left; MACs {} to {} ({:.2f}x), parameters "
      "{} to {} ({:.2f}x); {}{}.",
      p.step, p.criterion, 100 * p.asked, p.target, 100 * p.got, p.before.macs, p.after.macs,
      ratio(p.before.macs, p.after.macs), p.before.parameters, p.after.parameters,
      ratio(p.before.parameters, p.after.parameters), proof_text(p), repair_text(p));
}

}  // namespace

ReportTable pruned_table(const Report& r) {
  ReportTable t{"What was pruned", {"step", "group", "units", "left", "note"}, {}, 2, true};
  for (const PruneRecord& p : r.prunings) {
    if (!t.note.empty()) t.note += " ";
    t.note += summary(p);
    for (const PruneRecord::Group& g : p.groups)
      t.rows.push_back({p.step, g.name, std::to_string(g.units), std::to_string(g.left), g.note});
  }
  return t;
}

ReportTable frozen_table(const Report& r) {
  ReportTable t{
      "Axes that cannot be pruned, and why", {"weight", "node", "axis", "size", "reason"}, {}, 5};
  for (const FrozenAxis& f : r.frozen_axes)
    t.rows.push_back({f.tensor, f.node, std::to_string(f.axis), std::to_string(f.size), f.reason});
  t.long_list = true;
  return t;
}

}  // namespace lapidary
