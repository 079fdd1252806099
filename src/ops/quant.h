#pragma once

#include <cmath>
#include <vector>

#include "src/base/float8.h"
#include "src/ops/elements.h"

// real = (q - zero_point) * scale: what the quantization ops share.

namespace lapidary {

/// Integers that a quantized element may take; throws Error{kUnsupported} for float8, float4 and
/// others.
struct QuantRange {
  int32_t min = 0, max = 255;
};
QuantRange quant_range(DType dtype);

/// Elements of a quantized tensor (2 to 32 bits).
std::vector<int32_t> read_quantized(const Tensor& tensor);
/// Elements of a float8 tensor.
std::vector<float> read_float8(const Tensor& tensor);
/// Elements must be in the range of `dtype`.
Tensor make_quantized(DType dtype, Shape shape, std::span<const int32_t> values);

/// saturate(round_half_even(v) + zero_point), NaN to the lowest.
inline int32_t saturate(float v, int32_t zero_point, QuantRange range) {
  const double shifted = static_cast<double>(std::nearbyint(v)) + zero_point;
  if (!(shifted > range.min)) return range.min;
  return shifted < range.max ? static_cast<int32_t>(shifted) : range.max;
}

/// Throws Error{kInvalid} for a scale that is zero, negative, denormal, infinite or NaN.
void check_scale(const Tensor& scale);
inline constexpr std::array kFloat32{DType::kF32};
/// One scale: rank 0, or rank 1 with one element; checks the scale where it is known.
void infer_scalar_scale(const InferContext& context, size_t scale,
                        std::span<const DType> allowed = kFloat32);
/// A zero point, where present, has the shape of its scale and the dtype of `like`.
void infer_zero_point(const InferContext& context, size_t zero_point, size_t scale);
/// One scale, or one for each of `count` slices; checks the scale where it is known.
void infer_slice_scales(const InferContext& context, size_t scale, const Dim& count,
                        std::span<const DType> allowed = kFloat32);
inline constexpr std::array kByteDTypes{DType::kU8, DType::kI8};
/// A scale of one element, checked.
float read_scale(const EvalContext& context, size_t scale);
/// A zero point of one element, 0 where absent.
int32_t read_zero_point(const EvalContext& context, size_t zero_point);

/// `count` of them, one repeated where the input has one element; checked. Zero points: 0 where
/// absent.
std::vector<float> read_scales(const EvalContext& context, size_t scale, int64_t count);
std::vector<int32_t> read_zero_points(const EvalContext& context, size_t zero_point, int64_t count);

/// What the integer kernels compute in: elements minus their zero point.
std::vector<int32_t> read_centered(const EvalContext& context, size_t x, size_t zero_point);

/// Which scale belongs to which element: x is seen as [outer, dim, inner].
struct QuantLayout {
  enum class Kind { kTensor, kAxis, kBlocks } kind = Kind::kTensor;
  int64_t outer = 1, dim = 1, inner = 1;
  int64_t block = 1;  ///< elements along `dim` that share a scale

  /// Index of the scale of element i.
  int64_t scale_index(int64_t i) const {
    if (kind == Kind::kTensor) return 0;
    const int64_t d = i / inner % dim;
    if (kind == Kind::kAxis) return d;
    const int64_t blocks = (dim + block - 1) / block;
    return (i / inner / dim * blocks + d / block) * inner + i % inner;
  }
};
QuantLayout quant_layout(const AttrView& attrs, const Shape& x, const Shape& scale);

/// x, scale, zero point and y of QuantizeLinear and DequantizeLinear.
void tie_quantized(AxisFlow& flow);

/// Checks of QuantizeLinear and DequantizeLinear on inputs x, scale, zero point (0, 1, 2): shapes
/// of scale and zero point against x, `axis`, `block_size`, the scale's values where known.
void infer_quant_params(const InferContext& context);

}  // namespace lapidary
