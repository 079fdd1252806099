#pragma once

#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "lapidary/graph.h"

namespace lapidary {

/// A set of nodes.
using NodeSet = std::unordered_set<uint32_t>;

/// Nodes whose key (name, or first output's name) is `pattern` exactly, matches it as a glob or as
/// re:REGEX (ECMAScript, all of the key), or whose op type is that of op:TYPE. Throws
/// Error{kUsage}: a pattern that matches nothing, with the closest names; a regular expression that
/// does not parse.
std::vector<NodeId> match_nodes(const Graph& graph, const std::string& pattern);
/// All nodes that any of the patterns selects.
NodeSet match_nodes(const Graph& graph, std::span<const std::string> patterns);

}  // namespace lapidary
