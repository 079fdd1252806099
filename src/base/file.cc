#include "src/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

constexpr size_t kBufferBytes = size_t{1} << 16;

std::string error_text(int error) { return std::generic_category().message(error); }

const char* file_kind(mode_t mode) {
  if (S_ISREG(mode)) return "a file";
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISLNK(mode)) return "a symbolic link";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

std::string parent_of(const std::string& path) {
  const auto parent = std::filesystem::path(path).parent_path();
  return parent.empty() ? std::string(".") : parent.string();
}

/// Makes the rename itself durable; some file systems cannot sync a directory, which is no failure.
void sync_directory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void)::fsync(fd);
  ::close(fd);
}

}  // namespace

RandomAccessFile::RandomAccessFile(std::string path) : path_(std::move(path)) {
  if (path_.find('\0') != std::string::npos)
    fail(ErrorCode::kIo, "{}: a file name cannot hold a NUL byte", path_);
  // O_NONBLOCK: opening a FIFO without a writer must not wait.
  fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) fail(ErrorCode::kIo, "{}: cannot open: {}", path_, error_text(errno));
  struct stat info;
  const bool known = ::fstat(fd_, &info) == 0;
  if (known && S_ISREG(info.st_mode)) {
    size_bytes_ = info.st_size;
    return;
  }
  const int error = errno;
  ::close(fd_);
  if (!known) fail(ErrorCode::kIo, "{}: cannot read: {}", path_, error_text(error));
  fail(ErrorCode::kIo, "{}: is {}, expected a regular file", path_, file_kind(info.st_mode));
}

RandomAccessFile::~RandomAccessFile() {
  if (fd_ >= 0) ::close(fd_);
}

RandomAccessFile::RandomAccessFile(RandomAccessFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      size_bytes_(other.size_bytes_) {}

void RandomAccessFile::read_at(int64_t offset, void* out, size_t bytes) const {
  auto* to = static_cast<char*>(out);
  while (bytes > 0) {
    const ssize_t got = ::pread(fd_, to, bytes, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(ErrorCode::kIo, "{}: cannot read: {}", path_, error_text(errno));
    if (got == 0)
      fail_invalid("{}: ends at byte {}, {} more bytes were expected", path_, offset, bytes);
    to += got, offset += got, bytes -= static_cast<size_t>(got);
  }
}

std::string read_file(const std::string& path, int64_t limit_bytes) {
  const RandomAccessFile file(path);
  if (file.size_bytes() > limit_bytes)
    fail(ErrorCode::kResource, "{}: {} bytes; at most {} are read", path, file.size_bytes(),
         limit_bytes);
  std::string out(static_cast<size_t>(file.size_bytes()), '\0');
  file.read_at(0, out.data(), out.size());
  return out;
}

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  if (path_.empty() || path_.find('\0') != std::string::npos)
    fail(ErrorCode::kIo, "'{}' is no file name to write to", path_);
  struct stat info;
  if (::lstat(path_.c_str(), &info) == 0 && !S_ISREG(info.st_mode))
    fail(ErrorCode::kIo, "{}: is {}; it is not written over, give another output name", path_,
         file_kind(info.st_mode));
  static std::atomic<uint64_t> counter{0};
  for (int attempt = 0; attempt < 100 && fd_ < 0; ++attempt) {
    temporary_ = fmt::format("{}.tmp-{}-{}", path_, ::getpid(), counter++);
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd_ < 0 && errno != EEXIST) break;
  }
  if (fd_ < 0) {
    const int error = errno;
    fail(ErrorCode::kIo, "{}: cannot create a file in {}: {}", path_, parent_of(path_),
         error_text(error));
  }
  buffer_.reserve(kBufferBytes);
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::fail_writing(const char* what, int error) const {
  fail(ErrorCode::kIo, "{}: cannot {}: {}; the file is left as it was", path_, what,
       error_text(error));
}

void AtomicFile::flush() {
  for (size_t done = 0; done < buffer_.size();) {
    const ssize_t n = ::write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_writing("write", errno);
    done += static_cast<size_t>(n);
  }
  buffer_.clear();
}

void AtomicFile::write(const void* data, size_t bytes) {
  LAPIDARY_CHECK(fd_ >= 0);
  const auto* from = static_cast<const char*>(data);
  size_bytes_ += static_cast<int64_t>(bytes);
  while (bytes > 0) {
    const size_t taken = std::min(bytes, kBufferBytes - buffer_.size());
    buffer_.append(from, taken);
    from += taken, bytes -= taken;
    if (buffer_.size() == kBufferBytes) flush();
  }
}

void AtomicFile::commit() {
  LAPIDARY_CHECK(fd_ >= 0);
  flush();
  if (::fsync(fd_) != 0) fail_writing("sync", errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_writing("rename into place", errno);
  ::close(std::exchange(fd_, -1));
  sync_directory(parent_of(path_));
}

void write_file_atomically(const std::string& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

bool same_file(const std::string& a, const std::string& b) {
  struct stat first, second;
  return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

void guard_output(const std::string& output, const std::vector<std::string>& inputs) {
  struct stat there;
  if (::stat(output.c_str(), &there) != 0 || !S_ISREG(there.st_mode)) return;
  for (const std::string& input : inputs)
    if (same_file(output, input))
      fail_usage("the output '{}' is the input '{}'; give another name", printable(output),
                 printable(input));
}

}  // namespace lapidary
