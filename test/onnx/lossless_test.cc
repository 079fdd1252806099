// What Lapidary does not understand stands in the saved file as it stood in the one that was read.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/onnx/models.h"

namespace lapidary {
namespace {

using namespace testing_models;  // NOLINT

/// A field that libonnx 1.12 does not know, as newer files have them.
template <class Message>
void add_unknown(Message* message, int number, const std::string& bytes) {
  message->GetReflection()->MutableUnknownFields(message)->AddLengthDelimited(number, bytes);
}
void add_entry(google::protobuf::RepeatedPtrField<pb::StringStringEntryProto>* list,
               const std::string& key, const std::string& value) {
  auto* e = list->Add();
  e->set_key(key);
  e->set_value(value);
}

/// Every kind of part that has a place to keep something.
pb::ModelProto full_model() {
  pb::ModelProto m = add_model();
  m.set_producer_name("someone");
  m.set_producer_version("");  // stated, and empty
  m.set_domain("org.example");
  m.set_model_version(7);
  m.set_doc_string("doc of the model");
  add_entry(m.mutable_metadata_props(), "k", "v");
  add_entry(m.mutable_metadata_props(), "k2", "");
  m.add_training_info()->mutable_initialization()->set_name("init");
  add_unknown(&m, 26, "device configuration");
  auto* graph = m.mutable_graph();
  graph->set_doc_string("doc of the graph");
  auto* annotation = graph->add_quantization_annotation();
  annotation->set_tensor_name("x");
  add_entry(annotation->mutable_quant_parameter_tensor_names(), "SCALE_TENSOR", "w");
  add_unknown(graph, 16, "metadata of the graph");
  auto* in = graph->mutable_input(0);
  in->set_doc_string("doc of x");
  in->mutable_type()->set_denotation("IMAGE");
  in->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(0)->set_denotation(
      "DATA_BATCH");
  add_unknown(in, 4, "metadata of x");
  graph->mutable_output(0)->set_doc_string("doc of y");
  auto* w = graph->mutable_initializer(0);
  w->set_doc_string("doc of w");
  add_unknown(w, 16, "metadata of w");
  set_type(graph->add_value_info(), "w", 1, {3});
  graph->mutable_value_info(0)->set_doc_string("doc of w as a value");
  set_type(graph->add_value_info(), "nobody", 1, {9});  // a value that is not there
  auto* node = graph->mutable_node(0);
  node->set_doc_string("doc of a");
  add_unknown(node, 8, "overload");
  add_unknown(node, 9, "metadata of a");

  auto* custom = add_node(m, "Custom", {"y", ""}, {"", "z"}, "c");
  custom->set_domain("com.example");
  auto* import = m.add_opset_import();
  import->set_domain("com.example");
  import->set_version(2);
  const auto attr = [&](const std::string& name, pb::AttributeProto::AttributeType type) {
    auto* a = custom->add_attribute();
    a->set_name(name);
    a->set_type(type);
    return a;
  };
  using Type = pb::AttributeProto;
  auto* i = attr("int", Type::INT);
  i->set_i(-3);
  i->set_doc_string("doc of an attribute");
  add_unknown(i, 99, "newer field");
  attr("float", Type::FLOAT)->set_f(0.5f);
  attr("string", Type::STRING)->set_s(std::string("\0\xff", 2));
  attr("ints", Type::INTS);  // empty list
  attr("floats", Type::FLOATS)->add_floats(1.0f);
  attr("strings", Type::STRINGS)->add_strings("s");
  auto* t = attr("tensor", Type::TENSOR)->mutable_t();
  t->set_name("named");
  t->set_data_type(6);
  t->set_raw_data(std::string(4, '\1'));
  auto* tensors = attr("tensors", Type::TENSORS);
  for (const char* doc : {"", "doc"}) {
    auto* each = tensors->add_tensors();
    each->set_data_type(6);
    each->set_raw_data(std::string(4, '\2'));
    if (doc[0] != '\0') each->set_doc_string(doc);
  }
  attr("type", Type::TYPE_PROTO)->mutable_tp()->mutable_tensor_type()->set_elem_type(1);
  auto* sparse = attr("sparse", Type::SPARSE_TENSOR)->mutable_sparse_tensor();
  sparse->mutable_values()->set_data_type(1);
  auto* g = attr("graph", Type::GRAPH)->mutable_g();
  g->set_name("inner");
  g->set_doc_string("doc of a subgraph");
  add_node(g, "Neg", {"x"}, {"inner_y"})->set_doc_string("doc inside");
  set_type(g->add_output(), "inner_y", 1, {2, 3});
  set_type(g->add_value_info(), "inner_y", 1, {2, 3});
  return m;
}

TEST(Lossless, EveryPartIsKept) {
  const pb::ModelProto m = full_model();
  const Graph g = load(m, {.infer = false});
  g.verify();
  pb::ModelProto again;
  ASSERT_TRUE(again.ParseFromString(serialize_onnx(g)));
  // One normal form: a value_info that belongs to no value comes first.
  pb::ModelProto expected = m;
  expected.mutable_graph()->mutable_value_info()->SwapElements(0, 1);
  EXPECT_EQ(again.DebugString(), expected.DebugString());
  EXPECT_EQ(again.SerializeAsString(), expected.SerializeAsString());
}

TEST(Lossless, SurvivesACopyAndOtherNodes) {
  Graph g = load(full_model(), {.infer = false});
  const NodeId last = g.nodes().back();
  Node extra;
  extra.op = "Neg";
  extra.inputs = {g.inputs()[0]};
  extra.outputs = {g.add_value("negated")};
  g.add_node(std::move(extra), last);
  const Graph copy = g;
  pb::ModelProto again;
  ASSERT_TRUE(again.ParseFromString(serialize_onnx(copy)));
  ASSERT_EQ(again.graph().node_size(), 3);
  EXPECT_EQ(again.graph().node(2).SerializeAsString(),
            full_model().graph().node(1).SerializeAsString());
}

TEST(Lossless, AChangedTypeReplacesTheKeptOne) {
  Graph g = load(full_model(), {.infer = false});
  g.mutable_value(g.inputs()[0]).type.dtype = DType::kF16;
  pb::ModelProto again;
  ASSERT_TRUE(again.ParseFromString(serialize_onnx(g)));
  EXPECT_EQ(again.graph().input(0).type().tensor_type().elem_type(), 10);
  EXPECT_EQ(again.graph().input(0).doc_string(), "doc of x");
}

TEST(Lossless, ChangedOpsetsAndMetadataReplaceTheKeptOnes) {
  Graph g = load(full_model(), {.infer = false});
  g.set_opset("", 14);
  g.model.metadata.emplace_back("new", "entry");
  pb::ModelProto again;
  ASSERT_TRUE(again.ParseFromString(serialize_onnx(g)));
  EXPECT_EQ(again.opset_import(0).version(), 14);
  EXPECT_EQ(again.opset_import_size(), 2);
  EXPECT_EQ(again.metadata_props_size(), 3);
}

TEST(Lossless, TheSameGraphGivesTheSameBytes) {
  const Graph g = load(full_model(), {.infer = false});
  const std::string first = serialize_onnx(g);
  EXPECT_EQ(first, serialize_onnx(Graph(g)));
  EXPECT_EQ(first, serialize_onnx(parse_onnx(first.data(), first.size(), {.infer = false})));
}

TEST(Lossless, AnAttributeOfANewerKindIsKept) {
  pb::ModelProto m = relu_model();
  m.mutable_graph()->mutable_node(0)->set_op_type("Custom");
  auto* a = m.mutable_graph()->mutable_node(0)->add_attribute();
  a->set_name("new");
  a->GetReflection()->MutableUnknownFields(a)->AddVarint(20, 77);  // a type beyond the list
  add_unknown(a, 55, "its value");
  pb::ModelProto again;
  ASSERT_TRUE(again.ParseFromString(serialize_onnx(load(m))));
  EXPECT_EQ(again.graph().node(0).SerializeAsString(), m.graph().node(0).SerializeAsString());
}

TEST(Lossless, TypesOfUnknownOpsAreWrittenAgain) {
  pb::ModelProto m = relu_model();
  auto* node = m.mutable_graph()->mutable_node(0);
  node->set_op_type("Custom");
  node->set_output(0, "mid");
  add_node(m, "Relu", {"mid"}, {"y"});
  set_type(m.mutable_graph()->add_value_info(), "mid", 1, {2, 3});
  const std::string saved = serialize_onnx(load(m));
  const Graph g = parse_onnx(saved.data(), saved.size());
  EXPECT_EQ(g.value(g.find_value("mid")).type.text(), "float32[2,3]");
}

TEST(Lossless, GraphsMadeInCodeAreReadable) {
  Graph g;
  g.name = "made";
  g.set_opset("", 13);
  const ValueId x = g.add_value("x", {DType::kF32, std::vector<Dim>{Dim::named("N"), 3}});
  g.set_inputs({x});
  Node node;
  node.op = "Relu";
  node.inputs = {x};
  node.outputs = {g.add_value("y", g.value(x).type)};
  g.set_outputs({node.outputs[0]});
  g.add_node(node);
  const std::string saved = serialize_onnx(g);
  std::string where;
  EXPECT_TRUE(same_graph(g, parse_onnx(saved.data(), saved.size()), &where)) << where;
}

}  // namespace
}  // namespace lapidary
