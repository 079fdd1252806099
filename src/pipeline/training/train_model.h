#pragma once

#include <functional>
#include <vector>

#include "lapidary/sparsify.h"
#include "src/pipeline/step.h"
#include "src/pipeline/training/params.h"

namespace lapidary {

/// What a step that trains has made ready.
struct TrainingTask {
  Graph graph;
  std::vector<TrainedParameter> parameters;
  /// What is exported and measured of the graph, see StepContext::lower; empty: the graph.
  std::function<Graph(const Graph&)> lower = {};
  Masks masks = {};                   ///< of parameters; see kept_zeros
  const Dataset* observed = nullptr;  ///< that ranges were found on; null: none were
  bool anew = false;  ///< its weights are made anew: there is nothing to hold it against
  TrainHook before_step = {};
  /// One of several trainings of a step, empty: the only one. It has a checkpoint of its own and
  /// ", PART" in its record.
  std::string part = {};
  uint64_t turn = 0;  ///< of several trainings: each sees the samples in an order of its own
  /// Trainer::state to begin from, where it is not empty, and afterwards the one it ended in; what
  /// the trainer has beside it begins as it does. Null: none.
  Trainer::Values* state = nullptr;
};

/// Where training keeps how far it is; empty: nowhere.
std::filesystem::path checkpoint_of(const StepContext& context, const std::string& part);
/// Masks of the zeros that training keeps, of the step's graph before anything is made anew.
Masks kept_zeros(const StepContext& context, const TrainingParams& params, const Graph& graph,
                 bool anew = false);

/// Trains on the recipe's `train` data: the graph, its best epoch (StepContext::beside), and the
/// record of the report. Where it was asked to stop, StepContext::interrupted is set and the
/// checkpoint holds where it was.
void train_model(StepContext& context, const TrainingParams& params, TrainingTask task);

/// Everything that train_model would refuse before its first step, teacher, layers, sizes, device
/// and (of one process) the checkpoint to go on from among it, and StepContext::training_bytes.
void plan_training(StepContext& context, const TrainingParams& params, TrainingTask task);

/// A step whose model is trained as it is: `init_weights` makes its weights anew.
struct FitStepKind {
  const FieldTable& (*fields)();
  TrainingParams defaults;
  bool init_weights = false;
};
std::unique_ptr<Step> make_fit_step(const FitStepKind& kind, const Setting& setting);

}  // namespace lapidary
