// The zip archives of numpy.savez (PKWARE APPNOTE 6.3: 4.3.7 local header, 4.3.12 central
// directory, 4.3.16 end record, 4.5.3 zip64 sizes).
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "src/base/checked.h"
#include "src/data/inflate.h"
#include "src/data/npy.h"

namespace lapidary {

std::string npy_header_text(const Tensor& tensor);  // npy.cc

namespace {

constexpr uint32_t kLocalMagic = 0x04034b50, kCentralMagic = 0x02014b50, kEndMagic = 0x06054b50;
constexpr size_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22;
constexpr uint32_t kIsZip64 = 0xFFFFFFFF;
constexpr uint16_t kUtf8Names = 1 << 11;
constexpr uint16_t kEncrypted = 1;

/// Little-endian numbers at any place of the archive; out of it is Error{kInvalid}.
class Archive {
 public:
  explicit Archive(std::string_view bytes) : bytes_(bytes) {}
  std::string_view slice(uint64_t at, uint64_t count) const {
    if (at > bytes_.size() || count > bytes_.size() - at)
      fail_invalid("zip archive is truncated: {} bytes at {} leave its {}", count, at,
                   bytes_.size());
    return bytes_.substr(at, count);
  }
  uint64_t number(uint64_t at, size_t count) const {
    const std::string_view bytes = slice(at, count);
    uint64_t value = 0;
    for (size_t i = 0; i < count; ++i)
      value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
    return value;
  }
  uint16_t u16(uint64_t at) const { return static_cast<uint16_t>(number(at, 2)); }
  uint32_t u32(uint64_t at) const { return static_cast<uint32_t>(number(at, 4)); }
  size_t size() const { return bytes_.size(); }

  /// Start of the end record: the last one in the file (a comment of up to 65,535 bytes may
  /// follow).
  uint64_t end_record() const {
    const size_t first = bytes_.size() > kEndBytes + 65535 ? bytes_.size() - kEndBytes - 65535 : 0;
    for (size_t at = bytes_.size(); at-- > first;)
      if (at + kEndBytes <= bytes_.size() && u32(at) == kEndMagic) return at;
    fail_invalid("not a .npz file: no zip directory at its end");
  }

 private:
  std::string_view bytes_;
};

struct Entry {
  std::string name;
  uint16_t flags = 0, method = 0;
  uint32_t crc = 0;
  uint64_t packed = 0, size = 0, local = 0;
};

/// Sizes of 0xFFFFFFFF stand in the extra field 0x0001, in this order.
void read_zip64(const Archive& zip, uint64_t at, uint64_t extra_bytes, Entry& entry) {
  const uint64_t end = at + extra_bytes;
  while (at + 4 <= end) {
    const uint16_t id = zip.u16(at), bytes = zip.u16(at + 2);
    uint64_t field = at + 4;
    at = field + bytes;
    if (id != 1) continue;
    for (uint64_t* value : {&entry.size, &entry.packed, &entry.local}) {
      if (*value != kIsZip64) continue;
      if (field + 8 > at) fail_invalid("zip entry '{}': its 64-bit size is missing", entry.name);
      *value = zip.number(field, 8);
      field += 8;
    }
  }
}

std::vector<Entry> directory(const Archive& zip) {
  const uint64_t end = zip.end_record();
  const uint16_t count = zip.u16(end + 10);
  uint64_t at = zip.u32(end + 16);
  if (count == 0xFFFF || at == kIsZip64)
    fail_unsupported("a zip64 directory (over 65,534 arrays or 4 GB); save arrays apart as .npy");
  std::vector<Entry> entries;
  for (uint16_t i = 0; i < count; ++i) {
    if (zip.u32(at) != kCentralMagic) fail_invalid("zip directory is damaged at entry {}", i);
    Entry entry;
    entry.flags = zip.u16(at + 8);
    entry.method = zip.u16(at + 10);
    entry.crc = zip.u32(at + 16);
    entry.packed = zip.u32(at + 20);
    entry.size = zip.u32(at + 24);
    const uint16_t name = zip.u16(at + 28), extra = zip.u16(at + 30), comment = zip.u16(at + 32);
    entry.local = zip.u32(at + 42);
    entry.name = zip.slice(at + kCentralBytes, name);
    read_zip64(zip, at + kCentralBytes + name, extra, entry);
    at += kCentralBytes + name + extra + comment;
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::string content(const Archive& zip, const Entry& entry) {
  if (entry.flags & kEncrypted) fail_unsupported("is encrypted");
  if (zip.u32(entry.local) != kLocalMagic) fail_invalid("no local header at {}", entry.local);
  const uint64_t data =
      entry.local + kLocalBytes + zip.u16(entry.local + 26) + zip.u16(entry.local + 28);
  const std::string_view packed = zip.slice(data, entry.packed);
  if (entry.size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
    fail_invalid("declares {} bytes", entry.size);
  std::string bytes;
  if (entry.method == 0 && entry.packed == entry.size) {
    bytes = packed;
  } else if (entry.method == 8) {
    bytes = inflate_raw(packed, static_cast<int64_t>(entry.size));
  } else {
    fail_unsupported("zip method {} ({} -> {} bytes); expected stored (0) or deflated (8)",
                     entry.method, entry.packed, entry.size);
  }
  const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  if (crc != entry.crc) fail_invalid("checksum differs: the file is damaged");
  return bytes;
}

void append(std::string& out, uint64_t value, size_t count) {
  for (size_t i = 0; i < count; ++i) out += static_cast<char>(value >> (8 * i) & 255);
}

/// The fields that local header and central directory share, from "version needed" to the name
/// length.
std::string common_fields(const Entry& entry) {
  std::string out;
  append(out, 20, 2);
  append(out, kUtf8Names, 2);
  append(out, 0, 2);       // stored
  append(out, 0, 2);       // 00:00
  append(out, 0x0021, 2);  // 1980-01-01, the format's zero: equal arrays give equal files
  append(out, entry.crc, 4);
  append(out, entry.size, 4);
  append(out, entry.size, 4);
  append(out, entry.name.size(), 2);
  append(out, 0, 2);  // no extra field
  return out;
}

std::string central_directory(const std::vector<Entry>& entries, uint64_t start) {
  std::string out;
  for (const Entry& entry : entries) {
    append(out, kCentralMagic, 4);
    append(out, 20, 2);
    out += common_fields(entry);
    out.append(2 + 2 + 2 + 4, '\0');  // comment, disk, attributes
    append(out, entry.local, 4);
    out += entry.name;
  }
  const size_t bytes = out.size();
  append(out, kEndMagic, 4);
  append(out, 0, 4);
  append(out, entries.size(), 2);
  append(out, entries.size(), 2);
  append(out, bytes, 4);
  append(out, start, 4);
  append(out, 0, 2);
  return out;
}

/// The name of an archive's member: none that leaves the folder it is unpacked in, or speaks to a
/// terminal. Letters, digits, '.', '_', '-', ':' and '/' stay (unpacking drops a first '/'), other
/// bytes become %XX, as do the dots of a ".." part: different names stay different ('%' is %25).
std::string member_name(const std::string& name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    const auto byte = static_cast<unsigned char>(name[i]);
    const bool letter = (byte | 32) >= 'a' && (byte | 32) <= 'z';
    const bool plain = letter || (byte >= '0' && byte <= '9') || byte == '_' || byte == '-' ||
                       byte == ':' || byte == '/' ||
                       (byte == '.' && !(i > 0 && name[i - 1] == '.') && name[i + 1] != '.');
    if (plain)
      out += name[i];
    else
      out += fmt::format("%{:02X}", byte);
  }
  return out;
}

void check_limit(uint64_t bytes) {
  if (bytes >= kIsZip64)
    fail(ErrorCode::kResource, "over 4 GB in one .npz file; write arrays apart as .npy");
}

}  // namespace

std::map<std::string, Tensor> parse_npz(std::string_view file) {
  const Archive zip(file);
  std::map<std::string, Tensor> out;
  for (const Entry& entry : directory(zip)) {
    std::string name = entry.name;
    if (name.ends_with(".npy")) name.resize(name.size() - 4);
    Tensor tensor = with_context([&] { return "array '" + entry.name + "'"; },
                                 [&] { return parse_npy(content(zip, entry)); });
    if (!out.emplace(name, std::move(tensor)).second) fail_invalid("array '{}' stands twice", name);
  }
  return out;
}

std::map<std::string, Tensor> read_npz(const std::string& path) {
  return with_context([&] { return path; }, [&] { return parse_npz(read_file(path)); });
}

void write_npz(const std::string& path, const std::map<std::string, Tensor>& arrays) {
  if (arrays.size() >= 0xFFFF)
    fail(ErrorCode::kResource, "{} arrays in one .npz file; at most 65,534", arrays.size());
  AtomicFile file(path);
  std::vector<Entry> entries;
  for (const auto& [name, tensor] : arrays) {
    const std::string header = npy_header_text(tensor);
    Entry entry;
    entry.name = member_name(name) + ".npy";
    if (entry.name.size() > 0xFFFF)
      fail(ErrorCode::kResource, "an array name of {} bytes", name.size());
    entry.size = header.size() + tensor.size_bytes();
    entry.local = static_cast<uint64_t>(file.size_bytes());
    check_limit(entry.size);
    check_limit(entry.local);
    auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(header.data()), header.size());
    if (tensor.size_bytes() > 0)
      crc = crc32_z(crc, static_cast<const Bytef*>(tensor.raw()), tensor.size_bytes());
    entry.crc = static_cast<uint32_t>(crc);
    std::string local;
    append(local, kLocalMagic, 4);
    file.write(local + common_fields(entry) + entry.name + header);
    file.write(tensor.raw(), tensor.size_bytes());
    entries.push_back(std::move(entry));
  }
  check_limit(static_cast<uint64_t>(file.size_bytes()));
  file.write(central_directory(entries, static_cast<uint64_t>(file.size_bytes())));
  file.commit();
}

}  // namespace lapidary
