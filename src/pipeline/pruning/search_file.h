#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lapidary/report.h"

namespace lapidary {

/// How far a search is.
struct SearchState {
  std::vector<SearchRecord::Point> points;
  std::optional<RemovedUnits> best;  ///< what the smallest model within the budget lost
};

/// A search's state in a JSON file that replaces the one before it only when complete. It is bound
/// to what it is of, as lines `KEY: VALUE`: `recipe`, the parameters, and `inputs`, digests of
/// model and data.
class SearchFile {
 public:
  /// Without a path nothing is kept.
  SearchFile(std::filesystem::path path, std::string recipe, std::string inputs)
      : path_(std::move(path)), recipe_(std::move(recipe)), inputs_(std::move(inputs)) {}

  void save(const SearchState& state) const;
  /// None where there is no file. Throws Error{kInvalid} where it is damaged or of another version,
  /// Error{kUsage} where it is of another search: the lines that differ are named.
  std::optional<SearchState> load() const;
  /// As `load`, of the parameters alone.
  void check_recipe() const;

 private:
  std::filesystem::path path_;
  std::string recipe_, inputs_;
};

}  // namespace lapidary
