#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "src/pipeline/report/format.h"
#include "src/pipeline/report/rows.h"

namespace lapidary {

namespace {

/// "123 to 45 (2.73x)"
std::string fall_text(int64_t before, int64_t after) {
  return fmt::format("{} to {} ({:.2f}x)", before, after,
                     after > 0 ? static_cast<double>(before) / static_cast<double>(after) : 0);
}

std::string rule_text(const FactorizeRecord& f) {
  if (f.ranks.is_target())
    return fmt::format("{:.1f} % of the {} asked for, {:.1f} % left", 100 * f.ranks.value,
                       f.ranks.by, 100 * f.got);
  return fmt::format("ranks by {} {:g}", f.ranks.by, f.ranks.value);
}

std::string summary(const FactorizeRecord& f) {
  const auto split = std::ranges::count_if(
      f.layers, [](const FactorizedLayer& layer) { return !layer.method.empty(); });
  std::string out =
      fmt::format("{}: {}; {} of {} layers in factors; MACs {}, parameters {}", f.step,
                  rule_text(f), split, f.layers.size(), fall_text(f.before.macs, f.after.macs),
                  fall_text(f.before.parameters, f.after.parameters));
  if (f.ms_before && f.ms_after)
    out += fmt::format("; {:.3f} ms, {:.3f} ms as the layers' times predict", *f.ms_before,
                       *f.ms_after);
  return out + ".";
}

std::string share_text(int64_t before, int64_t after) {
  return before > 0
             ? fmt::format("{:.2f}x", static_cast<double>(after) / static_cast<double>(before))
             : "";
}

std::string ms_text(const FactorizedLayer& l) {
  if (!l.ms_before) return "";
  return l.ms_after ? fmt::format("{:.3f} to {:.3f}", *l.ms_before, *l.ms_after)
                    : fmt::format("{:.3f}", *l.ms_before);
}

}  // namespace

ReportTable factorized_table(const Report& r) {
  ReportTable t{"Layers in factors",
                {"step", "layer", "method", "ranks", "energy kept", "weight error", "MACs", "ms",
                 "why it stayed"},
                {},
                3,
                true};
  for (const FactorizeRecord& f : r.factorizations) {
    if (!t.note.empty()) t.note += " ";
    t.note += summary(f);
    for (const FactorizedLayer& l : f.layers) {
      std::vector<std::string> row = {f.step, l.node, l.method,   "",      "",
                                      "",     "",     ms_text(l), l.reason};
      if (!l.method.empty()) {
        row[3] = fmt::format("{} of {}", fmt::join(l.ranks, ", "), fmt::join(l.full, ", "));
        row[4] = fmt::format("{:.2f} %", 100 * l.energy);
        row[5] = fmt::format("{:.4f}", l.error);
        row[6] = share_text(l.before.macs, l.after.macs);
      }
      t.rows.push_back(std::move(row));
    }
  }
  return t;
}

}  // namespace lapidary
