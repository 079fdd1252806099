#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lapidary::exec {

/// Alignment of every block, and the readable bytes kept after its last element: kernels load whole
/// vectors and may read past the end.
inline constexpr int64_t kArenaAlignment = 64;
inline constexpr int64_t kArenaSlackBytes = 64;

/// Bytes needed by the steps first..last, both included.
struct Lifetime {
  int64_t size_bytes = 0;
  int first = 0, last = 0;

  bool overlaps(const Lifetime& other) const { return first <= other.last && other.first <= last; }
};

struct ArenaLayout {
  std::vector<int64_t> offsets;  ///< one per lifetime, multiples of kArenaAlignment
  int64_t size_bytes = 0;        ///< with slack after the last block
};

/// Places blocks so that those alive at one step never share a byte: greedy by size (largest first,
/// at the lowest gap that holds it), as in Pisarchyk and Lee, "Efficient Memory Management for Deep
/// Neural Net Inference" (2020), section 4.3.
ArenaLayout lay_out_arena(std::span<const Lifetime> lifetimes);

}  // namespace lapidary::exec
