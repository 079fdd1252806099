#include "src/exec/steps/groups.h"

namespace lapidary::exec {

int64_t groups_to_join(const kernels::ConvShape& s) {
  constexpr int64_t kVector = 16;  // channels: one vector of AVX-512, two of AVX2
  if (s.groups == 1 || kernels::is_depthwise(s)) return 1;
  int64_t n = 1;
  for (int64_t i = 2; i <= s.groups && i * (s.out_c / s.groups) <= kVector; ++i)
    if (s.groups % i == 0) n = i;
  return n;
}

}  // namespace lapidary::exec
