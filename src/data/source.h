#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "src/data/transform.h"

namespace lapidary {

/// The samples of one input as files hold them. `read` may be called from several threads.
class Source {
 public:
  virtual ~Source() = default;
  virtual int64_t size() const = 0;
  /// "data_batch_1.bin[17]"
  virtual std::string name(int64_t index) const = 0;
  virtual Stored read(int64_t index) const = 0;
  /// Files that these samples come from, label files included.
  virtual std::vector<std::string> files(std::span<const int64_t> indices) const = 0;
  /// Told once, before the first read, which samples will be asked for.
  virtual void prepare(std::span<const int64_t> /*indices*/) {}
  /// True where samples are uint8 pictures.
  virtual bool pictures() const { return false; }
  /// True where a sample that cannot be read is left out instead of ending the run.
  virtual bool may_skip() const { return false; }
  /// True where samples differ in length by nature: another length begins another batch.
  virtual bool ragged() const { return false; }
  virtual int64_t num_classes() const { return 0; }
  /// True where samples bring labels (some may be missing).
  virtual bool labelled() const { return false; }
  virtual std::vector<std::string> warnings() const { return {}; }
};

/// `spec` is checked and of one input; its paths are expanded.
std::unique_ptr<Source> open_source(const DatasetSpec& spec);

std::unique_ptr<Source> open_images(const DatasetSpec& spec);
std::unique_ptr<Source> open_cifar10(const DatasetSpec& spec);
std::unique_ptr<Source> open_rows(const DatasetSpec& spec);  ///< idx, npy, raw
std::unique_ptr<Source> open_tokens(const DatasetSpec& spec);
/// Rows of tensors in memory.
std::unique_ptr<Source> memory_source(Tensor rows, std::vector<int64_t> labels);

/// The last part of a path.
std::string file_name(const std::string& path);

}  // namespace lapidary
