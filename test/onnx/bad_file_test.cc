// Files that are no models, or damaged ones: found before protobuf sees them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "src/base/rng.h"
#include "test/onnx/models.h"

namespace lapidary {
namespace {

using namespace testing_models;  // NOLINT
using ::testing::HasSubstr;
using namespace std::string_literals;

TEST(BadFile, Empty) { EXPECT_THAT(bytes_error(ErrorCode::kInvalid, ""), HasSubstr("empty file")); }

TEST(BadFile, RandomBytes) {
  Rng rng(1);
  for (int i = 0; i < 200; ++i) {
    std::string bytes(4096, '\0');
    for (char& c : bytes) c = static_cast<char>(rng.below(256));
    bytes_error(ErrorCode::kInvalid, bytes);
  }
}

TEST(BadFile, SaysWhatOtherFilesAre) {
  const auto told = [](const std::string& bytes, const std::string& what) {
    EXPECT_THAT(bytes_error(ErrorCode::kInvalid, bytes + std::string(600, ' ')), HasSubstr(what));
  };
  told("\x1f\x8b\x08", "gzip");
  told("PK\x03\x04", "ZIP");
  told("<!DOCTYPE html><html>", "HTML");
  told("\n  <html>", "HTML");
  told("version https://git-lfs.github.com/spec/v1\noid sha256:", "Git LFS");
  told("{\"a\": 1}", "JSON");
  told("ir_version: 8", "text");
  told("\x80\x02", "pickle");
  std::string tar(512, '\0');
  tar.replace(257, 5, "ustar");
  told(tar, "tar archive");
}

TEST(BadFile, TruncatedAtEveryByte) {
  // The opset import stands last here, so that every prefix lacks something.
  pb::ModelProto m = add_model();
  const std::string graph = m.graph().SerializeAsString();
  pb::ModelProto head;
  head.set_ir_version(8);
  *head.mutable_graph() = m.graph();
  pb::ModelProto tail;
  *tail.mutable_opset_import() = m.opset_import();
  const std::string bytes = head.SerializeAsString() + tail.SerializeAsString();
  parse_onnx(bytes.data(), bytes.size());
  for (size_t n = 0; n < bytes.size(); ++n) {
    SCOPED_TRACE(n);
    bytes_error(ErrorCode::kInvalid, bytes.substr(0, n));
  }
  EXPECT_THAT(bytes_error(ErrorCode::kInvalid, bytes.substr(0, bytes.size() / 2)),
              HasSubstr("truncated"));
}

TEST(BadFile, BadNumbers) {
  const std::string ir = "\x08\x08";
  // A graph whose length passes the end; one of eleven bytes; one of more than 64 bits; a negative
  // length.
  EXPECT_THAT(bytes_error(ErrorCode::kInvalid, ir + "\x3a\x7f"), HasSubstr("truncated"));
  EXPECT_THAT(bytes_error(ErrorCode::kInvalid, ir + "\x3a" + std::string(10, '\xff') + "\x01"),
              HasSubstr("64 bits"));
  EXPECT_THAT(bytes_error(ErrorCode::kInvalid, ir + "\x3a" + std::string(9, '\xff') + "\x02"),
              HasSubstr("64 bits"));
  EXPECT_THAT(bytes_error(ErrorCode::kInvalid, ir + "\x3a" + std::string(9, '\xff') + "\x01"),
              HasSubstr("truncated"));
  // A field inside the graph that leaves it.
  EXPECT_THAT(bytes_error(ErrorCode::kInvalid, ir + "\x3a\x02\x0a\x05" + std::string(20, '\0')),
              HasSubstr("leaves its message"));
  EXPECT_THAT(bytes_error(ErrorCode::kInvalid, ir + "\x02\x00"s), HasSubstr("field number"));
  EXPECT_THAT(bytes_error(ErrorCode::kInvalid, ir + "\x3b\x3c"), HasSubstr("groups"));
}

std::string varint(uint64_t v) {
  std::string out;
  for (; v >= 0x80; v >>= 7) out.push_back(static_cast<char>(v | 0x80));
  out.push_back(static_cast<char>(v));
  return out;
}
std::string field(int number, const std::string& bytes) {
  return varint(static_cast<uint64_t>(number) << 3 | 2) + varint(bytes.size()) + bytes;
}

TEST(BadFile, NestedTenThousandDeep) {
  std::string graph;  // a graph in an attribute of a node of a graph ...
  for (int i = 0; i < 10'000; ++i) graph = field(1, field(5, field(6, graph)));
  EXPECT_THAT(bytes_error(ErrorCode::kInvalid, "\x08\x08" + field(7, graph)), HasSubstr("nested"));
  std::string type;  // a sequence of sequences ...
  for (int i = 0; i < 10'000; ++i) type = field(4, field(1, type));
  EXPECT_THAT(bytes_error(ErrorCode::kInvalid, "\x08\x08" + field(7, field(11, field(2, type)))),
              HasSubstr("nested"));
}

std::string repeated(const std::string& part, size_t bytes) {
  std::string out;
  while (out.size() < bytes) out += part;
  return out;
}

TEST(BadFile, TenMegabytesOfNothing) {
  const auto model = [](int number) {
    return "\x08\x08" +
           field(7, repeated(varint(static_cast<uint64_t>(number) << 3 | 2) + '\0', 10'000'000));
  };
  EXPECT_THAT(bytes_error(ErrorCode::kResource, model(1)), HasSubstr("2000000 nodes"));
  EXPECT_THAT(bytes_error(ErrorCode::kResource, model(5)), HasSubstr("2000000 tensors"));
  EXPECT_THAT(bytes_error(ErrorCode::kResource, model(11)), HasSubstr("value_infos"));
  EXPECT_THAT(bytes_error(ErrorCode::kResource, model(13)), HasSubstr("value_infos"));
  // Attributes of one node, and empty names of its inputs: the budget of the whole structure.
  const std::string attrs = field(1, repeated("\x2a\0"s, 10'000'000));
  EXPECT_THAT(bytes_error(ErrorCode::kResource, "\x08\x08" + field(7, attrs)),
              HasSubstr("structure"));
}

TEST(BadFile, LimitsAreOptions) {
  const std::string bytes = relu_model().SerializeAsString();
  EXPECT_THAT(error_of(ErrorCode::kResource,
                       [&] { parse_onnx(bytes.data(), bytes.size(), {.max_nodes = 0}); }),
              HasSubstr("more than 0 nodes"));
}

TEST(BadFile, MoreThanTwoGigabytesAskForExternalData) {
  const std::string path = ::testing::TempDir() + "lapidary_huge.onnx";
  { std::ofstream(path) << "\x08\x08"; }
  std::filesystem::resize_file(path, (uint64_t{1} << 31) + 10);  // sparse
  EXPECT_THAT(error_of(ErrorCode::kResource, [&] { load_onnx(path); }), HasSubstr("external data"));
  std::filesystem::remove(path);
}

TEST(BadFile, NotThereOrNotAFile) {
  error_of(ErrorCode::kIo, [] { load_onnx("/nonexistent/model.onnx"); });
  EXPECT_THAT(error_of(ErrorCode::kIo, [] { load_onnx(::testing::TempDir()); }),
              HasSubstr("regular file"));
}

TEST(BadFile, ATensorFileIsNoModel) {
  pb::TensorProto t;
  t.add_dims(2);
  t.set_data_type(1);
  t.set_raw_data(std::string(8, '\0'));
  bytes_error(ErrorCode::kInvalid, t.SerializeAsString());
}

}  // namespace
}  // namespace lapidary
