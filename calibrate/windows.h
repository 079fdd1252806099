#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "lapidary/graph.h"

namespace lapidary {

/// Which elements of its input a linear node (Conv, Gemm, MatMul with constant weights) multiplies
/// with which weight. Means of linear outputs follow from sums of inputs:
///   mean_p y[o, p] = sum_k W[o, k] * (sum_p x[k, p]) / positions + b[o],
/// so one sum per weight column, taken over all window positions, stands for whole outputs. Exact
/// for integers, and far cheaper than the convolution.
struct WindowSpec {
  int64_t channels = 0;                    ///< C, or K of a matrix product
  std::array<int64_t, 2> input = {1, 1};   ///< H, W (rows of a matrix product: 1, rows)
  std::array<int64_t, 2> output = {1, 1};  ///< window positions
  std::array<int64_t, 2> kernel = {1, 1}, stride = {1, 1}, dilation = {1, 1}, pad = {0, 0};

  bool matrix = false;  ///< rows of channels, whatever the tap says of its layout

  int64_t columns() const { return channels * kernel[0] * kernel[1]; }
  int64_t positions() const { return output[0] * output[1]; }
  bool operator==(const WindowSpec&) const = default;
};

/// The spec of a linear node for an input of that shape (batch first), or none: unknown weight
/// shape, more than two spatial dims, a transposed left side. Whether the weights are constant is
/// the caller's question.
std::optional<WindowSpec> window_spec(const Graph& graph, NodeId id,
                                      std::span<const int64_t> input);

/// How much of axis 0 (size `leading`) of a tensor belongs to the first `counted` of the `ran`
/// samples that made it: all where none is padding, else equal parts per sample; none where they
/// cannot be told apart.
std::optional<int64_t> counted_rows(int64_t leading, int64_t ran, int64_t counted);

/// sums[(c * KH + kh) * KW + kw] += sum over positions of x[c, oh*sh + kh*dh - ph, ow*sw + kw*dw -
/// pw], padding counting as 0 (for quantized x: pass zero_point, which is subtracted from every
/// element). One sample; `channels_last`: x is [H, W, C], else [C, H, W].
void window_sums(const float* x, bool channels_last, const WindowSpec& spec, double* sums);
void window_sums(const uint8_t* x, bool channels_last, const WindowSpec& spec, int32_t zero_point,
                 int64_t* sums);
void window_sums(const int8_t* x, bool channels_last, const WindowSpec& spec, int32_t zero_point,
                 int64_t* sums);

}  // namespace lapidary
