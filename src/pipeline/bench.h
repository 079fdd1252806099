#pragma once

#include <functional>
#include <vector>

#include "lapidary/evaluate.h"

namespace lapidary {

/// Random arrays for every input of the model, by BenchOptions::seed.
Executor::Values bench_inputs(const Graph& model, const BenchOptions& options);
/// Wall times in ms of `run`, called again and again until `seconds` are over, at least once.
std::vector<double> time_runs(const std::function<void()>& run, double seconds);
/// The mean of the middle two where their number is even. `values` is not empty.
double median(std::vector<double> values);
/// Median and percentiles of those times.
Latency summarize_times(std::vector<double> ms, int threads, int64_t batch);

}  // namespace lapidary
