#include "src/train/communicator.h"

#include <map>
#include <mutex>
#include <tuple>

#include "src/base/fail.h"

#ifdef USE_C10D_GLOO
#include "src/train/gloo.h"
#endif

namespace lapidary::train {

#ifndef USE_C10D_GLOO
namespace {

std::shared_ptr<Communicator> meet(const Rank& rank) {
  fail_unsupported("{} processes: built without Gloo; install libgloo-dev and build again",
                   rank.world_size);
}

}  // namespace
#endif

std::shared_ptr<Communicator> join(const Rank& rank) {
  if (rank.world_size <= 1) return nullptr;
  if (rank.rank < 0 || rank.rank >= rank.world_size)
    fail_usage("rank {} of {} processes", rank.rank, rank.world_size);
  // Ranks that are threads of one process join at the same time: the lock is not held meanwhile.
  using Key = std::tuple<std::string, int, int, int>;
  static std::mutex guard;
  static std::map<Key, std::weak_ptr<Communicator>> joined;
  const Key key{rank.master_address, rank.master_port, rank.world_size, rank.rank};
  {
    const std::lock_guard lock(guard);
    if (auto found = joined[key].lock()) return found;
  }
  std::shared_ptr<Communicator> out = meet(rank);
  const std::lock_guard lock(guard);
  joined[key] = out;
  return out;
}

}  // namespace lapidary::train

extern "C" LAPIDARY_API void lapidary_join_ranks(const lapidary::Rank& rank,
                                                 std::shared_ptr<lapidary::Ranks>& out) {
  out = lapidary::train::join(rank);
}
