#pragma once

#include "src/ops/infer.h"

namespace lapidary {

/// True for If, Loop and Scan: their rows have no evaluation, an executor runs their graphs.
bool is_control_flow(const Node& node);

/// What the node's inputs say about the inputs of its body: element types where the body leaves
/// them open. Sizes of what is carried around may change from one iteration to the next.
void type_body_inputs(const Graph& graph, NodeId id, Graph& body);

/// The graph attribute; throws Error{kInvalid} where it is missing.
const Graph& body_of(const Node& node, std::string_view attr);

/// Scan's attributes, axes made non-negative. Version 9 and later.
struct ScanLayout {
  size_t states = 0;                ///< inputs carried around; the others are scanned
  std::vector<int64_t> input_axes;  ///< by scanned input
  std::vector<bool> input_reversed;
  std::vector<int64_t> output_axes;  ///< by stacked output, as written
  std::vector<bool> output_reversed;
};
/// `inputs` and `outputs`: those that the node lists. Throws Error{kInvalid} where they do not fit.
ScanLayout scan_layout(const AttrView& attrs, size_t inputs, size_t outputs);

}  // namespace lapidary
