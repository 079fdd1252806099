#pragma once

#include <span>
#include <string>
#include <string_view>

#include "lapidary/graph.h"
#include "src/passes/lower_qdq.h"
#include "src/passes/qdq/qdq.h"

namespace lapidary {

/// What a rule did: the integer op, or why the node stays float.
struct RuleResult {
  std::string lowered_to;
  std::string reason;
};
inline RuleResult stays(std::string reason) { return {{}, std::move(reason)}; }
inline RuleResult lowered(std::string op, std::string remark = {}) {
  return {std::move(op), std::move(remark)};
}

using LoweringRule = RuleResult (*)(Graph&, const NodeGroup&, const LoweringOptions&);

/// One line of the contract: a float op and what becomes of it between DQ and Q.
struct LoweringRow {
  std::string_view op;
  int64_t min_opset;
  LoweringRule rule;
};
/// The row of an ai.onnx op or null.
const LoweringRow* find_lowering(std::string_view op);

// Rules, one family a file.
RuleResult lower_conv(Graph&, const NodeGroup&, const LoweringOptions&);
RuleResult lower_matmul(Graph&, const NodeGroup&, const LoweringOptions&);
RuleResult lower_gemm(Graph&, const NodeGroup&, const LoweringOptions&);
RuleResult lower_binary(Graph&, const NodeGroup&, const LoweringOptions&);
RuleResult lower_unary(Graph&, const NodeGroup&, const LoweringOptions&);
RuleResult lower_concat(Graph&, const NodeGroup&, const LoweringOptions&);
RuleResult lower_mover(Graph&, const NodeGroup&, const LoweringOptions&);
RuleResult lower_extremum(Graph&, const NodeGroup&, const LoweringOptions&);
RuleResult lower_resize(Graph&, const NodeGroup&, const LoweringOptions&);
RuleResult lower_split(Graph&, const NodeGroup&, const LoweringOptions&);
RuleResult lower_argmax(Graph&, const NodeGroup&, const LoweringOptions&);

// What the rules share.

/// "" where the integers of activation and weight can be multiplied, else why not.
std::string check_types(const QdqNode& activation, const QdqNode& weight, const LoweringOptions&);
/// "" for 8-bit storage.
std::string check_8bit(const QdqNode& qdq, std::string_view what);
/// "" where the weight's scales are one, or one per slice along `axis` of `rank` axes.
std::string check_weight_scales(const Graph& graph, const QdqNode& weight, int64_t axis,
                                int64_t rank);
/// A remark where an int32 bias's scale is not activation scale x weight scale; nobody reads it.
std::string bias_remark(const QdqNode& activation, const QdqNode& weight, const QdqNode& bias);

/// Puts `node` in the group's place: it makes the output of the group's only Q (or, without one,
/// the float node's), and Q, float node and what only they used go. Keeps the float node's name.
void replace_group(Graph& graph, const NodeGroup& group, Node node);

}  // namespace lapidary
