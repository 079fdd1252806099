#pragma once

#include <string>
#include <vector>

#include "lapidary/export.h"
#include "lapidary/graph.h"

namespace lapidary {

/// What the toolkit can do with an op: a line of `lapidary list ops`.
struct OpSupport {
  std::string domain, name;
  std::vector<int> versions;
  bool shape = false, reference = false, quantize = false, prune = false;
};
LAPIDARY_API std::vector<OpSupport> list_ops();

/// Rewrites nodes by the op table's rules so that the graph imports ai.onnx `version` (up to 21).
/// Throws Error{kUnsupported} naming the node that has no rule, Error{kUsage} for a lower version.
LAPIDARY_API void upgrade_opset(Graph& graph, int64_t version);

}  // namespace lapidary
