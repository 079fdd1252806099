// Small models with something wrong in their structure, at random: whatever it is, only an Error
// may come out of reading, upgrading, inlining and writing, and what was accepted must read back as
// it was.

#include <gtest/gtest.h>

#include <limits>

#include "src/base/rng.h"
#include "src/ops/inline_functions.h"
#include "test/onnx/models.h"

namespace lapidary {
namespace {

using namespace testing_models;  // NOLINT
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

/// Conv, Reshape, Gemm, an If with captures, Constant, a call of a function: one of each kind of
/// part.
pb::ModelProto seed_model() {
  pb::ModelProto m = empty_model();
  auto* import = m.add_opset_import();
  import->set_domain("local");
  import->set_version(1);
  add_input(m, "x", {1, 2, 4, 4});
  add_input(m, "c", {}, pb::TensorProto::BOOL);
  add_output(m, "y", {1, 3});
  add_initializer(m, "w", 1, {2, 2, 3, 3}, std::string(144, '\x3d'));
  add_initializer(m, "shape", 7, {2},
                  std::string("\1\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 16));
  auto* g = add_initializer(m, "g", 1, {32, 3}, "");
  g->clear_raw_data();
  for (int i = 0; i < 96; ++i) g->add_float_data(0.25f);
  const auto ints = [](pb::NodeProto* node, const std::string& name,
                       const std::vector<int64_t>& values) {
    auto* a = node->add_attribute();
    a->set_name(name);
    a->set_type(pb::AttributeProto::INTS);
    for (int64_t v : values) a->add_ints(v);
  };
  auto* conv = add_node(m, "Conv", {"x", "w"}, {"conv"}, "conv");
  ints(conv, "pads", {1, 1, 1, 1});
  ints(conv, "strides", {1, 1});
  auto* node = add_node(m, "If", {"c"}, {"chosen"}, "if");
  for (const char* branch : {"then_branch", "else_branch"}) {
    auto* a = node->add_attribute();
    a->set_name(branch);
    a->set_type(pb::AttributeProto::GRAPH);
    add_node(a->mutable_g(), branch[0] == 't' ? "Relu" : "Neg", {"conv"},
             {std::string(branch) + "_y"});
    set_type(a->mutable_g()->add_output(), std::string(branch) + "_y", 1, {1, 2, 4, 4});
  }
  add_node(m, "Reshape", {"chosen", "shape"}, {"flat"}, "reshape");
  add_node(m, "Gemm", {"flat", "g"}, {"gemm"}, "gemm");
  auto* constant = add_node(m, "Constant", {}, {"k"}, "constant")->add_attribute();
  constant->set_name("value");
  constant->set_type(pb::AttributeProto::TENSOR);
  constant->mutable_t()->set_data_type(1);
  constant->mutable_t()->add_dims(3);
  for (int i = 0; i < 3; ++i) constant->mutable_t()->add_float_data(1);
  add_node(m, "Add", {"gemm", "k"}, {"sum"}, "add");
  add_node(m, "leaky", {"sum"}, {"y"}, "call")->set_domain("local");
  auto* f = m.add_functions();
  f->set_domain("local");
  f->set_name("leaky");
  f->add_input("a");
  f->add_output("b");
  f->add_attribute("slope");
  f->add_opset_import()->set_version(13);
  auto* body = f->add_node();
  body->set_op_type("LeakyRelu");
  body->add_input("a");
  body->add_output("b");
  auto* alpha = body->add_attribute();
  alpha->set_name("alpha");
  alpha->set_type(pb::AttributeProto::FLOAT);
  alpha->set_ref_attr_name("slope");
  set_type(m.mutable_graph()->add_value_info(), "conv", 1, {1, 2, 4, 4});
  return m;
}

/// All messages of a model, itself included.
void collect(Message* message, std::vector<Message*>& out) {
  out.push_back(message);
  const Reflection* r = message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  r->ListFields(*message, &fields);
  for (const FieldDescriptor* f : fields) {
    if (f->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (f->is_repeated()) {
      for (int i = 0; i < r->FieldSize(*message, f); ++i)
        collect(r->MutableRepeatedMessage(message, f, i), out);
    } else {
      collect(r->MutableMessage(message, f), out);
    }
  }
}

int64_t odd_number(Rng& rng) {
  constexpr int64_t kNumbers[] = {0,
                                  1,
                                  -1,
                                  2,
                                  7,
                                  13,
                                  99,
                                  -5,
                                  int64_t{1} << 31,
                                  int64_t{1} << 40,
                                  int64_t{1} << 62,
                                  std::numeric_limits<int64_t>::max(),
                                  std::numeric_limits<int64_t>::min()};
  return kNumbers[rng.below(std::size(kNumbers))];
}

std::string odd_string(Rng& rng, const std::vector<std::string>& names) {
  switch (rng.below(6)) {
    case 0:
      return "";
    case 1:
      return "caf\xe9";
    case 2:
      return std::string("\0\x1b[31m", 6);
    default:
      return names[rng.below(names.size())];
  }
}

void set_scalar(Message* m, const FieldDescriptor* f, Rng& rng,
                const std::vector<std::string>& names) {
  const Reflection* r = m->GetReflection();
  const bool list = f->is_repeated();
  const int size = list ? r->FieldSize(*m, f) : 0;
  const int at = size > 0 ? static_cast<int>(rng.below(static_cast<uint64_t>(size))) : -1;
  switch (f->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: {
      const auto v = static_cast<int32_t>(odd_number(rng));
      return !list    ? r->SetInt32(m, f, v)
             : at < 0 ? r->AddInt32(m, f, v)
                      : r->SetRepeatedInt32(m, f, at, v);
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      const int64_t v = odd_number(rng);
      return !list    ? r->SetInt64(m, f, v)
             : at < 0 ? r->AddInt64(m, f, v)
                      : r->SetRepeatedInt64(m, f, at, v);
    }
    case FieldDescriptor::CPPTYPE_UINT64:
      return list ? r->AddUInt64(m, f, static_cast<uint64_t>(odd_number(rng)))
                  : r->SetUInt64(m, f, 1);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return list ? r->AddFloat(m, f, std::numeric_limits<float>::quiet_NaN())
                  : r->SetFloat(m, f, -1e38f);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return list ? r->AddDouble(m, f, 1e300) : r->SetDouble(m, f, 1e300);
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto* type = f->enum_type();
      const auto v =
          type->value(static_cast<int>(rng.below(static_cast<uint64_t>(type->value_count()))));
      return list ? r->AddEnum(m, f, v) : r->SetEnum(m, f, v);
    }
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string v = odd_string(rng, names);
      return !list    ? r->SetString(m, f, v)
             : at < 0 ? r->AddString(m, f, v)
                      : r->SetRepeatedString(m, f, at, v);
    }
    default:
      return;
  }
}

/// Drops a part, repeats one, swaps two, or sets a field to something odd.
void mutate(Message* root, Rng& rng, const std::vector<std::string>& names) {
  std::vector<Message*> all;
  collect(root, all);
  Message* m = all[rng.below(all.size())];
  const Reflection* r = m->GetReflection();
  if (rng.below(2) == 0) {
    std::vector<const FieldDescriptor*> set;
    r->ListFields(*m, &set);
    if (set.empty()) return;
    const FieldDescriptor* f = set[rng.below(set.size())];
    if (!f->is_repeated()) return r->ClearField(m, f);
    const auto size = static_cast<uint64_t>(r->FieldSize(*m, f));
    switch (rng.below(4)) {
      case 0:
        return r->RemoveLast(m, f);
      case 1:
        return r->SwapElements(m, f, static_cast<int>(rng.below(size)),
                               static_cast<int>(rng.below(size)));
      case 2:
        if (f->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
          const auto copy = std::unique_ptr<Message>(
              r->GetRepeatedMessage(*m, f, static_cast<int>(rng.below(size))).New());
          copy->CopyFrom(r->GetRepeatedMessage(*m, f, static_cast<int>(rng.below(size))));
          r->AddMessage(m, f)->CopyFrom(*copy);
          return;
        }
        return set_scalar(m, f, rng, names);
      default:
        return r->ClearField(m, f);
    }
  }
  const auto* type = m->GetDescriptor();
  const FieldDescriptor* f =
      type->field(static_cast<int>(rng.below(static_cast<uint64_t>(type->field_count()))));
  if (f->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return set_scalar(m, f, rng, names);
  f->is_repeated() ? r->AddMessage(m, f) : r->MutableMessage(m, f);
}

/// What a command may do with a file. True where it was accepted.
bool use(const std::string& bytes, bool infer) {
  Graph graph;
  try {
    graph = parse_onnx(bytes.data(), bytes.size(),
                       {.max_nodes = 10'000, .max_tensor_bytes = 1 << 20, .infer = infer});
  } catch (const Error& error) {
    EXPECT_NE(error.code(), ErrorCode::kInternal) << error.what();
    EXPECT_NE(error.code(), ErrorCode::kUsage) << error.what();
    return false;
  }
  graph.verify();
  const std::string saved = serialize_onnx(graph);
  try {
    const Graph again = parse_onnx(saved.data(), saved.size(), {.infer = infer});
    std::string where;
    EXPECT_TRUE(same_graph(graph, again, &where)) << where;
  } catch (const Error& error) {
    ADD_FAILURE() << "written, but not readable: " << error.what();
  }
  for (const auto& change :
       {+[](Graph& g) { inline_functions(g); }, +[](Graph& g) { upgrade_opset(g, 21); }}) {
    try {
      change(graph);
      graph.verify();
    } catch (const Error& error) {
      EXPECT_NE(error.code(), ErrorCode::kInternal) << error.what();
    }
  }
  return true;
}

TEST(Mutation, OnlyErrorsComeOut) {
  const pb::ModelProto seed = seed_model();
  ASSERT_TRUE(use(seed.SerializeAsString(), true));
  const std::vector<std::string> names = {
      "x",    "y",       "w",     "conv",      "chosen", "flat",     "k",
      "g",    "if",      "Conv",  "LeakyRelu", "If",     "local",    "leaky",
      "sum",  "ai.onnx", "alpha", "slope",     "pads",   "axis",     "Clip",
      "Relu", "a",       "b",     "Softmax",   "Loop",   "Constant", "value"};
  Rng rng(7);
  int accepted = 0, refused = 0;
  for (int i = 0; i < 4000; ++i) {
    pb::ModelProto m = seed;
    const uint64_t changes = 1 + rng.below(3);
    for (uint64_t c = 0; c < changes; ++c) mutate(&m, rng, names);
    SCOPED_TRACE(i);
    (use(m.SerializePartialAsString(), i % 2 == 0) ? accepted : refused) += 1;
    if (::testing::Test::HasFailure()) {
      std::cout << m.DebugString().substr(0, 20000);
      break;
    }
  }
  // Both must happen, or the test tests nothing.
  EXPECT_GT(accepted, 500);
  EXPECT_GT(refused, 1000);
}

TEST(Mutation, DamagedBytesOnlyGiveErrors) {
  const std::string seed = seed_model().SerializeAsString();
  Rng rng(11);
  for (int i = 0; i < 4000; ++i) {
    std::string bytes = seed;
    for (uint64_t c = 0; c <= rng.below(4); ++c)
      bytes[rng.below(bytes.size())] = static_cast<char>(rng.below(256));
    SCOPED_TRACE(i);
    use(bytes, i % 2 == 0);
    if (::testing::Test::HasFailure()) break;
  }
}

}  // namespace
}  // namespace lapidary
