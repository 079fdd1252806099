// Well-formed messages that are no valid models.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "test/onnx/models.h"

namespace lapidary {
namespace {

using namespace testing_models;  // NOLINT
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::string_literals;

// -- versions

TEST(BadModel, WithoutGraphOpsetOrIrVersion) {
  pb::ModelProto m = relu_model();
  m.clear_graph();
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("no graph"));
  m = relu_model();
  m.clear_opset_import();
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("opset_import"));
  for (int64_t ir : {int64_t{0}, int64_t{-1}}) {
    m = relu_model();
    m.set_ir_version(ir);
    EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("IR version"));
  }
  m.clear_ir_version();
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("IR version 0"));
}

TEST(BadModel, NewerIrVersion) {
  pb::ModelProto m = relu_model();
  m.set_ir_version(9999);
  EXPECT_THAT(load_error(ErrorCode::kUnsupported, m), HasSubstr("9999 is newer than 13"));
}

TEST(BadModel, OpsetsOutOfRange) {
  for (int64_t version : {int64_t{999}, int64_t{29}, std::numeric_limits<int64_t>::max()}) {
    pb::ModelProto m = relu_model();
    m.mutable_opset_import(0)->set_version(version);
    EXPECT_THAT(load_error(ErrorCode::kUnsupported, m), HasSubstr("supported are 1 to 28"));
  }
  pb::ModelProto old = relu_model();
  old.mutable_opset_import(0)->set_version(1);  // Relu-1 had another attribute
  EXPECT_THAT(load_error(ErrorCode::kUnsupported, old), HasSubstr("Relu of opset 1"));
  for (int64_t version : {int64_t{0}, int64_t{-1}, std::numeric_limits<int64_t>::min()}) {
    pb::ModelProto m = relu_model();
    m.mutable_opset_import(0)->set_version(version);
    EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("opset"));
  }
}

TEST(BadModel, TwoVersionsOfOneDomain) {
  pb::ModelProto m = relu_model();
  auto* import = m.add_opset_import();
  import->set_domain("ai.onnx");  // the same as ""
  import->set_version(12);
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("13 and 12"));
  import->set_version(13);
  EXPECT_EQ(load(m).opset(), 13);
}

TEST(BadModel, DomainThatIsNotImported) {
  pb::ModelProto m = relu_model();
  m.mutable_graph()->mutable_node(0)->set_domain("com.example");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m),
              AllOf(HasSubstr("com.example"), HasSubstr("opset imports")));
}

TEST(BadModel, UnknownOpsAndDomainsAreKept) {
  pb::ModelProto m = relu_model();
  m.mutable_graph()->mutable_node(0)->set_op_type("Frobnicate");
  EXPECT_EQ(load(m).node_count(), 1u);
  m.mutable_graph()->mutable_node(0)->set_domain("com.example");
  m.add_opset_import()->set_domain("com.example");
  m.mutable_opset_import(1)->set_version(3);
  const Graph g = load(m);
  EXPECT_EQ(g.node(g.nodes()[0]).domain, "com.example");
  EXPECT_EQ(g.opset("com.example"), 3);
}

// -- wiring

TEST(BadModel, CyclesAreNamed) {
  pb::ModelProto m = empty_model();
  add_output(m, "a");
  add_node(m, "Relu", {"b"}, {"a"}, "first");
  add_node(m, "Neg", {"a"}, {"b"}, "second");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m),
              AllOf(HasSubstr("cycle"), HasSubstr("Relu 'first'"), HasSubstr("Neg 'second'")));
  m = empty_model();
  add_output(m, "a");
  add_node(m, "Relu", {"a"}, {"a"}, "loop");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m),
              AllOf(HasSubstr("cycle"), HasSubstr("Relu 'loop'")));
}

TEST(BadModel, UnsortedNodesAreSorted) {
  pb::ModelProto m = empty_model();
  add_input(m, "x");
  add_output(m, "z");
  add_node(m, "Neg", {"y"}, {"z"}, "second");
  add_node(m, "Relu", {"x"}, {"y"}, "first");
  const Graph g = load(m);
  ASSERT_EQ(g.nodes().size(), 2u);
  EXPECT_EQ(g.node(g.nodes()[0]).name, "first");
  g.verify();
}

TEST(BadModel, DanglingInputNamesNodeAndNeighbours) {
  pb::ModelProto m = empty_model();
  add_input(m, "features");
  add_output(m, "y");
  add_node(m, "Relu", {"featurse"}, {"y"}, "r");
  EXPECT_THAT(
      load_error(ErrorCode::kInvalid, m),
      AllOf(HasSubstr("Relu 'r'"), HasSubstr("featurse"), HasSubstr("did you mean 'features'")));
}

TEST(BadModel, OutputThatNobodyMakes) {
  pb::ModelProto m = relu_model();
  m.mutable_graph()->mutable_output(0)->set_name("nowhere");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("output 'nowhere'"));
  // A value_info alone makes nothing.
  set_type(m.mutable_graph()->add_value_info(), "nowhere", 1, {2, 3});
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("output 'nowhere'"));
}

TEST(BadModel, NamesThatStandTwice) {
  pb::ModelProto m = relu_model();
  add_node(m, "Neg", {"x"}, {"y"}, "n");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m),
              AllOf(HasSubstr("Relu 'r'"), HasSubstr("Neg 'n'")));
  m = relu_model();
  add_node(m, "Split", {"x"}, {"a", "a"});
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("'a' is made twice"));
  m = relu_model();
  add_input(m, "x");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("input 'x'"));
  m = add_model();
  add_initializer(m, "w", 1, {3}, std::string(12, '\0'));
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("two initializers"));
  m = relu_model();
  m.mutable_graph()->mutable_node(0)->set_output(0, "x");
  m.mutable_graph()->mutable_output(0)->set_name("x");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("which is an input"));
  m = add_model();
  add_node(m, "Neg", {"x"}, {"w"}, "n");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m),
              AllOf(HasSubstr("Neg 'n'"), HasSubstr("initializer")));
}

TEST(BadModel, InitializerOfAnotherTypeThanItsInput) {
  pb::ModelProto m = add_model();
  add_input(m, "w", {4});
  EXPECT_THAT(
      load_error(ErrorCode::kInvalid, m),
      AllOf(HasSubstr("initializer 'w'"), HasSubstr("float32[3]"), HasSubstr("float32[4]")));
  m = add_model();
  add_input(m, "w", {3}, pb::TensorProto::INT32);
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("int32[3]"));
  m = add_model();
  add_input(m, "w", {3});
  EXPECT_EQ(load(m).inputs().size(), 2u);
}

TEST(BadModel, MissingTypes) {
  pb::ModelProto m = relu_model();
  m.mutable_graph()->mutable_input(0)->clear_type();
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m),
              AllOf(HasSubstr("input 'x'"), HasSubstr("no type")));
  m = relu_model();
  m.mutable_graph()->mutable_output(0)->clear_type();
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("output 'y'"));
  m = relu_model();
  m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(0);
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("element type"));
  m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(99);
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("99"));
}

TEST(BadModel, DimsOfInputs) {
  pb::ModelProto m = relu_model();
  auto* shape =
      m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
  shape->mutable_dim(0)->set_dim_value(-1);  // some exporters' way to say unknown
  EXPECT_FALSE((*load(m).value(load(m).inputs()[0]).type.shape)[0].known());
  shape->mutable_dim(0)->set_dim_param("N");
  EXPECT_EQ((*load(m).value(load(m).inputs()[0]).type.shape)[0].symbol, "N");
  shape->mutable_dim(0)->set_dim_value(-5);
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("-5"));
  for (int i = 0; i < 100; ++i) shape->add_dim();
  shape->mutable_dim(0)->set_dim_value(1);
  EXPECT_THAT(load_error(ErrorCode::kResource, m), HasSubstr("rank 102"));
}

TEST(BadModel, EmptyNames) {
  pb::ModelProto m = relu_model();
  m.mutable_graph()->mutable_input(0)->clear_name();
  load_error(ErrorCode::kInvalid, m);
  m = relu_model();
  m.mutable_graph()->mutable_node(0)->clear_op_type();
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("no op type"));
  m = add_model();
  m.mutable_graph()->mutable_initializer(0)->clear_name();
  load_error(ErrorCode::kInvalid, m);
  m = relu_model();
  m.mutable_graph()->mutable_output(0)->clear_name();
  load_error(ErrorCode::kInvalid, m);
}

// -- names

TEST(BadModel, StrangeNamesAreKeptAndNeverShownRaw) {
  for (const std::string& name : {"\x1b[31mred"s, "<script>"s, "../../etc/passwd"s, "two\nlines"s,
                                  "nul\0l"s, std::string(1'000'000, 'n')}) {
    pb::ModelProto m = relu_model();
    m.mutable_graph()->mutable_node(0)->set_output(0, name);
    m.mutable_graph()->mutable_output(0)->set_name(name);
    EXPECT_TRUE(load(m).find_value(name).valid());
    m.mutable_graph()->mutable_node(0)->set_input(0, name + "?");
    const std::string text = load_error(ErrorCode::kInvalid, m);
    for (char c : text) EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    EXPECT_LT(text.size(), 3000u);
  }
}

TEST(BadModel, NamesThatAreNoUtf8) {
  pb::ModelProto m = relu_model();
  m.mutable_graph()->mutable_node(0)->set_name("caf\xe9");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("UTF-8"));
  m = relu_model();
  m.mutable_graph()->mutable_node(0)->set_output(0, "caf\xe9");
  m.mutable_graph()->mutable_output(0)->set_name("caf\xe9");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("UTF-8"));
}

// -- attributes

pb::AttributeProto* add_attr(pb::ModelProto& m, const std::string& name,
                             pb::AttributeProto::AttributeType type) {
  auto* a = m.mutable_graph()->mutable_node(0)->add_attribute();
  a->set_name(name);
  if (type != pb::AttributeProto::UNDEFINED) a->set_type(type);
  return a;
}

TEST(BadModel, Attributes) {
  using Type = pb::AttributeProto;
  pb::ModelProto m = relu_model();
  m.mutable_graph()->mutable_node(0)->set_op_type("Custom");
  add_attr(m, "k", Type::INT)->set_i(1);
  load(m);
  add_attr(m, "k", Type::INT)->set_i(2);
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("given twice"));
  m.mutable_graph()->mutable_node(0)->clear_attribute();
  add_attr(m, "k", Type::INT)->add_ints(1);
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), AllOf(HasSubstr("INT"), HasSubstr("INTS")));
  m.mutable_graph()->mutable_node(0)->clear_attribute();
  add_attr(m, "k", Type::UNDEFINED);
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("neither a type nor a value"));
  m.mutable_graph()->mutable_node(0)->clear_attribute();
  add_attr(m, "k", Type::INT)->set_ref_attr_name("outer");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("stands in no function"));
  m.mutable_graph()->mutable_node(0)->clear_attribute();
  add_attr(m, "k", Type::TENSOR);
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("without a tensor"));
  m.mutable_graph()->mutable_node(0)->clear_attribute();
  add_attr(m, "k", Type::GRAPH);
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("without a graph"));
}

TEST(BadModel, AttributesThatTheOpTableRefuses) {
  using Type = pb::AttributeProto;
  pb::ModelProto m = relu_model();
  m.mutable_graph()->mutable_node(0)->set_op_type("Flatten");
  add_attr(m, "axis", Type::FLOAT)->set_f(1);
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m),
              AllOf(HasSubstr("Flatten 'r'"), HasSubstr("axis")));
  m.mutable_graph()->mutable_node(0)->mutable_attribute(0)->set_name("axes");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("axes"));
  m = relu_model();
  m.mutable_graph()->mutable_node(0)->add_input("x");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m),
              AllOf(HasSubstr("Relu 'r'"), HasSubstr("2 inputs")));
}

// -- subgraphs

/// If(c) with a branch that reads x of the outer graph, and one that reads a local value.
pb::ModelProto if_model() {
  pb::ModelProto m = empty_model();
  add_input(m, "c", {}, pb::TensorProto::BOOL);
  add_input(m, "x");
  add_output(m, "y");
  auto* node = add_node(m, "If", {"c"}, {"y"}, "if");
  for (const char* branch : {"then_branch", "else_branch"}) {
    auto* a = node->add_attribute();
    a->set_name(branch);
    a->set_type(pb::AttributeProto::GRAPH);
    a->mutable_g()->set_name(branch);
    add_node(a->mutable_g(), "Relu", {"x"}, {std::string(branch) + "_y"});
    set_type(a->mutable_g()->add_output(), std::string(branch) + "_y", 1, {2, 3});
  }
  return m;
}

TEST(Subgraph, CapturesAreExplicit) {
  const Graph g = load(if_model());
  const Node& node = g.node(g.nodes()[0]);
  ASSERT_EQ(node.captures.size(), 2u);
  EXPECT_EQ(g.value(node.captures[0].outer).name, "x");
  EXPECT_EQ(node.captures[0].attr, "then_branch");
  EXPECT_EQ(g.use_count(node.captures[0].outer), 2u);
  const auto& inner = *std::get<std::shared_ptr<const Graph>>(*node.attr("then_branch"));
  EXPECT_EQ(inner.value(node.captures[0].inner).name, "x");
  EXPECT_EQ(inner.opset(), 13);
}

TEST(Subgraph, CapturesReachThroughTwoLevels) {
  pb::ModelProto m = if_model();
  pb::ModelProto inner = if_model();
  auto* branch = m.mutable_graph()->mutable_node(0)->mutable_attribute(0)->mutable_g();
  *branch->mutable_node(0) = inner.graph().node(0);  // reads c and, two levels down, x
  branch->mutable_node(0)->set_output(0, "then_branch_y");
  for (int i = 0; i < 2; ++i) {
    auto* deep = branch->mutable_node(0)->mutable_attribute(i)->mutable_g();
    deep->mutable_node(0)->set_output(0, "deep" + std::to_string(i));
    deep->mutable_output(0)->set_name("deep" + std::to_string(i));
  }
  const Graph g = load(m);
  const Node& node = g.node(g.nodes()[0]);
  std::vector<std::string> captured;
  for (const Capture& c : node.captures)
    if (c.attr == "then_branch") captured.push_back(g.value(c.outer).name);
  EXPECT_THAT(captured, ::testing::UnorderedElementsAre("c", "x"));
  std::string where;
  const std::string saved = serialize_onnx(g);
  EXPECT_TRUE(same_graph(g, parse_onnx(saved.data(), saved.size()), &where)) << where;
}

TEST(Subgraph, MayReadWhatAnUnsortedNodeMakesLater) {
  pb::ModelProto m = if_model();
  m.mutable_graph()->mutable_node(0)->mutable_attribute(0)->mutable_g()->mutable_node(0)->set_input(
      0, "late");
  add_node(m, "Neg", {"x"}, {"late"}, "n");
  const Graph g = load(m);
  EXPECT_EQ(g.node(g.nodes()[0]).name, "n");
  g.verify();
}

TEST(Subgraph, CannotReadItsOwnNode) {
  pb::ModelProto m = if_model();
  m.mutable_graph()->mutable_node(0)->mutable_attribute(0)->mutable_g()->mutable_node(0)->set_input(
      0, "y");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("cycle: If 'if'"));
}

TEST(Subgraph, DanglingAndDuplicateNames) {
  pb::ModelProto m = if_model();
  auto* branch = m.mutable_graph()->mutable_node(0)->mutable_attribute(0)->mutable_g();
  branch->mutable_node(0)->set_input(0, "xx");
  EXPECT_THAT(
      load_error(ErrorCode::kInvalid, m),
      AllOf(HasSubstr("If 'if'"), HasSubstr("then_branch"), HasSubstr("'xx'"), HasSubstr("'x'")));
  branch->mutable_node(0)->set_input(0, "x");
  branch->mutable_node(0)->set_output(0, "c");  // the name of a value outside
  branch->mutable_output(0)->set_name("c");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("enclosing graph"));
  m = if_model();
  auto* t =
      m.mutable_graph()->mutable_node(0)->mutable_attribute(0)->mutable_g()->add_initializer();
  t->set_name("x");
  t->set_data_type(1);
  t->set_raw_data(std::string(4, '\0'));
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("enclosing graph"));
}

TEST(Subgraph, ABranchMayNameItsValueAsTheNodeDoes) {
  pb::ModelProto m = if_model();
  auto* branch = m.mutable_graph()->mutable_node(0)->mutable_attribute(0)->mutable_g();
  branch->mutable_node(0)->set_output(0, "y");
  branch->mutable_output(0)->set_name("y");
  const std::string saved = serialize_onnx(load(m));
  pb::ModelProto again;
  ASSERT_TRUE(again.ParseFromString(saved));
  EXPECT_EQ(again.graph().node(0).attribute(0).g().node(0).output(0), "y");
}

TEST(Subgraph, NodesOfBranchesAreChecked) {
  pb::ModelProto m = if_model();
  m.mutable_graph()->mutable_node(0)->mutable_attribute(0)->mutable_g()->mutable_node(0)->add_input(
      "x");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m),
              AllOf(HasSubstr("If 'if'"), HasSubstr("2 inputs")));
}

TEST(Subgraph, RenamingOutsideIsWrittenInside) {
  Graph g = load(if_model());
  g.rename_value(g.inputs()[1], "then_branch_y");  // also a name inside: that one must give way
  const std::string saved = serialize_onnx(g);
  const Graph again = parse_onnx(saved.data(), saved.size());
  again.verify();
  const Node& node = again.node(again.nodes()[0]);
  ASSERT_EQ(node.captures.size(), 2u);
  EXPECT_EQ(again.value(node.captures[0].outer).name, "then_branch_y");
  const auto& inner = *std::get<std::shared_ptr<const Graph>>(*node.attr("then_branch"));
  EXPECT_EQ(inner.value(inner.outputs()[0]).name, "then_branch_y_1");
}

// -- other kinds of values

TEST(BadModel, SparseInitializersAreRefused) {
  pb::ModelProto m = relu_model();
  m.mutable_graph()->add_sparse_initializer()->mutable_values()->set_name("s");
  EXPECT_THAT(load_error(ErrorCode::kUnsupported, m), HasSubstr("sparse initializer 's'"));
}

TEST(BadModel, SequencesAreKept) {
  pb::ModelProto m = empty_model();
  auto* in = m.mutable_graph()->add_input();
  in->set_name("s");
  in->mutable_type()
      ->mutable_sequence_type()
      ->mutable_elem_type()
      ->mutable_tensor_type()
      ->set_elem_type(1);
  add_output(m, "y");
  add_node(m, "SequenceAt", {"s", "s"}, {"y"});
  const Graph g = load(m, {.infer = false});
  EXPECT_FALSE(g.value(g.inputs()[0]).other_type.empty());
  pb::ModelProto again;
  ASSERT_TRUE(again.ParseFromString(serialize_onnx(g)));
  EXPECT_EQ(again.graph().input(0).SerializeAsString(), m.graph().input(0).SerializeAsString());
}

TEST(BadModel, AChainOf100000NodesIsReadInLinearTime) {
  pb::ModelProto m = empty_model();
  add_input(m, "v0");
  for (int i = 0; i < 100'000; ++i)
    add_node(m, "Relu", {"v" + std::to_string(i)}, {"v" + std::to_string(i + 1)});
  add_output(m, "v100000");
  const Graph g = load(m);  // about 0.3 s; a quadratic reader would not end within the test's limit
  EXPECT_EQ(g.node_count(), 100'000u);
  EXPECT_EQ(g.value(g.outputs()[0]).type.text(), "float32[2,3]");
  // The same backwards: every node has to be moved.
  std::reverse(m.mutable_graph()->mutable_node()->begin(),
               m.mutable_graph()->mutable_node()->end());
  EXPECT_TRUE(same_graph(load(m), g));
}

}  // namespace
}  // namespace lapidary
