#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lapidary/train.h"
#include "src/base/params.h"
#include "src/pipeline/sparsity.h"
#include "src/pipeline/step.h"
#include "src/pipeline/training/loss_term.h"

namespace lapidary {

/// TrainingParams::teacher that is the recipe's model as it came in.
inline constexpr std::string_view kOriginalTeacher = "original";

/// Step::without_effect of steps that train.
inline const std::vector<std::string_view> kWithoutEffect = {"log_every", "checkpoint_every",
                                                             "keep"};

/// What every step that trains can be told. The defaults that differ from step to step stand with
/// the step.
struct TrainingParams {
  int64_t epochs = 10, steps = 0, batch = 128;
  std::optional<double> lr;
  double usual_lr = 0.01;  ///< where lr is not given
  ScheduleSpec schedule = {};
  OptimizerSpec optimizer = {.weight_decay = 1e-4};
  double ema = 0;
  std::vector<LossTerm> losses;
  std::string teacher;
  bool labels = true;
  double freeze_statistics = 1;
  int64_t reestimate = 0;
  std::optional<bool> keep_zeros;
  std::optional<GradualParams> sparsify;
  bool evaluate = true;
  std::optional<std::string> metric;
  std::string keep = "last";
  int64_t patience = 0;
  double min_delta = 0;
  int64_t checkpoint_every = 0, log_every = 20;
  std::string device = "cpu";

  /// Throws Error{kUsage} at the setting for values that contradict each other.
  void check(const Setting& at) const;
  /// What all epochs cost.
  StepWork work(const DataSizes& data) const;
  /// The teacher's file, where it is one.
  std::map<std::string, std::string*> paths();
  bool best() const { return keep == "best"; }
  /// lr, else the usual one: a tenth of it for graphs without normalizations, or with statistics
  /// frozen from the first step, where weights act with all their size.
  double learning_rate(const Graph& graph) const;
  bool has_teacher() const { return !teacher.empty(); }
  /// "5 epochs in batches of 128, sgd, learning rate 0.01 (cosine)"
  std::string describe() const;
};

/// Rows for a table of `P`, in which TrainingParams are the member `at`.
template <class P>
std::vector<Field> training_fields(TrainingParams P::*at);

/// Rows of a table of `T` for one of `P`, in which the T is the member `at`.
template <class P, class T>
std::vector<Field> member_fields(std::vector<Field> rows, T P::*at) {
  for (Field& f : rows) {
    f.set = [at, set = f.set](void* object, const Setting& s, const Field& self) {
      set(&(static_cast<P*>(object)->*at), s, self);
    };
    f.get = [at, get = f.get](const void* object) {
      return get(&(static_cast<const P*>(object)->*at));
    };
  }
  return rows;
}

/// The rows for TrainingParams itself, as the parameters of the step of that name.
FieldTable training_table(std::string step);

template <class P>
std::vector<Field> training_fields(TrainingParams P::*at) {
  return member_fields(training_table({}).fields, at);
}

}  // namespace lapidary
