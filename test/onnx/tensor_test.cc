// Elements of tensors: every type in every form, and what is wrong with them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "src/onnx/tensor_proto.h"
#include "test/onnx/models.h"

namespace lapidary {
namespace {

using namespace testing_models;  // NOLINT
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::string_literals;
using pb::TensorProto;

TensorProto tensor(int32_t dtype, const std::vector<int64_t>& dims) {
  TensorProto t;
  t.set_data_type(dtype);
  for (int64_t d : dims) t.add_dims(d);
  return t;
}

Tensor read(TensorProto t) { return read_tensor(t, nullptr, {}); }
std::string read_error(ErrorCode code, const TensorProto& t) {
  return error_of(code, [&] { read(t); });
}
TensorProto raw(int32_t dtype, const std::vector<int64_t>& dims, const std::string& bytes) {
  TensorProto t = tensor(dtype, dims);
  t.set_raw_data(bytes);
  return t;
}

TEST(TensorProtoTest, RawData) {
  // 1.5f is 0x3FC00000, stored little endian.
  EXPECT_THAT(read(raw(TensorProto::FLOAT, {1}, "\0\0\xc0\x3f"s)).data<float>(), ElementsAre(1.5f));
  EXPECT_THAT(read(raw(TensorProto::INT16, {2}, "\x01\0\xff\xff"s)).data<int16_t>(),
              ElementsAre(1, -1));
  EXPECT_THAT(read(raw(TensorProto::INT8, {2}, "\x80\x7f"s)).data<int8_t>(),
              ElementsAre(-128, 127));
  EXPECT_EQ(read(raw(TensorProto::FLOAT16, {1}, "\x00\x3e"s)).data<Half>()[0].bits, 0x3e00);
  EXPECT_THAT(read(raw(TensorProto::DOUBLE, {1}, "\0\0\0\0\0\0\xf8\x3f"s)).data<double>(),
              ElementsAre(1.5));
  EXPECT_EQ(read(raw(TensorProto::COMPLEX128, {1}, std::string(16, '\1'))).size_bytes(), 16u);
}

TEST(TensorProtoTest, BooleansAreZeroOrOne) {
  const Tensor t = read(raw(TensorProto::BOOL, {4}, "\0\1\2\xff"s));
  const auto* bytes = static_cast<const uint8_t*>(t.raw());
  EXPECT_EQ(std::vector<int>(bytes, bytes + 4), (std::vector<int>{0, 1, 1, 1}));
}

TEST(TensorProtoTest, TypedFields) {
  TensorProto t = tensor(TensorProto::FLOAT, {2});
  t.add_float_data(1.5f);
  t.add_float_data(-2);
  EXPECT_THAT(read(t).data<float>(), ElementsAre(1.5f, -2.0f));
  t = tensor(TensorProto::DOUBLE, {1});
  t.add_double_data(0.1);
  EXPECT_THAT(read(t).data<double>(), ElementsAre(0.1));
  t = tensor(TensorProto::INT64, {2});
  t.add_int64_data(std::numeric_limits<int64_t>::min());
  t.add_int64_data(7);
  EXPECT_THAT(read(t).data<int64_t>(), ElementsAre(std::numeric_limits<int64_t>::min(), 7));
  t = tensor(TensorProto::UINT32, {1});
  t.add_uint64_data(0xffffffffu);
  EXPECT_THAT(read(t).data<uint32_t>(), ElementsAre(0xffffffffu));
  t = tensor(TensorProto::UINT64, {1});
  t.add_uint64_data(~uint64_t{0});
  EXPECT_THAT(read(t).data<uint64_t>(), ElementsAre(~uint64_t{0}));
  t = tensor(TensorProto::COMPLEX64, {1});
  t.add_float_data(1);
  t.add_float_data(2);
  EXPECT_EQ(static_cast<const float*>(read(t).raw())[1], 2.0f);
  const auto narrow = [](int32_t dtype, int32_t value) {
    TensorProto n = tensor(dtype, {1});
    n.add_int32_data(value);
    return n;
  };
  EXPECT_THAT(read(narrow(TensorProto::INT32, -5)).data<int32_t>(), ElementsAre(-5));
  EXPECT_THAT(read(narrow(TensorProto::INT16, -5)).data<int16_t>(), ElementsAre(-5));
  EXPECT_THAT(read(narrow(TensorProto::INT8, -128)).data<int8_t>(), ElementsAre(-128));
  EXPECT_THAT(read(narrow(TensorProto::UINT16, 65535)).data<uint16_t>(), ElementsAre(65535));
  EXPECT_THAT(read(narrow(TensorProto::UINT8, 255)).data<uint8_t>(), ElementsAre(255));
  EXPECT_THAT(read(narrow(TensorProto::BOOL, 3)).data<bool>(), ElementsAre(true));
  EXPECT_EQ(read(narrow(TensorProto::FLOAT16, 0x3c00)).data<Half>()[0].bits, 0x3c00);
  EXPECT_EQ(read(narrow(TensorProto::BFLOAT16, 0x3f80)).data<BFloat16>()[0].bits, 0x3f80);
  EXPECT_THAT(read(narrow(17, 0x38)).data<uint8_t>(), ElementsAre(0x38));  // FLOAT8E4M3FN
  for (const TensorProto& wrong :
       {narrow(TensorProto::UINT8, 256), narrow(TensorProto::INT8, -129),
        narrow(TensorProto::UINT16, -1), narrow(TensorProto::FLOAT16, 65536), narrow(17, 256),
        narrow(TensorProto::INT16, 40000)})
    EXPECT_THAT(read_error(ErrorCode::kInvalid, wrong), HasSubstr("int32_data holds"));
}

TEST(TensorProtoTest, SmallIntegersArePackedTwoToAByte) {
  // int4 -8 7 -1: nibbles 8, 7, f; the first of a byte in its low half.
  EXPECT_THAT(read(raw(22, {3}, "\x78\x0f"s)).data<int8_t>(), ElementsAre(-8, 7, -1));
  EXPECT_THAT(read(raw(21, {3}, "\x78\x0f"s)).data<uint8_t>(), ElementsAre(8, 7, 15));
  TensorProto t = tensor(22, {3});
  t.add_int32_data(0x78);
  t.add_int32_data(0x0f);
  EXPECT_THAT(read(t).data<int8_t>(), ElementsAre(-8, 7, -1));
  // int2 -2 1 -1 0 1: 2-bit groups 10 01 11 00 from the low end, then 01.
  EXPECT_THAT(read(raw(26, {5}, "\x36\x01"s)).data<int8_t>(), ElementsAre(-2, 1, -1, 0, 1));
  EXPECT_THAT(read_error(ErrorCode::kInvalid, raw(22, {3}, "\x78"s)), HasSubstr("needs 2"));
  for (int32_t dtype : {21, 22, 23, 25, 26}) {
    const Tensor before = read(raw(dtype, {3}, dtype < 25 ? "\x21\x03"s : "\x1b"s));
    TensorProto again;
    write_tensor(before, &again);
    EXPECT_TRUE(read(again).equals(before)) << dtype;
  }
}

TEST(TensorProtoTest, Strings) {
  TensorProto t = tensor(TensorProto::STRING, {2});
  t.add_string_data("a\0b"s);
  t.add_string_data("");
  EXPECT_THAT(read(t).data<std::string>(), ElementsAre("a\0b"s, ""));
  t.add_string_data("third");
  EXPECT_THAT(read_error(ErrorCode::kInvalid, t), HasSubstr("3 entries"));
  t.clear_string_data();
  EXPECT_THAT(read_error(ErrorCode::kInvalid, t), HasSubstr("string_data"));
  t.set_raw_data("ab");
  EXPECT_THAT(read_error(ErrorCode::kInvalid, t), HasSubstr("raw_data"));
}

TEST(TensorProtoTest, WrongLengths) {
  EXPECT_THAT(
      read_error(ErrorCode::kInvalid, raw(TensorProto::FLOAT, {2, 3}, std::string(20, 'x'))),
      AllOf(HasSubstr("20 bytes"), HasSubstr("float32[2,3]"), HasSubstr("24")));
  EXPECT_THAT(
      read_error(ErrorCode::kInvalid, raw(TensorProto::FLOAT, {2, 3}, std::string(28, 'x'))),
      HasSubstr("28 bytes"));
  EXPECT_THAT(read_error(ErrorCode::kInvalid, raw(TensorProto::FLOAT, {2}, std::string(7, 'x'))),
              HasSubstr("not a multiple of 4"));
  EXPECT_THAT(read_error(ErrorCode::kInvalid, raw(TensorProto::FLOAT, {2}, "")),
              HasSubstr("0 bytes"));
  TensorProto t = tensor(TensorProto::FLOAT, {3});
  t.add_float_data(1);
  EXPECT_THAT(read_error(ErrorCode::kInvalid, t),
              AllOf(HasSubstr("float_data has 1"), HasSubstr("needs 3")));
}

TEST(TensorProtoTest, NoFieldOrTwoFields) {
  EXPECT_THAT(read_error(ErrorCode::kInvalid, tensor(TensorProto::FLOAT, {2})),
              HasSubstr("no field"));
  EXPECT_EQ(read(tensor(TensorProto::FLOAT, {0, 5})).size(), 0);  // nothing to hold
  TensorProto t = raw(TensorProto::FLOAT, {1}, std::string(4, '\0'));
  t.add_float_data(1);
  EXPECT_THAT(read_error(ErrorCode::kInvalid, t),
              AllOf(HasSubstr("raw_data"), HasSubstr("float_data")));
  t = tensor(TensorProto::FLOAT, {1});
  t.add_int64_data(1);
  EXPECT_THAT(read_error(ErrorCode::kInvalid, t),
              AllOf(HasSubstr("int64_data"), HasSubstr("float_data")));
  t = tensor(TensorProto::FLOAT, {1});
  t.mutable_segment()->set_begin(0);
  EXPECT_THAT(read_error(ErrorCode::kUnsupported, t), HasSubstr("segments"));
}

TEST(TensorProtoTest, ImpossibleShapes) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max(),
                    kLeast = std::numeric_limits<int64_t>::min();
  EXPECT_THAT(read_error(ErrorCode::kInvalid, tensor(1, {-1})), HasSubstr("negative"));
  EXPECT_THAT(read_error(ErrorCode::kInvalid, tensor(1, {kLeast, 0})), HasSubstr("negative"));
  for (const std::vector<int64_t>& dims : {std::vector<int64_t>{int64_t{1} << 62},
                                           {int64_t{1} << 32, int64_t{1} << 32},
                                           {int64_t{1} << 31, int64_t{1} << 31, 4},
                                           {kMost},
                                           {int64_t{1} << 41}}) {
    SCOPED_TRACE(shape_text(dims));
    read_error(ErrorCode::kResource, raw(1, dims, std::string(4, '\0')));
    read_error(ErrorCode::kResource, raw(22, dims, std::string(4, '\0')));
  }
  EXPECT_THAT(read_error(ErrorCode::kResource, tensor(1, std::vector<int64_t>(100'000, 1))),
              HasSubstr("rank 100000"));
  // A size that only memory would refuse is refused by its own file's length first.
  EXPECT_THAT(read_error(ErrorCode::kInvalid, raw(1, {int64_t{1} << 30}, std::string(4, '\0'))),
              HasSubstr("4294967296"));
}

TEST(TensorProtoTest, UnknownTypes) {
  EXPECT_THAT(read_error(ErrorCode::kInvalid, tensor(0, {1})), HasSubstr("undefined"));
  EXPECT_THAT(read_error(ErrorCode::kInvalid, tensor(99, {1})), HasSubstr("99"));
  EXPECT_THAT(read_error(ErrorCode::kInvalid, tensor(-5, {1})), HasSubstr("-5"));
}

TEST(TensorProtoTest, TypesNewerThanTheBuildsLibonnxLoadAndSave) {
  for (int32_t dtype : {16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26}) {
    SCOPED_TRACE(dtype);
    pb::ModelProto m = empty_model(21, 10);
    add_output(m, "y", {4}, dtype);
    const size_t bytes = dtype == 16 ? 8 : dtype < 21 || dtype == 24 ? 4 : dtype < 25 ? 2 : 1;
    add_initializer(m, "w", dtype, {4}, std::string(bytes, '\x12'));
    add_node(m, "Identity", {"w"}, {"y"});
    const std::string saved = serialize_onnx(load(m, {.infer = false}));
    pb::ModelProto again;
    ASSERT_TRUE(again.ParseFromString(saved));
    EXPECT_EQ(again.graph().initializer(0).SerializeAsString(),
              m.graph().initializer(0).SerializeAsString());
    EXPECT_EQ(again.graph().output(0).SerializeAsString(), m.graph().output(0).SerializeAsString());
  }
}

TEST(TensorProtoTest, ErrorsNameTheTensor) {
  pb::ModelProto m = add_model();
  m.mutable_graph()->mutable_initializer(0)->set_raw_data("abc");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m),
              HasSubstr("initializer 'w': raw_data has 3 bytes"));
  m = relu_model();
  m.mutable_graph()->mutable_node(0)->set_op_type("Constant");
  m.mutable_graph()->mutable_node(0)->clear_input();
  auto* a = m.mutable_graph()->mutable_node(0)->add_attribute();
  a->set_name("value");
  a->set_type(pb::AttributeProto::TENSOR);
  *a->mutable_t() = raw(1, {2}, "abc");
  EXPECT_THAT(load_error(ErrorCode::kInvalid, m),
              HasSubstr("Constant 'r': attribute 'value': raw_data"));
}

std::string written(const std::string& name, const std::string& bytes) {
  const std::string path = ::testing::TempDir() + "lapidary_" + name + ".pb";
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

TEST(LoadTensorProto, TensorsSequencesAndRubbish) {
  TensorProto t = raw(TensorProto::FLOAT, {1, 2}, std::string(8, '\0'));
  t.set_name("x");
  const Tensor read_back = load_tensor_proto(written("tensor", t.SerializeAsString()));
  EXPECT_EQ(read_back.shape(), (Shape{1, 2}));
  // SequenceProto {name = "s", elem_type = 1, tensor_values = [t]} and {elem_type = 1,
  // tensor_values}.
  const std::string inner = t.SerializeAsString();
  const std::string values = "\x1a"s + static_cast<char>(inner.size()) + inner;
  error_of(ErrorCode::kUnsupported,
           [&] { load_tensor_proto(written("seq", "\x0a\x01s\x10\x01" + values)); });
  error_of(ErrorCode::kUnsupported,
           [&] { load_tensor_proto(written("seq", "\x10\x01" + values)); });
  error_of(ErrorCode::kInvalid,
           [&] { load_tensor_proto(written("cut", t.SerializeAsString().substr(0, 9))); });
  error_of(ErrorCode::kInvalid, [&] { load_tensor_proto(written("empty", "")); });
  error_of(ErrorCode::kIo, [&] { load_tensor_proto("/nonexistent.pb"); });
}

}  // namespace
}  // namespace lapidary
