#pragma once

#include "kernels/conv_s8/conv_s8.h"

namespace lapidary::kernels {

/// conv_s8 of ternary weights, kept in two bits each: every weight is -1, 0 or 1, s8 with zero
/// point 0, groups == 1. All else, bit for bit, is as conv_s8 says. Before a block of output
/// channels is computed its weights are expanded into scratch, once a call: two bits save memory,
/// not time.
struct ConvT2Args : ConvS8Args {};

/// As ConvS8Functions, but that `pack` takes memory for a block's weights.
struct ConvT2Functions {
  size_t (*packed_bytes)(const ConvShape&);
  size_t (*scratch_bytes)(const ConvShape&);
  int64_t (*blocks)(const ConvShape&);
  void (*pack)(const ConvShape&, const ConvS8Weights&, void* packed);
  void (*run)(const ConvT2Args&);
};
struct ConvT2Kernel {
  RowInfo row;
  const ConvT2Functions* call;
};

/// As set_bias and set_multipliers of conv_s8, on what ConvT2Functions packs.
void set_bias_t2(void* packed, const int32_t* bias, int x_zero);
void set_multipliers_t2(void* packed, const float* multipliers, int64_t count);

std::span<const ConvT2Kernel> conv_t2_kernels();
Choice<ConvT2Kernel> select_conv_t2(const ConvShape&);
/// As run_conv_s8.
void run_conv_t2(const ConvT2Kernel&, const ConvT2Args&, int threads = 0);
size_t scratch_bytes(const ConvT2Kernel&, const ConvShape&, int threads = 0);

}  // namespace lapidary::kernels
