#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lapidary/data.h"
#include "lapidary/recipe.h"
#include "src/base/params.h"
#include "src/pipeline/step.h"

namespace lapidary {

/// What data are for.
inline constexpr std::array kDataRoles = {"calib", "train", "valid", "eval"};

/// A data record and where its relative paths start.
struct DataRecord {
  DatasetSpec spec;
  std::string base_dir;
  std::string file = {};  ///< that holds the record; empty: the recipe does
};

struct BenchParams {
  std::vector<int> threads = {1};
  double seconds = 0.5;
  int64_t batch = 1;

  static const FieldTable& fields();
};

struct EvaluateParams {
  std::vector<std::string> metrics;
  std::vector<std::string> execution;
  std::vector<std::string> isa_semantics;
  bool every_step = true;
  std::optional<BenchParams> bench = BenchParams{};
  int64_t layer_samples = 16;
  int winograd = 0;

  static const FieldTable& fields();
};

struct LimitsParams {
  std::map<std::string, double> max_drop_points, bounds;
  std::optional<double> max_accuracy_drop, min_agreement, min_sqnr_db, max_size_mb, max_latency_ms,
      min_speedup;
  int threads = 1;

  static const FieldTable& fields();
};

/// The recipe as written: what its top level says.
struct RecipeParams {
  int64_t version = 1;
  std::string model, output;
  uint64_t seed = 0;
  Setting data;
  std::vector<Setting> steps;
  EvaluateParams evaluate;
  LimitsParams limits;
  bool external_data = false;
  std::vector<std::string> report = {"html", "json", "md"};

  static const FieldTable& fields();
};

struct RecipeStep {
  const StepDef* def = nullptr;
  std::string name;
  std::unique_ptr<Step> step;
};

struct Recipe::Impl {
  RecipeParams params;
  std::string source;                      ///< file, or what to call the text
  std::string base_dir;                    ///< where its relative paths start
  std::map<std::string, DataRecord> data;  ///< by role
  std::vector<RecipeStep> steps;

  /// The stage that results are held against: that of the last step whose weights begin anew, else
  /// the model as it came in.
  size_t reference_stage() const {
    size_t out = 0;
    for (size_t i = 0; i < steps.size(); ++i)
      if (steps[i].step->begins_anew()) out = i + 1;
    return out;
  }

  const DataRecord* find_data(const std::string& role) const {
    const auto found = data.find(role);
    return found == data.end() ? nullptr : &found->second;
  }
};

/// The effective recipe without its paths: the same text wherever the files lie. (What is in the
/// files has hashes of its own.)
std::string portable_yaml(const Recipe& recipe);

/// Recipe::effective_yaml, with the folder that the results go to.
std::string effective_yaml(const Recipe::Impl& impl, const std::string& output);

}  // namespace lapidary
