#include "src/exec/steps/reference.h"

#include <cstring>

#include "src/base/fail.h"
#include "src/exec/reference.h"

namespace lapidary::exec {

namespace {

bool shares(const Tensor& made, const Tensor& source) {
  const auto* begin = static_cast<const char*>(source.raw());
  const auto* at = static_cast<const char*>(made.raw());
  return begin != nullptr && at >= begin && at < begin + source.size_bytes();
}

Tensor copy_of(const Tensor& tensor) {
  Tensor copy(tensor.dtype(), tensor.shape());
  std::memcpy(copy.mutable_raw(), tensor.raw(), tensor.size_bytes());
  return copy;
}

}  // namespace

std::function<void(const StepRun&)> reference_step(const Graph& graph, NodeId id,
                                                   std::vector<Operand> reads,
                                                   std::vector<Operand> writes) {
  return [&graph, id, reads = std::move(reads), writes = std::move(writes)](const StepRun& run) {
    std::vector<Tensor> held(reads.size());
    std::vector<const Tensor*> inputs(reads.size());
    for (size_t i = 0; i < reads.size(); ++i) {
      if (!reads[i].valid()) continue;
      held[i] = run.tensor(reads[i]);
      inputs[i] = &held[i];
    }
    std::vector<Tensor> made = execute_node(graph, id, inputs);
    for (size_t i = 0; i < writes.size(); ++i) {
      if (!writes[i].valid()) continue;
      // A result that is an input's elements must not point into the arena.
      for (size_t j = 0; j < reads.size(); ++j)
        if (reads[j].valid() && run.in_arena(reads[j].storage) && shares(made[i], held[j]))
          made[i] = copy_of(made[i]);
      if (writes[i].known && tensor_type(made[i]) != tensor_type(writes[i].dtype, writes[i].shape))
        fail_invalid("{}: output {} is declared as {}, but was computed as {}",
                     node_label(graph, id), i, tensor_type(writes[i].dtype, writes[i].shape).text(),
                     tensor_type(made[i]).text());
      run.set_heap(writes[i], std::move(made[i]));
    }
  };
}

std::string reference_precision(const Graph& graph, NodeId id) {
  for (const ValueId v : graph.node(id).outputs)
    if (v) return dtype_name(graph.value(v).type.dtype);
  return "undefined";
}

}  // namespace lapidary::exec
