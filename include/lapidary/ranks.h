#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lapidary/export.h"
#include "lapidary/trainer.h"

namespace lapidary {

/// The processes that train or calibrate together, as one of them sees them. All of them make the
/// same calls in the same order; a call returns when all have made it. Where one is gone, or does
/// not come within the time limit, calls throw Error{kIo} that says which.
class LAPIDARY_API Ranks {
 public:
  virtual ~Ranks() = default;
  virtual const Rank& rank() const = 0;

  /// Everybody's bytes, by rank.
  virtual std::vector<std::string> gather(const std::string& bytes) = 0;
  /// Rank 0's bytes; those of others are not looked at.
  virtual std::string broadcast(const std::string& bytes) = 0;
  /// The largest of everybody's numbers.
  virtual int64_t most(int64_t number) = 0;

  /// This process will make no more calls, for `reason`, which the others' errors then say. Waits
  /// some seconds for them to hear it.
  virtual void leave(const std::string& reason) = 0;

  /// This rank's part [begin, end) of `count`: parts differ by one at most, in the order of ranks.
  std::pair<int64_t, int64_t> part(int64_t count) const {
    const int64_t at = rank().rank, of = rank().world_size;
    return {count * at / of, count * (at + 1) / of};
  }
};

/// The group of processes that `rank` numbers, met at its master address. A process meets the
/// others once: while the result is held, further calls (a trainer's of the same rank, too) return
/// it. Null for a world of one. The limit for meeting and for every call is LAPIDARY_RANK_TIMEOUT
/// seconds of the environment, 600 where it is not set. Throws Error{kUsage} for a rank that is
/// none, Error{kUnsupported} where Lapidary was built without training or libtorch without Gloo,
/// Error{kIo} where the others are not met.
LAPIDARY_API std::shared_ptr<Ranks> join_ranks(const Rank& rank);

}  // namespace lapidary
