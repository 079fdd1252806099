#pragma once

#include <cstdlib>

namespace lapidary::kernels {

/// How many of `count` random problems a test draws: a quarter where LAPIDARY_EMULATED is set, as
/// ctest does for qemu-user: all of them would take minutes there.
inline int problems(int count) {
  return std::getenv("LAPIDARY_EMULATED") == nullptr ? count : (count + 3) / 4;
}

}  // namespace lapidary::kernels
