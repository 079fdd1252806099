#include "src/exec/arena.h"

#include <algorithm>
#include <numeric>

#include "src/base/checked.h"

namespace lapidary::exec {

namespace {

int64_t padded(int64_t size_bytes) {
  const int64_t wanted = checked_add(size_bytes, kArenaSlackBytes + kArenaAlignment - 1);
  return wanted / kArenaAlignment * kArenaAlignment;
}

}  // namespace

ArenaLayout lay_out_arena(std::span<const Lifetime> lifetimes) {
  ArenaLayout layout;
  layout.offsets.assign(lifetimes.size(), 0);
  std::vector<size_t> by_size(lifetimes.size());
  std::iota(by_size.begin(), by_size.end(), size_t{0});
  std::stable_sort(by_size.begin(), by_size.end(), [&](size_t a, size_t b) {
    return lifetimes[a].size_bytes > lifetimes[b].size_bytes;
  });

  std::vector<size_t> placed;  // ascending offsets
  for (const size_t block : by_size) {
    const int64_t need = padded(lifetimes[block].size_bytes);
    int64_t offset = 0;
    for (const size_t other : placed) {
      if (!lifetimes[other].overlaps(lifetimes[block])) continue;
      if (offset + need <= layout.offsets[other]) break;
      offset = std::max(offset, layout.offsets[other] + padded(lifetimes[other].size_bytes));
    }
    layout.offsets[block] = offset;
    const auto at = std::upper_bound(placed.begin(), placed.end(), offset,
                                     [&](int64_t o, size_t b) { return o < layout.offsets[b]; });
    placed.insert(at, block);
    layout.size_bytes = std::max(layout.size_bytes, checked_add(offset, need));
  }
  return layout;
}

}  // namespace lapidary::exec
