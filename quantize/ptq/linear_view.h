#pragma once

#include "lapidary/graph.h"
#include "quantize/qdq_graph.h"

namespace lapidary {

/// A layer's weights as a matrix: row c (an output) times the window columns of its group. Works
/// for Conv [O, I/G, KH, KW], Gemm [K, N] or [N, K] and MatMul [K, N].
struct LinearView {
  int64_t rows = 0;
  int64_t columns = 0;  ///< per row
  int64_t row_stride = 0, column_stride = 1;
  int64_t rows_per_group = 0;  ///< rows of one group share their window columns

  int64_t at(int64_t row, int64_t column) const {
    return row * row_stride + column * column_stride;
  }
  /// Index of the row's first window column (WindowSpec's numbering).
  int64_t first_column(int64_t row) const { return row / rows_per_group * columns; }
};

inline LinearView linear_view(const Graph& graph, const QdqLayer& layer) {
  const Tensor& weight = layer.float_weight;
  const Node& node = graph.node(layer.node);
  LinearView view;
  view.rows = weight.dim(layer.weight_axis);
  view.columns = weight.size() / std::max<int64_t>(view.rows, 1);
  view.rows_per_group = view.rows;
  if (layer.weight_axis == 0) {
    view.row_stride = view.columns;
    const Attr* group = node.attr("group");
    if (node.op == "Conv" && group) view.rows_per_group = view.rows / std::get<int64_t>(*group);
  } else {
    view.row_stride = 1;
    view.column_stride = view.rows;
  }
  return view;
}

}  // namespace lapidary
