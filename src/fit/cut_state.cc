#include "lapidary/train.h"
#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/ops/infer.h"
#include "src/ops/movement.h"

namespace lapidary {

namespace {

Tensor cut(const Tensor& whole, const std::map<int64_t, std::vector<int64_t>>& kept) {
  AxisTables tables = identity_tables(whole.shape());
  for (const auto& [axis, places] : kept) {
    if (axis < 0 || axis >= whole.rank() ||
        (!places.empty() && (places.front() < 0 || places.back() >= whole.dim(axis))))
      fail_invalid("elements are kept of axis {} of {}", axis, tensor_type(whole).text());
    tables[static_cast<size_t>(axis)] = places;
  }
  return take_axes(whole, tables);
}

}  // namespace

Trainer::Values cut_state(const Trainer::Values& state, const KeptElements& kept,
                          const Graph& pruned) {
  Trainer::Values out;
  for (const auto& [key, tensor] : state) {
    const size_t colon = key.find(':');
    if (colon == std::string::npos) {
      out[key] = tensor;
      continue;
    }
    const std::string constant = key.substr(colon + 1);
    const ValueId id = pruned.find_value(constant);
    if (!id || !pruned.constant(id)) continue;
    const auto found = kept.find(constant);
    Tensor& left = out[key] =
        found == kept.end()
            ? tensor
            : with_context([&] { return printable(key, 200); },
                           [&, &places = found->second] { return cut(tensor, places); });
    if (left.shape() != pruned.constant(id)->shape())
      fail_invalid("of the state '{}' {} is left, the graph's constant is {}", printable(key, 200),
                   tensor_type(left).text(), tensor_type(*pruned.constant(id)).text());
  }
  return out;
}

}  // namespace lapidary
