#include "src/base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

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

TEST(Parallel, ARegionChangesNoRange) {
  const auto ends_of = [](int threads) {
    std::vector<int64_t> ends(8, -1);
    parallel_for(
        100, 9, [&](int64_t, int64_t end, int thread) { ends[static_cast<size_t>(thread)] = end; },
        threads);
    return ends;
  };
  for (const int threads : {1, 2, 3, 8}) {
    const std::vector<int64_t> alone = ends_of(threads);
    parallel_region(threads, [&] {
      for (int i = 0; i < 100; ++i) EXPECT_EQ(ends_of(threads), alone);
      EXPECT_EQ(ends_of(8), (std::vector<int64_t>{12, 25, 37, 50, 62, 75, 87, 100}));
    });
  }
}

TEST(Parallel, WithinARangeThereIsOneRange) {
  for (const bool region : {false, true}) {
    std::atomic<int> inner = 0;
    const auto outer = [&] {
      parallel_for(
          3, 1, [&](int64_t, int64_t, int) { inner += ranges(100, 8); }, 3);
    };
    if (region)
      parallel_region(3, outer);
    else
      outer();
    EXPECT_EQ(inner, 3);
  }
}

TEST(Parallel, TheLeaderOfARegionIsTheCaller) {
  const auto caller = std::this_thread::get_id();
  parallel_region(2, [&] {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    parallel_region(2, [&] { EXPECT_EQ(std::this_thread::get_id(), caller); });
  });
}

TEST(Parallel, ExceptionsLeaveARegionWhole) {
  const auto message_of = [](FunctionRef<void()> body) -> std::string {
    try {
      body();
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "none";
  };
  const auto fail_from_2 = [](int64_t begin, int64_t, int) {
    if (begin >= 2) throw std::runtime_error(std::to_string(begin));
  };
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(message_of([&] { parallel_for(5, 1, fail_from_2, 5); }), "2");
    EXPECT_EQ(message_of([&] { parallel_region(2, [&] { parallel_for(5, 1, fail_from_2, 5); }); }),
              "2");
    EXPECT_EQ(message_of([&] { parallel_region(2, [] { throw std::runtime_error("body"); }); }),
              "body");
    EXPECT_EQ(ranges(100, 4), 4);
  }
}

}  // namespace
}  // namespace lapidary
