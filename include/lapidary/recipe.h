#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lapidary/data.h"
#include "lapidary/export.h"
#include "lapidary/graph.h"
#include "lapidary/log.h"
#include "lapidary/report.h"
#include "lapidary/trainer.h"

namespace lapidary {

/// A recipe, parsed and checked whole; nothing was opened but the file itself (and data files it
/// names).
class LAPIDARY_API Recipe {
 public:
  /// Throws Error{kUsage} with file, line and column. `overrides` are
  /// "steps.0.quantize.target=tensorrt", or without number by the step's name or kind.
  static Recipe load(const std::filesystem::path& path,
                     const std::vector<std::string>& overrides = {});
  /// From YAML (or JSON) text; relative paths are from the working directory.
  static Recipe parse(const std::string& text, const std::string& source = {},
                      const std::vector<std::string>& overrides = {});

  /// Every setting with its value, as YAML that `load` reads.
  std::string effective_yaml() const;
  /// What each step will do, in sentences.
  std::string explain() const;
  /// Some step trains.
  bool trains() const;

  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

struct RunOptions {
  std::filesystem::path output = {};  ///< instead of the recipe's `output:`
  /// Instead of a folder the file the model of a one-step recipe goes to; its report lies beside it
  /// as OUT.report.*
  std::filesystem::path model_output = {};
  std::map<std::string, Shape> input_shapes = {};  ///< to time with: BenchOptions::input_shapes
  bool dry_run = false;  ///< stop before the first step; the report says what would happen
  /// Steps that train or search go on from their checkpoints where those are there, and end as they
  /// would have ended without the interruption, bit for bit.
  bool resume = false;
  /// Asked while a step trains, after each step and, of one process, while models are measured:
  /// true ends the run after a checkpoint (Report::interrupted).
  std::function<bool()> stop = {};
  /// This process among those that train together: rank 0 alone writes files and measures.
  Rank rank = {};
  int threads = 0;
  LogSink log = {};
};

/// Runs a recipe: steps, evaluation, files, limits. Throws Error; missed limits do not throw (see
/// Report::limits): everything is kept and reported.
LAPIDARY_API Report run_recipe(const Recipe& recipe, const RunOptions& options = {});

/// Opens DATA as the command line takes it (a YAML file's name, or the record inline) for a graph:
/// the graph says each input's type and layout, and the number of classes.
LAPIDARY_API Dataset open_data(const std::string& data, const Graph& graph, uint64_t seed = 0);

/// A parameter of a kind of step, of a loss, ... as the table says that parses it.
struct ParameterInfo {
  std::string name, help;
  std::string type;                  ///< boolean, integer, number, string, record, list of ...
  std::vector<std::string> choices;  ///< of a text; empty: any
  std::string initial;               ///< without it; empty: nothing, or what `help` says
  std::string range = {};            ///< of a number, "0..1", "from 0"; empty: any
};
struct ListedItem {
  std::string name, help;
  std::vector<ParameterInfo> parameters = {};  ///< of losses, schedules, augmentations
};
/// kind: one of listable_kinds. Throws Error{kUsage} otherwise.
LAPIDARY_API std::vector<ListedItem> list_items(const std::string& kind);
LAPIDARY_API std::vector<std::string> listable_kinds();
/// The same as a Markdown table; of ops all that the tables know of each.
LAPIDARY_API std::string list_markdown(const std::string& kind);
/// All parameters of a step, in the table's order. Throws Error{kUsage} where there is no such
/// step.
LAPIDARY_API std::vector<ParameterInfo> step_parameters(const std::string& step);
/// JSON Schema (draft 2020-12) of recipes, from the same tables that parse them.
LAPIDARY_API std::string recipe_schema();
/// The keys of recipes with types, defaults and help, in Markdown, from those tables.
LAPIDARY_API std::string recipe_markdown();
/// A commented recipe to start from.
LAPIDARY_API std::string recipe_template();

}  // namespace lapidary
