#ifdef USE_C10D_GLOO

#include "src/train/farewell.h"

#include <chrono>
#include <future>
#include <thread>

#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary::train {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(5);
constexpr auto kForReaders = std::chrono::seconds(1);
constexpr auto kBetween = std::chrono::milliseconds(20);

std::string left_key(int rank) { return fmt::format("left/{}", rank); }
std::string read_key(int rank) { return fmt::format("read/{}", rank); }

/// Asks for each of `wanted` until all were found or time is up; take(rank) for each found one.
template <class Key, class Take>
void await_keys(c10d::Store& store, std::vector<int> wanted, Clock::time_point until, Key key,
                Take take) {
  while (true) {
    std::erase_if(wanted, [&](int rank) {
      if (!store.check({key(rank)})) return false;
      take(rank);
      return true;
    });
    if (wanted.empty() || Clock::now() > until) return;
    std::this_thread::sleep_for(kBetween);
  }
}

Farewell exchange(c10d::Store& store, const Rank& rank, const std::string& reason) {
  Farewell out;
  out.reasons.resize(static_cast<size_t>(rank.world_size));
  const auto until = Clock::now() + kPatience;
  std::vector<int> others;
  for (int r = 0; r < rank.world_size; ++r)
    if (r != rank.rank) others.push_back(r);
  try {
    store.set(left_key(rank.rank), {reason.begin(), reason.end()});
    std::vector<int> heard;
    await_keys(store, others, until, left_key, [&](int r) {
      const auto bytes = store.get(left_key(r));
      out.reasons[static_cast<size_t>(r)].emplace(bytes.begin(), bytes.end());
      heard.push_back(r);
    });
    store.set(read_key(rank.rank), {});
    if (rank.rank == 0) await_keys(store, heard, until + kForReaders, read_key, [](int) {});
  } catch (const std::exception&) {
    out.store_lost = true;
  }
  return out;
}

}  // namespace

Farewell bid_farewell(c10::intrusive_ptr<c10d::Store> store, const Rank& rank,
                      const std::string& reason) {
  // Asking a store whose keeper is stopped takes for ever: then its thread is left behind.
  auto promise = std::make_shared<std::promise<Farewell>>();
  auto future = promise->get_future();
  std::thread([store = std::move(store), rank, reason, promise] {
    promise->set_value(exchange(*store, rank, reason));
  }).detach();
  if (future.wait_for(kPatience + 2 * kForReaders) == std::future_status::ready)
    return future.get();
  return {std::vector<std::optional<std::string>>(static_cast<size_t>(rank.world_size)), true};
}

std::string describe(const Farewell& heard, const Rank& rank) {
  std::vector<std::string> failed, silent;
  for (int r = 0; r < rank.world_size; ++r) {
    if (r == rank.rank) continue;
    const auto& reason = heard.reasons[static_cast<size_t>(r)];
    if (reason && !reason->empty())
      failed.push_back(fmt::format("rank {} fails: {}", r, printable(*reason)));
    else if (!reason && (!heard.store_lost || r == 0))
      silent.push_back(fmt::format("rank {} is gone or does not answer", r));
  }
  failed.insert(failed.end(), silent.begin(), silent.end());
  return fmt::format("{}", fmt::join(failed, "; "));
}

}  // namespace lapidary::train

#endif
