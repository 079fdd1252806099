#pragma once

#include <string>
#include <vector>

#include "lapidary/export.h"
#include "lapidary/graph.h"
#include "lapidary/log.h"

namespace lapidary {

struct PassOptions {
  LogSink log = {};
  /// Training follows: BatchNormalization stays unfolded, nothing trained is merged away.
  bool train_safe = false;
  /// Largest constant that folding may make, in elements.
  int64_t fold_limit = int64_t{1} << 24;
};

/// What one pass did.
struct PassResult {
  int64_t changes = 0;
  std::vector<std::string> notes;  ///< "BatchNorm 'bn1' not folded: variance of channel 3 is -1"
};

/// A line of the pass list and of the report.
struct PassRecord {
  std::string pass;
  int64_t changes = 0;
  double seconds = 0;
  std::vector<std::string> notes;
};

struct PassInfo {
  std::string name, help;
};

/// All passes, in the order in which they run.
LAPIDARY_API std::vector<PassInfo> list_passes();
/// Runs the named passes (empty: the default list) until nothing changes, at most a few rounds; the
/// graph is verified after each. Throws Error{kUsage} for an unknown name.
LAPIDARY_API std::vector<PassRecord> run_passes(Graph& graph,
                                                const std::vector<std::string>& passes,
                                                const PassOptions& options = {});
/// The default list.
LAPIDARY_API std::vector<PassRecord> optimize(Graph& graph, const PassOptions& options = {});

}  // namespace lapidary
