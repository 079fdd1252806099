#include "quantize/binarize/pack.h"

#include <cmath>

#include "src/base/fail.h"

namespace lapidary {

namespace {

/// In row-major order with the axis of channels first.
Tensor channels_first(const Tensor& weight, int64_t axis) {
  if (axis == 0) return weight;
  LAPIDARY_CHECK(weight.rank() == 2 && axis == 1);
  const int64_t rows = weight.dim(0), columns = weight.dim(1);
  Tensor out(DType::kF32, {columns, rows});
  const auto from = weight.data<float>();
  const auto to = out.mutable_data<float>();
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      to[static_cast<size_t>(c * rows + r)] = from[static_cast<size_t>(r * columns + c)];
  return out;
}

/// `magnitude` is what all nonzero elements of one sign of a channel have in common.
void join(float& magnitude, float v) {
  const float size = std::fabs(v);
  if (magnitude == 0) magnitude = size;
  if (magnitude != size || !std::isfinite(v))
    fail_invalid("weights that should be one size up to their sign are {} and {}", magnitude, v);
}

}  // namespace

CodedWeight read_codes(const Tensor& weight, int64_t axis, bool ternary) {
  const Tensor ordered = channels_first(weight, axis);
  CodedWeight out{.shape = ordered.shape()};
  const auto w = ordered.data<float>();
  const auto channels = static_cast<size_t>(out.channels());
  const size_t each = channels > 0 ? w.size() / channels : 0;
  out.positive.assign(channels, 0);
  out.negative.assign(channels, 0);
  for (size_t i = 0; i < w.size(); ++i) {
    if (!std::isfinite(w[i])) fail_invalid("a weight is {}", w[i]);
    const size_t c = i / each;
    if (w[i] != 0) join(w[i] > 0 || !ternary ? out.positive[c] : out.negative[c], w[i]);
    out.code.push_back(w[i] > 0 ? 1 : w[i] < 0 ? -1 : ternary ? 0 : 1);
  }
  if (ternary) return out;
  // Of zeros and others in one channel no factor of signs is made.
  for (size_t i = 0; i < w.size(); ++i)
    if (w[i] == 0 && out.positive[i / each] != 0) fail_invalid("a binary weight is 0");
  out.negative = out.positive;
  return out;
}

Tensor pack_kernel(const CodedWeight& weight) {
  const int64_t in = weight.shape.at(1), taps = weight.shape.at(2) * weight.shape.at(3);
  const int64_t bytes = (in + 7) / 8;
  Tensor out(DType::kU8, {weight.channels(), taps * bytes});
  const auto to = out.mutable_data<uint8_t>();
  for (uint8_t& byte : to) byte = 0xff;
  for (int64_t c = 0; c < weight.channels(); ++c)
    for (int64_t i = 0; i < in; ++i)
      for (int64_t tap = 0; tap < taps; ++tap)
        if (weight.code[static_cast<size_t>((c * in + i) * taps + tap)] < 0)
          to[static_cast<size_t>((c * taps + tap) * bytes + i / 8)] &=
              static_cast<uint8_t>(~(1u << (i % 8)));
  return out;
}

Tensor pack_signs(const CodedWeight& weight) {
  const int64_t n = std::ssize(weight.code) / std::max<int64_t>(weight.channels(), 1);
  const int64_t bytes = (n + 7) / 8;
  Tensor out(DType::kU8, {weight.channels(), bytes});
  const auto to = out.mutable_data<uint8_t>();
  for (uint8_t& byte : to) byte = 0xff;
  for (int64_t c = 0; c < weight.channels(); ++c)
    for (int64_t i = 0; i < n; ++i)
      if (weight.code[static_cast<size_t>(c * n + i)] < 0)
        to[static_cast<size_t>(c * bytes + i / 8)] &= static_cast<uint8_t>(~(1u << (i % 8)));
  return out;
}

Tensor pack_ternary(const CodedWeight& weight) {
  const int64_t n = std::ssize(weight.code) / std::max<int64_t>(weight.channels(), 1);
  const int64_t bytes = (n + 3) / 4;
  Tensor out(DType::kU8, {weight.channels(), bytes});
  const auto to = out.mutable_data<uint8_t>();
  for (uint8_t& byte : to) byte = 0;
  for (int64_t c = 0; c < weight.channels(); ++c)
    for (int64_t i = 0; i < n; ++i) {
      const int8_t code = weight.code[static_cast<size_t>(c * n + i)];
      const unsigned bits = code > 0 ? 1 : code < 0 ? 2 : 0;
      to[static_cast<size_t>(c * bytes + i / 4)] |= static_cast<uint8_t>(bits << (2 * (i % 4)));
    }
  return out;
}

}  // namespace lapidary
