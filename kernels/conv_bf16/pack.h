#pragma once

#include "kernels/conv_f32/conv_f32.h"
#include "kernels/igemm/plan.h"

namespace lapidary::kernels {

/// FP32 bias, then BF16 weights as igemm/plan.h orders them, in units of 2.
void pack_bf16_igemm(const ConvShape& shape, const ConvF32Weights& weights,
                     const IgemmTraits& traits, void* packed);

namespace {

/// The shape whose pixels are whole pairs: a zero channel behind an odd number of them, so that a
/// unit never reaches into the next pixel (0 * NaN is not 0).
[[maybe_unused]] constexpr ConvShape in_pairs(ConvShape s) {
  if (s.groups == 1) s.in_c += s.in_c % 2;
  return s;
}

}  // namespace
}  // namespace lapidary::kernels
