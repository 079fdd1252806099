#include "quantize/qparams.h"

#include <algorithm>
#include <cmath>

#include "src/base/fail.h"

namespace lapidary {

namespace {

/// Calls body(slice, offset, count) for every contiguous run of elements of one slice.
template <class Body>
void for_slices(const Slices& slices, const Body& body) {
  for (int64_t o = 0; o < slices.outer; ++o)
    for (int64_t c = 0; c < slices.count; ++c)
      body(static_cast<size_t>(c), (o * slices.count + c) * slices.inner, slices.inner);
}

Slices slices_for(const Tensor& tensor, const QuantParams& params) {
  if (params.per_tensor()) return {1, 1, tensor.size()};
  const Slices slices = slices_of(tensor.shape(), params.axis);
  LAPIDARY_CHECK(static_cast<size_t>(slices.count) == params.scale.size());
  return slices;
}

template <class T>
void quantize_to(const Tensor& real, const QuantParams& params, Tensor& out) {
  const auto x = real.data<float>();
  const auto q = out.mutable_data<T>();
  for_slices(slices_for(real, params), [&](size_t c, int64_t offset, int64_t count) {
    const float scale = params.scale[c];
    const auto zero = static_cast<double>(params.zero_point[c]);
    for (int64_t i = offset; i < offset + count; ++i) {
      const double rounded = std::nearbyint(x[static_cast<size_t>(i)] / scale) + zero;
      q[static_cast<size_t>(i)] = static_cast<T>(
          std::clamp(rounded, static_cast<double>(params.qmin), static_cast<double>(params.qmax)));
    }
  });
}

template <class T>
void dequantize_from(const Tensor& stored, const QuantParams& params, Tensor& out) {
  const auto q = stored.data<T>();
  const auto x = out.mutable_data<float>();
  for_slices(slices_for(stored, params), [&](size_t c, int64_t offset, int64_t count) {
    for (int64_t i = offset; i < offset + count; ++i)
      x[static_cast<size_t>(i)] =
          static_cast<float>(static_cast<int64_t>(q[static_cast<size_t>(i)]) -
                             params.zero_point[c]) *
          params.scale[c];
  });
}

void check_finite(const Range& range) {
  if (!std::isfinite(range.low) || !std::isfinite(range.high) || range.low > range.high)
    fail_invalid("no scale covers the range [{}, {}]", range.low, range.high);
}

/// {scale, zero point} of one slice.
std::pair<float, int32_t> fit(Range range, const QuantScheme& scheme) {
  check_finite(range);
  range.low = std::min(range.low, 0.0);
  range.high = std::max(range.high, 0.0);
  const int32_t qmin = scheme.qmin(), qmax = scheme.qmax();
  const int32_t middle = scheme.is_signed ? 0 : 1 << (scheme.bits - 1);
  const int32_t neutral = scheme.symmetric ? middle : std::clamp(0, qmin, qmax);
  if (range.low == 0 && range.high == 0) return {1.0f, neutral};
  double scale;
  if (scheme.symmetric)
    scale = std::max(-range.low, range.high) / (qmax - middle);
  else
    scale = (range.high - range.low) / (static_cast<double>(qmax) - qmin);
  constexpr double kMost = std::numeric_limits<float>::max();
  const auto s = static_cast<float>(std::clamp(scale, static_cast<double>(kLeastScale), kMost));
  if (scheme.symmetric) return {s, middle};
  const double zero = std::nearbyint(qmin - range.low / s);
  return {s, static_cast<int32_t>(std::clamp<double>(zero, qmin, qmax))};
}

}  // namespace

int32_t QuantScheme::qmin() const {
  if (!is_signed) return 0;
  return -(1 << (bits - 1)) + (narrow_range ? 1 : 0);
}

int32_t QuantScheme::qmax() const { return is_signed ? (1 << (bits - 1)) - 1 : (1 << bits) - 1; }

DType QuantScheme::storage() const {
  if (bits < 2 || bits > 16) fail_usage("{}-bit integers are not supported (2 to 16)", bits);
  if (bits <= 8) return is_signed ? DType::kI8 : DType::kU8;
  return is_signed ? DType::kI16 : DType::kU16;
}

QuantParams choose_qparams(std::span<const Range> ranges, const QuantScheme& scheme) {
  QuantParams params;
  params.storage = scheme.storage();
  params.axis = scheme.axis;
  params.qmin = scheme.qmin();
  params.qmax = scheme.qmax();
  for (const Range& range : ranges) {
    const auto [scale, zero] = fit(range, scheme);
    params.scale.push_back(scale);
    params.zero_point.push_back(zero);
  }
  return params;
}

QuantParams choose_qparams(const Range& range, const QuantScheme& scheme) {
  return choose_qparams(std::span(&range, 1), scheme);
}

Range covered_range(const QuantParams& params, size_t i) {
  const double scale = params.scale.at(i);
  return {(params.qmin - params.zero_point.at(i)) * scale,
          (params.qmax - params.zero_point.at(i)) * scale};
}

Slices slices_of(std::span<const int64_t> shape, int64_t axis) {
  Slices slices;
  for (size_t i = 0; i < shape.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    (at < axis ? slices.outer : at == axis ? slices.count : slices.inner) *= shape[i];
  }
  return slices;
}

Tensor quantize_tensor(const Tensor& real, const QuantParams& params) {
  Tensor out(params.storage, real.shape());
  switch (params.storage) {
    case DType::kU8:
      quantize_to<uint8_t>(real, params, out);
      break;
    case DType::kI8:
      quantize_to<int8_t>(real, params, out);
      break;
    case DType::kU16:
      quantize_to<uint16_t>(real, params, out);
      break;
    case DType::kI16:
      quantize_to<int16_t>(real, params, out);
      break;
    case DType::kI32:
      quantize_to<int32_t>(real, params, out);
      break;
    default:
      fail_unsupported("quantizing to {}", dtype_name(params.storage));
  }
  return out;
}

Tensor dequantize_tensor(const Tensor& stored, const QuantParams& params) {
  Tensor out(DType::kF32, stored.shape());
  switch (params.storage) {
    case DType::kU8:
      dequantize_from<uint8_t>(stored, params, out);
      break;
    case DType::kI8:
      dequantize_from<int8_t>(stored, params, out);
      break;
    case DType::kU16:
      dequantize_from<uint16_t>(stored, params, out);
      break;
    case DType::kI16:
      dequantize_from<int16_t>(stored, params, out);
      break;
    case DType::kI32:
      dequantize_from<int32_t>(stored, params, out);
      break;
    default:
      fail_unsupported("dequantizing {}", dtype_name(params.storage));
  }
  return out;
}

}  // namespace lapidary
