#include "src/exec/arena.h"

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>
#include <utility>

#include "src/base/checked.h"

namespace lapidary::exec {

namespace {

int64_t padded(int64_t size_bytes) {
  const int64_t wanted = checked_add(size_bytes, kArenaSlackBytes + kArenaAlignment - 1);
  return wanted / kArenaAlignment * kArenaAlignment;
}

// Past this many blocks alive together, a block goes behind all others: no model keeps that many,
// and a file that does shall not cost a search through the square of them.
constexpr size_t kMaxNeighbours = 1024;

/// The placed blocks, found by when they live: each is kept at O(log steps) nodes of a segment
/// tree.
class Placed {
 public:
  explicit Placed(std::span<const Lifetime> lifetimes) : lifetimes_(lifetimes) {
    int steps = 1;
    for (const Lifetime& l : lifetimes) steps = std::max(steps, l.last + 1);
    leaves_ = std::bit_ceil(static_cast<size_t>(steps));
    covers_.resize(2 * leaves_);
  }

  void add(size_t block) {
    const Lifetime& l = lifetimes_[block];
    by_first_.emplace(l.first, block);
    size_t begin = leaves_ + static_cast<size_t>(l.first);
    size_t end = leaves_ + static_cast<size_t>(l.last) + 1;
    for (; begin < end; begin /= 2, end /= 2) {
      if (begin % 2 == 1) covers_[begin++].push_back(block);
      if (end % 2 == 1) covers_[--end].push_back(block);
    }
  }

  /// Blocks that live at one time with `l`: alive at its first step, or born later before its last.
  /// At most kMaxNeighbours + 1 of them.
  std::vector<size_t> overlapping(const Lifetime& l) const {
    std::vector<size_t> found;
    for (size_t at = leaves_ + static_cast<size_t>(l.first); at > 0; at /= 2)
      for (const size_t block : covers_[at]) {
        if (found.size() > kMaxNeighbours) return found;
        found.push_back(block);
      }
    for (auto it = by_first_.upper_bound(l.first); it != by_first_.end() && it->first <= l.last;
         ++it) {
      if (found.size() > kMaxNeighbours) return found;
      found.push_back(it->second);
    }
    return found;
  }

 private:
  std::span<const Lifetime> lifetimes_;
  size_t leaves_;
  std::vector<std::vector<size_t>> covers_;  // by tree node: the blocks that live all through it
  std::multimap<int, size_t> by_first_;
};

/// The lowest gap that holds `need` bytes among the neighbours.
int64_t lowest_gap(std::span<const Lifetime> lifetimes, const std::vector<int64_t>& offsets,
                   std::vector<size_t> neighbours, int64_t need) {
  std::sort(neighbours.begin(), neighbours.end(),
            [&](size_t a, size_t b) { return offsets[a] < offsets[b]; });
  int64_t offset = 0;
  for (const size_t other : neighbours) {
    if (offset + need <= offsets[other]) break;
    offset = std::max(offset, offsets[other] + padded(lifetimes[other].size_bytes));
  }
  return offset;
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

  Placed placed(lifetimes);
  for (const size_t block : by_size) {
    const int64_t need = padded(lifetimes[block].size_bytes);
    std::vector<size_t> neighbours = placed.overlapping(lifetimes[block]);
    const int64_t offset = neighbours.size() > kMaxNeighbours
                               ? layout.size_bytes
                               : lowest_gap(lifetimes, layout.offsets, std::move(neighbours), need);
    layout.offsets[block] = offset;
    placed.add(block);
    layout.size_bytes = std::max(layout.size_bytes, checked_add(offset, need));
  }
  return layout;
}

}  // namespace lapidary::exec
