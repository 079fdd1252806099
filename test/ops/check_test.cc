#include "test/ops/op_case.h"

namespace lapidary {
namespace {

OpCase conv() {
  return OpCase("Conv").in_type(DType::kF32, {1, 3, 8, 8}).in_type(DType::kF32, {4, 3, 3, 3});
}

TEST(CheckNode, Attributes) {
  expect_error(conv().attr("group", 1.0f).infer_error(), ErrorCode::kInvalid,
               "attribute 'group' is a float, expected an integer");
  expect_error(conv().attr("pads", int64_t{1}).infer_error(), ErrorCode::kInvalid,
               "a list of integers");
  expect_error(conv().attr("group", int64_t{1}).attr("group", int64_t{1}).infer_error(),
               ErrorCode::kInvalid, "'group' is given twice");
  expect_error(conv().attr("stride", std::vector<int64_t>{1, 1}).infer_error(), ErrorCode::kInvalid,
               "unknown attribute 'stride'; did you mean 'strides'?");
  expect_error(conv().attr("group", AttrRef{"g", 2}).infer_error(), ErrorCode::kInvalid,
               "function");
  expect_error(OpCase("LRN").in_type(DType::kF32, {1, 3, 4, 4}).infer_error(), ErrorCode::kInvalid,
               "'size' is missing");
}

TEST(CheckNode, AttributesBelongToVersions) {
  const auto dropout = [](int opset) {
    return OpCase("Dropout", opset).in_type(DType::kF32, {2}).attr("ratio", 0.5f).infer_error();
  };
  EXPECT_FALSE(dropout(10).has_value());
  expect_error(dropout(13), ErrorCode::kInvalid, "unknown attribute 'ratio'");
}

TEST(CheckNode, InputsAndOutputs) {
  expect_error(OpCase("Conv").in_type(DType::kF32, {1, 3, 8, 8}).infer_error(), ErrorCode::kInvalid,
               "1 input, expected 2 to 3");
  expect_error(conv().absent().in_type(DType::kF32, {4}).infer_error(), ErrorCode::kInvalid,
               "4 inputs");
  expect_error(conv().outputs(2).infer_error(), ErrorCode::kInvalid, "2 outputs, expected 1");
  expect_error(OpCase("Conv").in_type(DType::kF32, {1, 3, 8, 8}).absent().infer_error(),
               ErrorCode::kInvalid, "input 1 is absent");
}

TEST(CheckNode, NamesTheNode) {
  expect_error(conv().attr("group", 1.0f).infer_error(), ErrorCode::kInvalid, "Conv 'node'");
}

TEST(CheckNode, VersionsThatAreNotUnderstood) {
  const auto add = [](int opset) {
    return OpCase("Add", opset).in<float>({1}, {1}).in<float>({1}, {1});
  };
  expect_error(add(6).infer_error(), ErrorCode::kUnsupported, "versions 7, 13, 14");
  expect_error(add(29).run_error(), ErrorCode::kUnsupported,
               "Add of opset 29: opsets are known up to 28");
  expect_error(OpCase("QGemm", 0, "com.microsoft")
                   .in_type(DType::kU8, {1, 1})
                   .in<float>({}, {1})
                   .in<uint8_t>({}, {0})
                   .in_type(DType::kU8, {1, 1})
                   .in<float>({}, {1})
                   .in<uint8_t>({}, {0})
                   .infer_error(),
               ErrorCode::kInvalid, "not imported");
}

TEST(CheckNode, UnknownOpsAreKeptUntilTheyMustBeComputed) {
  const OpCase c = OpCase("Frobnicate").in<float>({1}, {1}).attr("anything", int64_t{1});
  EXPECT_EQ(c.infer(), "?[?]");
  expect_error(c.run_error(), ErrorCode::kUnsupported, "Frobnicate of domain ai.onnx");
}

}  // namespace
}  // namespace lapidary
