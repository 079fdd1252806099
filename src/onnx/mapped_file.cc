#include "src/onnx/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "src/base/fail.h"

namespace lapidary {

namespace {
std::string error_text(int error) { return std::generic_category().message(error); }
}  // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  if (path.find('\0') != std::string::npos)
    fail(ErrorCode::kIo, "{}: a file name cannot hold a NUL byte", path);
  // O_NONBLOCK: opening a FIFO without a writer must not wait.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) fail(ErrorCode::kIo, "cannot open: {}", error_text(errno));
  struct stat info;
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    fail(ErrorCode::kIo, "not a regular file");
  }
  return adopt(fd, path);
}

std::shared_ptr<const MappedFile> MappedFile::adopt(int fd, std::string path) {
  std::shared_ptr<MappedFile> file(new MappedFile);
  struct stat info;
  if (::fstat(fd, &info) != 0) {
    const int error = errno;
    ::close(fd);
    fail(ErrorCode::kIo, "cannot read: {}", error_text(error));
  }
  file->path_ = std::move(path);
  file->size_ = static_cast<size_t>(info.st_size);
  file->device_ = info.st_dev;
  file->inode_ = info.st_ino;
  if (file->size_ > 0) {
    void* mapped = ::mmap(nullptr, file->size_, PROT_READ, MAP_PRIVATE, fd, 0);
    const int error = errno;
    ::close(fd);
    if (mapped == MAP_FAILED) {
      file->size_ = 0;
      fail(ErrorCode::kIo, "cannot map: {}", error_text(error));
    }
    file->data_ = static_cast<const uint8_t*>(mapped);
  } else {
    ::close(fd);
  }
  return file;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<uint8_t*>(data_), size_);
}

bool MappedFile::readable(size_t offset, size_t count) const {
  static const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t mapped = (size_ + page - 1) / page * page;
  return offset <= mapped && count <= mapped - offset;
}

}  // namespace lapidary
