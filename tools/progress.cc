#include "tools/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace lapidary::cli {

namespace {

constexpr std::chrono::milliseconds kBarEvery{100};
constexpr std::chrono::seconds kLineEvery{10};

std::string duration_text(double seconds) {
  if (seconds < 60) return fmt::format("{:.0f} s", seconds);
  return fmt::format("{:.0f} min {:02.0f} s", std::floor(seconds / 60), std::fmod(seconds, 60));
}

/// Three digits at most: "0.52", "7.3", "1840".
std::string rate_text(double rate) {
  return fmt::format("{:.{}f}", rate, rate < 1 ? 2 : rate < 10 ? 1 : 0);
}

/// `before`: what was done when the clock started.
std::string describe(const Progress& p, int64_t before, double elapsed) {
  const double rate = elapsed > 0 ? static_cast<double>(p.done - before) / elapsed : 0;
  if (p.total <= 0) return fmt::format("{}: {} ({}/s)", p.step, p.done, rate_text(rate));
  std::string out = fmt::format("{}: {}/{}", p.step, p.done, p.total);
  if (rate > 0 && p.done < p.total)
    out += fmt::format(" ({}/s, {} left)", rate_text(rate),
                       duration_text(static_cast<double>(p.total - p.done) / rate));
  return out;
}

}  // namespace

ProgressPrinter::ProgressPrinter(bool verbose)
    : verbose_(verbose),
      terminal_(isatty(STDERR_FILENO) != 0),
      started_(Clock::now()),
      printed_(started_) {}

ProgressPrinter::~ProgressPrinter() { clear_bar(); }

void ProgressPrinter::clear_bar() {
  if (bar_shown_) std::fputs("\r\x1b[K", stderr);
  bar_shown_ = false;
}

void ProgressPrinter::message(LogLevel level, const std::string& text) {
  if (level == LogLevel::kDebug && !verbose_) return;
  clear_bar();
  std::fprintf(stderr, "%s%s\n", level == LogLevel::kWarning ? "warning: " : "", text.c_str());
}

void ProgressPrinter::progress(const Progress& p) {
  const auto now = Clock::now();
  if (p.step != step_) {
    clear_bar();
    step_ = p.step;
    started_ = printed_ = now;
    before_ = p.done;
  }
  const bool done = p.total > 0 && p.done >= p.total;
  if (now - printed_ < (terminal_ ? Clock::duration(kBarEvery) : Clock::duration(kLineEvery)) &&
      !(terminal_ && done))
    return;
  printed_ = now;
  const std::string text =
      describe(p, before_, std::chrono::duration<double>(now - started_).count());
  if (!terminal_) {
    std::fprintf(stderr, "%s\n", text.c_str());
    return;
  }
  const int width = 20;
  const int filled = p.total > 0
                         ? static_cast<int>(width * std::clamp(static_cast<double>(p.done) /
                                                                   static_cast<double>(p.total),
                                                               0.0, 1.0))
                         : 0;
  std::fprintf(stderr, "\r\x1b[K[%s%s] %s", std::string(static_cast<size_t>(filled), '#').c_str(),
               std::string(static_cast<size_t>(width - filled), '.').c_str(), text.c_str());
  std::fflush(stderr);
  bar_shown_ = true;
  if (done) clear_bar();
}

}  // namespace lapidary::cli
