#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "calibrate/layer_weights.h"
#include "lapidary/data.h"
#include "lapidary/graph.h"

namespace lapidary {

/// H = 2 X X^T of a layer's inputs, whose columns x are what one output is a product of: the
/// second derivative of |W x - y|^2 by a row of W, summed over samples and positions. One matrix
/// [columns, columns] per group, symmetric, row-major; columns as WeightMatrix has them.
struct Hessian {
  int64_t columns = 0;
  std::vector<std::vector<double>> groups;
};

/// Columns of a Hessian at most. One of 8192 is 512 MB, and its inverse and factor as much again;
/// of solutions of least squares and eigenvectors there is less room.
inline constexpr int64_t kMostInvertedColumns = 8192, kMostSolvedColumns = 6144;

/// Why inputs of the layer cannot be collected; empty: they can (Conv, Gemm of an input that is not
/// transposed, MatMul by a matrix; so many columns at most).
std::string hessian_refusal(const Graph& graph, const LayerWeights& layer, int64_t most_columns);

/// Adds what the first `rows` of the leading axis of `x` bring, the input of `reader`, which is one
/// of the layer's.
void add_inputs(const Graph& graph, const LayerWeights& layer, NodeId reader, const Tensor& x,
                int64_t rows, Hessian& hessian);

/// Of each of `layers`, over the first `samples` of the data (0: all), as the graph is now. Throws
/// Error{kInvalid} for inputs that are not finite.
std::vector<Hessian> hessians(const Graph& graph, std::span<const LayerWeights* const> layers,
                              const Dataset& data, int64_t samples, int threads);
/// The same, handed to take(index, hessian) one by one in order: one pass over the data for as many
/// layers as fit into some 512 MB.
void each_hessian(const Graph& graph, std::span<const LayerWeights* const> layers,
                  const Dataset& data, int64_t samples, int threads,
                  const std::function<void(size_t, const Hessian&)>& take);

}  // namespace lapidary
