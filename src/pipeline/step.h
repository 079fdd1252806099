#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/calibrate.h"
#include "lapidary/data.h"
#include "lapidary/graph.h"
#include "lapidary/log.h"
#include "lapidary/report.h"
#include "lapidary/trainer.h"
#include "src/base/params.h"

namespace lapidary {

/// What a step works on and with.
struct StepContext {
  Graph graph;  ///< in and out
  /// What results are held against: the recipe's model as it came in, or as the last step that
  /// began anew left it.
  const Graph* original = nullptr;
  const Graph* model = nullptr;  ///< the recipe's, as it came in
  /// What is exported and measured of `graph`; empty: itself. Between steps that train with
  /// quantization it keeps its float weights.
  std::function<Graph(const Graph&)> lower = {};
  bool masked = false;                             ///< a step has made weights 0 that are to stay 0
  std::optional<SparsePattern> mask_pattern = {};  ///< of the last step that did so in one
  std::map<std::string, Shape> input_shapes = {};  ///< RunOptions::input_shapes
  /// Of a role (calib, train, valid, eval), opened at first use; null: the recipe names none.
  std::function<const Dataset*(std::string_view role)> data;
  std::optional<Statistics> statistics = {};  ///< the last that a step took or loaded, to be saved
  Report& report;
  std::filesystem::path output;  ///< the recipe's folder; empty: nothing is written there
  int threads = 0;
  LogSink log = {};

  // Of the step that runs.
  std::string name = {};                     ///< in the report
  std::string params = {};                   ///< its kind and parameters, lines `KEY: VALUE`
  std::filesystem::path checkpoint = {};     ///< where it keeps how far it is; empty: nowhere
  std::map<std::string, Graph> beside = {};  ///< other models that it leaves, by a word: "best"

  uint64_t seed = 0;
  Rank rank = {};
  bool resume = false;              ///< from `checkpoint` where it is there
  std::function<bool()> stop = {};  ///< true: keep a checkpoint and end
  bool interrupted = false;         ///< it did
  int64_t idle_bytes =
      0;  ///< of the process with the training library, before the first step that trains
  int64_t training_bytes = 0;  ///< memory of the process in training, the most of all steps
};

/// How many samples the recipe's data have, by role; 0: there are none.
struct DataSizes {
  int64_t calib = 0, train = 0, valid = 0, eval = 0;
};

/// What a step does with calibration samples, for the estimate.
struct StepWork {
  int64_t calibrated = 0;  ///< through the float model, every tensor looked at
  int64_t held = 0;        ///< at most; all in memory at once, through the result layer by layer
  double hold_bytes = 0;   ///< that they may take
  int64_t trained = 0;     ///< forward, backward
  int64_t evaluated = 0;   ///< between epochs
};

/// What arithmetic a step leaves in the graph: of integers, as Q/DQ nodes or as integer operators;
/// or of floats that stand for them, in training.
enum class Form { kAsBefore, kQdq, kQOperator, kHalf, kQat };

/// One entry of a recipe's `steps`, with its parameters.
class Step {
 public:
  virtual ~Step() = default;
  /// One or two sentences: what it will do.
  virtual std::string explain() const = 0;
  /// The roles of data that the step reads (checked before any work).
  virtual std::vector<std::string_view> needs() const { return {}; }
  /// Which of its parameters needs that role: "criterion 'taylor'"; empty: the step as such.
  virtual std::string why_needs(std::string_view) const { return {}; }
  /// True where the step trains: it needs the training library.
  virtual bool trains() const { return false; }
  /// Roles of data on the first of which, of those that the recipe names, the step measures models
  /// (one must be there, checked before any work); empty: it measures none.
  virtual std::vector<std::string_view> measures_on() const { return {}; }
  /// How the name of the file ends in which the step keeps how far it is, to go on from; empty: it
  /// keeps none.
  virtual std::string_view keeps() const { return trains() ? "safetensors" : ""; }
  /// Throws Error{kInvalid} where StepContext::checkpoint, which need not be there, was kept with
  /// other parameters.
  virtual void check_checkpoint(const StepContext& context) const;
  /// True where nothing of the weights that came in is left.
  virtual bool begins_anew() const { return false; }
  virtual void run(StepContext& context) const = 0;
  virtual Form makes() const { return Form::kAsBefore; }
  /// Why it cannot start from that form, or nothing (checked before any work).
  virtual std::string refuses(Form) const { return {}; }
  /// How many of the samples `run` uses, and what for.
  virtual StepWork work(const DataSizes&) const { return {}; }
  /// What `run` would do, into the report, without doing it.
  virtual void plan(StepContext& context) const = 0;
  /// Parameters that name files which the step reads besides model and data, by key: the recipe
  /// resolves them from its folder.
  virtual std::map<std::string, std::string*> paths() { return {}; }
  /// All parameters with their values.
  virtual Setting params() const = 0;
  /// Those that change neither weights nor what is measured: a checkpoint may go on with others.
  virtual std::vector<std::string_view> without_effect() const { return {}; }
};

/// A kind of step: a row of steps.def.
struct StepDef {
  std::string_view name, help;
  const FieldTable& (*fields)();
  std::unique_ptr<Step> (*make)(const Setting& params);
};

/// Of the key `name` that may stand beside a step's kind.
inline constexpr std::string_view kStepNameHelp =
    "What the step is called in the report, its model's file, NUMBER-NAME.onnx, and `--set "
    "steps.NAME.KEY=VALUE`; its kind where it is absent";

/// Of rows that have a name.
template <class Rows>
std::vector<std::string> names_of(const Rows& rows) {
  std::vector<std::string> names;
  for (const auto& row : rows) names.push_back(row.name);
  return names;
}

std::span<const StepDef* const> all_steps();
/// Throws Error{kUsage} with the closest names, at the setting's place.
const StepDef& find_step(std::string_view name, const Setting& at);

}  // namespace lapidary
