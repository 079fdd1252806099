#include "src/onnx/external_data.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>
#include <utility>

#include "src/base/fail.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

std::string error_text(int error) { return std::generic_category().message(error); }

constexpr int kFileFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

int openat2_beneath(int directory_fd, const std::string& location) {
  struct open_how how = {};
  how.flags = kFileFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, directory_fd, location.c_str(), &how, sizeof how));
}

/// The same promise without openat2: every component is opened with O_NOFOLLOW below the one
/// before. `location` has no "..", and a rename in between leads at worst to another file below the
/// directory.
int walk_beneath(int directory_fd, const std::string& location) {
  int at = ::dup(directory_fd);
  for (size_t begin = 0; at >= 0;) {
    const size_t end = location.find('/', begin);
    const std::string part = location.substr(begin, end - begin);
    const bool last = end == std::string::npos;
    const int flags =
        last ? kFileFlags | O_NOFOLLOW : O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
    const int next = ::openat(at, part.empty() ? "." : part.c_str(), flags);
    const int error = errno;
    ::close(at);
    errno = error;
    if (last || next < 0) return next;
    at = next;
    begin = end + 1;
  }
  return at;
}

/// `location` must be a relative path that stays below: checked before any system call sees it.
void check_location(const std::string& location) {
  const std::string shown = printable(location, 200);
  if (location.empty()) fail_invalid("its external data has an empty location");
  if (location.find('\0') != std::string::npos)
    fail_invalid("the external data's location '{}' holds a NUL byte", shown);
  if (location.find('\\') != std::string::npos)
    fail_invalid("the external data's location '{}' holds a backslash; use '/'", shown);
  if (location.front() == '/')
    fail_invalid("the external data's location '{}' is absolute; it must lie beside the model",
                 shown);
  for (size_t begin = 0; begin <= location.size();) {
    const size_t end = std::min(location.find('/', begin), location.size());
    if (location.substr(begin, end - begin) == "..")
      fail_invalid("the external data's location '{}' leaves the model's folder", shown);
    begin = end + 1;
  }
}

/// "; the folder holds 'a', 'b'": at most a few names, the nearest first.
std::string folder_hint(const std::filesystem::path& directory, const std::string& location) {
  std::vector<std::string> names;
  std::error_code error;
  const std::filesystem::path folder = directory.empty() ? "." : directory;  // of a bare file name
  for (std::filesystem::directory_iterator it(folder, error), end;
       !error && it != end && names.size() < 1000; it.increment(error))
    names.push_back(it->path().filename().string());
  if (names.empty()) return "; the folder is empty";
  const auto near = closest(std::filesystem::path(location).filename().string(), names, 2);
  if (!near.empty())
    return did_you_mean(std::filesystem::path(location).filename().string(), names);
  std::sort(names.begin(), names.end());
  if (names.size() > 5) names.resize(5);
  for (std::string& name : names) name = "'" + printable(name, 60) + "'";
  return fmt::format("; the folder holds {}", fmt::join(names, ", "));
}

int64_t decimal(const std::string& text, std::string_view key) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || text.front() == '-')
    fail_invalid("its external data has {} '{}', expected a count of bytes", key,
                 printable(text, 60));
  return value;
}

struct Entries {
  std::string location;
  int64_t offset = 0;
  int64_t length = -1;  ///< -1: not said
};

Entries read_entries(const pb::TensorProto& tensor) {
  Entries out;
  bool seen[4] = {};
  const auto once = [&](size_t which, const std::string& key) {
    if (std::exchange(seen[which], true)) fail_invalid("its external data says '{}' twice", key);
  };
  for (const auto& entry : tensor.external_data()) {
    const std::string& key = entry.key();
    if (key == "location") {
      once(0, key);
      out.location = entry.value();
    } else if (key == "offset") {
      once(1, key);
      out.offset = decimal(entry.value(), key);
    } else if (key == "length") {
      once(2, key);
      out.length = decimal(entry.value(), key);
    } else if (key == "checksum") {
      once(3, key);  // SHA-1 of the file, optional; the lengths are what protects this process
    } else {
      fail_invalid(
          "its external data has an unknown key '{}'; known are location, offset, length, checksum",
          printable(key, 60));
    }
  }
  if (!seen[0]) fail_invalid("its external data names no location");
  check_location(out.location);
  return out;
}

}  // namespace

int open_beneath(int directory_fd, const std::string& location, OpenMethod method) {
  check_location(location);
  int fd = -1;
  if (method == OpenMethod::kAuto) fd = openat2_beneath(directory_fd, location);
  if (method == OpenMethod::kWalk || (fd < 0 && (errno == ENOSYS || errno == EPERM)))
    fd = walk_beneath(directory_fd, location);
  const std::string shown = printable(location, 200);
  if (fd < 0) {
    const int error = errno;
    if (error == ELOOP || error == EXDEV || error == ENOTDIR)
      fail_invalid(
          "external data '{}' leads through a symbolic link or out of the model's folder, which is "
          "not followed; copy the file beside the model",
          shown);
    if (error == ENXIO) fail_invalid("external data '{}' is not a regular file", shown);
    fail(ErrorCode::kIo, "cannot open external data '{}': {}", shown, error_text(error));
  }
  struct stat info;
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    fail_invalid("external data '{}' is not a regular file", shown);
  }
  return fd;
}

ExternalData::ExternalData(std::filesystem::path directory, std::shared_ptr<const MappedFile> model)
    : directory_(std::move(directory)), model_(std::move(model)) {}

ExternalData::~ExternalData() {
  if (directory_fd_ >= 0) ::close(directory_fd_);
}

std::shared_ptr<const MappedFile> ExternalData::file(const std::string& location) {
  if (const auto found = files_.find(location); found != files_.end()) return found->second;
  if (directory_fd_ < 0)
    directory_fd_ =
        ::open(directory_.empty() ? "." : directory_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (directory_fd_ < 0)
    fail(ErrorCode::kIo, "cannot open the model's folder: {}", error_text(errno));
  std::shared_ptr<const MappedFile> mapped;
  try {
    mapped = MappedFile::adopt(open_beneath(directory_fd_, location), location);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kIo) throw;
    const std::string expected = (directory_ / location).string();
    throw Error(ErrorCode::kIo,
                fmt::format("{} (expected {}){}", error.message(), printable(expected, 300),
                            folder_hint((directory_ / location).parent_path(), location)));
  }
  if (model_ && mapped->is(model_->device(), model_->inode()))
    fail_invalid("external data '{}' is the model file itself", printable(location, 200));
  files_.emplace(location, mapped);
  return mapped;
}

std::vector<std::shared_ptr<const MappedFile>> ExternalData::files() const {
  std::vector<std::shared_ptr<const MappedFile>> out;
  for (const auto& [location, mapped] : files_) out.push_back(mapped);
  std::sort(out.begin(), out.end(),
            [](const auto& a, const auto& b) { return a->path() < b->path(); });
  return out;
}

ExternalBytes ExternalData::find(const pb::TensorProto& tensor, uint64_t expected_bytes) {
  const Entries entries = read_entries(tensor);
  if (entries.length >= 0 && static_cast<uint64_t>(entries.length) != expected_bytes)
    fail_invalid("its external data is {} bytes long, its shape and type need {}", entries.length,
                 expected_bytes);
  auto mapped = file(entries.location);
  const uint64_t size = mapped->bytes().size(), offset = static_cast<uint64_t>(entries.offset);
  if (expected_bytes > size || offset > size - expected_bytes)
    fail_invalid("its external data is bytes {} to {} + {} of '{}', which has only {}", offset,
                 offset, expected_bytes, printable(entries.location, 200), size);
  return {std::move(mapped), static_cast<size_t>(offset), static_cast<size_t>(expected_bytes)};
}

}  // namespace lapidary
