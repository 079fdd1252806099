// Tensors whose elements lie in files beside the model.

#include "src/onnx/external_data.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "src/onnx/model_files.h"
#include "test/onnx/models.h"

namespace lapidary {
namespace {

namespace fs = std::filesystem;
using namespace testing_models;  // NOLINT
using ::testing::AllOf;
using ::testing::HasSubstr;
using namespace std::string_literals;

class ExternalDataTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              ("lapidary_external_" + std::to_string(::getpid()) + "_" +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "sub");
    std::string bytes;
    for (int i = 0; i < 1000; ++i) bytes.push_back(static_cast<char>(i % 251));
    write("w.bin", bytes);
    write("sub/w.bin", bytes);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }

  using Entries = std::vector<std::pair<std::string, std::string>>;
  static void refer(pb::TensorProto* t, const Entries& entries) {
    t->clear_raw_data();
    t->set_data_location(pb::TensorProto::EXTERNAL);
    for (const auto& [key, value] : entries) {
      auto* e = t->add_external_data();
      e->set_key(key);
      e->set_value(value);
    }
  }
  /// add_model with w in an external file.
  fs::path model(const Entries& entries) {
    pb::ModelProto m = add_model();
    refer(m.mutable_graph()->mutable_initializer(0), entries);
    write("m.onnx", m.SerializeAsString());
    return folder_ / "m.onnx";
  }
  std::string error(ErrorCode code, const Entries& entries) {
    const fs::path path = model(entries);
    return error_of(code, [&] { load_onnx(path); });
  }

  fs::path folder_;
};

TEST_F(ExternalDataTest, IsReadAtItsOffset) {
  const Graph g = load_onnx(model({{"location", "sub/w.bin"}, {"offset", "4"}, {"length", "12"}}));
  const Tensor& w = *g.value(g.find_value("w")).constant;
  const auto* bytes = static_cast<const uint8_t*>(w.raw());
  for (int i = 0; i < 12; ++i) EXPECT_EQ(bytes[i], i + 4);
  load_onnx(model({{"location", "w.bin"}}));  // offset 0, length as needed
}

TEST_F(ExternalDataTest, IsMappedWhereAligned) {
  const auto borrowed = [&](const std::string& offset) {
    const Graph g = load_onnx(model({{"location", "w.bin"}, {"offset", offset}}));
    return g.value(g.find_value("w")).constant->borrowed();
  };
  EXPECT_TRUE(borrowed("64"));
  EXPECT_FALSE(borrowed("4"));  // elements must be aligned to 64 bytes
}

TEST_F(ExternalDataTest, TheLastBytesBeforeThePageEndAreCopied) {
  // 64 readable bytes must follow: at the end of a file that fills its page there are none.
  write("page.bin", std::string(4096, 'p'));
  const Graph g = load_onnx(model({{"location", "page.bin"}, {"offset", "4032"}}));
  EXPECT_FALSE(g.value(g.find_value("w")).constant->borrowed());
}

TEST_F(ExternalDataTest, PathsThatLeaveTheFolderAreNeverOpened) {
  for (const char* location : {"../w.bin", "sub/../../w.bin", "sub/../w.bin", ".."})
    EXPECT_THAT(error(ErrorCode::kInvalid, {{"location", location}}),
                HasSubstr("leaves the model's folder"));
  for (const char* location : {"/etc/passwd", "/dev/zero", "/proc/self/mem"})
    EXPECT_THAT(error(ErrorCode::kInvalid, {{"location", location}}), HasSubstr("absolute"));
}

TEST_F(ExternalDataTest, OnlyRegularFiles) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  for (const char* location : {"pipe", "sub", "."})
    EXPECT_THAT(error(ErrorCode::kInvalid, {{"location", location}}),
                HasSubstr("not a regular file"));
  EXPECT_THAT(error(ErrorCode::kInvalid, {{"location", "m.onnx"}}), HasSubstr("model file itself"));
  EXPECT_THAT(error(ErrorCode::kInvalid, {{"location", "./m.onnx"}}),
              HasSubstr("model file itself"));
}

TEST_F(ExternalDataTest, SymbolicLinksAreNotFollowed) {
  fs::create_symlink("/etc/passwd", folder_ / "link");
  fs::create_symlink("w.bin", folder_ / "inside");
  fs::create_directory_symlink("/etc", folder_ / "dir");
  for (const char* location : {"link", "inside", "dir/passwd"})
    EXPECT_THAT(error(ErrorCode::kInvalid, {{"location", location}}), HasSubstr("symbolic link"));
}

TEST_F(ExternalDataTest, TheWalkKeepsTheSamePromises) {
  fs::create_symlink("/etc/passwd", folder_ / "link");
  fs::create_directory_symlink("/etc", folder_ / "dir");
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  const int directory = ::open(folder_.c_str(), O_PATH | O_DIRECTORY);
  ASSERT_GE(directory, 0);
  for (OpenMethod method : {OpenMethod::kAuto, OpenMethod::kWalk}) {
    for (const char* good : {"w.bin", "sub/w.bin", "./sub//w.bin"}) {
      const int fd = open_beneath(directory, good, method);
      EXPECT_GE(fd, 0);
      ::close(fd);
    }
    for (const char* bad :
         {"link", "dir/passwd", "pipe", "sub", "../x", "/etc/passwd", "", "w.bin/x"})
      error_of(ErrorCode::kInvalid, [&] { open_beneath(directory, bad, method); });
    for (const char* missing : {"none", "sub/none", "none/w.bin"})
      error_of(ErrorCode::kIo, [&] { open_beneath(directory, missing, method); });
  }
  ::close(directory);
}

TEST_F(ExternalDataTest, MissingFilesAreNamedWithTheirNeighbours) {
  EXPECT_THAT(error(ErrorCode::kIo, {{"location", "v.bin"}}),
              AllOf(HasSubstr((folder_ / "v.bin").string()), HasSubstr("did you mean 'w.bin'")));
  EXPECT_THAT(error(ErrorCode::kIo, {{"location", "something/else.dat"}}),
              HasSubstr("No such file"));
}

TEST_F(ExternalDataTest, OffsetsAndLengths) {
  for (const char* offset : {"-1", "abc", "", "12345678901234567890", "1e3", " 4", "+4", "0x10"})
    EXPECT_THAT(error(ErrorCode::kInvalid, {{"location", "w.bin"}, {"offset", offset}}),
                HasSubstr("offset"));
  for (const char* offset : {"9223372036854775807", "1000", "989", "1001"})
    EXPECT_THAT(error(ErrorCode::kInvalid, {{"location", "w.bin"}, {"offset", offset}}),
                HasSubstr("only 1000"));
  for (const char* length : {"11", "13", "0", "9223372036854775807"})
    EXPECT_THAT(error(ErrorCode::kInvalid, {{"location", "w.bin"}, {"length", length}}),
                HasSubstr("need 12"));
  EXPECT_THAT(error(ErrorCode::kInvalid, {{"location", "w.bin"}, {"length", "-12"}}),
              HasSubstr("length"));
}

TEST_F(ExternalDataTest, StrangeEntries) {
  EXPECT_THAT(error(ErrorCode::kInvalid, {{"location", ""}}), HasSubstr("empty location"));
  EXPECT_THAT(error(ErrorCode::kInvalid, {{"offset", "0"}}), HasSubstr("no location"));
  EXPECT_THAT(error(ErrorCode::kInvalid, {{"location", "w.bin\0x"s}}), HasSubstr("NUL"));
  EXPECT_THAT(error(ErrorCode::kInvalid, {{"location", "sub\\w.bin"}}), HasSubstr("backslash"));
  EXPECT_THAT(error(ErrorCode::kInvalid, {{"location", "w.bin"}, {"__class__", "x"}}),
              HasSubstr("__class__"));
  EXPECT_THAT(error(ErrorCode::kInvalid, {{"location", "w.bin"}, {"location", "w.bin"}}),
              HasSubstr("twice"));
  load_onnx(model({{"location", "w.bin"}, {"checksum", "0123"}}));
}

TEST_F(ExternalDataTest, TwoPlacesAreOneTooMany) {
  pb::ModelProto m = add_model();
  refer(m.mutable_graph()->mutable_initializer(0), {{"location", "w.bin"}});
  m.mutable_graph()->mutable_initializer(0)->set_raw_data(std::string(12, '\0'));
  write("m.onnx", m.SerializeAsString());
  EXPECT_THAT(error_of(ErrorCode::kInvalid, [&] { load_onnx(folder_ / "m.onnx"); }),
              HasSubstr("external data"));
}

TEST_F(ExternalDataTest, FromMemoryItIsRefused) {
  model({{"location", "w.bin"}});
  pb::ModelProto m = add_model();
  refer(m.mutable_graph()->mutable_initializer(0), {{"location", "w.bin"}});
  EXPECT_THAT(load_error(ErrorCode::kUnsupported, m), HasSubstr("external data"));
}

TEST_F(ExternalDataTest, TensorsOfAttributesAreHeldToTheSame) {
  pb::ModelProto m = empty_model();
  add_output(m, "y", {3});
  auto* a = add_node(m, "Constant", {}, {"y"})->add_attribute();
  a->set_name("value");
  a->set_type(pb::AttributeProto::TENSOR);
  a->mutable_t()->set_data_type(1);
  a->mutable_t()->add_dims(3);
  refer(a->mutable_t(), {{"location", "../../etc/passwd"}});
  write("m.onnx", m.SerializeAsString());
  EXPECT_THAT(error_of(ErrorCode::kInvalid, [&] { load_onnx(folder_ / "m.onnx"); }),
              HasSubstr("leaves"));
  a->mutable_t()->mutable_external_data(0)->set_value("w.bin");
  write("m.onnx", m.SerializeAsString());
  load_onnx(folder_ / "m.onnx");
}

// -- writing

Graph graph_with_weights() {
  pb::ModelProto m = add_model();
  std::string large(4 * 300'000, '\0'), medium(4 * 400, '\0'), four(1200, '\x21');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i % 253);
  add_initializer(m, "medium", 1, {400}, medium);
  add_initializer(m, "large", 1, {300, 1000}, large);
  add_initializer(m, "packed", 22, {2400}, four);
  return load(m);
}

TEST_F(ExternalDataTest, IsWrittenAlignedAndReadBack) {
  const Graph g = graph_with_weights();
  save_onnx(g, folder_ / "out.onnx", {.external_data = true});
  pb::ModelProto m;
  std::ifstream in(folder_ / "out.onnx", std::ios::binary);
  ASSERT_TRUE(m.ParseFromIstream(&in));
  for (const auto& t : m.graph().initializer()) {
    SCOPED_TRACE(t.name());
    EXPECT_EQ(t.data_location() == pb::TensorProto::EXTERNAL, t.name() != "w");  // w has 12 bytes
    if (t.external_data_size() == 0) continue;
    EXPECT_EQ(t.external_data(0).value(), "out.onnx.data");
    EXPECT_EQ(std::stoll(t.external_data(1).value()) % (t.name() == "large" ? 4096 : 64), 0);
  }
  const Graph again = load_onnx(folder_ / "out.onnx");
  std::string where;
  EXPECT_TRUE(same_graph(g, again, &where)) << where;
  EXPECT_TRUE(again.value(again.find_value("large")).constant->borrowed());
  // The other direction, over the files that the tensors are mapped from.
  save_onnx(again, folder_ / "out.onnx", {.external_data = true});
  EXPECT_TRUE(same_graph(g, load_onnx(folder_ / "out.onnx"), &where)) << where;
  EXPECT_TRUE(same_graph(g, again, &where)) << where;
}

TEST_F(ExternalDataTest, WithoutLargeTensorsThereIsNoDataFile) {
  save_onnx(load(add_model()), folder_ / "small.onnx", {.external_data = true});
  EXPECT_FALSE(fs::exists(folder_ / "small.onnx.data"));
  load_onnx(folder_ / "small.onnx");
}

TEST_F(ExternalDataTest, AFailedSaveLeavesWhatWasThere) {
  const Graph g = graph_with_weights();
  save_onnx(g, folder_ / "out.onnx");
  const auto size = fs::file_size(folder_ / "out.onnx");
  error_of(ErrorCode::kIo, [&] { save_onnx(g, folder_ / "none" / "out.onnx"); });
  Graph bad = g;
  bad.mutable_value(bad.find_value("y")).quant.emplace();  // cannot be written
  error_of(ErrorCode::kUsage, [&] { save_onnx(bad, folder_ / "out.onnx"); });
  EXPECT_EQ(fs::file_size(folder_ / "out.onnx"), size);
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder_)) ++files;
  EXPECT_EQ(files, 3u);  // w.bin, sub, out.onnx: no temporary file stays
}

TEST(NeedsExternalData, WhereTheConstantsPassTheLimit) {
  // As they are stored: w 3 floats, medium 400, large 300,000, packed 2,400 elements of 4 bits.
  const uint64_t bytes = 12 + 1600 + 1'200'000 + 1200;
  const Graph g = graph_with_weights();
  EXPECT_TRUE(needs_external_data(g, bytes - 1));
  EXPECT_FALSE(needs_external_data(g, bytes));
  EXPECT_FALSE(needs_external_data(g));
}

TEST_F(ExternalDataTest, MoreThanTwoGigabytesNeedIt) {
  // One borrowed buffer, named often: 2.1 GB of constants without the memory.
  Graph g = load(add_model());
  auto buffer = std::make_shared<std::string>(size_t{64} << 20, '\0');
  for (int i = 0; i < 33; ++i)
    g.add_constant("c" + std::to_string(i),
                   Tensor::borrow(DType::kU8, {int64_t{64} << 20}, buffer->data(), buffer));
  EXPECT_THAT(error_of(ErrorCode::kResource, [&] { save_onnx(g, folder_ / "big.onnx"); }),
              HasSubstr("save it with external data"));
  EXPECT_THAT(error_of(ErrorCode::kResource, [&] { serialize_onnx(g); }),
              HasSubstr("external data"));
  EXPECT_FALSE(fs::exists(folder_ / "big.onnx"));
}

}  // namespace
}  // namespace lapidary
