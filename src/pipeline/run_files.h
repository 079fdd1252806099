#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "src/pipeline/recipe_impl.h"

namespace lapidary {

/// What a run of a recipe writes, and where: a folder of results, or one model with its report
/// beside it.
class RunFiles {
 public:
  RunFiles(const Recipe::Impl& recipe, const RunOptions& options);

  const std::filesystem::path& folder() const { return folder_; }
  /// The recipe's only step leaves RunOptions::model_output.
  bool one_model() const { return !model_.empty(); }

  /// The model that step i (from 0) leaves.
  std::filesystem::path stage(size_t i) const;
  /// What the last step leaves besides, to be found without knowing the steps; empty: nothing.
  std::filesystem::path result() const;
  std::filesystem::path checkpoint(size_t i) const;
  /// Of this run's calibration; empty: it is not kept.
  std::filesystem::path statistics() const;
  /// A report in a form: json, md, html.
  std::filesystem::path report(const std::string& form) const;
  /// out/1-qat.onnx -> out/1-qat.best.onnx
  static std::filesystem::path beside(std::filesystem::path model, const std::string& word);

  /// Throws Error{kUsage} where a file of this run would replace one of `inputs`.
  void guard(const std::vector<std::string>& inputs) const;
  /// Makes the folders. Where nothing is resumed, writes the effective recipe into them, and what
  /// an earlier run left as checkpoints of later steps goes: they are of what those began from
  /// then. Throws Error{kIo, kUsage}.
  void prepare(bool resume) const;
  /// recipe.effective.yaml, in a folder of results.
  void write_effective_recipe() const;

 private:
  std::vector<std::string> all() const;
  void drop_later_checkpoints() const;

  const Recipe::Impl& recipe_;
  std::filesystem::path folder_, model_;
};

}  // namespace lapidary
