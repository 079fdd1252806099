#include "src/base/parallel.h"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>

#include "src/base/fail.h"
#include "src/base/team.h"

namespace lapidary {

namespace {

int count_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

int available_cpus() {
  static const int available = count_cpus();
  return available;
}

std::atomic<int> chosen_threads = 0;  // 0: all there are

thread_local int scope_threads = 0;

thread_local Team* leads = nullptr;  // the team that waits for this thread's ranges
thread_local bool in_range = false;  // this thread computes a range, or waits for one

/// A variable's other value for as long as this lives.
template <class T>
class Restored {
 public:
  Restored(T& variable, T value) : variable_(variable), before_(variable) { variable = value; }
  ~Restored() { variable_ = before_; }
  Restored(const Restored&) = delete;
  Restored& operator=(const Restored&) = delete;

 private:
  T& variable_;
  T before_;
};

}  // namespace

ThreadScope::ThreadScope(int threads) : before_(scope_threads) {
  if (threads > 0) scope_threads = threads;
}

ThreadScope::~ThreadScope() { scope_threads = before_; }

int thread_count() {
  if (scope_threads > 0) return scope_threads;
  const int chosen = chosen_threads;
  return chosen > 0 ? chosen : available_cpus();
}

void set_thread_count(int threads) {
  if (threads < 0 || threads > 1024) fail_usage("--threads {} is outside 1..1024", threads);
  chosen_threads = threads;
}

void parallel_region(int threads, FunctionRef<void()> body) {
  const int members = std::min(threads > 0 ? threads : thread_count(), available_cpus());
  if (members <= 1 || leads != nullptr || in_range || omp_in_parallel()) return body();
  Team team(members, std::max(threads, members));
  std::exception_ptr error;
#pragma omp parallel num_threads(members)
  {
    if (omp_get_thread_num() == 0) {
      const Restored<Team*> leading(leads, &team);
      try {
        body();
      } catch (...) {
        error = std::current_exception();
      }
      team.dismiss();
    } else {
      const Restored<bool> serving(in_range, true);
      team.serve(omp_get_thread_num());
    }
  }
  if (error) std::rethrow_exception(error);
}

void parallel_for(int64_t count, int64_t grain, RangeFn body, int threads) {
  if (count <= 0) return;
  const int64_t wanted = threads > 0 ? threads : thread_count();
  const auto parts =
      static_cast<int>(std::clamp<int64_t>(count / std::max<int64_t>(1, grain), 1, wanted));
  const auto lead = [&](Team& team) {
    const Restored<bool> leading(in_range, true);
    team.run(count, parts, body);
  };
  if (parts == 1 || in_range || (leads == nullptr && omp_in_parallel())) return body(0, count, 0);
  if (leads != nullptr) return lead(*leads);
  parallel_region(parts, [&] {
    if (leads != nullptr) return lead(*leads);
    Team alone(1, parts);  // a single CPU: the same ranges, one after the other
    lead(alone);
  });
}

}  // namespace lapidary
