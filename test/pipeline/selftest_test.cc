#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "lapidary/error.h"
#include "lapidary/evaluate.h"
#include "lapidary/model_io.h"
#include "src/ir/builder.h"

// A folder of cases: y = op(x) with x = [-1] and a stored y.

namespace lapidary {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

/// TensorProto of float32 [1]: dims (field 1), data_type (2), raw_data (9).
void write_tensor(const fs::path& file, float value) {
  std::string bytes{0x08, 0x01, 0x10, 0x01, 0x4A, 0x04};
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  std::ofstream(file, std::ios::binary) << bytes;
}

void write_case(const fs::path& folder, const std::string& op, float output) {
  Graph graph;
  graph.set_opset("", 13);
  GraphBuilder b(graph);
  const ValueId y = b.op(op, {b.input("x", DType::kF32, {1})}, {}, "y");
  graph.mutable_value(y).type = {DType::kF32, std::vector<Dim>{1}};
  b.output(y);
  fs::create_directories(folder / "test_data_set_0");
  save_onnx(graph, folder / "model.onnx");
  write_tensor(folder / "test_data_set_0/input_0.pb", -1);
  write_tensor(folder / "test_data_set_0/output_0.pb", output);
}

class Selftest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(testing::TempDir()) /
            ("lapidary_selftest_" +
             std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(root_);
    write_case(root_ / "node/test_abs", "Abs", 1);
    write_case(root_ / "node/test_neg", "Neg", 1.01f);
    write_case(root_ / "test_relu", "Relu", 0);
    write_case(root_ / "test_other", "NoSuchOp", 0);
    fs::create_directories(root_ / "real/test_large");
    std::ofstream(root_ / "real/test_large/data.json") << "{}";
  }
  void TearDown() override { fs::remove_all(root_); }
  fs::path root_;
};

TEST_F(Selftest, CountsCasesAtAnyDepth) {
  const SelftestResult r = selftest(root_);
  EXPECT_THAT(r.passed, ElementsAre("node/test_abs", "test_relu"));
  EXPECT_THAT(r.failed,
              ElementsAre(HasSubstr("node/test_neg: output 'y' element 0 is 1, expected 1.0")));
  EXPECT_THAT(r.unsupported, ElementsAre(HasSubstr("NoSuchOp")));
  EXPECT_THAT(r.without_model, ElementsAre("real/test_large"));
  EXPECT_EQ(r.summary.passed, 2);
  EXPECT_EQ(r.summary.failed, 1);
  EXPECT_EQ(r.summary.unsupported, 1);
  EXPECT_EQ(r.ops.at("Neg").failed, 1);
}

TEST_F(Selftest, FiltersByNameWithOrWithoutFolders) {
  EXPECT_THAT(selftest(root_, {.filter = "test_a*"}).passed, ElementsAre("node/test_abs"));
  EXPECT_THAT(selftest(root_, {.filter = "node/*"}).passed, ElementsAre("node/test_abs"));
  EXPECT_THROW(selftest(root_, {.filter = "nothing"}), Error);
}

TEST_F(Selftest, SkipsWhatItIsToldTo) {
  const SelftestResult r = selftest(root_, {.skip = {"node/test_neg"}});
  EXPECT_THAT(r.skipped, ElementsAre("node/test_neg"));
  EXPECT_TRUE(r.failed.empty());
  EXPECT_THROW(selftest(root_, {.skip = {"test_neg"}}), Error);
}

}  // namespace
}  // namespace lapidary
