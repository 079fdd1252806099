#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "lapidary/exec.h"
#include "lapidary/graph.h"

namespace lapidary {

/// Milliseconds of the steps that models are run in, by what a step is and its sizes: each shape is
/// timed once, when a model first has it. A model's latency is the sum over its steps, so that
/// models of the same steps have the same latency however noisy the machine is.
class LatencyTable {
 public:
  /// For one sample on so many threads. `file`: read where it is there, written by `save`; empty:
  /// none. Throws Error{kInvalid} for a file that is no table, Error{kUsage} for one of other
  /// kernels or threads.
  /// `input_shapes`: of open axes, as BenchOptions has them.
  LatencyTable(int threads, std::filesystem::path file = {},
               std::map<std::string, Shape> input_shapes = {});

  /// Throws as Executor does; Error{kUnsupported} where sizes other than the batch are open.
  double milliseconds(const Graph& model);
  size_t shapes() const { return steps_.size(); }
  void save() const;

 private:
  int threads_;
  std::filesystem::path file_;
  std::map<std::string, Shape> input_shapes_;
  std::map<std::string, double> steps_;
};

}  // namespace lapidary
