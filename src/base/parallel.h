#pragma once

#include <cstdint>
#include <functional>

#include "lapidary/runtime.h"

namespace lapidary {

/// While it lives, thread_count() of the thread that made it is `threads` (0: unchanged):
/// everything that an Executor calls keeps to the Executor's number.
class ThreadScope {
 public:
  explicit ThreadScope(int threads);
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};

/// Calls body(begin, end, thread) on disjoint ranges that cover [0, count), at least `grain` long
/// but for the last, on up to `threads` threads (0: thread_count()). Ranges depend on `threads`
/// only, so a body whose result does not depend on the split gives the same bits on any number of
/// threads. An exception of a body is rethrown here (the first by range).
void parallel_for(int64_t count, int64_t grain,
                  const std::function<void(int64_t begin, int64_t end, int thread)>& body,
                  int threads = 0);

}  // namespace lapidary
