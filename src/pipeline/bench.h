#pragma once

#include <functional>
#include <vector>

#include "lapidary/evaluate.h"

namespace lapidary {

/// Random arrays for every input of the model, by BenchOptions::seed. Throws Error{kUsage} for
/// names that are no inputs, open sizes that nothing binds, and a batch that binds nothing.
Executor::Values bench_inputs(const Graph& model, const BenchOptions& options);
/// Samples in one inference: the size of the first input's first axis, 1 where there is none.
int64_t leading_size(const Graph& model, const Executor::Values& inputs);
/// Wall times in ms of `run`, called again and again until `seconds` are over, at least once.
std::vector<double> time_runs(const std::function<void()>& run, double seconds);
/// The mean of the middle two where their number is even. `values` is not empty.
double median(std::vector<double> values);
/// The steps of an executor that profiles, each with its median time over so many seconds.
std::vector<StepInfo> time_steps(Executor& executor, const Executor::Values& inputs, int warmup,
                                 double seconds);
/// Median and percentiles of those times.
Latency summarize_times(std::vector<double> ms, int threads, int64_t batch);

}  // namespace lapidary
