#include "src/data/deflate.h"

#include <zlib.h>

#include <algorithm>
#include <vector>

#include "src/base/fail.h"

namespace lapidary {

namespace {

constexpr size_t kStepBytes = size_t{1} << 20;

/// Owns a z_stream; what comes out is counted and forgotten.
class Counter {
 public:
  Counter() : room_(kStepBytes) {
    if (deflateInit(&stream_, Z_BEST_COMPRESSION) != Z_OK)
      fail(ErrorCode::kResource, "zlib: cannot start: out of memory");
  }
  ~Counter() { deflateEnd(&stream_); }
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;

  void add(std::string_view bytes) {
    while (!bytes.empty()) {
      const size_t taken = std::min(bytes.size(), kStepBytes);
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
      stream_.avail_in = static_cast<uInt>(taken);
      run(Z_NO_FLUSH);
      bytes.remove_prefix(taken);
    }
  }
  int64_t finish() {
    run(Z_FINISH);
    return count_;
  }

 private:
  void run(int flush) {
    do {
      stream_.next_out = room_.data();
      stream_.avail_out = static_cast<uInt>(room_.size());
      const int status = deflate(&stream_, flush);
      LAPIDARY_CHECK(status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR);
      count_ += static_cast<int64_t>(room_.size() - stream_.avail_out);
    } while (stream_.avail_out == 0);
  }

  std::vector<Bytef> room_;
  z_stream stream_{};
  int64_t count_ = 0;
};

}  // namespace

int64_t deflated_size(std::span<const std::string_view> parts) {
  Counter counter;
  for (const std::string_view part : parts) counter.add(part);
  return counter.finish();
}

}  // namespace lapidary
