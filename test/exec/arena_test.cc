#include "src/exec/arena.h"

#include <gtest/gtest.h>

#include "src/base/rng.h"

namespace lapidary::exec {
namespace {

TEST(Arena, BlocksThatNeverMeetShareBytes) {
  // 100 bytes and 64 of slack round up to 192.
  const std::vector<Lifetime> lifetimes = {{100, 0, 1}, {100, 1, 2}, {100, 2, 3}};
  const ArenaLayout layout = lay_out_arena(lifetimes);
  EXPECT_EQ(layout.offsets, (std::vector<int64_t>{0, 192, 0}));
  EXPECT_EQ(layout.size_bytes, 384);
}

TEST(Arena, LargestComesFirst) {
  const std::vector<Lifetime> lifetimes = {{64, 0, 0}, {1000, 0, 0}};
  EXPECT_EQ(lay_out_arena(lifetimes).offsets, (std::vector<int64_t>{1088, 0}));
}

TEST(Arena, EmptyPlanNeedsNothing) { EXPECT_EQ(lay_out_arena({}).size_bytes, 0); }

// What is chained is alive for two steps, so two places serve all of it; 100,000 in linear time.
TEST(Arena, LongChainNeedsTwoPlaces) {
  std::vector<Lifetime> lifetimes;
  for (int i = 0; i < 100'000; ++i) lifetimes.push_back({100, i, i + 1});
  const ArenaLayout layout = lay_out_arena(lifetimes);
  EXPECT_EQ(layout.size_bytes, 384);
  for (size_t i = 0; i < lifetimes.size(); ++i) EXPECT_EQ(layout.offsets[i], i % 2 ? 192 : 0);
}

TEST(Arena, ManyBlocksAliveAtOnceAreStacked) {
  std::vector<Lifetime> lifetimes;
  for (int i = 0; i < 3000; ++i) lifetimes.push_back({100, i, 3000});
  std::vector<int64_t> offsets = lay_out_arena(lifetimes).offsets;
  for (size_t i = 0; i < offsets.size(); ++i)
    EXPECT_EQ(offsets[i], 192 * static_cast<int64_t>(i)) << i;
}

TEST(Arena, LiveBlocksNeverOverlap) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(seed);
    std::vector<Lifetime> lifetimes(1 + rng.below(60));
    int64_t total = 0;
    for (Lifetime& l : lifetimes) {
      l.size_bytes = static_cast<int64_t>(rng.below(5000));
      l.first = static_cast<int>(rng.below(40));
      l.last = l.first + static_cast<int>(rng.below(6));
      total += l.size_bytes + kArenaSlackBytes + kArenaAlignment;
    }
    const ArenaLayout layout = lay_out_arena(lifetimes);
    EXPECT_LE(layout.size_bytes, total);
    for (size_t a = 0; a < lifetimes.size(); ++a) {
      EXPECT_EQ(layout.offsets[a] % kArenaAlignment, 0);
      const int64_t end = layout.offsets[a] + lifetimes[a].size_bytes + kArenaSlackBytes;
      EXPECT_LE(end, layout.size_bytes);
      for (size_t b = 0; b < a; ++b) {
        if (!lifetimes[a].overlaps(lifetimes[b])) continue;
        const int64_t other_end = layout.offsets[b] + lifetimes[b].size_bytes + kArenaSlackBytes;
        EXPECT_TRUE(end <= layout.offsets[b] || other_end <= layout.offsets[a])
            << "seed " << seed << ": blocks " << a << " and " << b;
      }
    }
  }
}

}  // namespace
}  // namespace lapidary::exec
