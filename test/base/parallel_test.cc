#include "src/base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>

namespace lapidary {
namespace {

/// How many ranges `count` items become.
int ranges(int64_t count, int threads = 0) {
  std::atomic<int> seen = 0;
  parallel_for(
      count, 1, [&](int64_t, int64_t, int) { ++seen; }, threads);
  return seen;
}

TEST(Parallel, AScopeLimitsWhatIsCalledWithin) {
  set_thread_count(3);
  EXPECT_EQ(ranges(100), 3);
  {
    const ThreadScope one(1);
    EXPECT_EQ(thread_count(), 1);
    EXPECT_EQ(ranges(100), 1);
    const ThreadScope unchanged(0);
    EXPECT_EQ(ranges(100), 1);
    EXPECT_EQ(ranges(100, 2), 2);  // a number of its own
    const ThreadScope two(2);
    EXPECT_EQ(ranges(100), 2);
  }
  EXPECT_EQ(ranges(100), 3);
  set_thread_count(0);
}

}  // namespace
}  // namespace lapidary
