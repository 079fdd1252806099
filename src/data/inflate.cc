#include "src/data/inflate.h"

#include <zlib.h>

#include <algorithm>

#include "src/base/fail.h"

namespace lapidary {

namespace {

/// Owns a z_stream; window_bits as in zlib's manual (16 + 15: gzip, -15: raw deflate).
class Inflater {
 public:
  Inflater(std::string_view bytes, int window_bits) : rest_(bytes) {
    if (inflateInit2(&stream_, window_bits) != Z_OK)
      fail(ErrorCode::kResource, "zlib: cannot start: out of memory");
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// Appends up to `room` bytes to `out`; true once the stream has ended.
  bool read(std::string& out, size_t room) {
    const size_t before = out.size();
    out.resize(before + room);
    stream_.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    stream_.avail_out = static_cast<uInt>(room);
    int status = Z_OK;
    while (status == Z_OK && stream_.avail_out > 0) {
      if (stream_.avail_in == 0) feed();
      status = inflate(&stream_, Z_NO_FLUSH);
    }
    out.resize(out.size() - stream_.avail_out);
    if (status == Z_BUF_ERROR) fail_invalid("compressed data is truncated");
    if (status != Z_OK && status != Z_STREAM_END)
      fail_invalid("compressed data is damaged: {}", stream_.msg ? stream_.msg : "zlib error");
    return status == Z_STREAM_END;
  }
  /// Starts on the next member of a gzip file; false where none follows.
  bool next_member() {
    if (stream_.avail_in == 0) feed();
    if (stream_.avail_in == 0) return false;
    return inflateReset(&stream_) == Z_OK;
  }

 private:
  void feed() {
    const size_t taken = std::min<size_t>(rest_.size(), size_t{1} << 30);
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(rest_.data()));
    stream_.avail_in = static_cast<uInt>(taken);
    rest_.remove_prefix(taken);
  }

  std::string_view rest_;
  z_stream stream_{};
};

constexpr size_t kStepBytes = size_t{1} << 22;

}  // namespace

bool is_gzip(std::string_view bytes) { return bytes.starts_with("\x1f\x8b"); }

std::string inflate_gzip(std::string_view bytes, int64_t limit_bytes) {
  Inflater inflater(bytes, 16 + 15);
  std::string out;
  while (static_cast<int64_t>(out.size()) < limit_bytes) {
    const int64_t room = limit_bytes - static_cast<int64_t>(out.size());
    if (inflater.read(out, static_cast<size_t>(std::min<int64_t>(room, kStepBytes))) &&
        !inflater.next_member())
      break;
  }
  return out;
}

std::string inflate_raw(std::string_view bytes, int64_t size_bytes) {
  if (size_bytes / kMaxInflation > static_cast<int64_t>(bytes.size()))
    fail_invalid("{} compressed bytes cannot hold the declared {}", bytes.size(), size_bytes);
  Inflater inflater(bytes, -15);
  std::string out;
  bool ended = false;
  // One byte more than declared: a longer stream must show itself.
  while (!ended && static_cast<int64_t>(out.size()) <= size_bytes)
    ended = inflater.read(out, static_cast<size_t>(std::min<int64_t>(
                                   size_bytes + 1 - static_cast<int64_t>(out.size()), kStepBytes)));
  if (static_cast<int64_t>(out.size()) != size_bytes)
    fail_invalid("compressed data holds {} {} bytes, {} were declared", ended ? "only" : "over",
                 out.size(), size_bytes);
  return out;
}

}  // namespace lapidary
