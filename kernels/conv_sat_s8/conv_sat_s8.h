#pragma once

#include "kernels/conv_s8/conv_s8.h"

namespace lapidary::kernels {

/// conv_s8 as x86 CPUs without VNNI compute it (vpmaddubsw, then vpmaddwd by ones): products of u8
/// inputs by s8 weights are added in pairs that saturate to 16 bits, the rest wraps in 32. With x
/// and w the inputs and weights of an output in the order ky, kx, i, then zeros,
///   acc = bias[c] - zx * sum(w - zw[c]) - zw[c] * sum(x)
///         + sum_j sat16(x[2j] * w[2j] + x[2j+1] * w[2j+1]),
/// x = zx outside the image, u8 weights less 128. Packed weights are set as conv_s8's (set_bias,
/// set_multipliers). These rows show what such a CPU returns: they are not for speed.
struct ConvSatS8Args : ConvS8Args {
  int64_t* saturated = nullptr;  ///< pairs that saturated are added to it, atomically; or null
};

/// As ConvS8Functions.
struct ConvSatS8Functions {
  size_t (*packed_bytes)(const ConvShape&);
  size_t (*scratch_bytes)(const ConvShape&);
  int64_t (*blocks)(const ConvShape&);
  void (*pack)(const ConvShape&, const ConvS8Weights&, void* packed);
  void (*run)(const ConvSatS8Args&);
};
struct ConvSatS8Kernel {
  RowInfo row;
  const ConvSatS8Functions* call;
};

std::span<const ConvSatS8Kernel> conv_sat_s8_kernels();
Choice<ConvSatS8Kernel> select_conv_sat_s8(const ConvShape&);
/// As run_conv_s8.
void run_conv_sat_s8(const ConvSatS8Kernel&, const ConvSatS8Args&, int threads = 0);
size_t scratch_bytes(const ConvSatS8Kernel&, const ConvShape&, int threads = 0);

/// Pairs added up for all outputs of a shape, without those of padding channels.
int64_t pair_sums(const ConvShape&);

}  // namespace lapidary::kernels
