#include "src/data/deflate.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <string>

#include "src/base/rng.h"

namespace lapidary {
namespace {

int64_t by_zlib(const std::string& bytes) {
  uLongf size = compressBound(bytes.size());
  std::string out(size, '\0');
  compress2(reinterpret_cast<Bytef*>(out.data()), &size,
            reinterpret_cast<const Bytef*>(bytes.data()), bytes.size(), 9);
  return static_cast<int64_t>(size);
}

TEST(Deflate, PartsAreOneStreamOfLevel9) {
  Rng rng(1);
  std::string bytes(5 << 20, '\0');  // several steps of what is read and what is written
  for (size_t i = 0; i < bytes.size(); ++i)
    if (i % 7 < 3 || i < bytes.size() / 2) bytes[i] = static_cast<char>(rng.next());
  const std::string_view all = bytes;
  const std::string_view parts[] = {all.substr(0, 1000), {}, all.substr(1000)};
  EXPECT_EQ(deflated_size(parts), by_zlib(bytes));
  EXPECT_EQ(deflated_size({}), by_zlib(""));
}

}  // namespace
}  // namespace lapidary
