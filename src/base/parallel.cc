#include "src/base/parallel.h"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <vector>

#include "src/base/fail.h"

namespace lapidary {

namespace {

int available_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

std::atomic<int> chosen_threads = 0;  // 0: all there are

thread_local int scope_threads = 0;

}  // namespace

ThreadScope::ThreadScope(int threads) : before_(scope_threads) {
  if (threads > 0) scope_threads = threads;
}

ThreadScope::~ThreadScope() { scope_threads = before_; }

int thread_count() {
  if (scope_threads > 0) return scope_threads;
  static const int available = available_cpus();
  const int chosen = chosen_threads;
  return chosen > 0 ? chosen : available;
}

void set_thread_count(int threads) {
  if (threads < 0 || threads > 1024) fail_usage("--threads {} is outside 1..1024", threads);
  chosen_threads = threads;
}

void parallel_for(int64_t count, int64_t grain,
                  const std::function<void(int64_t, int64_t, int)>& body, int threads) {
  if (count <= 0) return;
  const int64_t wanted = threads > 0 ? threads : thread_count();
  const int64_t parts = std::clamp<int64_t>(count / std::max<int64_t>(1, grain), 1, wanted);
  if (parts == 1 || omp_in_parallel()) {
    body(0, count, 0);
    return;
  }
  std::vector<std::exception_ptr> errors(static_cast<size_t>(parts));
#pragma omp parallel for num_threads(static_cast <int>(parts)) schedule(static, 1)
  for (int64_t part = 0; part < parts; ++part) {
    try {
      body(count * part / parts, count * (part + 1) / parts, static_cast<int>(part));
    } catch (...) {
      errors[static_cast<size_t>(part)] = std::current_exception();
    }
  }
  for (const auto& error : errors)
    if (error) std::rethrow_exception(error);
}

}  // namespace lapidary
