#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lapidary/prune.h"
#include "src/base/params.h"

namespace lapidary {

/// What every step that removes units can be told.
struct PruneParams {
  std::string criterion = "magnitude";
  std::optional<double> p;
  std::string reduce = "mean", normalize = "mean";
  std::map<std::string, double> target = {{"macs", 0.5}};
  std::string scope = "global";
  bool per_cost = false;
  int64_t round_to = 1;
  double max_ratio = 0.9;
  std::vector<std::string> keep;
  std::map<std::string, double> ratios;
  bool lossy = false;
  int64_t samples = 128;
  std::vector<std::string> repair = {"weights", "statistics"};
  int64_t repair_samples = 1024;
  int latency_threads = 1;
  std::string latency_table;

  static const FieldTable& fields();

  bool repairs() const { return !repair.empty(); }
  /// Throws Error{kUsage} at the setting where the target is no single share.
  void check(const Setting& at) const;
  CriterionSpec spec(uint64_t seed) const;
  SelectOptions select_options() const;
  /// Roles of data that the criterion reads.
  std::vector<std::string_view> needs() const;
  /// "the units (channels, heads, features) of the least magnitude score, all in one ranking, until
  /// 50.0 % of the macs are left"
  std::string describe() const;
};

}  // namespace lapidary
