#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lapidary/prune.h"
#include "src/base/params.h"

namespace lapidary {

/// What to measure of each group alone.
struct SensitivityParams {
  std::vector<double> ratios = {0.1, 0.3, 0.5, 0.7, 0.9};
  int64_t samples = 256;
  std::optional<std::string> metric;

  static const FieldTable& fields();
};

/// How much a model may lose of a metric, and what is spent on finding the smallest that does not.
struct BudgetParams {
  double max_drop_points = 1;
  std::optional<double> min_value;
  int64_t samples = 1000;
  int64_t tries = 8;
  std::optional<std::string> metric;

  static const FieldTable& fields();
};

/// What every step that removes units can be told.
struct PruneParams {
  std::string criterion = "magnitude";
  std::optional<int64_t> p;
  std::string reduce = "mean", normalize = "mean";
  std::optional<std::map<std::string, double>> target;
  std::string scope = "global";
  bool per_cost = false;
  int64_t round_to = 1;
  double max_ratio = 0.9;
  std::vector<std::string> keep;
  std::map<std::string, double> ratios;
  bool lossy = false;
  int64_t samples = 128;
  std::optional<std::vector<std::string>> repair;
  int64_t repair_samples = 1024;
  std::optional<bool> keep_zeros;
  int latency_threads = 1;
  std::string latency_table;
  std::optional<SensitivityParams> sensitivity;
  std::optional<BudgetParams> budget;

  static const FieldTable& fields();

  /// Whether `what` (weights, statistics) is to be repaired where there are data.
  bool repairs(std::string_view what) const;
  bool repairs() const { return repairs("weights") || repairs("statistics"); }
  /// The target; all of the MACs where only `ratios` say what goes.
  PruneTarget what_is_left() const;
  /// Throws Error{kUsage} at the setting where the target is no single share, for ratios of
  /// `sensitivity` out of range, and for settings that have no effect beside others.
  void check(const Setting& at) const;
  CriterionSpec spec(uint64_t seed) const;
  SelectOptions select_options() const;
  /// Roles of data that the criterion reads, and `calib` where repair was asked for.
  std::vector<std::string_view> needs() const;
  /// "criterion 'taylor'"
  std::string why_needs(std::string_view role) const;
  bool measures() const { return sensitivity.has_value() || budget.has_value(); }
  /// "the units (channels, heads, features) of the least magnitude score, all in one ranking, until
  /// 50.0 % of the macs are left"
  std::string describe() const;
};

}  // namespace lapidary
