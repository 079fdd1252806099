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

/// TensorProto of shape [1]: dims (field 1), data_type (2), raw_data (9).
template <class T>
void write_tensor(const fs::path& file, T value) {
  std::string bytes{0x08, 0x01, 0x10, static_cast<char>(DTypeOf<T>::value), 0x4A, sizeof value};
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
  write_tensor(folder / "test_data_set_0/input_0.pb", -1.0f);
  write_tensor(folder / "test_data_set_0/output_0.pb", output);
}

constexpr uint16_t kMinusOneBf16 = 0xBF80;

/// y = bfloat16(-1) out of the branches of an If that are said to give `declared`, stored as NumPy
/// holds it.
void write_bfloat16_case(const fs::path& folder, DType declared) {
  auto branch = std::make_shared<Graph>();
  branch->set_opset("", 13);
  GraphBuilder b(*branch);
  const ValueId made =
      b.op("Cast", {b.constant("c", Tensor::of<float>({1}, {-1}))}, {{"to", int64_t{16}}}, "made");
  branch->mutable_value(made).type = {declared, std::vector<Dim>{1}};
  b.output(made);
  Graph graph;
  graph.set_opset("", 13);
  GraphBuilder outer(graph);
  const std::shared_ptr<const Graph> body = branch;
  const ValueId y = outer.op("If", {outer.input("x", DType::kBool, {1})},
                             {{"then_branch", body}, {"else_branch", body}}, "y");
  graph.mutable_value(y).type = {declared, std::vector<Dim>{1}};
  outer.output(y);
  fs::create_directories(folder / "test_data_set_0");
  save_onnx(graph, folder / "model.onnx");
  write_tensor(folder / "test_data_set_0/input_0.pb", true);
  write_tensor(folder / "test_data_set_0/output_0.pb", kMinusOneBf16);
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

TEST_F(Selftest, StoredBfloat16IsReadAsTheModelDeclaresIt) {
  write_bfloat16_case(root_ / "test_if_bf16", DType::kBF16);
  write_bfloat16_case(root_ / "test_if_u16", DType::kU16);
  const SelftestResult r = selftest(root_, {.filter = "test_if*"});
  EXPECT_THAT(r.passed, ElementsAre("test_if_bf16"));
  EXPECT_THAT(r.failed, ElementsAre(HasSubstr("test_if_u16: output 'y' is bfloat16")));
}

TEST_F(Selftest, SkipsWhatItIsToldTo) {
  const SelftestResult r = selftest(root_, {.skip = {"node/test_neg"}});
  EXPECT_THAT(r.skipped, ElementsAre("node/test_neg"));
  EXPECT_TRUE(r.failed.empty());
  EXPECT_THROW(selftest(root_, {.skip = {"test_neg"}}), Error);
}

}  // namespace
}  // namespace lapidary
