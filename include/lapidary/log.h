#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace lapidary {

enum class LogLevel { kDebug, kInfo, kWarning };

/// How far a step is. `total` is 0 where it is not known.
struct Progress {
  std::string step;
  int64_t done = 0;
  int64_t total = 0;
};

/// Where the library writes: it prints nothing itself. Empty functions are silent; calls come from
/// the thread that runs the step.
struct LogSink {
  std::function<void(LogLevel, const std::string&)> message;
  std::function<void(const Progress&)> progress;

  void info(const std::string& text) const {
    if (message) message(LogLevel::kInfo, text);
  }
  void warn(const std::string& text) const {
    if (message) message(LogLevel::kWarning, text);
  }
  void debug(const std::string& text) const {
    if (message) message(LogLevel::kDebug, text);
  }
  void advance(const std::string& step, int64_t done, int64_t total) const {
    if (progress) progress({step, done, total});
  }
};

}  // namespace lapidary
