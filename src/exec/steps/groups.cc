#include "src/exec/steps/groups.h"

#include <algorithm>
#include <atomic>
#include <bit>

#include "src/base/parallel.h"
#include "src/exec/steps/grain.h"

namespace lapidary::exec {

int64_t groups_to_join(const kernels::ConvShape& s) {
  constexpr int64_t kVector = 16;  // channels: one vector of AVX-512, two of AVX2
  if (s.groups == 1 || kernels::is_depthwise(s)) return 1;
  int64_t n = 1;
  for (int64_t i = 2; i <= s.groups && i * (s.out_c / s.groups) <= kVector; ++i)
    if (s.groups % i == 0) n = i;
  return n;
}

bool all_finite(const float* x, int64_t count, int threads) {
  constexpr uint32_t kMagnitude = 0x7FFFFFFF;
  constexpr uint32_t kRoundsToInfinity = 0x7F7F8000;  // the middle of bfloat16's largest and 2^128
  std::atomic<bool> finite = true;
  parallel_for(
      count, kGrainElements,
      [&](int64_t begin, int64_t end, int) {
        uint32_t largest = 0;
        for (int64_t i = begin; i < end; ++i)
          largest = std::max(largest, std::bit_cast<uint32_t>(x[i]) & kMagnitude);
        if (largest >= kRoundsToInfinity) finite = false;
      },
      threads);
  return finite;
}

}  // namespace lapidary::exec
