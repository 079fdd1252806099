#include "src/base/process.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "src/base/fail.h"

extern char** environ;

namespace lapidary {

LineProcess::LineProcess(const std::vector<std::string>& argv) : name_(argv.at(0)) {
  // A socket, not two pipes: writing to an ended program is an error here, not a signal.
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    fail(ErrorCode::kIo, "cannot talk to '{}': {}", name_, std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const int error =
      posix_spawnp(&child_, name_.c_str(), &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  fd_ = ends[0];
  if (error == 0) return;
  close(fd_);
  fail(ErrorCode::kIo, "cannot start '{}': {}", name_, std::strerror(error));
}

LineProcess::~LineProcess() {
  close(fd_);
  kill(child_, SIGKILL);
  while (waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void LineProcess::write_line(std::string_view line) {
  std::string text(line);
  text += '\n';
  for (size_t at = 0; at < text.size();) {
    const ssize_t sent = send(fd_, text.data() + at, text.size() - at, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0)
      fail(ErrorCode::kIo, "'{}' does not listen any more: {}", name_, std::strerror(errno));
    at += static_cast<size_t>(sent);
  }
}

std::string LineProcess::read_line(std::chrono::milliseconds limit) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + limit;
  for (;;) {
    if (const size_t at = buffer_.find('\n'); at != std::string::npos) {
      std::string line = buffer_.substr(0, at);
      buffer_.erase(0, at + 1);
      return line;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    pollfd waiting = {fd_, POLLIN, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(std::max<int64_t>(0, left.count())));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) fail(ErrorCode::kIo, "'{}' said nothing for {} ms", name_, limit.count());
    char chunk[4096];
    const ssize_t got = read(fd_, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) fail(ErrorCode::kIo, "'{}' ended before it answered", name_);
    buffer_.append(chunk, static_cast<size_t>(got));
  }
}

}  // namespace lapidary
