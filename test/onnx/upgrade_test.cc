// The opset of whole models: what a graph computes is the same before and after.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "src/base/rng.h"
#include "src/ir/builder.h"
#include "src/ops/evaluate.h"
#include "src/ops/infer.h"
#include "test/onnx/models.h"
#include "test/support/assets.h"

namespace lapidary {
namespace {

namespace fs = std::filesystem;
using namespace testing_models;  // NOLINT
using ::testing::AllOf;
using ::testing::HasSubstr;

/// Outputs by the reference evaluation, node by node.
std::vector<Tensor> evaluate(const Graph& graph, const std::vector<Tensor>& inputs) {
  std::unordered_map<uint32_t, Tensor> known;
  size_t given = 0;
  for (ValueId v : graph.inputs())
    if (graph.constant(v) == nullptr) known[v.index] = inputs.at(given++);
  for (ValueId v : graph.values())
    if (const Tensor* constant = graph.constant(v)) known[v.index] = *constant;
  for (NodeId id : graph.nodes()) {
    std::vector<const Tensor*> operands;
    for (ValueId v : graph.node(id).inputs) operands.push_back(v ? &known.at(v.index) : nullptr);
    const auto made = evaluate_node(graph, id, operands);
    for (size_t i = 0; i < made.size(); ++i)
      if (graph.node(id).outputs[i]) known[graph.node(id).outputs[i].index] = made[i];
  }
  std::vector<Tensor> out;
  for (ValueId v : graph.outputs()) out.push_back(known.at(v.index));
  return out;
}

Tensor random_tensor(Shape shape, uint64_t seed = 1) {
  Tensor t(DType::kF32, std::move(shape));
  Rng rng(seed);
  for (float& v : t.mutable_data<float>()) v = static_cast<float>(rng.uniform() * 4 - 2);
  return t;
}

/// One node on x, other inputs constant, from an old opset to 21 and back from a file.
void expect_same(const std::string& op, int64_t from, std::vector<Tensor> inputs,
                 GraphBuilder::Attrs attrs = {}) {
  SCOPED_TRACE(op);
  Graph graph;
  graph.name = "g";
  graph.set_opset("", from);
  graph.model.ir_version = 7;
  GraphBuilder build(graph);
  const TensorType type = tensor_type(inputs[0]);
  std::vector<ValueId> operands = {build.input("x", type.dtype, *type.shape)};
  for (size_t i = 1; i < inputs.size(); ++i) operands.push_back(build.constant("c", inputs[i]));
  build.output(build.op(op, operands, std::move(attrs), "node"));
  infer_types(graph);
  const auto before = evaluate(graph, {inputs[0]});
  upgrade_opset(graph, 21);
  graph.verify();
  EXPECT_EQ(graph.opset(), 21);
  EXPECT_EQ(graph.model.ir_version, 10);
  const std::string saved = serialize_onnx(graph);
  const auto after = evaluate(parse_onnx(saved.data(), saved.size()), {inputs[0]});
  ASSERT_EQ(before.size(), after.size());
  for (size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(before[i].equals(after[i]));
}

TEST(UpgradeOpset, MeaningIsKept) {
  using Ints = std::vector<int64_t>;
  expect_same("Clip", 7, {random_tensor({2, 3})}, {{"min", -0.5f}, {"max", 0.5f}});
  expect_same("Clip", 7, {random_tensor({2, 3})});
  expect_same("Dropout", 7, {random_tensor({2, 3})}, {{"ratio", 0.3f}});
  for (const char* op : {"Softmax", "LogSoftmax", "Hardmax"}) {
    expect_same(op, 7, {random_tensor({2, 3, 4})},
                {{"axis", int64_t{1}}});  // over 12 elements, not 3
    expect_same(op, 11, {random_tensor({2, 3, 4})}, {{"axis", int64_t{-1}}});
    expect_same(op, 7, {random_tensor({5, 4})});
  }
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceL2", "ReduceLogSumExp"}) {
    expect_same(op, 7, {random_tensor({2, 3, 4})},
                {{"axes", Ints{0, 2}}, {"keepdims", int64_t{0}}});
    expect_same(op, 11, {random_tensor({2, 3, 4})});
  }
  const Tensor one = random_tensor({3}, 2), two = random_tensor({3}, 3),
               three = random_tensor({3}, 4);
  expect_same("BatchNormalization", 7,
              {random_tensor({2, 3, 4}), one, two, three, Tensor::of<float>({3}, {1, 2, 3})});
  expect_same("GroupNormalization", 18,
              {random_tensor({2, 4, 5}), Tensor::of<float>({2}, {1, -2}),
               Tensor::of<float>({2}, {0.5f, 3})},
              {{"num_groups", int64_t{2}}});
}

TEST(UpgradeOpset, EveryChangeOfMeaningHasARule) {
  // From ONNX's changelog (Changelog.md, opsets 8 to 21): versions that moved an attribute into an
  // input, changed a default or an interpretation, or replaced the op. All other versions only
  // allow more.
  std::set<std::pair<std::string, int>> changes = {{"BatchNormalization", 9},
                                                   {"BatchNormalization", 14},
                                                   {"Clip", 11},
                                                   {"DFT", 20},
                                                   {"Dropout", 12},
                                                   {"GridSample", 20},
                                                   {"GroupNormalization", 21},
                                                   {"Hardmax", 13},
                                                   {"LogSoftmax", 13},
                                                   {"Pad", 11},
                                                   {"Resize", 11},
                                                   {"RoiAlign", 16},
                                                   {"Scatter", 11},
                                                   {"Slice", 10},
                                                   {"Softmax", 13},
                                                   {"Split", 13},
                                                   {"Split", 18},
                                                   {"Squeeze", 13},
                                                   {"TopK", 10},
                                                   {"Unsqueeze", 13},
                                                   {"Upsample", 9},
                                                   {"Upsample", 10},
                                                   {"ReduceSum", 13}};
  for (const char* kind :
       {"L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare"})
    changes.emplace(std::string("Reduce") + kind, 18);
  for (const auto& [name, version] : changes) {
    const OpDef* def = find_op("", name);
    if (def == nullptr) continue;  // without a row, an upgrade refuses the op
    EXPECT_TRUE(std::ranges::find(def->upgrades, version, &UpgradeRule::to_version) !=
                def->upgrades.end())
        << name << " " << version;
  }
  // The other way round: a rule is for a version that there is.
  for (const OpDef* def : all_ops())
    for (const UpgradeRule& rule : def->upgrades)
      EXPECT_TRUE(std::ranges::count(def->versions, rule.to_version) == 1 ||
                  def->name == "Upsample" || def->name == "Scatter" || def->name == "Dropout")
          << def->name << " " << rule.to_version;
}

TEST(UpgradeOpset, RefusesWhatItCannotKeep) {
  Graph g = load(relu_model());
  EXPECT_THAT(error_of(ErrorCode::kUsage, [&] { upgrade_opset(g, 22); }),
              HasSubstr("up to opset 21"));
  EXPECT_THAT(error_of(ErrorCode::kUsage, [&] { upgrade_opset(g, 12); }),
              HasSubstr("cannot be lowered"));
  upgrade_opset(g, 13);
  EXPECT_EQ(g.opset(), 13);
  pb::ModelProto m = relu_model();
  m.mutable_graph()->mutable_node(0)->set_op_type("Frobnicate");
  g = load(m);
  EXPECT_THAT(error_of(ErrorCode::kUnsupported, [&] { upgrade_opset(g, 21); }),
              AllOf(HasSubstr("Frobnicate 'r'"), HasSubstr("not in the op table")));
  EXPECT_EQ(g.opset(), 13);  // as it was
}

TEST(UpgradeOpset, OtherDomainsStay) {
  pb::ModelProto m = relu_model();
  m.mutable_graph()->mutable_node(0)->set_domain("com.example");
  auto* import = m.add_opset_import();
  import->set_domain("com.example");
  import->set_version(3);
  Graph g = load(m);
  upgrade_opset(g, 21);
  EXPECT_EQ(g.opset("com.example"), 3);
  EXPECT_EQ(g.opset(), 21);
}

TEST(UpgradeOpset, ConstantsThatHadToBeInputsStayConstants) {
  pb::ModelProto m = add_model();
  m.set_ir_version(3);
  m.mutable_opset_import(0)->set_version(7);
  add_input(m, "w", {3});
  Graph g = load(m);
  ASSERT_EQ(g.inputs().size(), 2u);
  upgrade_opset(g, 13);
  EXPECT_EQ(g.model.ir_version, 7);
  ASSERT_EQ(g.inputs().size(), 1u);
  EXPECT_NE(g.constant(g.find_value("w")), nullptr);
}

TEST(UpgradeOpset, BranchesAreUpgradedToo) {
  pb::ModelProto m = empty_model(10);
  add_input(m, "c", {}, pb::TensorProto::BOOL);
  add_input(m, "x");
  add_output(m, "y");
  auto* node = add_node(m, "If", {"c"}, {"y"}, "if");
  for (const char* branch : {"then_branch", "else_branch"}) {
    auto* a = node->add_attribute();
    a->set_name(branch);
    a->set_type(pb::AttributeProto::GRAPH);
    auto* clip = add_node(a->mutable_g(), "Clip", {"x"}, {std::string(branch) + "_y"});
    auto* min = clip->add_attribute();
    min->set_name("min");
    min->set_type(pb::AttributeProto::FLOAT);
    set_type(a->mutable_g()->add_output(), std::string(branch) + "_y", 1, {2, 3});
  }
  Graph g = load(m);
  upgrade_opset(g, 21);
  g.verify();
  const auto& inner =
      *std::get<std::shared_ptr<const Graph>>(*g.node(g.nodes()[0]).attr("then_branch"));
  inner.verify();
  EXPECT_EQ(inner.opset(), 21);
  EXPECT_EQ(inner.node(inner.nodes()[0]).attr("min"), nullptr);
  EXPECT_EQ(inner.node(inner.nodes()[0]).inputs.size(), 2u);
  const std::string saved = serialize_onnx(g);
  parse_onnx(saved.data(), saved.size());
}

TEST(UpgradeOpset, EveryLentModelUpgrades) {
  const fs::path folder = fs::path(LAPIDARY_ASSETS_DIR) / "models";
  LAPIDARY_SKIP_WITHOUT_ASSETS();
  for (const auto& entry : fs::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path());
    try {
      Graph g = load_onnx(entry.path());
      upgrade_opset(g, 21);
      g.verify();
      const std::string saved = serialize_onnx(g);
      EXPECT_EQ(parse_onnx(saved.data(), saved.size()).opset(), 21);
    } catch (const Error& error) {
      // Ops that ONNX dropped before opset 7, and what is made of them.
      EXPECT_THAT(entry.path().string(), HasSubstr("experimental_ops")) << error.what();
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    }
  }
}

TEST(UpgradeOpset, ATrainedModelOfOpset7ComputesTheSame) {
  const fs::path path = fs::path(LAPIDARY_ASSETS_DIR) / "models" / "mnist_cntk_opset7.onnx";
  LAPIDARY_SKIP_WITHOUT_ASSETS();
  Graph g = load_onnx(path);
  const Tensor picture = random_tensor({1, 1, 28, 28});
  const auto before = evaluate(g, {picture});
  upgrade_opset(g, 21);
  const auto after = evaluate(g, {picture});
  ASSERT_EQ(before.size(), 1u);
  EXPECT_TRUE(before[0].equals(after[0]));
}

}  // namespace
}  // namespace lapidary
