#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace lapidary {

/// A program that answers lines on its standard output to lines on its standard input; its standard
/// error is this process's. It is killed when the object goes. Failures throw Error{kIo}.
class LineProcess {
 public:
  /// `argv[0]` is looked up in PATH.
  explicit LineProcess(const std::vector<std::string>& argv);
  ~LineProcess();
  LineProcess(const LineProcess&) = delete;
  LineProcess& operator=(const LineProcess&) = delete;

  /// Sends one line ("\n" is added).
  void write_line(std::string_view line);
  /// The next line without its end; throws where the program ends or stays silent for longer.
  std::string read_line(std::chrono::milliseconds limit);

 private:
  std::string name_;
  std::string buffer_;
  pid_t child_ = -1;
  int fd_ = -1;
};

}  // namespace lapidary
