#pragma once

#include "lapidary/data.h"
#include "lapidary/graph.h"
#include "lapidary/report.h"
#include "src/pipeline/recipe_impl.h"

namespace lapidary {

/// What a run is about to do, as far as it costs time or memory that grow with samples.
struct RunWork {
  const Graph& model;
  const Dataset* calib = nullptr;  ///< whatever ranges are observed on
  const Dataset* eval = nullptr;
  DataSizes sizes = {};
  const std::vector<RecipeStep>& steps;
  const EvaluateParams& evaluate;
  double seconds_so_far = 0;
  int threads = 0;
};

/// Times a batch of each kind of work (a share of the samples, at most an eighth) and multiplies;
/// the models in between count as much as the float one. Memory is that of the largest phase: the
/// executors that live at the same time, their batch, and samples held for corrections. Absent
/// where no data are read: then nothing takes long.
std::optional<Estimate> estimate_run(const RunWork& work);

/// Largest resident set of this process so far, and the present one.
int64_t peak_rss_bytes();
int64_t rss_bytes();

}  // namespace lapidary
