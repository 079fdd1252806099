// Model-local functions: read, kept, and inlined where they must be executed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/ops/inline_functions.h"
#include "test/onnx/models.h"

namespace lapidary {
namespace {

using namespace testing_models;  // NOLINT
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

pb::FunctionProto* add_function(pb::ModelProto& m, const std::string& name,
                                const std::vector<std::string>& in,
                                const std::vector<std::string>& out, int64_t opset = 13) {
  auto* f = m.add_functions();
  f->set_domain("local");
  f->set_name(name);
  for (const auto& i : in) f->add_input(i);
  for (const auto& o : out) f->add_output(o);
  f->add_opset_import()->set_version(opset);
  auto* local = f->add_opset_import();
  local->set_domain("local");
  local->set_version(1);
  return f;
}

pb::NodeProto* add_node(pb::FunctionProto* f, const std::string& op,
                        const std::vector<std::string>& in, const std::vector<std::string>& out) {
  auto* node = f->add_node();
  node->set_op_type(op);
  for (const auto& i : in) node->add_input(i);
  for (const auto& o : out) node->add_output(o);
  return node;
}

void refer(pb::NodeProto* node, const std::string& name, const std::string& to,
           pb::AttributeProto::AttributeType type) {
  auto* a = node->add_attribute();
  a->set_name(name);
  a->set_ref_attr_name(to);
  a->set_type(type);
}

/// y = local.leaky(x), whose body is LeakyRelu(alpha = slope) and Neg.
pb::ModelProto function_model() {
  pb::ModelProto m = empty_model();
  auto* import = m.add_opset_import();
  import->set_domain("local");
  import->set_version(1);
  add_input(m, "x");
  add_output(m, "y");
  auto* call = testing_models::add_node(m, "leaky", {"x"}, {"y"}, "call");
  call->set_domain("local");
  auto* f = add_function(m, "leaky", {"a"}, {"b"});
  f->add_attribute("slope");
  refer(add_node(f, "LeakyRelu", {"a"}, {"mid"}), "alpha", "slope", pb::AttributeProto::FLOAT);
  add_node(f, "Neg", {"mid"}, {"b"});
  auto* slope = call->add_attribute();
  slope->set_name("slope");
  slope->set_type(pb::AttributeProto::FLOAT);
  slope->set_f(0.25f);
  return m;
}

std::vector<std::string> ops_of(const Graph& g) {
  std::vector<std::string> out;
  for (NodeId id : g.nodes()) out.push_back(g.node(id).op);
  return out;
}

TEST(FunctionTest, IsKeptAsItIs) {
  const pb::ModelProto m = function_model();
  const Graph g = load(m);
  ASSERT_EQ(g.model.functions.size(), 1u);
  EXPECT_EQ(g.model.functions[0].attributes, std::vector<std::string>{"slope"});
  EXPECT_EQ(g.model.functions[0].body->node_count(), 2u);
  pb::ModelProto again;
  ASSERT_TRUE(again.ParseFromString(serialize_onnx(g)));
  EXPECT_EQ(again.SerializeAsString(), m.SerializeAsString());
}

TEST(FunctionTest, IsInlinedWithTheCallsAttributes) {
  Graph g = load(function_model());
  inline_functions(g);
  g.verify();
  EXPECT_THAT(ops_of(g), ElementsAre("LeakyRelu", "Neg"));
  const Node& leaky = g.node(g.nodes()[0]);
  EXPECT_EQ(std::get<float>(*leaky.attr("alpha")), 0.25f);
  EXPECT_EQ(g.value(leaky.outputs[0]).name, "call/mid");
  EXPECT_EQ(g.value(g.outputs()[0]).name, "y");
  EXPECT_TRUE(g.model.functions.empty());
}

TEST(FunctionTest, AbsentAttributesTakeTheDefaultOrStayAbsent) {
  pb::ModelProto m = function_model();
  m.mutable_graph()->mutable_node(0)->clear_attribute();
  Graph g = load(m);
  inline_functions(g);
  EXPECT_EQ(g.node(g.nodes()[0]).attr("alpha"), nullptr);

  pb::AttributeProto slope;
  slope.set_name("slope");
  slope.set_type(pb::AttributeProto::FLOAT);
  slope.set_f(0.75f);
  auto* f = m.mutable_functions(0);
  f->clear_attribute();
  f->GetReflection()->MutableUnknownFields(f)->AddLengthDelimited(11, slope.SerializeAsString());
  g = load(m);
  pb::ModelProto again;
  ASSERT_TRUE(again.ParseFromString(serialize_onnx(g)));
  EXPECT_EQ(again.SerializeAsString(), m.SerializeAsString());
  inline_functions(g);
  EXPECT_EQ(std::get<float>(*g.node(g.nodes()[0]).attr("alpha")), 0.75f);
}

TEST(FunctionTest, OptionalInputsAndOutputsMayBeLeftOut) {
  pb::ModelProto m = function_model();
  auto* f = m.mutable_functions(0);
  f->add_input("low");
  f->add_output("mid");
  *f->mutable_node(0)->mutable_op_type() = "Clip";
  f->mutable_node(0)->clear_attribute();
  f->mutable_node(0)->add_input("low");
  m.mutable_graph()->mutable_node(0)->clear_attribute();
  Graph g = load(m);
  inline_functions(g);
  g.verify();
  EXPECT_FALSE(g.node(g.nodes()[0]).inputs[1].valid());
}

TEST(FunctionTest, AnInputHandedOnBecomesAnIdentity) {
  pb::ModelProto m = function_model();
  m.mutable_functions(0)->set_output(0, "a");
  Graph g = load(m);
  inline_functions(g);
  g.verify();
  EXPECT_THAT(ops_of(g), ElementsAre("LeakyRelu", "Neg", "Identity"));
}

TEST(FunctionTest, CallsInBranchesAndInFunctionsAreInlined) {
  pb::ModelProto m = function_model();
  auto* outer = add_function(m, "twice", {"p"}, {"q"});
  for (int i = 0; i < 2; ++i) {
    auto* call = add_node(outer, "leaky", {i == 0 ? "p" : "r"}, {i == 0 ? "r" : "q"});
    call->set_domain("local");
  }
  m.mutable_graph()->clear_node();
  add_input(m, "c", {}, pb::TensorProto::BOOL);
  auto* node = testing_models::add_node(m, "If", {"c"}, {"y"}, "if");
  for (const char* branch : {"then_branch", "else_branch"}) {
    auto* a = node->add_attribute();
    a->set_name(branch);
    a->set_type(pb::AttributeProto::GRAPH);
    auto* call =
        testing_models::add_node(a->mutable_g(), "twice", {"x"}, {std::string(branch) + "_y"});
    call->set_domain("local");
    set_type(a->mutable_g()->add_output(), std::string(branch) + "_y", 1, {2, 3});
  }
  Graph g = load(m);
  inline_functions(g);
  g.verify();
  const auto& inner =
      *std::get<std::shared_ptr<const Graph>>(*g.node(g.nodes()[0]).attr("then_branch"));
  inner.verify();
  EXPECT_THAT(ops_of(inner), ElementsAre("LeakyRelu", "Neg", "LeakyRelu", "Neg"));
}

TEST(FunctionTest, RecursionIsRefused) {
  pb::ModelProto m = function_model();
  add_node(m.mutable_functions(0), "leaky", {"b"}, {"again"})->set_domain("local");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m),
              HasSubstr("'leaky' calls itself: leaky -> leaky"));
  m = function_model();
  add_node(add_function(m, "other", {"a"}, {"b"}), "leaky", {"a"}, {"b"})->set_domain("local");
  add_node(m.mutable_functions(0), "other", {"b"}, {"again"})->set_domain("local");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m),
              HasSubstr("calls itself: leaky -> other -> leaky"));
}

TEST(FunctionTest, DoublingAtEveryLevelHitsTheLimit) {
  pb::ModelProto m = function_model();
  m.mutable_graph()->mutable_node(0)->set_op_type("f40");
  m.mutable_graph()->mutable_node(0)->clear_attribute();
  for (int i = 1; i <= 40; ++i) {
    auto* f = add_function(m, "f" + std::to_string(i), {"a"}, {"b"});
    const std::string below = i == 1 ? "leaky" : "f" + std::to_string(i - 1);
    add_node(f, below, {"a"}, {"m"})->set_domain("local");
    add_node(f, below, {"m"}, {"b"})->set_domain("local");
  }
  Graph g = load(m);
  EXPECT_THAT(error_of(ErrorCode::kResource, [&] { inline_functions(g, {.max_nodes = 10'000}); }),
              HasSubstr("10000 nodes"));
  EXPECT_EQ(g.node_count(), 1u);  // as it was
}

TEST(FunctionTest, AThousandCallsAroundOneAnotherHitTheLimit) {
  pb::ModelProto m = function_model();
  m.mutable_graph()->mutable_node(0)->set_op_type("f1000");
  for (int i = 1; i <= 1000; ++i)
    add_node(add_function(m, "f" + std::to_string(i), {"a"}, {"b"}),
             i == 1 ? "leaky" : "f" + std::to_string(i - 1), {"a"}, {"b"})
        ->set_domain("local");
  Graph g = load(m);
  EXPECT_THAT(error_of(ErrorCode::kResource, [&] { inline_functions(g); }), HasSubstr("100 deep"));
}

TEST(FunctionTest, BodiesOfAnotherOpsetMustMeanTheSameOps) {
  pb::ModelProto m = function_model();
  m.mutable_functions(0)->mutable_opset_import(0)->set_version(14);  // LeakyRelu-6 and Neg-13 still
  Graph g = load(m);
  inline_functions(g);
  m.mutable_functions(0)->mutable_opset_import(0)->set_version(12);  // Neg-6
  g = load(m);
  EXPECT_THAT(error_of(ErrorCode::kUnsupported, [&] { inline_functions(g); }),
              AllOf(HasSubstr("Neg"), HasSubstr("opset 12"), HasSubstr("imports 13")));
}

TEST(FunctionTest, WrongReferencesAndCalls) {
  pb::ModelProto m = function_model();
  m.mutable_functions(0)->mutable_node(0)->mutable_attribute(0)->set_ref_attr_name("slop");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m),
              AllOf(HasSubstr("function 'leaky'"), HasSubstr("no attribute of the function"),
                    HasSubstr("slope")));
  m = function_model();
  m.mutable_functions(0)->mutable_node(0)->set_input(0, "x");  // a value of the main graph
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("nothing makes 'x'"));
  m = function_model();
  m.mutable_functions(0)->set_output(0, "nowhere");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m), HasSubstr("no node makes the output"));
  m = function_model();
  m.mutable_graph()->mutable_node(0)->add_input("x");
  Graph g = load(m);
  EXPECT_THAT(error_of(ErrorCode::kInvalid, [&] { inline_functions(g); }), HasSubstr("2 inputs"));
}

}  // namespace
}  // namespace lapidary
