#include "src/ops/evaluate.h"

#include <unistd.h>

#include <new>
#include <stdexcept>

#include "src/base/checked.h"
#include "src/base/fail.h"

namespace lapidary {

namespace {

bool fits(const Tensor& made, const TensorType& expected) {
  if (expected.dtype != DType::kUndefined && made.dtype() != expected.dtype) return false;
  if (!expected.shape) return true;
  if (expected.shape->size() != made.shape().size()) return false;
  for (size_t i = 0; i < made.shape().size(); ++i)
    if ((*expected.shape)[i].known() && (*expected.shape)[i].value != made.shape()[i]) return false;
  return true;
}

void check_memory(const InferContext& types) {
  int64_t bytes = 0;
  for (size_t i = 0; i < types.output_count(); ++i) {
    const TensorType& type = types.output_type(i);
    if (!type.is_static()) continue;
    const auto element = static_cast<int64_t>(dtype_size(type.dtype));
    bytes = checked_add(bytes, checked_mul(element_count(type.static_shape()), element));
  }
  require_memory(bytes);
}

}  // namespace

void require_memory(int64_t bytes) {
  static const int64_t limit = int64_t{sysconf(_SC_PHYS_PAGES)} / 2 * sysconf(_SC_PAGESIZE);
  if (bytes > limit)
    fail(ErrorCode::kResource, "the outputs would take {} bytes, the limit here is {}", bytes,
         limit);
}

std::vector<Tensor> evaluate_inferred(const OpDef& def, const InferContext& types,
                                      std::span<const Tensor* const> inputs) {
  if (def.evaluate == nullptr) fail_unsupported("{} has no evaluation", def.name);
  EvalContext context(types.attrs(), inputs, types.output_count());
  check_memory(types);
  try {
    def.evaluate(context);
  } catch (const std::bad_alloc&) {
    fail(ErrorCode::kResource, "out of memory");
  } catch (const std::length_error&) {
    fail(ErrorCode::kResource, "a size beyond what memory can hold");
  }
  for (size_t i = 0; i < types.output_count(); ++i)
    if (context.wants_output(i) && !fits(context.outputs()[i], types.output_type(i)))
      fail(ErrorCode::kInternal, "{}: output {} was inferred as {}, computed as {}", def.name, i,
           types.output_type(i).text(), tensor_type(context.outputs()[i]).text());
  return std::move(context.outputs());
}

std::vector<Tensor> evaluate_node(const Graph& graph, NodeId id,
                                  std::span<const Tensor* const> inputs) {
  check_node(graph, id);
  return with_context([&] { return node_label(graph, id); },
                      [&] {
                        const ResolvedOp op = require_op(graph, id);
                        const Node& node = graph.node(id);
                        LAPIDARY_CHECK(inputs.size() == node.inputs.size());
                        std::vector<InferContext::Input> known;
                        for (const Tensor* t : inputs)
                          known.push_back(t ? InferContext::Input{true, tensor_type(*t), t}
                                            : InferContext::Input{});
                        InferContext types(AttrView(node, op.version), std::move(known),
                                           node.outputs.size());
                        op.def->infer(types);
                        return evaluate_inferred(*op.def, types, inputs);
                      });
}

}  // namespace lapidary
