#pragma once

#include <span>

#include "kernels/conv_f32/conv_f32.h"

namespace lapidary::kernels {

/// The scalar row of conv_f32, on which the families with narrower operands build theirs.
inline const ConvF32Functions& scalar_conv_f32() { return *conv_f32_kernels().back().call; }

/// The weights in what that row packed; its bias of blocks * 8 floats stands before them.
inline std::span<float> scalar_weights(const ConvShape& s, void* packed) {
  const auto bias = static_cast<size_t>(scalar_conv_f32().blocks(s) * 8);
  return std::span(static_cast<float*>(packed), scalar_conv_f32().packed_bytes(s) / sizeof(float))
      .subspan(bias);
}

}  // namespace lapidary::kernels
