#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/export.h"

namespace lapidary {

/// A regular file open for reading at any place, from any number of threads. Directories, FIFOs,
/// sockets and devices are refused without waiting on them. Failures throw Error{kIo}.
class RandomAccessFile {
 public:
  explicit RandomAccessFile(std::string path);
  ~RandomAccessFile();
  RandomAccessFile(RandomAccessFile&& other) noexcept;
  RandomAccessFile& operator=(RandomAccessFile&&) = delete;

  const std::string& path() const { return path_; }
  int64_t size_bytes() const { return size_bytes_; }
  /// Reads exactly `bytes` bytes at `offset`; throws Error{kInvalid} where the file ends before.
  void read_at(int64_t offset, void* out, size_t bytes) const;

 private:
  std::string path_;
  int fd_ = -1;
  int64_t size_bytes_ = 0;
};

/// All of a regular file. Throws Error{kIo} where it cannot be read, Error{kResource} where it is
/// larger than `limit_bytes`.
LAPIDARY_API std::string read_file(const std::string& path, int64_t limit_bytes = int64_t{1} << 40);

/// A file that appears under its name only when complete: written beside it under a temporary name,
/// then fsync and rename in `commit()`. Without commit, the destructor removes the temporary file
/// and the old file stays as it was. Failures throw Error{kIo}; a symbolic link or anything that is
/// not a regular file is never written over.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// Bytes written so far.
  int64_t size_bytes() const { return size_bytes_; }
  void commit();

 private:
  void flush();
  [[noreturn]] void fail_writing(const char* what, int error) const;

  std::string path_, temporary_, buffer_;
  int fd_ = -1;
  int64_t size_bytes_ = 0;
};

/// One AtomicFile with one content.
LAPIDARY_API void write_file_atomically(const std::string& path, std::string_view content);

/// True where both names lead to the same existing file (links followed).
bool same_file(const std::string& a, const std::string& b);

/// Throws Error{kUsage} that names both where `output` is one of the files that are read, under
/// whatever name (links, "./", ".."). Names that lead to no file are nobody's.
LAPIDARY_API void guard_output(const std::string& output, const std::vector<std::string>& inputs);

}  // namespace lapidary
