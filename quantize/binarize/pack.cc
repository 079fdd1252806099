#include "quantize/binarize/pack.h"

#include <cmath>

#include "src/base/fail.h"
#include "src/ops/elements.h"

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

Tensor codes_of(const CodedWeight& weight, DType dtype) {
  const Tensor codes = Tensor::of<int8_t>(weight.shape, weight.code);
  return dtype == DType::kI8 ? codes : make_from(dtype, weight.shape, read_as<float>(codes));
}

}  // namespace lapidary
