#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "lapidary/export.h"

namespace lapidary {

class AttrView;

/// A node ai.lapidary.FakeQuantizeBias on memory: what an int32 bias keeps of a float one. Arrays
/// of `channels` elements; those without a BatchNormalization behind the layer are null.
struct FakeQuantizeBias {
  int64_t channels = 0;
  float input_scale = 1;                ///< s_x
  const float* weight_scale = nullptr;  ///< s_w
  int64_t weight_scales = 1;            ///< one, or one per channel
  const float* gamma = nullptr;
  const float* mean = nullptr;
  const float* variance = nullptr;
  const float* layer_bias = nullptr;  ///< of the layer itself, before the BatchNormalization
  float epsilon = 1e-5f;
  bool folded_scale = false;  ///< s_w is of the weights times r

  /// The elements of the node's inputs in their order; empty: absent.
  using Inputs = std::array<std::span<const float>, 7>;
  LAPIDARY_API static FakeQuantizeBias of(const Inputs& inputs, const AttrView& attrs);
};

/// y = rint((b + o) / g) g - o,  half to even; b where g is 0:
///   r = gamma / sqrt(variance + epsilon),  o = (layer_bias - mean) r;  without gamma r = 1, o = 0
///   g = s_x s_w |r|,  s_x s_w with `folded_scale`: the unit of the folded layer's accumulators
LAPIDARY_API void fake_quantize_bias(const FakeQuantizeBias& how, const float* b, float* y);

}  // namespace lapidary
