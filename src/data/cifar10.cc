#include <algorithm>

#include "src/base/fail.h"
#include "src/base/file.h"
#include "src/data/source.h"

namespace lapidary {

namespace {

constexpr int64_t kPixels = 3 * 32 * 32;
constexpr int64_t kRecord = 1 + kPixels;  // label, then red, green and blue planes
constexpr int64_t kClasses = 10;

class Cifar10Source : public Source {
 public:
  explicit Cifar10Source(const PathList& paths) {
    for (const std::string& path : paths) {
      files_.emplace_back(path);
      const int64_t bytes = files_.back().size_bytes();
      if (bytes == 0 || bytes % kRecord != 0)
        fail_invalid("{}: {} bytes are no whole number of CIFAR-10 records ({} bytes each)", path,
                     bytes, kRecord);
      starts_.push_back(size_);
      size_ += bytes / kRecord;
    }
  }

  int64_t size() const override { return size_; }
  bool pictures() const override { return true; }
  int64_t num_classes() const override { return kClasses; }
  bool labelled() const override { return true; }

  std::string name(int64_t index) const override {
    const auto [part, record] = locate(index);
    return fmt::format("{}[{}]", file_name(files_[part].path()), record);
  }

  Stored read(int64_t index) const override {
    const auto [part, record] = locate(index);
    std::string bytes(kRecord, '\0');
    files_[part].read_at(record * kRecord, bytes.data(), bytes.size());
    Stored out;
    out.label = static_cast<uint8_t>(bytes[0]);
    if (out.label >= kClasses)
      fail_invalid("label {} of record {}; CIFAR-10 has 0..9 (is this CIFAR-100?)", out.label,
                   record);
    out.tensor = Tensor(DType::kU8, {3, 32, 32});
    std::copy(bytes.begin() + 1, bytes.end(), out.tensor.mutable_data<uint8_t>().begin());
    return out;
  }

  std::vector<std::string> files(std::span<const int64_t>) const override {
    std::vector<std::string> out;
    for (const auto& file : files_) out.push_back(file.path());
    return out;
  }

 private:
  std::pair<size_t, int64_t> locate(int64_t index) const {
    const auto after = std::upper_bound(starts_.begin(), starts_.end(), index);
    const auto part = static_cast<size_t>(after - starts_.begin()) - 1;
    return {part, index - starts_[part]};
  }

  std::vector<RandomAccessFile> files_;
  std::vector<int64_t> starts_;
  int64_t size_ = 0;
};

}  // namespace

std::unique_ptr<Source> open_cifar10(const DatasetSpec& spec) {
  return std::make_unique<Cifar10Source>(spec.path);
}

}  // namespace lapidary
