#pragma once

#include <cstdint>

#include "lapidary/runtime.h"
#include "src/base/function_ref.h"

namespace lapidary {

/// While it lives, thread_count() of the thread that made it is `threads` (0: unchanged):
/// everything that an Executor calls keeps to the Executor's number.
class LAPIDARY_API ThreadScope {
 public:
  explicit ThreadScope(int threads);
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};

/// Runs body() with the other threads of an OpenMP region waiting: every parallel_for that it calls
/// hands its ranges to them, in some 0.2 microseconds. No more threads than CPUs, whatever
/// `threads` says. Within another region or range: just body().
void parallel_region(int threads, FunctionRef<void()> body);

/// Calls body(begin, end, thread) on disjoint ranges that cover [0, count), at least `grain` long
/// but for the last, on up to `threads` threads (0: thread_count()). Ranges depend on `threads`
/// only, so a body whose result does not depend on the split gives the same bits on any number of
/// threads; `thread` is the range's number, never in use twice at a time. An exception of a body is
/// rethrown here (the first by range). Within a range: one range, on the calling thread.
void parallel_for(int64_t count, int64_t grain,
                  FunctionRef<void(int64_t begin, int64_t end, int thread)> body, int threads = 0);

}  // namespace lapidary
