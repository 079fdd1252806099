#include "src/data/npy.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>

#include "src/base/checked.h"
#include "src/base/text.h"

namespace lapidary {

static_assert(std::endian::native == std::endian::little);

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr int64_t kMaxHeaderBytes = 64 << 10;
constexpr size_t kMaxRank = 64;

struct Descr {
  std::string_view code;  // NumPy's kind and size
  DType dtype;
};
constexpr std::array kDescrs = {
    Descr{"f4", DType::kF32},       Descr{"f8", DType::kF64},        Descr{"f2", DType::kF16},
    Descr{"u1", DType::kU8},        Descr{"i1", DType::kI8},         Descr{"u2", DType::kU16},
    Descr{"i2", DType::kI16},       Descr{"u4", DType::kU32},        Descr{"i4", DType::kI32},
    Descr{"u8", DType::kU64},       Descr{"i8", DType::kI64},        Descr{"b1", DType::kBool},
    Descr{"c8", DType::kComplex64}, Descr{"c16", DType::kComplex128}};

/// The header is a Python dict literal: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : text_(text) {}

  NpyHeader read() {
    NpyHeader header;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr" && !descr) {
        read_descr(header);
        descr = true;
      } else if (key == "fortran_order" && !order) {
        header.fortran_order = boolean();
        order = true;
      } else if (key == "shape" && !shape) {
        header.shape = tuple();
        shape = true;
      } else {
        fail_invalid("npy header: unexpected key '{}'", key);
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!text_.empty()) fail_invalid("npy header: '{}' after its end", printable(text_, 40));
    if (!descr || !order || !shape)
      fail_invalid("npy header: needs 'descr', 'fortran_order' and 'shape'");
    return header;
  }

 private:
  void skip_space() {
    while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\n')) text_.remove_prefix(1);
  }
  bool accept(char c) {
    skip_space();
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c))
      fail_invalid("npy header: expected '{}', found '{}'", c, printable(text_.substr(0, 20)));
  }
  std::string_view quoted() {
    skip_space();
    const char quote = text_.empty() ? '\0' : text_[0];
    const size_t end = quote == '\'' || quote == '"' ? text_.find(quote, 1) : text_.npos;
    if (end == text_.npos)
      fail_invalid("npy header: expected a text, found '{}'", printable(text_.substr(0, 20)));
    const std::string_view out = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return out;
  }
  bool boolean() {
    skip_space();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true},
                                      std::pair<std::string_view, bool>{"False", false}})
      if (text_.starts_with(word)) {
        text_.remove_prefix(word.size());
        return value;
      }
    fail_invalid("npy header: expected True or False, found '{}'", printable(text_.substr(0, 20)));
  }
  Shape tuple() {
    Shape shape;
    expect('(');
    while (!accept(')')) {
      skip_space();
      int64_t size = 0;
      const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), size);
      if (error != std::errc{} || size < 0)
        fail_invalid("npy header: '{}' is no size", printable(text_.substr(0, 24)));
      text_.remove_prefix(static_cast<size_t>(end - text_.data()));
      shape.push_back(size);
      if (shape.size() > kMaxRank) fail_invalid("npy header: more than {} axes", kMaxRank);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }
  void read_descr(NpyHeader& header) {
    skip_space();
    if (text_.starts_with('['))
      fail_invalid("a structured array; expected one of plain numbers (save its fields apart)");
    const std::string_view descr = quoted();
    const std::string_view code = descr.substr(descr.empty() ? 0 : 1);
    if (code.starts_with('O'))
      fail_invalid("an object array holds a pickle, which is never loaded; save plain numbers");
    const auto row = std::find_if(kDescrs.begin(), kDescrs.end(),
                                  [&](const Descr& d) { return d.code == code; });
    if (row == kDescrs.end() || std::string_view("<>|=").find(descr[0]) == std::string_view::npos)
      fail_invalid("npy dtype '{}' is not one of plain numbers", printable(descr, 40));
    header.dtype = row->dtype;
    header.big_endian = descr[0] == '>';
  }

  std::string_view text_;
};

uint32_t little_endian(std::string_view bytes, size_t count) {
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i)
    value |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  return value;
}

/// Bytes that swap together: halves of a complex number are numbers of their own.
size_t word_bytes(DType dtype) {
  if (dtype == DType::kComplex64) return 4;
  if (dtype == DType::kComplex128) return 8;
  return dtype_size(dtype);
}

void swap_bytes(Tensor& tensor) {
  const size_t word = word_bytes(tensor.dtype());
  auto* bytes = static_cast<uint8_t*>(tensor.mutable_raw());
  for (size_t at = 0; at + word <= tensor.size_bytes(); at += word)
    std::reverse(bytes + at, bytes + at + word);
}

/// Elements stored first axis fastest -> last axis fastest.
Tensor from_fortran(const Tensor& stored) {
  Tensor out(stored.dtype(), stored.shape());
  const Shape& shape = stored.shape();
  const size_t element = dtype_size(stored.dtype());
  const auto* from = static_cast<const uint8_t*>(stored.raw());
  auto* to = static_cast<uint8_t*>(out.mutable_raw());
  std::vector<int64_t> stride(shape.size(), 1), index(shape.size(), 0);
  for (size_t axis = 1; axis < shape.size(); ++axis)
    stride[axis] = stride[axis - 1] * shape[axis - 1];
  int64_t at = 0;
  for (int64_t i = 0; i < out.size(); ++i) {
    std::memcpy(to + static_cast<size_t>(i) * element, from + static_cast<size_t>(at) * element,
                element);
    for (size_t axis = shape.size(); axis-- > 0;) {
      at += stride[axis];
      if (++index[axis] < shape[axis]) break;
      at -= stride[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return out;
}

Tensor finish(Tensor tensor, const NpyHeader& header) {
  if (header.dtype == DType::kBool) {  // any byte but 0 is true
    auto* bytes = static_cast<uint8_t*>(tensor.mutable_raw());
    for (size_t i = 0; i < tensor.size_bytes(); ++i) bytes[i] = bytes[i] != 0;
  }
  if (header.big_endian) swap_bytes(tensor);
  return header.fortran_order && tensor.rank() > 1 ? from_fortran(tensor) : tensor;
}

std::string_view descr_of(DType dtype) {
  if (dtype_bits(dtype) < 8 && is_int(dtype))
    dtype = is_signed_int(dtype) ? DType::kI8 : DType::kU8;
  const auto row = std::find_if(kDescrs.begin(), kDescrs.end(),
                                [&](const Descr& d) { return d.dtype == dtype; });
  if (row == kDescrs.end())
    fail_unsupported("NumPy files have no {}; convert it to float32 first", dtype_name(dtype));
  return row->code;
}

}  // namespace

int64_t NpyHeader::data_bytes() const {
  return checked_mul(element_count(shape), static_cast<int64_t>(dtype_size(dtype)));
}

NpyHeader parse_npy_header(std::string_view start, int64_t file_bytes) {
  if (!start.starts_with(kMagic) || start.size() < 10)
    fail_invalid("not a .npy file (its first bytes are not \\x93NUMPY)");
  const auto major = static_cast<uint8_t>(start[6]);
  if (major < 1 || major > 3) fail_invalid(".npy version {}; expected 1, 2 or 3", major);
  const size_t length_bytes = major == 1 ? 2 : 4;
  if (start.size() < 8 + length_bytes) fail_invalid("the .npy header is cut off");
  const int64_t length = little_endian(start.substr(8), length_bytes);
  if (length > kMaxHeaderBytes)
    fail_invalid(".npy header of {} bytes; at most {} are read", length, kMaxHeaderBytes);
  const int64_t offset = static_cast<int64_t>(8 + length_bytes) + length;
  if (offset > static_cast<int64_t>(start.size()))
    fail_invalid("the .npy header claims {} bytes, the file holds {}", length, file_bytes);
  NpyHeader header =
      HeaderReader(start.substr(8 + length_bytes, static_cast<size_t>(length))).read();
  header.data_offset = offset;
  if (header.data_bytes() > file_bytes - offset)
    fail_invalid("{} of shape {} is {} bytes, the file holds {}", dtype_name(header.dtype),
                 shape_text(header.shape), header.data_bytes(), file_bytes - offset);
  return header;
}

Tensor parse_npy(std::string_view file) {
  const NpyHeader header = parse_npy_header(file, static_cast<int64_t>(file.size()));
  Tensor tensor(header.dtype, header.shape);
  if (tensor.size() > 0)
    std::memcpy(tensor.mutable_raw(), file.data() + header.data_offset, tensor.size_bytes());
  return finish(std::move(tensor), header);
}

namespace {

NpyHeader header_of(const RandomAccessFile& file) {
  std::string start(static_cast<size_t>(std::min(file.size_bytes(), kMaxHeaderBytes + 12)), '\0');
  file.read_at(0, start.data(), start.size());
  return parse_npy_header(start, file.size_bytes());
}

Tensor read_whole(const RandomAccessFile& file, const NpyHeader& header) {
  Tensor tensor(header.dtype, header.shape);
  file.read_at(header.data_offset, tensor.mutable_raw(), tensor.size_bytes());
  return finish(std::move(tensor), header);
}

}  // namespace

Tensor read_npy(const std::string& path) {
  return with_context([&] { return path; },
                      [&] {
                        const RandomAccessFile file(path);
                        return read_whole(file, header_of(file));
                      });
}

std::string npy_header_text(const Tensor& tensor) {
  const std::string_view code = descr_of(tensor.dtype());
  std::string shape;
  for (int64_t size : tensor.shape()) shape += fmt::format("{}, ", size);
  if (shape.size() > 2 && tensor.rank() > 1) shape.resize(shape.size() - 2);
  if (tensor.rank() == 1) shape.resize(shape.size() - 1);  // "(3,)"
  std::string dict = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}), }}",
                                 code.ends_with('1') ? '|' : '<', code, shape);
  // The data start at a multiple of 64 bytes; the header ends in a newline.
  dict.append(63 - (10 + dict.size()) % 64, ' ');
  dict += '\n';
  std::string out(kMagic);
  out += {'\1', '\0', static_cast<char>(dict.size() & 255), static_cast<char>(dict.size() >> 8)};
  return out + dict;
}

void write_npy(const std::string& path, const Tensor& tensor) {
  const std::string header = npy_header_text(tensor);
  AtomicFile file(path);
  file.write(header);
  file.write(tensor.raw(), tensor.size_bytes());
  file.commit();
}

Tensor tensor_row(const Tensor& tensor, int64_t index) {
  LAPIDARY_CHECK(tensor.rank() > 0 && index >= 0 && index < tensor.dim(0));
  Tensor row(tensor.dtype(), Shape(tensor.shape().begin() + 1, tensor.shape().end()));
  if (tensor.dtype() == DType::kString) {
    const auto all = tensor.data<std::string>();
    std::copy_n(all.begin() + index * row.size(), row.size(),
                row.mutable_data<std::string>().begin());
  } else if (row.size() > 0) {
    const auto* bytes = static_cast<const uint8_t*>(tensor.raw());
    std::memcpy(row.mutable_raw(), bytes + static_cast<size_t>(index) * row.size_bytes(),
                row.size_bytes());
  }
  return row;
}

NpyRows::NpyRows(const std::string& path) : file_(path) {
  with_context(
      [&] { return path; },
      [&] {
        header_ = header_of(file_);
        if (header_.shape.empty())
          fail_invalid("holds one number; expected an array whose first axis counts samples");
        if (header_.fortran_order || header_.big_endian || header_.dtype == DType::kBool)
          whole_ = read_whole(file_, header_);
      });
}

Tensor NpyRows::row(int64_t index) const {
  if (!whole_.empty()) return tensor_row(whole_, index);
  LAPIDARY_CHECK(index >= 0 && index < count());
  Tensor row(header_.dtype, row_shape());
  const auto bytes = static_cast<int64_t>(row.size_bytes());
  file_.read_at(header_.data_offset + index * bytes, row.mutable_raw(), row.size_bytes());
  return row;
}

}  // namespace lapidary
