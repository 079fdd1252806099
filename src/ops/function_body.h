#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "src/ir/builder.h"
#include "src/ops/opdef.h"

namespace lapidary {

/// Bodies are written for the ai.onnx opset of the model, from this one on: the standard ops that
/// they use have one form since.
inline constexpr int kOldestBodyOpset = 13;

/// Builds the body of an own op (OpDef::body) as that of a model-local function: its constants are
/// nodes, its attributes the call's.
class BodyBuilder {
 public:
  BodyBuilder(Graph& body, const OpDef& def, int64_t opset)
      : graph_(body), builder_(body), def_(def), opset_(opset) {}

  int64_t opset() const { return opset_; }
  ValueId input(const std::string& name) { return builder_.input(name, DType::kUndefined, {}); }
  ValueId op(const std::string& type, std::vector<ValueId> inputs, GraphBuilder::Attrs attrs = {}) {
    return builder_.op(type, std::move(inputs), std::move(attrs));
  }
  ValueId number(float value) { return op("Constant", {}, {{"value_float", value}}); }
  ValueId ints(std::vector<int64_t> values) {
    return op("Constant", {}, {{"value_ints", std::move(values)}});
  }
  ValueId constant(Tensor elements) { return op("Constant", {}, {{"value", std::move(elements)}}); }
  /// The call's attribute, for an attribute of a node of the body.
  Attr call_attr(std::string_view name) const;
  /// The same as a value: a scalar, or integers.
  ValueId attr(std::string_view name);
  void output(const std::string& name, ValueId value);

 private:
  Graph& graph_;
  GraphBuilder builder_;
  const OpDef& def_;
  int64_t opset_;
};

/// Functions, by name, for the own ops that the graph uses, in subgraphs and functions too, and
/// does not bring itself. Throws Error{kUnsupported} where there are any and the graph's opset is
/// below kOldestBodyOpset.
std::vector<Function> own_functions(const Graph& graph);

/// True for the function of an own op in a version that the table understands: the node is the op.
bool is_own_function(const Graph& graph, const Function& function);

}  // namespace lapidary
