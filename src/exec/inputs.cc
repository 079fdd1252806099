#include "src/exec/inputs.h"

#include <vector>

#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary::exec {

namespace {

std::vector<std::string> input_names(const Graph& graph) {
  std::vector<std::string> names;
  for (const ValueId id : graph.inputs()) names.push_back(graph.value(id).name);
  return names;
}

void check_type(const TensorType& expected, const Tensor& given,
                std::unordered_map<std::string, int64_t>& symbols) {
  const auto refuse = [&] {
    fail_invalid("found {}, expected {}", tensor_type(given).text(), expected.text());
  };
  if (expected.dtype != DType::kUndefined && given.dtype() != expected.dtype) refuse();
  if (!expected.shape) return;
  if (static_cast<int64_t>(expected.shape->size()) != given.rank()) refuse();
  for (size_t axis = 0; axis < expected.shape->size(); ++axis) {
    const Dim& dim = (*expected.shape)[axis];
    const int64_t size = given.shape()[axis];
    if (dim.known() && dim.value != size) refuse();
    if (dim.known() || dim.symbol.empty()) continue;
    const auto [bound, fresh] = symbols.emplace(dim.symbol, size);
    if (!fresh && bound->second != size)
      fail_invalid("axis {} is {}, but '{}' is {} elsewhere", axis, size,
                   printable(dim.symbol, 100), bound->second);
  }
}

}  // namespace

void check_inputs(const Graph& graph, const Executor::Values& inputs) {
  const std::vector<std::string> names = input_names(graph);
  for (const auto& [name, tensor] : inputs) {
    const ValueId id = graph.find_value(name);
    if (!id || !graph.is_input(id))
      fail_invalid("the model has no input '{}'; its inputs are {}{}", printable(name, 200),
                   printable(fmt::format("{}", fmt::join(names, ", "))), did_you_mean(name, names));
  }
  std::unordered_map<std::string, int64_t> symbols;
  for (const ValueId id : graph.inputs()) {
    const Value& value = graph.value(id);
    const auto given = inputs.find(value.name);
    if (given == inputs.end()) {
      if (value.constant) continue;
      fail_invalid("input '{}' ({}) is missing", printable(value.name, 200), value.type.text());
    }
    with_context([&] { return fmt::format("input '{}'", printable(value.name, 200)); },
                 [&] { check_type(value.type, given->second, symbols); });
  }
}

}  // namespace lapidary::exec
