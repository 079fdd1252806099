#include "src/fit/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "test/fit/folder.h"

namespace lapidary {
namespace {

using testing::HasSubstr;

class SafetensorsTest : public FolderTest {
 protected:
  /// A file of this header and data.
  std::string put(const std::string& header, const std::string& data) const {
    return put_with_length(header.size(), header, data);
  }
  std::string put_with_length(uint64_t length, const std::string& header,
                              const std::string& data) const {
    std::string bytes(8, '\0');
    for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(length >> 8 * i & 255);
    return put_file("t.safetensors", bytes + header + data);
  }
  std::string refusal(const std::string& header, const std::string& data) const {
    const std::string path = put(header, data);
    return error_of([&] { read_safetensors(path); });
  }
};

// Written by hand: 1.0, -2.0 in float32; 1, 0 as truths; 258 as int16; 1.0 in bfloat16.
TEST_F(SafetensorsTest, ReadsStoredBytes) {
  const std::string header =
      R"({"__metadata__":{"who":"hand"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
      R"("c":{"dtype":"BOOL","shape":[2],"data_offsets":[12,14]},)"
      R"("b":{"dtype":"I16","shape":[],"data_offsets":[8,10]},)"
      R"("d":{"dtype":"BF16","shape":[1],"data_offsets":[10,12]},)"
      R"("e":{"dtype":"F64","shape":[0,3],"data_offsets":[14,14]}}   )";
  const std::string data("\x00\x00\x80\x3f\x00\x00\x00\xc0\x02\x01\x80\x3f\x01\x00", 14);
  const Safetensors file = read_safetensors(put(header, data));
  EXPECT_EQ(file.metadata.at("who"), "hand");
  EXPECT_TRUE(file.tensors.at("a").equals(Tensor::of<float>({1, 2}, {1, -2})));
  EXPECT_TRUE(file.tensors.at("b").equals(Tensor::scalar<int16_t>(258)));
  EXPECT_TRUE(file.tensors.at("c").equals(Tensor::of<bool>({2}, {true, false})));
  EXPECT_TRUE(file.tensors.at("d").equals(Tensor::of<BFloat16>({1}, {BFloat16{0x3F80}})));
  EXPECT_EQ(file.tensors.at("e").shape(), (Shape{0, 3}));
}

Safetensors example() {
  Safetensors out;
  out.metadata = {{"format", "test"}, {"text", "a \"b\" \n \xC3\xA9"}};
  out.tensors["weights/1"] = Tensor::of<float>({2, 2}, {1.5f, -0.25f, 3e-30f, 7});
  out.tensors["steps"] = Tensor::scalar<int64_t>(int64_t{1} << 40);
  out.tensors["mask"] = Tensor::of<bool>({3}, {true, false, true});
  out.tensors["half"] = Tensor::of<Half>({1}, {Half{0x3C00}});
  out.tensors["bytes"] = Tensor::of<uint8_t>({3}, {0, 128, 255});
  out.tensors["codes"] = Tensor::of<int8_t>({2}, {-128, 127});
  out.tensors["none"] = Tensor(DType::kF64, {0});
  return out;
}

// safetensors_test.py names a file here and reads it with numpy.
TEST_F(SafetensorsTest, WritesWhatItReads) {
  const char* wanted = std::getenv("LAPIDARY_SAFETENSORS_OUT");
  const std::string path = wanted ? wanted : at("t.safetensors");
  AtomicFile file(path);
  write_safetensors(example(), file);
  file.commit();
  const Safetensors again = read_safetensors(path);
  const Safetensors expected = example();
  ASSERT_EQ(again.tensors.size(), expected.tensors.size());
  for (const auto& [name, tensor] : expected.tensors)
    EXPECT_TRUE(again.tensors.at(name).equals(tensor)) << name;
  EXPECT_EQ(again.metadata.at("text"), expected.metadata.at("text"));
}

TEST_F(SafetensorsTest, EveryFlippedBitIsFound) {
  const std::string path = at("t.safetensors");
  AtomicFile file(path);
  write_safetensors(example(), file);
  file.commit();
  const std::string good = read_file(path);
  size_t without_digest = 0, intact = 0;
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    const std::string path_of_bad = put_file("bad", bad);
    const std::string message = error_of([&] {
      // Where the digest's own key is hit, the file is one without a digest.
      without_digest += !read_safetensors(path_of_bad).metadata.contains(kSafetensorsDigest);
    });
    intact += message == "no error";
    if (message != "no error") {
      EXPECT_EQ(message.substr(0, 2), "3:") << message;
    }
  }
  EXPECT_EQ(without_digest, std::string("sha256").size());
  EXPECT_EQ(intact, without_digest);
  for (size_t length = 0; length < good.size(); length += 7)
    EXPECT_THAT(error_of([&] { read_safetensors(put_file("bad", good.substr(0, length))); }),
                HasSubstr("3: "));
}

TEST_F(SafetensorsTest, HostileHeaders) {
  const std::string four(4, '\0'), eight(8, '\0');
  EXPECT_THAT(refusal("", ""), HasSubstr("no JSON object"));
  EXPECT_THAT(refusal("[1]", ""), HasSubstr("no JSON object"));
  EXPECT_THAT(refusal(R"({"a":1})", ""), HasSubstr("tensor 'a': expected dtype"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})", four),
              HasSubstr("no JSON object"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", four),
              HasSubstr("does not fit 4 bytes"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}})", eight),
              HasSubstr("takes 4 bytes, its offsets give it 8"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", four),
              HasSubstr("bytes 4 to 0"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", four),
              HasSubstr("bytes 4 to 8 of 4"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", eight),
              HasSubstr("overlap or leave a gap"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                      R"("b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                      four),
              HasSubstr("overlap or leave a gap"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", eight),
              HasSubstr("8 bytes of data, tensors take 4"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                      R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                      four),
              HasSubstr("'a' stands twice"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F8","shape":[1],"data_offsets":[0,4]}})", four),
              HasSubstr("element type 'F8'"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", four),
              HasSubstr("no whole number"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", four),
              HasSubstr("no whole number"));
  // 2^32 x 2^32 x 4 bytes wrap to 0 in 64 bits.
  EXPECT_THAT(refusal(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],)"
                      R"("data_offsets":[0,0]}})",
                      ""),
              HasSubstr("does not fit 0 bytes"));
  EXPECT_THAT(refusal(R"({"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})", "\x02"),
              HasSubstr("neither 0 nor 1"));
  EXPECT_THAT(refusal(R"({"__metadata__":{"a":1}})", ""), HasSubstr("is no text"));
  EXPECT_THAT(refusal(std::string(100000, '['), ""), HasSubstr("nested too deep"));
  EXPECT_THAT(error_of([&] { read_safetensors(put_with_length(~uint64_t{0}, "{}", "")); }),
              HasSubstr("a header of 18446744073709551615 bytes in a file of 10"));
  EXPECT_THAT(error_of([&] { read_safetensors(put_file("short", "1234567")); }),
              HasSubstr("7 bytes are too few"));
}

TEST_F(SafetensorsTest, WhatTheFormatCannotHoldIsRefused) {
  const auto of = [&](const std::string& name, Tensor tensor) {
    Safetensors content;
    content.tensors[name] = std::move(tensor);
    return error_of([&] {
      AtomicFile file(at("x"));
      write_safetensors(content, file);
    });
  };
  EXPECT_THAT(of("a", Tensor(DType::kString, {1})), HasSubstr("hold no string"));
  EXPECT_THAT(of("__metadata__", Tensor(DType::kF32, {1})), HasSubstr("cannot be the name"));
  EXPECT_THAT(of("\xff", Tensor(DType::kF32, {1})), HasSubstr("cannot be the name"));
}

}  // namespace
}  // namespace lapidary
