#include "src/fit/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <vector>

#include "src/base/fail.h"
#include "src/base/sha256.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

using nlohmann::json;
static_assert(std::endian::native == std::endian::little, "elements are written as they lie");

constexpr int64_t kMostHeader = int64_t{16} << 20;
constexpr size_t kMostRank = 64;
constexpr const char* kMetadata = "__metadata__";

struct TypeName {
  std::string_view name;
  DType dtype;
};
constexpr std::array<TypeName, 13> kTypes = {{{"F64", DType::kF64},
                                              {"F32", DType::kF32},
                                              {"F16", DType::kF16},
                                              {"BF16", DType::kBF16},
                                              {"I64", DType::kI64},
                                              {"I32", DType::kI32},
                                              {"I16", DType::kI16},
                                              {"I8", DType::kI8},
                                              {"U64", DType::kU64},
                                              {"U32", DType::kU32},
                                              {"U16", DType::kU16},
                                              {"U8", DType::kU8},
                                              {"BOOL", DType::kBool}}};

std::string name_of(DType dtype) {
  for (const TypeName& type : kTypes)
    if (type.dtype == dtype) return std::string(type.name);
  fail_invalid("safetensors files hold no {}", dtype_name(dtype));
}

DType type_of(const std::string& name) {
  for (const TypeName& type : kTypes)
    if (type.name == name) return type.dtype;
  fail_invalid("element type '{}' is not read", printable(name, 40));
}

/// Of the header without its digest; the data follow.
Sha256 begin_digest(json header) {
  if (header.contains(kMetadata)) header[kMetadata].erase(kSafetensorsDigest);
  Sha256 hash;
  hash.update(header.dump());
  return hash;
}

/// Names with their offsets in the data, widest elements first.
std::vector<std::pair<std::string, const Tensor*>> in_order(const Safetensors& content) {
  std::vector<std::pair<std::string, const Tensor*>> out;
  for (const auto& [name, tensor] : content.tensors) {
    if (name == kMetadata || !valid_utf8(name))
      fail_invalid("'{}' cannot be the name of a tensor", printable(name));
    out.emplace_back(name, &tensor);
  }
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return dtype_size(a.second->dtype()) > dtype_size(b.second->dtype());
  });
  return out;
}

/// One tensor as the header describes it.
struct Entry {
  std::string name;
  DType dtype = DType::kUndefined;
  Shape shape;
  int64_t begin = 0, end = 0;
};

int64_t size_of(const json& number) {
  if (!number.is_number_unsigned() || number.get<uint64_t>() > uint64_t{1} << 62)
    fail_invalid("a size or offset is no whole number below 2^62");
  return number.get<int64_t>();
}

/// Bytes of the shape's elements; each product is checked against what the file holds.
int64_t bytes_of(const Entry& entry, int64_t data_bytes) {
  int64_t count = 1;
  for (const int64_t dim : entry.shape)
    if (dim == 0) return 0;
  for (const int64_t dim : entry.shape) {
    if (dim > data_bytes / count)
      fail_invalid("shape {} does not fit {} bytes of data", shape_text(entry.shape), data_bytes);
    count *= dim;
  }
  const auto element = static_cast<int64_t>(dtype_size(entry.dtype));
  if (count > data_bytes / element)
    fail_invalid("shape {} does not fit {} bytes of data", shape_text(entry.shape), data_bytes);
  return count * element;
}

Entry read_entry(const std::string& name, const json& about, int64_t data_bytes) {
  if (!about.is_object() || about.size() != 3 || !about.contains("dtype") ||
      !about.contains("shape") || !about.contains("data_offsets"))
    fail_invalid("expected dtype, shape and data_offsets");
  const json &dtype = about["dtype"], &shape = about["shape"], &offsets = about["data_offsets"];
  if (!dtype.is_string()) fail_invalid("dtype is no text");
  if (!shape.is_array() || shape.size() > kMostRank)
    fail_invalid("shape is no list of at most {} sizes", kMostRank);
  if (!offsets.is_array() || offsets.size() != 2) fail_invalid("data_offsets are no two numbers");
  Entry entry{
      name, type_of(dtype.get<std::string>()), {}, size_of(offsets[0]), size_of(offsets[1])};
  for (const json& dim : shape) entry.shape.push_back(size_of(dim));
  if (entry.begin > entry.end || entry.end > data_bytes)
    fail_invalid("bytes {} to {} of {}", entry.begin, entry.end, data_bytes);
  if (const int64_t bytes = bytes_of(entry, data_bytes); bytes != entry.end - entry.begin)
    fail_invalid("{} {} takes {} bytes, its offsets give it {}", dtype_name(entry.dtype),
                 shape_text(entry.shape), bytes, entry.end - entry.begin);
  return entry;
}

/// The header as JSON; keys that stand twice and nesting that the format has no use for are
/// refused.
json parse_header(const std::string& text) {
  std::vector<std::set<std::string>> open;
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > 4) fail_invalid("the header is nested too deep");
    if (event == json::parse_event_t::object_start) open.emplace_back();
    if (event == json::parse_event_t::object_end) open.pop_back();
    if (event == json::parse_event_t::key && !open.back().insert(parsed.get<std::string>()).second)
      fail_invalid("'{}' stands twice in the header", printable(parsed.get<std::string>()));
    return true;
  };
  json header = json::parse(text.begin(), text.end(), watch, false);
  if (!header.is_object()) fail_invalid("the header is no JSON object");
  return header;
}

/// Checks every entry, and that together they are the whole of the data, each byte once.
std::vector<Entry> read_entries(const json& header, int64_t data_bytes) {
  std::vector<Entry> out;
  for (const auto& [name, about] : header.items())
    if (name != kMetadata)
      out.push_back(with_context([&] { return "tensor '" + printable(name) + "'"; },
                                 [&] { return read_entry(name, about, data_bytes); }));
  std::sort(out.begin(), out.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  int64_t at = 0;
  for (const Entry& entry : out) {
    if (entry.begin != at)
      fail_invalid("tensor '{}' begins at byte {}, {} was expected: tensors overlap or leave a gap",
                   printable(entry.name), entry.begin, at);
    at = entry.end;
  }
  if (at != data_bytes) fail_invalid("{} bytes of data, tensors take {}", data_bytes, at);
  return out;
}

std::map<std::string, std::string> read_metadata(const json& header) {
  std::map<std::string, std::string> out;
  if (!header.contains(kMetadata)) return out;
  const json& metadata = header[kMetadata];
  if (!metadata.is_object()) fail_invalid("{} is no map", kMetadata);
  for (const auto& [key, value] : metadata.items()) {
    if (!value.is_string()) fail_invalid("{} '{}' is no text", kMetadata, printable(key));
    out[key] = value.get<std::string>();
  }
  return out;
}

Tensor read_tensor(const RandomAccessFile& file, int64_t at, const Entry& entry) {
  // Bytes first: what is no 0 or 1 must not become a bool.
  const bool is_bool = entry.dtype == DType::kBool;
  Tensor out(is_bool ? DType::kU8 : entry.dtype, entry.shape);
  if (out.size_bytes() > 0) file.read_at(at + entry.begin, out.mutable_raw(), out.size_bytes());
  if (!is_bool) return out;
  const auto bytes = out.data<uint8_t>();
  if (std::any_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b > 1; }))
    fail_invalid("tensor '{}': a truth value is neither 0 nor 1", printable(entry.name));
  Tensor truths(DType::kBool, entry.shape);
  if (!bytes.empty()) std::memcpy(truths.mutable_raw(), bytes.data(), bytes.size());
  return truths;
}

Safetensors read_file_of(const RandomAccessFile& file) {
  constexpr int64_t kLength = 8;
  uint64_t length = 0;
  if (file.size_bytes() < kLength) fail_invalid("{} bytes are too few", file.size_bytes());
  file.read_at(0, &length, sizeof length);
  if (length > static_cast<uint64_t>(std::min(kMostHeader, file.size_bytes() - kLength)))
    fail_invalid("a header of {} bytes in a file of {} (at most {} are read)", length,
                 file.size_bytes(), kMostHeader);
  std::string text(static_cast<size_t>(length), '\0');
  file.read_at(kLength, text.data(), text.size());
  const json header = parse_header(text);
  const int64_t start = kLength + static_cast<int64_t>(length);
  Safetensors out;
  out.metadata = read_metadata(header);
  Sha256 hash = begin_digest(header);
  for (const Entry& entry : read_entries(header, file.size_bytes() - start)) {
    Tensor tensor = read_tensor(file, start, entry);
    hash.update(tensor.raw(), tensor.size_bytes());
    out.tensors.emplace(entry.name, std::move(tensor));
  }
  const auto digest = out.metadata.find(kSafetensorsDigest);
  if (digest != out.metadata.end() && digest->second != hash.hex())
    fail_invalid("the content does not have the SHA-256 that the header names: it is damaged");
  return out;
}

}  // namespace

void write_safetensors(const Safetensors& content, AtomicFile& file) {
  json header = json::object();
  json& metadata = header[kMetadata] = json::object();
  for (const auto& [key, value] : content.metadata) {
    if (!valid_utf8(key) || !valid_utf8(value))
      fail_invalid("metadata '{}' is no valid UTF-8", printable(key));
    metadata[key] = value;
  }
  const auto tensors = in_order(content);
  int64_t at = 0;
  for (const auto& [name, tensor] : tensors) {
    const auto end = at + static_cast<int64_t>(tensor->size_bytes());
    header[name] = {{"dtype", name_of(tensor->dtype())},
                    {"shape", tensor->shape()},
                    {"data_offsets", {at, end}}};
    at = end;
  }
  Sha256 hash = begin_digest(header);
  for (const auto& [name, tensor] : tensors) hash.update(tensor->raw(), tensor->size_bytes());
  metadata[kSafetensorsDigest] = hash.hex();
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  const uint64_t length = text.size();
  if (length > static_cast<uint64_t>(kMostHeader))
    fail_invalid("a header of {} bytes; at most {} can be read", length, kMostHeader);
  file.write(&length, sizeof length);
  file.write(text);
  for (const auto& [name, tensor] : tensors) file.write(tensor->raw(), tensor->size_bytes());
}

Safetensors read_safetensors(const std::string& path) {
  const RandomAccessFile file(path);
  return with_context([&] { return path; }, [&] { return read_file_of(file); });
}

}  // namespace lapidary
