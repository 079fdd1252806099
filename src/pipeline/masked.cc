#include "src/pipeline/masked.h"

#include <string_view>
#include <vector>

#include "src/data/deflate.h"

namespace lapidary {

namespace {

int64_t compressed_constants(const Graph& graph) {
  std::vector<std::string_view> parts;
  for (const ValueId id : graph.values())
    if (const Tensor* constant = graph.constant(id); constant && constant->size_bytes() > 0)
      parts.emplace_back(static_cast<const char*>(constant->raw()), constant->size_bytes());
  return deflated_size(parts);
}

}  // namespace

MaskedRecord measure_masked(const Graph& before, const Graph& last) {
  return {.sparsity = measure_sparsity(last),
          .compressed_bytes = compressed_constants(last),
          .compressed_before = compressed_constants(before)};
}

}  // namespace lapidary
