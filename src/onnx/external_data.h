#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "src/onnx/mapped_file.h"
#include "src/onnx/proto.h"

namespace lapidary {

/// A stretch of an external data file.
struct ExternalBytes {
  std::shared_ptr<const MappedFile> file;
  size_t offset = 0, size_bytes = 0;
  std::span<const uint8_t> bytes() const { return file->bytes().subspan(offset, size_bytes); }
};

/// How a path below a directory is opened: by openat2, or component by component where the kernel
/// (or a container's filter) refuses that call.
enum class OpenMethod { kAuto, kWalk };

/// The descriptor of the regular file `location` below the directory `directory_fd`. Never leaves
/// the directory, follows no symbolic link, waits on no FIFO. Throws Error: kInvalid, kIo where it
/// is missing.
int open_beneath(int directory_fd, const std::string& location,
                 OpenMethod method = OpenMethod::kAuto);

/// The files beside a model that hold elements of its tensors; each is mapped once.
class ExternalData {
 public:
  /// `model` is the open model file: no tensor may lie in it.
  ExternalData(std::filesystem::path directory, std::shared_ptr<const MappedFile> model);
  ~ExternalData();
  ExternalData(const ExternalData&) = delete;
  ExternalData& operator=(const ExternalData&) = delete;

  /// The bytes that a tensor of `expected_bytes` refers to. Throws Error: kInvalid where the
  /// entries are wrong, kIo where the file is missing.
  ExternalBytes find(const pb::TensorProto& tensor, uint64_t expected_bytes);

  /// The files that were asked for so far, by location.
  std::vector<std::shared_ptr<const MappedFile>> files() const;

 private:
  std::shared_ptr<const MappedFile> file(const std::string& location);

  std::filesystem::path directory_;
  std::shared_ptr<const MappedFile> model_;
  int directory_fd_ = -1;
  std::unordered_map<std::string, std::shared_ptr<const MappedFile>> files_;
};

}  // namespace lapidary
