#pragma once

#include "kernels/conv_b1/conv_b1.h"
#include "kernels/row.h"

namespace lapidary::kernels {

/// Signs as bits, packed as conv_b1 reads them: the bit is x >= 0 (1 for -0, 0 for NaN).
struct SignB1Args {
  int64_t batch = 1, pixels = 0, channels = 1;  ///< pixels of one image
  int64_t begin = 0, end = -1;  ///< pixels that this call packs, counted over all images; -1: all
  bool planar = false;          ///< x is [batch, channels, pixels], not [batch, pixels, channels]
  const float* x = nullptr;
  uint32_t* y = nullptr;  ///< [batch, pixels, b1_words(channels)]
};

struct SignB1Functions {
  void (*run)(const SignB1Args&);
};
struct SignB1Kernel {
  RowInfo row;
  const SignB1Functions* call;
};

std::span<const SignB1Kernel> sign_b1_kernels();
Choice<SignB1Kernel> select_sign_b1();

}  // namespace lapidary::kernels
