#pragma once

#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "lapidary/graph.h"

namespace lapidary {

/// A node's captures by the subgraph that makes them: (attribute, index in its list).
using CaptureMap = std::map<std::pair<std::string_view, uint32_t>, std::vector<const Capture*>>;

/// Refers to the node's own list.
inline CaptureMap captures_by_graph(const Node& node) {
  CaptureMap out;
  for (const Capture& capture : node.captures)
    out[{capture.attr, capture.index}].push_back(&capture);
  return out;
}

}  // namespace lapidary
