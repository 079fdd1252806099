#pragma once

#include <cstdint>

#include "lapidary/data.h"
#include "lapidary/graph.h"
#include "src/pipeline/recipe_impl.h"

namespace lapidary {

/// Opens a record for a graph: the graph says each input's type and layout, and the number of
/// classes.
Dataset open_for(const DataRecord& record, const Graph& graph, uint64_t seed);

/// Classes of a graph whose first output is [N, C] or [N, C, 1, 1]; 0: no classifier, or unknown.
int64_t classes_of(const Graph& graph);

/// Rows [0, count) of a tensor that has as many.
Tensor first_rows(const Tensor& tensor, int64_t count);
/// The same as float32.
Tensor first_rows_f32(const Tensor& tensor, int64_t count);

}  // namespace lapidary
