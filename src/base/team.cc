#include "src/base/team.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace lapidary {

namespace {

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Longer than between two layers, short beside a time slice of the system.
constexpr std::chrono::microseconds kSpinTime{100};

/// True once done(); false after kSpinTime.
template <class Done>
bool spin_until(Done&& done) {
  using Clock = std::chrono::steady_clock;
  Clock::time_point end{};
  for (int round = 0;; ++round) {
    for (int i = 0; i < 64; ++i) {
      if (done()) return true;
      pause_briefly();
    }
    const auto now = Clock::now();
    if (round == 0) end = now + kSpinTime;
    if (now >= end) return false;
  }
}

}  // namespace

Team::Team(int members, int most_parts)
    : members_(members),
      seats_(std::max(members, most_parts)),
      seat_(std::make_unique<Seat[]>(static_cast<size_t>(seats_))) {}

void Team::compute(int part) {
  try {
    (*body_)(begin_of(part), begin_of(part + 1), part);
  } catch (...) {
    seat_[static_cast<size_t>(part)].error = std::current_exception();
  }
}

void Team::take_open_ranges(int first) {
  // Which ranges there are is known only to who has taken one: the leader may be in the next job.
  for (int i = 0, part = first; i < seats_; ++i, part = part + 1 == seats_ ? 0 : part + 1) {
    Seat& seat = seat_[static_cast<size_t>(part)];
    uint32_t expected = kOpen;
    if (seat.range.load(std::memory_order_relaxed) != kOpen ||
        !seat.range.compare_exchange_strong(expected, kTaken, std::memory_order_acquire,
                                            std::memory_order_relaxed))
      continue;
    compute(part);
    if (seat.range.exchange(kDone, std::memory_order_acq_rel) == kAwaited) seat.range.notify_one();
  }
}

void Team::serve(int member) {
  std::atomic<uint32_t>& bell = seat_[static_cast<size_t>(member)].bell;
  for (;;) {
    const auto called = [&] { return bell.load(std::memory_order_relaxed) != kQuiet; };
    uint32_t quiet = kQuiet;
    if (!spin_until(called) &&
        bell.compare_exchange_strong(quiet, kAsleep, std::memory_order_relaxed))
      bell.wait(kAsleep, std::memory_order_relaxed);
    uint32_t rung = kRung;
    if (!bell.compare_exchange_strong(rung, kQuiet, std::memory_order_acquire)) return;
    take_open_ranges(member);
  }
}

void Team::ring(int member, Bell how) {
  std::atomic<uint32_t>& bell = seat_[static_cast<size_t>(member)].bell;
  if (bell.exchange(how, std::memory_order_acq_rel) == kAsleep) bell.notify_one();
}

void Team::await(Seat& seat) {
  const auto done = [&] { return seat.range.load(std::memory_order_acquire) == kDone; };
  if (spin_until(done)) return;
  uint32_t taken = kTaken;
  if (seat.range.compare_exchange_strong(taken, kAwaited, std::memory_order_acquire))
    seat.range.wait(kAwaited, std::memory_order_acquire);
}

void Team::run(int64_t count, int parts, RangeFn body) {
  count_ = count;
  parts_ = parts;
  body_ = &body;
  const int shared = std::min(parts, seats_);
  for (int part = shared; part-- > 0;)
    seat_[static_cast<size_t>(part)].range.store(kOpen, std::memory_order_release);
  const int called = std::min(parts, members_);
  for (int member = 1; member < called; ++member) ring(member, kRung);
  take_open_ranges(0);
  std::exception_ptr error;
  for (int part = shared; part < parts; ++part) {
    try {
      body(begin_of(part), begin_of(part + 1), part);
    } catch (...) {
      if (!error) error = std::current_exception();
    }
  }
  for (int part = shared; part-- > 0;) {
    Seat& seat = seat_[static_cast<size_t>(part)];
    await(seat);
    if (seat.error) error = std::exchange(seat.error, nullptr);
  }
  if (error) std::rethrow_exception(error);
}

void Team::dismiss() {
  for (int member = 1; member < members_; ++member) ring(member, kDismissed);
}

}  // namespace lapidary
