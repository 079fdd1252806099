#include "src/base/team.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace lapidary {
namespace {

/// A team whose members are threads of its own, whatever the number of CPUs.
class Threads {
 public:
  Threads(int members, int most_parts) : team_(members, most_parts) {
    for (int member = 1; member < members; ++member)
      threads_.emplace_back([this, member] { team_.serve(member); });
  }
  ~Threads() {
    team_.dismiss();
    for (std::thread& thread : threads_) thread.join();
  }
  Team& team() { return team_; }

 private:
  Team team_;
  std::vector<std::thread> threads_;
};

TEST(Team, ComputesEveryItemOnceAndSeesTheJobBefore) {
  for (const int members : {1, 2, 3, 8})
    for (const int parts : {1, 2, 3, 8, 11}) {
      Threads threads(members, 8);
      // Neither is atomic: what a job wrote must be seen by whoever computes the item next.
      std::vector<int> items(101), ranges(static_cast<size_t>(parts));
      for (int job = 0; job < 200; ++job)
        threads.team().run(101, parts, [&](int64_t begin, int64_t end, int part) {
          ++ranges[static_cast<size_t>(part)];
          for (int64_t i = begin; i < end; ++i) {
            const auto at = static_cast<size_t>(100 - i);  // from a range of somebody else's
            ++items[job % 2 == 0 ? at : static_cast<size_t>(i)];
          }
        });
      EXPECT_EQ(items, std::vector<int>(101, 200)) << members << " members, " << parts;
      EXPECT_EQ(ranges, std::vector<int>(static_cast<size_t>(parts), 200));
    }
}

TEST(Team, RangesAreOfEqualLength) {
  Threads threads(2, 4);
  std::vector<int64_t> begins(4), ends(4);
  threads.team().run(10, 4, [&](int64_t begin, int64_t end, int part) {
    begins[static_cast<size_t>(part)] = begin;
    ends[static_cast<size_t>(part)] = end;
  });
  EXPECT_EQ(begins, (std::vector<int64_t>{0, 2, 5, 7}));
  EXPECT_EQ(ends, (std::vector<int64_t>{2, 5, 7, 10}));
}

TEST(Team, RethrowsTheFirstExceptionByRangeAndGoesOn) {
  for (const int members : {1, 2, 3, 8}) {
    Threads threads(members, 4);
    std::atomic<int> ended = 0;
    for (int job = 0; job < 50; ++job) {
      std::string message;
      try {
        threads.team().run(6, 6, [&](int64_t begin, int64_t, int) {
          ++ended;
          if (begin >= 2) throw std::runtime_error(std::to_string(begin));
        });
      } catch (const std::runtime_error& error) {
        message = error.what();
      }
      EXPECT_EQ(message, "2");
      threads.team().run(6, 6, [&](int64_t, int64_t, int) { ++ended; });
    }
    EXPECT_EQ(ended, 50 * 12) << members << " members";
  }
}

TEST(Team, SleepersAreWoken) {
  using std::chrono::milliseconds;
  Threads threads(3, 3);
  std::atomic<int> ranges = 0;
  for (int job = 0; job < 5; ++job) {
    std::this_thread::sleep_for(milliseconds(3));  // members sleep
    threads.team().run(3, 3, [&](int64_t, int64_t, int part) {
      if (part > 0) std::this_thread::sleep_for(milliseconds(2));  // the leader, too
      ++ranges;
    });
    EXPECT_EQ(ranges, 3 * (job + 1));
  }
}

}  // namespace
}  // namespace lapidary
