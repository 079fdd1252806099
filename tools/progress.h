#pragma once

#include <chrono>
#include <string>

#include "lapidary/log.h"

namespace lapidary::cli {

/// Messages and progress on stderr: a bar with rate and time left on a terminal, otherwise a line
/// every ten seconds.
class ProgressPrinter {
 public:
  explicit ProgressPrinter(bool verbose);
  ~ProgressPrinter();
  void message(LogLevel level, const std::string& text);
  void progress(const Progress& progress);

 private:
  using Clock = std::chrono::steady_clock;
  void clear_bar();

  bool verbose_, terminal_, bar_shown_ = false;
  std::string step_;
  int64_t before_ = 0;  ///< done when the step's clock started
  Clock::time_point started_, printed_;
};

}  // namespace lapidary::cli
