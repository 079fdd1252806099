#pragma once

#include "kernels/conv_s8/conv_s8.h"

namespace lapidary::kernels {

/// conv_s8 as x86 CPUs without VNNI compute it (vpmaddubsw, then vpmaddwd by ones): products of u8
/// inputs by s8 weights are added in pairs that saturate to 16 bits, the rest wraps in 32. With x
/// and w the inputs and weights of an output in the order ky, kx, i, then zeros,
///   acc = bias[c] - zx * sum(w - zw[c]) - zw[c] * sum(x)
///         + sum_j sat16(x[2j] * w[2j] + x[2j+1] * w[2j+1]),
/// x = zx outside the image, u8 weights less 128. Arguments and calls (set_bias, set_multipliers,
/// run_conv_s8) are conv_s8's; what saturated is added to ConvS8Args::saturated. These rows show
/// what such a CPU returns: they are not for speed.
std::span<const ConvS8Kernel> conv_sat_s8_kernels();
Choice<ConvS8Kernel> select_conv_sat_s8(const ConvShape&);

/// Pairs added up for all outputs of a shape, without those of padding channels.
int64_t pair_sums(const ConvShape&);

}  // namespace lapidary::kernels
