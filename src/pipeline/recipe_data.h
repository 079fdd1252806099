#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "src/pipeline/recipe_impl.h"

namespace lapidary {

/// The data that a recipe names, by role; each is opened at first use, for the model's inputs.
class RecipeData {
 public:
  /// Told of each record as it is opened; may throw.
  using Opened =
      std::function<void(std::string_view role, const DataRecord& record, const Dataset& data)>;

  RecipeData(const Recipe::Impl& impl, const Graph& model, Opened opened)
      : impl_(impl), model_(model), opened_(std::move(opened)) {}

  /// Null where the recipe names none. Throws Error{kUsage} where they are empty.
  const Dataset* find(std::string_view role);
  /// Null where it was not opened.
  const Dataset* find_opened(std::string_view role) const;
  /// Of the roles that were opened.
  DataSizes sizes() const;
  const std::map<std::string, Dataset, std::less<>>& opened() const { return data_; }

 private:
  const Recipe::Impl& impl_;
  const Graph& model_;
  Opened opened_;
  std::map<std::string, Dataset, std::less<>> data_;
};

/// "calibration" of "calib", for sentences.
std::string_view role_word(std::string_view role);

}  // namespace lapidary
