#pragma once

#include <functional>
#include <span>
#include <vector>

#include "src/ops/infer.h"
#include "src/ops/opdef.h"

namespace lapidary {

/// What a row's `evaluate` sees. Inputs were checked by `check_node` and by `infer` on their types,
/// so an evaluation only checks what depends on elements (indices, requested sizes).
class EvalContext {
 public:
  EvalContext(AttrView attrs, std::span<const Tensor* const> inputs, size_t outputs)
      : attrs_(attrs), inputs_(inputs), outputs_(outputs) {}

  const AttrView& attrs() const { return attrs_; }
  int version() const { return attrs_.version(); }
  size_t input_count() const { return inputs_.size(); }
  bool has_input(size_t i) const { return i < inputs_.size() && inputs_[i] != nullptr; }
  /// Throws Error{kInvalid} where the input is absent.
  const Tensor& input(size_t i) const;
  size_t output_count() const { return outputs_.size(); }
  /// False where the node does not name that output.
  bool wants_output(size_t i) const {
    return i < outputs_.size() && i < attrs_.node().outputs.size() &&
           attrs_.node().outputs[i].valid();
  }
  void set_output(size_t i, Tensor value);
  std::vector<Tensor>& outputs() { return outputs_; }

  /// Integer elements (i32 or i64) as int64.
  std::vector<int64_t> ints(size_t i) const;

 private:
  AttrView attrs_;
  std::span<const Tensor* const> inputs_;
  std::vector<Tensor> outputs_;
};

/// Throws Error{kResource} where a node's outputs would take more than half the machine's memory:
/// an evaluation computes some of them in float64 beside the output, and asking the system for more
/// ends the process instead of the call.
void require_memory(int64_t bytes);

/// The evaluation alone, after `infer` was run on the same inputs; checks that the outputs are of
/// the types that it found.
std::vector<Tensor> evaluate_inferred(const OpDef& def, const InferContext& types,
                                      std::span<const Tensor* const> inputs);

/// Runs the reference evaluation of one node on tensors (null: absent input). First infers types on
/// the actual shapes, so that a wrong node is an error and not undefined behaviour. Throws
/// Error{kUnsupported} for an op that is not in the table or has no evaluation for the dtype.
std::vector<Tensor> evaluate_node(const Graph& graph, NodeId id,
                                  std::span<const Tensor* const> inputs);

}  // namespace lapidary
