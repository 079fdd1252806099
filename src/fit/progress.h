#pragma once

#include <string>

#include "lapidary/train.h"

namespace lapidary {

/// Sums over steps.
struct StepSums {
  int64_t steps = 0, samples = 0, judged = 0;
  double loss = 0;     ///< over steps
  double correct = 0;  ///< over judged samples
  double seconds = 0;
};

/// How far a training run is: with the trainer's state, all that its next step depends on.
struct FitProgress {
  int64_t epoch = 0, in_epoch = 0, step = 0;  ///< epochs done, steps done in this one, in all
  StepSums epoch_sums, interval_sums;
  int64_t best_epoch = -1;
  double best_metric = kNotKnown;
  int64_t stale = 0;  ///< epochs since the best one
  bool finished = false, stopped_early = false;
  FitLog log;
};

/// Joins neighbours by twos where there are more records than a curve can show: a checkpoint holds
/// them all.
void thin(std::vector<FitInterval>& intervals);

/// JSON; numbers that are not finite become null, and null NaN.
std::string write_progress(const FitProgress& progress);
/// Throws Error{kInvalid} for what `write_progress` did not write.
FitProgress read_progress(const std::string& text);

}  // namespace lapidary
