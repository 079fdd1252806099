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
#include "src/base/params.h"

namespace lapidary {

/// What a step works on and with.
struct StepContext {
  Graph graph;                                 ///< in and out
  std::function<const Dataset*()> calib_data;  ///< opened at first use; null: the recipe names none
  std::optional<Statistics> statistics = {};   ///< the last that a step took or loaded, to be saved
  Report& report;
  std::filesystem::path output;  ///< the recipe's folder; empty: nothing is written there
  int threads = 0;
  LogSink log = {};
};

/// What a step does with calibration samples, for the estimate.
struct StepWork {
  int64_t calibrated = 0;  ///< through the float model, every tensor looked at
  int64_t held = 0;        ///< at most; all in memory at once, through the result layer by layer
  double hold_bytes = 0;   ///< that they may take
};

/// What arithmetic a step leaves in the graph: of integers, as Q/DQ nodes or as integer operators.
enum class Form { kAsBefore, kQdq, kQOperator, kHalf };

/// One entry of a recipe's `steps`, with its parameters.
class Step {
 public:
  virtual ~Step() = default;
  /// One or two sentences: what it will do.
  virtual std::string explain() const = 0;
  /// True where the step reads calibration data (checked before any work).
  virtual bool needs_calib() const { return false; }
  virtual void run(StepContext& context) const = 0;
  virtual Form makes() const { return Form::kAsBefore; }
  /// Why it cannot start from that form, or nothing (checked before any work).
  virtual std::string refuses(Form) const { return {}; }
  /// How many of so many calibration samples `run` uses, and what for.
  virtual StepWork work(int64_t /*calib_samples*/) const { return {}; }
  /// What `run` would do, into the report, without doing it.
  virtual void plan(StepContext& context) const = 0;
  /// Parameters that name files which the step reads besides model and data, by key: the recipe
  /// resolves them from its folder.
  virtual std::map<std::string, std::string*> paths() { return {}; }
  /// All parameters with their values.
  virtual Setting params() const = 0;
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

std::span<const StepDef* const> all_steps();
/// Throws Error{kUsage} with the closest names, at the setting's place.
const StepDef& find_step(std::string_view name, const Setting& at);

}  // namespace lapidary
