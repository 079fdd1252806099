#include "src/base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "lapidary/error.h"
#include "src/base/sha256.h"

namespace lapidary {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "lapidary-file-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string at(const std::string& name) const { return (folder_ / name).string(); }
  size_t entries() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), {}));
  }
  fs::path folder_;
};

template <class Body>
ErrorCode code_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode{0};
}

TEST_F(FileTest, WritesReadsAndHashes) {
  const std::string content(200'000, 'x');
  write_file_atomically(at("a"), content);
  EXPECT_EQ(read_file(at("a")), content);
  EXPECT_EQ(sha256_file(at("a")), sha256_hex(content));
  EXPECT_EQ(entries(), 1u);
  EXPECT_EQ(code_of([&] { read_file(at("a"), 199'999); }), ErrorCode::kResource);
}

TEST_F(FileTest, WithoutCommitTheOldFileStays) {
  write_file_atomically(at("a"), "old");
  {
    AtomicFile file(at("a"));
    file.write("new");
    EXPECT_EQ(file.size_bytes(), 3);
  }
  EXPECT_EQ(read_file(at("a")), "old");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FileTest, FullDiskLeavesTheOldFile) {
  write_file_atomically(at("a"), "old");
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit tight = before;
  tight.rlim_cur = 1000;
  setrlimit(RLIMIT_FSIZE, &tight);
  const ErrorCode code =
      code_of([&] { write_file_atomically(at("a"), std::string(100'000, 'n')); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(code, ErrorCode::kIo);
  EXPECT_EQ(read_file(at("a")), "old");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FileTest, NeverWritesThroughALinkOrOverSomethingElse) {
  write_file_atomically(at("model"), "input");
  fs::create_symlink(at("model"), at("link"));
  EXPECT_EQ(code_of([&] { write_file_atomically(at("link"), "x"); }), ErrorCode::kIo);
  EXPECT_EQ(code_of([&] { write_file_atomically(folder_.string(), "x"); }), ErrorCode::kIo);
  EXPECT_EQ(code_of([&] { write_file_atomically(at("none/a"), "x"); }), ErrorCode::kIo);
  EXPECT_EQ(read_file(at("model")), "input");
  EXPECT_TRUE(same_file(at("model"), at("link")));
  EXPECT_FALSE(same_file(at("model"), at("absent")));
}

TEST_F(FileTest, OnlyRegularFilesAreRead) {
  ASSERT_EQ(mkfifo(at("fifo").c_str(), 0600), 0);
  EXPECT_EQ(code_of([&] { read_file(at("fifo")); }), ErrorCode::kIo);
  EXPECT_EQ(code_of([&] { read_file(folder_.string()); }), ErrorCode::kIo);
  EXPECT_EQ(code_of([&] { read_file("/dev/zero"); }), ErrorCode::kIo);
  EXPECT_EQ(code_of([&] { read_file(at("absent")); }), ErrorCode::kIo);
  EXPECT_EQ(code_of([&] { read_file(std::string("a\0b", 3)); }), ErrorCode::kIo);
}

TEST_F(FileTest, ReadsPastTheEndAreRefused) {
  write_file_atomically(at("a"), "0123456789");
  const RandomAccessFile file(at("a"));
  char three[3];
  file.read_at(7, three, 3);
  EXPECT_EQ(std::string(three, 3), "789");
  EXPECT_EQ(code_of([&] { file.read_at(8, three, 3); }), ErrorCode::kInvalid);
}

}  // namespace
}  // namespace lapidary
