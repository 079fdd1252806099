#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lapidary {

/// SHA-256 of a stream of bytes (FIPS 180-4, section 6.2).
class Sha256 {
 public:
  void update(const void* data, size_t bytes);
  void update(std::string_view text) { update(text.data(), text.size()); }
  /// Ends the stream; no further call is allowed.
  std::array<uint8_t, 32> digest();
  /// The digest as 64 lower-case hexadecimal digits.
  std::string hex();

 private:
  void compress(const uint8_t* blocks, size_t count);

  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> block_{};
  uint64_t size_bytes_ = 0;
};

std::string sha256_hex(std::string_view bytes);
/// Of a regular file's contents; throws Error{kIo} where it cannot be read.
std::string sha256_file(const std::string& path);

}  // namespace lapidary
