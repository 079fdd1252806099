#pragma once

#include <memory>
#include <vector>

#include "src/exec/plan.h"

namespace lapidary::exec {

/// A batch as several runs of one plan, each for a part of the samples (with_fewer_samples): whole
/// parts are divided among threads, which need not wait for each other at every step, and a part's
/// activations stay in a core's cache.
class BatchParts {
 public:
  /// `plan` is that of one part, with known outputs; it must outlive this.
  BatchParts(Plan& plan, int64_t parts);

  /// Inputs and outputs of the whole batch; the first axes are `parts` times the plan's. What is
  /// left where threads do not divide the parts runs on all of them, part by part.
  Executor::Values run(const Executor::Values& inputs);
  int64_t parts() const { return parts_; }
  /// Of all threads.
  int64_t arena_bytes() const;

 private:
  struct Workspace {
    StepRun run;
    Tensor arena;
  };
  void run_part(int64_t part, Workspace& workspace, const Executor::Values& inputs,
                const std::vector<char*>& outputs);

  Plan& plan_;
  int64_t parts_;
  std::vector<std::unique_ptr<Workspace>> workspaces_;  // one for each thread that takes parts
};

/// How many of `samples` samples make a part: a divisor, so that every thread gets parts, and where
/// possible as many as the others. `samples`: the batch is better left whole.
int64_t part_size(int64_t samples, int threads);

}  // namespace lapidary::exec
