#include "src/pipeline/pruning/params.h"

#include <algorithm>
#include <array>

#include "lapidary/evaluate.h"
#include "src/base/fail.h"
#include "src/pipeline/step.h"

namespace lapidary {

namespace {

constexpr std::array kTargets = {"units", "macs", "parameters", "size", "latency"};

std::vector<std::string> criterion_names() {
  std::vector<std::string> names;
  for (const NamedHelp& c : list_criteria()) names.push_back(c.name);
  return names;
}

constexpr const char* kMetricHelp =
    "What is measured, on `valid` data, else on `calib`; null: top1, without labels agreement with "
    "the model as it was";

}  // namespace

const FieldTable& SensitivityParams::fields() {
  using P = SensitivityParams;
  static const FieldTable kTable{
      "sensitivity",
      {field("ratios", &P::ratios, "Shares of a group's units, more than 0 and less than 1"),
       field("samples", &P::samples, "To measure on, spread over the data").range(1, 1e12),
       field("metric", &P::metric, kMetricHelp).one_of(names_of(list_metrics()))}};
  return kTable;
}

const FieldTable& BudgetParams::fields() {
  using P = BudgetParams;
  static const FieldTable kTable{
      "budget",
      {field("max_drop_points", &P::max_drop_points,
             "How much the metric may lose: points of a hundred, or in its own unit")
           .range(0, 1e9),
       field("min_value", &P::min_value,
             "Instead: the least that the metric may be, as reports have it (0.9, 25 dB); what "
             "sqnr_db needs, which of the model as it was has no end"),
       field("samples", &P::samples, "To measure on, spread over the data").range(1, 1e12),
       field("tries", &P::tries, "Models that are made and measured, at most").range(1, 1000),
       field("metric", &P::metric, kMetricHelp).one_of(names_of(list_metrics()))}};
  return kTable;
}

const FieldTable& PruneParams::fields() {
  using P = PruneParams;
  static const FieldTable kTable{
      "prune",
      {field("criterion", &P::criterion, "How much a unit matters; the least go")
           .one_of(criterion_names()),
       field("p", &P::p,
             "Of the criteria magnitude (null: 2) and taylor (null: 1): the power, 1 or 2")
           .range(1, 2),
       field("reduce", &P::reduce, "A unit's score over the tensors that lose elements with it")
           .one_of({"mean", "sum", "max"}),
       field("normalize", &P::normalize, "What scores of a group are divided by")
           .one_of({"mean", "none", "max", "sum", "norm"}),
       field("target", &P::target,
             "What is to be left, as a share: {macs: 0.5}; of units, macs, parameters, size "
             "(bytes of constants) or latency (of the steps it runs in here, each shape timed); "
             "null: {macs: 0.5}, or what `ratios` leave where they are given"),
       field("scope", &P::scope,
             "All units in one ranking, or the same share of units from every group")
           .one_of({"global", "local"}),
       field("per_cost", &P::per_cost,
             "Of the scope global: rank by score over what one unit saves of the target"),
       field("round_to", &P::round_to,
             "Units left in a group are a multiple of it; groups with fewer keep all")
           .range(1, 4096),
       field("max_ratio", &P::max_ratio, "The largest share of a group's units that may go")
           .range(0, 0.999),
       field("keep", &P::keep,
             "Patterns of nodes whose output channels all stay (and what goes with them): name, "
             "glob, re:REGEX, op:TYPE, or a group's name"),
       field("ratios", &P::ratios,
             "Such patterns: the share that goes of every group that one matches, whatever the "
             "target says; 'NODE #2' is the node's second group"),
       field("lossy", &P::lossy,
             "Also prune where a norm or Softmax over the axis changes what stays"),
       field("samples", &P::samples,
             "Of criteria that look at activations or gradients: so many samples")
           .range(1, 1e9),
       field("repair", &P::repair,
             "Without labels, by calib data: weights of layers that read what was removed, by "
             "least squares; statistics, mean and variance of every channel; none. Null: both "
             "where there are such data")
           .one_of({"weights", "statistics", "none"}),
       field("repair_samples", &P::repair_samples, "Of calib, for that; 0: all").range(0, 1e12),
       field("keep_zeros", &P::keep_zeros,
             "Of repair: weights that are zero stay zero; null: where a step before made them so"),
       field("latency_threads", &P::latency_threads, "Of the target latency").range(1, 1024),
       field("latency_table", &P::latency_table,
             "Of the target latency: a file of times, read where it is there, and written"),
       field("sensitivity", &P::sensitivity,
             "Before, the metric of models in which one group alone has lost shares of its units, "
             "into the report; null: not measured"),
       field("budget", &P::budget,
             "What the metric may lose: the smallest model between the target and the whole that "
             "keeps within it is searched; null: the target is met whatever it costs")}};
  return kTable;
}

void PruneParams::check(const Setting& at) const {
  if (target && target->size() != 1)
    fail_setting(at, "'target' has {} entries, expected one: {{macs: 0.5}}", target->size());
  if (p && criterion != "magnitude" && criterion != "taylor")
    fail_setting(at, "'p' is of the criteria magnitude and taylor; '{}' has none", criterion);
  if (per_cost && scope == "local")
    fail_setting(at,
                 "'per_cost' is of the scope global: local takes the same share of every group");
  if (repair && repair->size() > 1 && std::ranges::count(*repair, "none") > 0)
    fail_setting(at, "'repair' is 'none' beside others; give one or the other");
  if (budget && budget->metric == "sqnr_db" && !budget->min_value)
    fail_setting(
        at,
        "the budget's metric sqnr_db has no end for the model as it was, from which points "
        "could be lost: give 'min_value', as {{metric: sqnr_db, min_value: 20}}");
  const auto [of, share] = what_is_left();
  if (std::ranges::count(kTargets, of) == 0)
    fail_setting(at, "'target' is of {}, expected {}", of, fmt::join(kTargets, ", "));
  if (!(share > 0 && share <= 1))
    fail_setting(at, "'target' is {} of the {}, expected more than 0, at most 1", share, of);
  if (!sensitivity) return;
  for (const double ratio : sensitivity->ratios)
    if (!(ratio > 0 && ratio < 1))
      fail_setting(at, "a ratio of 'sensitivity' is {}, expected more than 0 and less than 1",
                   ratio);
}

CriterionSpec PruneParams::spec(uint64_t seed) const {
  CriterionSpec out{.kind = criterion, .reduce = reduce, .normalize = normalize, .seed = seed};
  if (p) out.params["p"] = {static_cast<double>(*p)};
  return out;
}

SelectOptions PruneParams::select_options() const {
  return {.target = what_is_left(),
          .scope = scope,
          .round_to = round_to,
          .per_cost = per_cost,
          .max_ratio = max_ratio,
          .lossy = lossy,
          .keep = keep,
          .ratios = ratios};
}

std::vector<std::string_view> PruneParams::needs() const {
  std::vector<std::string_view> roles;
  if (needs_gradients(spec(0))) roles.emplace_back("train");
  if (needs_data(spec(0)) || (repair && repairs())) roles.emplace_back("calib");
  return roles;
}

std::string PruneParams::why_needs(std::string_view role) const {
  if (role == "train" ? needs_gradients(spec(0)) : needs_data(spec(0)))
    return fmt::format("criterion '{}'", criterion);
  return role == "calib" ? "'repair'" : "";
}

bool PruneParams::repairs(std::string_view what) const {
  return !repair || std::ranges::count(*repair, what) > 0;
}

PruneTarget PruneParams::what_is_left() const {
  if (target) return {target->begin()->first, target->begin()->second};
  return {"macs", ratios.empty() || budget ? 0.5 : 1.0};
}

std::string PruneParams::describe() const {
  const auto [of, share] = what_is_left();
  if (share == 1 && !ratios.empty())
    return fmt::format(
        "the units (channels, heads, features) of the least {} score, the shares of groups that "
        "`ratios` says",
        criterion);
  return fmt::format(
      "the units (channels, heads, features) of the least {} score, {}, until {:.1f} % of the {} "
      "are left",
      criterion, scope == "global" ? "all in one ranking" : "the same share of every group",
      100 * share, of);
}

}  // namespace lapidary
