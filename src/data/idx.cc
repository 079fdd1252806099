#include <algorithm>
#include <cstring>

#include "src/base/checked.h"
#include "src/base/file.h"
#include "src/data/inflate.h"
#include "src/data/rows.h"

namespace lapidary {

namespace {

DType idx_dtype(uint8_t code) {
  switch (code) {
    case 0x08:
      return DType::kU8;
    case 0x09:
      return DType::kI8;
    case 0x0B:
      return DType::kI16;
    case 0x0C:
      return DType::kI32;
    case 0x0D:
      return DType::kF32;
    case 0x0E:
      return DType::kF64;
    default:
      fail_invalid("idx element type 0x{:02x} is none of 08, 09, 0b, 0c, 0d, 0e", code);
  }
}

struct IdxHeader {
  DType dtype = DType::kUndefined;
  Shape shape;
  int64_t bytes = 0;  // of the header

  int64_t row_bytes() const {
    const Shape row(shape.begin() + 1, shape.end());
    return checked_mul(element_count(row), static_cast<int64_t>(dtype_size(dtype)));
  }
};

IdxHeader parse_header(std::string_view start) {
  if (!is_idx(start)) fail_invalid("not an idx file (expected 0, 0, type, rank at its start)");
  IdxHeader header;
  header.dtype = idx_dtype(static_cast<uint8_t>(start[2]));
  const auto rank = static_cast<size_t>(static_cast<uint8_t>(start[3]));
  header.bytes = static_cast<int64_t>(4 + 4 * rank);
  if (start.size() < 4 + 4 * rank) fail_invalid("the idx header is cut off");
  for (size_t axis = 0; axis < rank; ++axis) {
    int64_t size = 0;
    for (size_t i = 0; i < 4; ++i) size = size << 8 | static_cast<uint8_t>(start[4 + 4 * axis + i]);
    header.shape.push_back(size);
  }
  return header;
}

constexpr size_t kMostHeaderBytes = 4 + 4 * 255;

class IdxRows : public Rows {
 public:
  explicit IdxRows(const std::string& path) : file_(path) {
    std::string start(static_cast<size_t>(std::min<int64_t>(file_.size_bytes(), kMostHeaderBytes)),
                      '\0');
    file_.read_at(0, start.data(), start.size());
    zipped_ = is_gzip(start);
    if (zipped_) start = inflate_gzip(read_file(path), kMostHeaderBytes);
    header_ = parse_header(start);
    const int64_t data = checked_mul(header_.shape[0], header_.row_bytes());
    const int64_t room = zipped_ ? checked_mul(file_.size_bytes(), kMaxInflation)
                                 : file_.size_bytes() - header_.bytes;
    if (data > room || (!zipped_ && data != room))
      fail_invalid("{} of shape {} is {} bytes, the file holds {}{}", dtype_name(header_.dtype),
                   shape_text(header_.shape), data, zipped_ ? "at most " : "", room);
  }

  int64_t count() const override { return header_.shape[0]; }
  DType dtype() const override { return header_.dtype; }
  Shape row_shape() const override { return {header_.shape.begin() + 1, header_.shape.end()}; }

  void prepare(int64_t count) override {
    if (zipped_) inflate_rows(std::min(count, header_.shape[0]));
  }

  Tensor row(int64_t index) const override {
    LAPIDARY_CHECK(index >= 0 && index < count());
    Tensor out(header_.dtype, row_shape());
    const int64_t bytes = header_.row_bytes();
    const int64_t at = header_.bytes + index * bytes;
    if (zipped_) {
      LAPIDARY_CHECK(at + bytes <= static_cast<int64_t>(data_.size()));
      if (bytes > 0) std::memcpy(out.mutable_raw(), data_.data() + at, static_cast<size_t>(bytes));
    } else {
      file_.read_at(at, out.mutable_raw(), static_cast<size_t>(bytes));
    }
    const size_t element = dtype_size(header_.dtype);
    auto* values = static_cast<uint8_t*>(out.mutable_raw());
    for (size_t i = 0; element > 1 && i < out.size_bytes(); i += element)
      std::reverse(values + i, values + i + element);
    return out;
  }

 private:
  /// Only as far into the stream as the rows that will be read.
  void inflate_rows(int64_t count) {
    const int64_t wanted = header_.bytes + count * header_.row_bytes();
    data_ = with_context([&] { return file_.path(); },
                         [&] { return inflate_gzip(read_file(file_.path()), wanted); });
    if (static_cast<int64_t>(data_.size()) < wanted)
      fail_invalid("{}: ends after {} bytes, its header promises {}", file_.path(), data_.size(),
                   wanted);
  }

  RandomAccessFile file_;
  IdxHeader header_;
  bool zipped_ = false;
  std::string data_;  // header and rows, where zipped
};

}  // namespace

bool is_idx(std::string_view start) {
  return start.size() >= 4 && start[0] == 0 && start[1] == 0 && start[3] != 0;
}

std::unique_ptr<Rows> open_idx(const std::string& path) {
  return with_context([&] { return path; }, [&] { return std::make_unique<IdxRows>(path); });
}

}  // namespace lapidary
