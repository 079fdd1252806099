#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>

#include "src/base/function_ref.h"

namespace lapidary {

using RangeFn = FunctionRef<void(int64_t begin, int64_t end, int part)>;

/// Threads that stay together over many short jobs: member 0 leads, the others serve. A job's
/// ranges lie open to all. Each member takes its own first, so that a part of the data stays in one
/// core's cache from job to job, and then what nobody has begun: a member that the system keeps off
/// its CPU delays no more than the range that it is in. Who waits spins for some 0.1 ms, then
/// sleeps.
class Team {
 public:
  /// `most_parts`: ranges of a job that can lie open at once; the leader computes further ones.
  Team(int members, int most_parts);

  /// What member 1, 2, ... does: takes ranges until it is dismissed. The team must outlive it.
  void serve(int member);

  // -- the leader's thread only
  /// Calls body on `parts` ranges of equal length (but for rounding) that cover [0, count), and
  /// returns when all have ended. Rethrows the first exception by range. Not to be called from a
  /// body.
  void run(int64_t count, int parts, RangeFn body);
  void dismiss();

 private:
  enum Range : uint32_t { kNone, kOpen, kTaken, kAwaited, kDone };  // kAwaited: the leader sleeps
  enum Bell : uint32_t { kQuiet, kRung, kAsleep, kDismissed };
  /// One cache line: the range with this number, and the bell of the member with this number.
  struct alignas(64) Seat {
    std::atomic<uint32_t> range = kNone;
    std::atomic<uint32_t> bell = kQuiet;
    std::exception_ptr error;  ///< of the range
  };

  int64_t begin_of(int part) const { return count_ * part / parts_; }
  void compute(int part);
  void take_open_ranges(int first);
  void ring(int member, Bell how);
  static void await(Seat& seat);

  const int members_, seats_;
  std::unique_ptr<Seat[]> seat_;
  // The job. Written while no range is open or being computed, read by who has taken a range.
  int64_t count_ = 0;
  int parts_ = 0;
  const RangeFn* body_ = nullptr;
};

}  // namespace lapidary
