#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/error.h"
#include "src/base/file.h"

namespace lapidary::testing_data {

/// Bytes from hexadecimal digits.
inline std::string from_hex(std::string_view digits) {
  auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string out;
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    out += static_cast<char>(value(digits[i]) * 16 + value(digits[i + 1]));
  return out;
}

inline std::string bytes_of(std::initializer_list<int> values) {
  std::string out;
  for (int v : values) out += static_cast<char>(v);
  return out;
}

/// A folder that lives as long as the test.
class FolderTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "lapidary-data-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string at(const std::string& name) const { return (folder_ / name).string(); }
  /// Writes a file, making its folders, and gives its path.
  std::string put(const std::string& name, std::string_view content) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(at(name), std::ios::binary) << content;
    return at(name);
  }

  std::filesystem::path folder_;
};

/// A PNG chunk: length, type, data, CRC (PNG specification, 5.3).
inline std::string png_chunk(const std::string& type, const std::string& data) {
  auto big_endian = [](uint64_t v) {
    return bytes_of({static_cast<int>(v >> 24 & 255), static_cast<int>(v >> 16 & 255),
                     static_cast<int>(v >> 8 & 255), static_cast<int>(v & 255)});
  };
  const std::string body = type + data;
  return big_endian(data.size()) + body +
         big_endian(
             crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size())));
}

/// An 8-bit RGB PNG of one colour; sides up to 65535. `with_pixels` false: the header and no data.
inline std::string png_of(int height, int width, std::initializer_list<int> colour,
                          bool with_pixels = true) {
  const std::string out = from_hex("89504e470d0a1a0a") +
                          png_chunk("IHDR", bytes_of({0, 0, width >> 8, width & 255, 0, 0,
                                                      height >> 8, height & 255, 8, 2, 0, 0, 0}));
  if (!with_pixels) return out + png_chunk("IDAT", "");
  std::string rows;
  for (int y = 0; y < height; ++y) {
    rows += '\0';  // no filter
    for (int x = 0; x < width; ++x) rows += bytes_of(colour);
  }
  std::string packed(compressBound(rows.size()), '\0');
  uLongf size = packed.size();
  compress(reinterpret_cast<Bytef*>(packed.data()), &size,
           reinterpret_cast<const Bytef*>(rows.data()), rows.size());
  packed.resize(size);
  return out + png_chunk("IDAT", packed) + png_chunk("IEND", "");
}

/// What `body` throws as "CODE: text"; "no error" where it does not.
template <class Body>
std::string error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return std::to_string(static_cast<int>(error.code())) + ": " + error.what();
  }
  return "no error";
}

}  // namespace lapidary::testing_data
