#include "src/pipeline/recipe_data.h"

#include "src/base/fail.h"
#include "src/pipeline/feed.h"

namespace lapidary {

std::string_view role_word(std::string_view role) {
  if (role == "calib") return "calibration";
  if (role == "train") return "training";
  return role == "valid" ? "validation" : "evaluation";
}

const Dataset* RecipeData::find_opened(std::string_view role) const {
  const auto found = data_.find(role);
  return found == data_.end() ? nullptr : &found->second;
}

const Dataset* RecipeData::find(std::string_view role) {
  if (const Dataset* found = find_opened(role)) return found;
  const DataRecord* record = impl_.find_data(std::string(role));
  if (record == nullptr) return nullptr;
  Dataset data = open_for(*record, model_, impl_.params.seed);
  if (data.size() == 0) fail_usage("the {} data are empty", role_word(role));
  opened_(role, *record, data);
  return &data_.emplace(role, std::move(data)).first->second;
}

DataSizes RecipeData::sizes() const {
  const auto size = [&](std::string_view role) {
    const Dataset* found = find_opened(role);
    return found == nullptr ? 0 : found->size();
  };
  return {
      .calib = size("calib"), .train = size("train"), .valid = size("valid"), .eval = size("eval")};
}

}  // namespace lapidary
