#pragma once

#include <span>

#include "src/ops/function_body.h"
#include "src/ops/infer.h"

namespace lapidary {

// Weights of the binary and ternary ops: uint8 [OC, bytes], codes from the least significant bit of
// a byte on. Binary: one bit, 1 is +1 and 0 is -1; bits past the last are 1. Ternary: two bits, 0,
// 1, 2 are 0, +1, -1 (3 is 0); codes past the last are 0.

constexpr int64_t binary_bytes(int64_t count) { return (count + 7) / 8; }
constexpr int64_t ternary_bytes(int64_t count) { return (count + 3) / 4; }

/// Elements of one slice along axis 0 of a shape.
int64_t slice_size(std::span<const int64_t> shape);

/// +1 or -1 of rows [OC, ceil(n / 8)], `shape` [OC, ...] with n elements a slice, in C order.
Tensor unpack_binary(const Tensor& packed, const Shape& shape);
/// The weights of BinaryConv, [OC, KH * KW * ceil(IC / 8)], as `shape` [OC, IC, KH, KW].
Tensor unpack_binary_conv(const Tensor& packed, const Shape& shape);
/// int8 -1, 0 or 1 of rows [OC, ceil(n / 4)].
Tensor unpack_ternary(const Tensor& packed, const Shape& shape);

/// Inverses: floats [OC, ...], +1 where >= 0; floats [OC, IC, KH, KW]; int8 [OC, ...] by sign.
Tensor pack_binary(const Tensor& weights);
Tensor pack_binary_conv(const Tensor& weights);
Tensor pack_ternary(const Tensor& weights);

/// Throws Error{kInvalid} where input `i` is not uint8 [any, bytes]. Unknown parts pass.
void require_packed(const InferContext& context, size_t i, int64_t bytes);
/// Throws Error{kInvalid} unless inputs `scale` and `bias` are float [OC], OC that of the packed
/// weights, input `w`. Returns OC.
Dim require_affine(const InferContext& context, size_t w, size_t scale, size_t bias);
/// Throws Error{kInvalid} where sums of so many products of +1 and -1 are not all exact in float32.
void require_exact_sums(int64_t products);

// -- of portable bodies
/// x >= 0 ? 1 : -1
ValueId body_signs(BodyBuilder& b, ValueId x);
/// [OC, bytes] -> int8 [OC, bytes, codes of a byte]
ValueId body_codes(BodyBuilder& b, ValueId w, bool ternary);
/// acc * scale + bias, rounded twice: `shape` is that of scale and bias beside acc. Engines would
/// fold the scale into the weights, and round acc * scale otherwise; they do not see it through a
/// Clip that changes nothing.
ValueId body_affine(BodyBuilder& b, ValueId acc, ValueId scale, ValueId bias,
                    std::vector<int64_t> shape);

/// The same here: float(acc) * scale + bias.
inline float binary_affine(int64_t acc, float scale, float bias) {
  return static_cast<float>(acc) * scale + bias;
}

}  // namespace lapidary
