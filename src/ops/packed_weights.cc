#include "src/ops/packed_weights.h"

#include <array>

#include "src/base/fail.h"

namespace lapidary {

namespace {

constexpr int64_t kMostExact = int64_t{1} << 24;  ///< float32 holds every integer up to it

constexpr int8_t binary_value(int code) { return code != 0 ? 1 : -1; }
constexpr int8_t ternary_value(int code) { return static_cast<int8_t>((code & 1) - (code >> 1)); }

/// Code `i` of a row of codes of `bits` bits.
int code_at(const uint8_t* row, int64_t i, int bits) {
  const int64_t per_byte = 8 / bits;
  return row[i / per_byte] >> (i % per_byte * bits) & ((1 << bits) - 1);
}

template <class T, class Value>
Tensor unpack_rows(const Tensor& packed, const Shape& shape, int bits, Value value) {
  Tensor out(DTypeOf<T>::value, shape);
  const int64_t n = slice_size(shape), bytes = packed.dim(1);
  T* to = out.mutable_data<T>().data();
  for (int64_t oc = 0; oc < shape[0]; ++oc)
    for (int64_t i = 0; i < n; ++i)
      *to++ = static_cast<T>(value(code_at(packed.data<uint8_t>().data() + oc * bytes, i, bits)));
  return out;
}

/// Bytes of bits that are all 1.
Tensor ones(int64_t rows, int64_t bytes) {
  Tensor out(DType::kU8, {rows, bytes});
  std::ranges::fill(out.mutable_data<uint8_t>(), uint8_t{255});
  return out;
}

}  // namespace

int64_t slice_size(std::span<const int64_t> shape) { return element_count(shape.subspan(1)); }

Tensor unpack_binary(const Tensor& packed, const Shape& shape) {
  return unpack_rows<float>(packed, shape, 1, binary_value);
}

Tensor unpack_ternary(const Tensor& packed, const Shape& shape) {
  return unpack_rows<int8_t>(packed, shape, 2, ternary_value);
}

Tensor unpack_binary_conv(const Tensor& packed, const Shape& shape) {
  Tensor out(DType::kF32, shape);
  const int64_t in_c = shape[1], area = shape[2] * shape[3], bytes = binary_bytes(in_c);
  float* to = out.mutable_data<float>().data();
  for (int64_t oc = 0; oc < shape[0]; ++oc) {
    const uint8_t* row = packed.data<uint8_t>().data() + oc * area * bytes;
    for (int64_t i = 0; i < in_c; ++i)
      for (int64_t tap = 0; tap < area; ++tap)
        *to++ = binary_value(code_at(row + tap * bytes, i, 1));
  }
  return out;
}

Tensor pack_binary(const Tensor& weights) {
  const int64_t n = slice_size(weights.shape()), bytes = binary_bytes(n);
  Tensor out = ones(weights.dim(0), bytes);
  const auto from = weights.data<float>();
  auto* to = out.mutable_data<uint8_t>().data();
  for (int64_t i = 0; i < weights.size(); ++i)
    if (!(from[static_cast<size_t>(i)] >= 0)) to[i / n * bytes + i % n / 8] ^= 1 << (i % n % 8);
  return out;
}

Tensor pack_binary_conv(const Tensor& weights) {
  const int64_t in_c = weights.dim(1), area = weights.dim(2) * weights.dim(3);
  const int64_t bytes = binary_bytes(in_c);
  Tensor out = ones(weights.dim(0), area * bytes);
  const float* from = weights.data<float>().data();
  auto* to = out.mutable_data<uint8_t>().data();
  for (int64_t oc = 0; oc < weights.dim(0); ++oc)
    for (int64_t i = 0; i < in_c; ++i)
      for (int64_t tap = 0; tap < area; ++tap)
        if (!(*from++ >= 0)) to[(oc * area + tap) * bytes + i / 8] ^= 1 << (i % 8);
  return out;
}

Tensor pack_ternary(const Tensor& weights) {
  const int64_t n = slice_size(weights.shape()), bytes = ternary_bytes(n);
  Tensor out(DType::kU8, {weights.dim(0), bytes});
  const auto from = weights.data<int8_t>();
  auto* to = out.mutable_data<uint8_t>().data();
  for (int64_t i = 0; i < weights.size(); ++i) {
    const int w = from[static_cast<size_t>(i)], code = w > 0 ? 1 : w < 0 ? 2 : 0;
    to[i / n * bytes + i % n / 4] |= static_cast<uint8_t>(code << (i % n % 4 * 2));
  }
  return out;
}

void require_packed(const InferContext& context, size_t i, int64_t bytes) {
  context.require_dtype(i, std::array{DType::kU8});
  context.require_rank(i, 2, 2);
  const auto* shape = context.shape(i);
  if (shape && (*shape)[1].known() && (*shape)[1].value != bytes)
    fail_invalid("the packed weights are {}, expected {} bytes a row", context.type(i).text(),
                 bytes);
}

Dim require_affine(const InferContext& context, size_t w, size_t scale, size_t bias) {
  Dim channels = context.shape(w) ? (*context.shape(w))[0] : Dim();
  for (const size_t i : {scale, bias}) {
    context.require_dtype(i, std::array{DType::kF32});
    context.require_rank(i, 1, 1);
    if (const auto* shape = context.shape(i)) channels = unify_dim(channels, (*shape)[0]);
  }
  return channels;
}

void require_exact_sums(int64_t products) {
  if (products > kMostExact)
    fail_invalid("sums of {} products are not exact in float32, at most {} are", products,
                 kMostExact);
}

// -- bodies

ValueId body_signs(BodyBuilder& b, ValueId x) {
  const ValueId positive = b.op("GreaterOrEqual", {x, b.number(0)});
  return b.op("Where", {positive, b.number(1), b.number(-1)});
}

ValueId body_codes(BodyBuilder& b, ValueId w, bool ternary) {
  const int bits = ternary ? 2 : 1, per_byte = 8 / bits;
  Tensor table(DType::kI8, {256, per_byte});
  for (int byte = 0; byte < 256; ++byte) {
    const auto row = static_cast<uint8_t>(byte);
    for (int i = 0; i < per_byte; ++i) {
      const int code = code_at(&row, i, bits);
      table.mutable_data<int8_t>()[static_cast<size_t>(byte * per_byte + i)] =
          ternary ? ternary_value(code) : binary_value(code);
    }
  }
  const auto index = static_cast<int64_t>(DType::kI32);
  return b.op("Gather", {b.constant(std::move(table)), b.op("Cast", {w}, {{"to", index}})});
}

ValueId body_affine(BodyBuilder& b, ValueId acc, ValueId scale, ValueId bias,
                    std::vector<int64_t> shape) {
  const auto most = static_cast<float>(kMostExact);
  const ValueId kept = b.op("Clip", {acc, b.number(-most), b.number(most)});
  const ValueId to = b.ints(std::move(shape));
  const ValueId scaled = b.op("Mul", {kept, b.op("Reshape", {scale, to})});
  return b.op("Add", {scaled, b.op("Reshape", {bias, to})});
}

}  // namespace lapidary
