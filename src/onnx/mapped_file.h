#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace lapidary {

/// A regular file mapped for reading; the mapping lives as long as anything that shares it.
class MappedFile {
 public:
  /// Opens and maps `path`. Throws Error{kIo}.
  static std::shared_ptr<const MappedFile> open(const std::string& path);
  /// Maps what `fd` is open on and closes it. Throws Error{kIo}; the caller made sure that it is a
  /// regular file.
  static std::shared_ptr<const MappedFile> adopt(int fd, std::string path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const uint8_t> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }
  /// True where `count` bytes from `offset` on can be read in memory, the file's last page
  /// included.
  bool readable(size_t offset, size_t count) const;
  /// The same file, whatever its name.
  bool is(uint64_t device, uint64_t inode) const { return device == device_ && inode == inode_; }
  uint64_t device() const { return device_; }
  uint64_t inode() const { return inode_; }

 private:
  MappedFile() = default;

  std::string path_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
  uint64_t device_ = 0, inode_ = 0;
};

}  // namespace lapidary
