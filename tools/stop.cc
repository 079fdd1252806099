#include "tools/stop.h"

#include <csignal>

namespace lapidary::cli {

namespace {

volatile std::sig_atomic_t came = 0;

void note_signal(int signal) { came = signal; }

bool take_over() {
  struct sigaction action {};
  action.sa_handler = note_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return true;
}

}  // namespace

bool asked_to_stop() {
  static const bool taken = take_over();
  return taken && came != 0;
}

int stop_code() { return 128 + came; }

}  // namespace lapidary::cli
