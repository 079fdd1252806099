#pragma once

#include "kernels/conv_s8/packed.h"
#include "kernels/scalar.h"

namespace lapidary::kernels {
namespace {

/// What becomes of acc of channel `oc` (`at` in the packed arrays) of output pixel `pixel`.
[[maybe_unused]] inline void store_value(const ConvS8Args& p, const PackedS8View& packed,
                                         int32_t acc, int64_t pixel, int64_t oc, int64_t at) {
  const int64_t y_at = pixel * (p.y_stride > 0 ? p.y_stride : p.shape.out_c) + oc;
  if (p.output == ConvS8Output::kI32) {
    static_cast<int32_t*>(p.y)[y_at] = acc;
    return;
  }
  const float scaled = static_cast<float>(acc) * packed.multipliers[at];
  if (p.output == ConvS8Output::kF32) {
    static_cast<float*>(p.y)[y_at] = p.float_bias != nullptr ? scaled + p.float_bias[oc] : scaled;
    return;
  }
  auto value = static_cast<uint8_t>(saturate_rint(scaled, p.y_zero, p.lo, p.hi));
  if (p.table != nullptr) value = p.table[value];
  const ConvS8Residual& r = p.residual;
  if (r.data != nullptr) {
    const uint8_t other = r.data[pixel * (r.stride > 0 ? r.stride : p.shape.out_c) + oc];
    value = r.conv_is_a ? add_value(value, other, r.add) : add_value(other, value, r.add);
  }
  static_cast<uint8_t*>(p.y)[y_at] = value;
}

}  // namespace
}  // namespace lapidary::kernels
