// Ops of Lapidary's own: saved with a portable function, read as the op again.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/ir/builder.h"
#include "src/ops/fake_quantize.h"
#include "src/ops/inline_functions.h"
#include "src/ops/packed_weights.h"
#include "test/onnx/models.h"

namespace lapidary {
namespace {

using namespace testing_models;  // NOLINT
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kDomain(kOwnDomain);

/// y = BinaryMatMul(BinaryMatMul(x)), K = N = 64.
Graph binary_graph(int64_t opset = 17) {
  Graph graph;
  graph.set_opset("", opset);
  graph.set_opset(kDomain, 1);
  graph.model.ir_version = 7;
  GraphBuilder b(graph);
  ValueId v = b.input("x", DType::kF32, {Dim::named("N"), 64});
  for (const char* name : {"hidden", "y"}) {
    Tensor w(DType::kU8, {64, 8}), ones(DType::kF32, {64});
    std::ranges::fill(ones.mutable_data<float>(), 1.0f);
    v = b.op("BinaryMatMul",
             {v, b.constant("w", w), b.constant("scale", ones), b.constant("bias", ones)}, {}, name,
             kDomain);
  }
  b.output(v);
  infer_types(graph);
  return graph;
}

pb::ModelProto saved(const Graph& graph) {
  pb::ModelProto out;
  EXPECT_TRUE(out.ParseFromString(serialize_onnx(graph)));
  return out;
}

TEST(OwnOps, AFileHasTheirFunctionsOnce) {
  const pb::ModelProto m = saved(binary_graph());
  EXPECT_EQ(m.ir_version(), 8);
  ASSERT_EQ(m.functions_size(), 1);
  const pb::FunctionProto& f = m.functions(0);
  EXPECT_EQ(f.domain(), kDomain);
  EXPECT_EQ(f.name(), "BinaryMatMul");
  EXPECT_THAT(f.input(), ElementsAre("X", "W", "scale", "bias"));
  EXPECT_THAT(f.output(), ElementsAre("Y"));
  ASSERT_EQ(f.opset_import_size(), 1);
  EXPECT_EQ(f.opset_import(0).version(), 17);
  for (const auto& node : f.node()) EXPECT_TRUE(node.domain().empty()) << node.op_type();
  EXPECT_EQ(m.graph().node(0).op_type(), "BinaryMatMul");
}

TEST(OwnOps, TheImportIsAddedWhereItIsMissing) {
  Graph graph = binary_graph();
  std::erase_if(graph.opsets, [](const OpsetImport& o) { return o.domain == kDomain; });
  const pb::ModelProto m = saved(graph);
  ASSERT_EQ(m.opset_import_size(), 2);
  EXPECT_EQ(m.opset_import(1).domain(), kDomain);
  EXPECT_EQ(m.opset_import(1).version(), 1);
}

TEST(OwnOps, AreReadAsOpsAndSavedAgainAsTheyWere) {
  const Graph graph = binary_graph();
  const Graph read = load(saved(graph));
  EXPECT_TRUE(read.model.functions.empty());
  std::string difference;
  EXPECT_TRUE(same_graph(graph, read, &difference)) << difference;
  EXPECT_EQ(serialize_onnx(read), serialize_onnx(graph));
}

/// 2 x 64 x 64 weights are 1 KiB; all else, the function and its table included, is less than 6.
TEST(OwnOps, WeightsAreAsSmallInTheFile) {
  EXPECT_LT(serialize_onnx(binary_graph()).size(), 7168u);
}

TEST(OwnOps, AttributesAreTheCalls) {
  Graph graph;
  graph.set_opset("", 13);
  graph.set_opset(kDomain, 1);
  GraphBuilder b(graph);
  const ValueId w = b.input("w", DType::kU8, {2, 3});
  b.output(b.op("UnpackTernary", {w}, {{"shape", std::vector<int64_t>{2, 9}}}, "y", kDomain));
  infer_types(graph);
  const pb::ModelProto m = saved(graph);
  ASSERT_EQ(m.functions_size(), 1);
  EXPECT_THAT(m.functions(0).attribute(), ElementsAre("shape"));
  int references = 0;
  for (const auto& node : m.functions(0).node())
    for (const auto& attr : node.attribute()) {
      references += attr.ref_attr_name() == "shape" && attr.type() == pb::AttributeProto::INTS;
    }
  EXPECT_EQ(references, 1);
  Graph inlined = load(m);
  inline_functions(inlined, {.own_ops = true});
  inlined.verify();
  for (const NodeId id : inlined.nodes()) EXPECT_TRUE(inlined.node(id).domain.empty());
  infer_types(inlined);
  EXPECT_EQ(inlined.value(inlined.outputs()[0]).type.text(), "int8[2,9]");
}

TEST(OwnOps, InSubgraphsAndFunctionsCount) {
  Graph inner = binary_graph();
  Function block;
  block.domain = "local";
  block.name = "block";
  auto body = std::make_shared<Graph>();
  body->set_opset("", 17);
  body->set_opset(kDomain, 1);
  GraphBuilder b(*body);
  const ValueId w = b.input("w", DType::kU8, {2, 3});
  b.output(b.op("UnpackBinary", {w}, {{"shape", std::vector<int64_t>{2, 20}}}, "y", kDomain));
  block.body = body;
  inner.model.functions.push_back(block);
  const pb::ModelProto m = saved(inner);
  std::vector<std::string> names;
  for (const auto& f : m.functions()) names.push_back(f.name());
  EXPECT_THAT(names, ElementsAre("block", "BinaryMatMul", "UnpackBinary"));
  EXPECT_EQ(load(m).model.functions.size(), 1u);
  EXPECT_EQ(serialize_onnx(load(m)), serialize_onnx(inner));
}

TEST(OwnOps, LaterVersionsAreRefused) {
  pb::ModelProto m = saved(binary_graph());
  m.mutable_opset_import(1)->set_version(2);
  EXPECT_THAT(error_of(ErrorCode::kUnsupported, [&] { load(m); }),
              HasSubstr("opset 2 of ai.lapidary"));
}

TEST(OwnOps, OldOpsetsAreRefused) {
  EXPECT_THAT(error_of(ErrorCode::kUnsupported, [] { serialize_onnx(binary_graph(12)); }),
              HasSubstr("BinaryMatMul in standard ops needs opset 13"));
}

}  // namespace
}  // namespace lapidary
