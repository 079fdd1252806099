#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lapidary {

/// At most this many bytes come out of one deflated byte (RFC 1951: 258 bytes from 2 bits); a
/// declared size beyond it is a lie and is refused before memory is taken.
inline constexpr int64_t kMaxInflation = 1032;

bool is_gzip(std::string_view bytes);

/// The first `limit_bytes` bytes (fewer where the stream is shorter) of a gzip file. Throws
/// Error{kInvalid} where it is truncated or damaged before that point.
std::string inflate_gzip(std::string_view bytes, int64_t limit_bytes);

/// A raw deflate stream of exactly `size_bytes` bytes.
std::string inflate_raw(std::string_view bytes, int64_t size_bytes);

}  // namespace lapidary
