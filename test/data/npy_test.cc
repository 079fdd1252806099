#include "src/data/npy.h"

#include "test/data/data_test_util.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_data::error_of;
using testing_data::FolderTest;
using testing_data::from_hex;

using NpyTest = FolderTest;

/// A version 1.0 file: header padded to 128 bytes as NumPy pads it, then `data`.
std::string npy(std::string header, std::string_view data) {
  header.append(117 - header.size(), ' ');
  header += '\n';
  return std::string("\x93NUMPY\1\0\x76\0", 10) + header + std::string(data);
}

// numpy.lib.format.write_array of arange(6, dtype='<f4').reshape(2, 3) * 0.5 and its variants.
const std::string kRows = from_hex("000000000000003f0000803f0000c03f0000004000002040");
const std::string kColumns = from_hex("000000000000c03f0000003f000000400000803f00002040");
const std::string kBigEndian = from_hex("000000003f0000003f8000003fc000004000000040200000");

TEST_F(NpyTest, ReadsEveryOrder) {
  const std::string row_major = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  const std::string column_major = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }";
  const std::string big_endian = "{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }";
  for (const auto& file :
       {npy(row_major, kRows), npy(column_major, kColumns), npy(big_endian, kBigEndian)}) {
    const Tensor t = parse_npy(file);
    EXPECT_EQ(t.shape(), (Shape{2, 3}));
    EXPECT_THAT(t.data<float>(), ElementsAre(0.f, 0.5f, 1.f, 1.5f, 2.f, 2.5f));
    const NpyRows rows(put("a.npy", file));
    EXPECT_EQ(rows.count(), 2);
    EXPECT_THAT(rows.row(1).data<float>(), ElementsAre(1.5f, 2.f, 2.5f));
  }
}

TEST_F(NpyTest, ReadsScalarsAndBooleans) {
  const Tensor scalar = parse_npy(
      npy("{'descr': '<i8', 'fortran_order': False, 'shape': (), }", from_hex("0700000000000000")));
  EXPECT_EQ(scalar.rank(), 0);
  EXPECT_EQ(scalar.data<int64_t>()[0], 7);
  const Tensor flags = parse_npy(
      npy("{'descr': '|b1', 'fortran_order': False, 'shape': (3,), }", from_hex("010002")));
  EXPECT_THAT(flags.data<bool>(), ElementsAre(true, false, true));
}

// numpy.save writes these 152 bytes (the header text above, padded to 128, and kRows).
TEST_F(NpyTest, WritesWhatNumPyWrites) {
  const Tensor t = Tensor::of<float>({2, 3}, {0.f, 0.5f, 1.f, 1.5f, 2.f, 2.5f});
  write_npy(at("a.npy"), t);
  EXPECT_EQ(read_file(at("a.npy")),
            npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", kRows));
  const Tensor vector = Tensor::of<uint8_t>({2}, {1, 2});
  write_npy(at("b.npy"), vector);
  EXPECT_EQ(read_file(at("b.npy")),
            npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", "\1\2"));
  EXPECT_THAT(error_of([&] { write_npy(at("c.npy"), Tensor(DType::kBF16, {1})); }),
              HasSubstr("4: NumPy files have no bfloat16"));
  EXPECT_FALSE(std::filesystem::exists(at("c.npy")));
}

TEST_F(NpyTest, BadFilesAreRefused) {
  const auto refused = [](const std::string& file) { return error_of([&] { parse_npy(file); }); };
  const auto header = [&](const std::string& text) { return refused(npy(text, kRows)); };
  EXPECT_THAT(refused(""), HasSubstr("3: not a .npy file"));
  EXPECT_THAT(refused("\x93NUMPY"), HasSubstr("3: not a .npy file"));
  EXPECT_THAT(refused(std::string("\x93NUMPY\1\0\xFF\x7F{", 11)), HasSubstr("the file holds 11"));
  EXPECT_THAT(refused(std::string("\x93NUMPY\2\0\xFF\xFF\xFF\xFF{}", 14)),
              HasSubstr("header of 4294967295 bytes"));
  EXPECT_THAT(refused(std::string("\x93NUMPY\7\0\0\0", 10)), HasSubstr(".npy version 7"));
  EXPECT_THAT(header("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }"),
              HasSubstr("3: an object array holds a pickle"));
  EXPECT_THAT(header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }"),
              HasSubstr("structured array"));
  EXPECT_THAT(header("{'descr': '<U3', 'fortran_order': False, 'shape': (2,), }"),
              HasSubstr("'<U3' is not one of plain numbers"));
  EXPECT_THAT(header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }"),
              HasSubstr("3: float32 of shape [2,4] is 32 bytes, the file holds 24"));
  EXPECT_THAT(header("{'descr': '<f4', 'fortran_order': False, "
                     "'shape': (4294967296, 4294967296, 8), }"),
              HasSubstr("7: size"));
  EXPECT_THAT(header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"),
              HasSubstr("is no size"));
  EXPECT_THAT(header("{'descr': '<f4', 'fortran_order': False}"), HasSubstr("needs 'descr'"));
  EXPECT_THAT(header("{'descr': '<f4', 'descr': '<f4'}"), HasSubstr("unexpected key"));
}

// numpy.savez_compressed(x=zeros(40, '<i2'), y=array([1, 2, 3], 'u1')).
TEST_F(NpyTest, ReadsDeflatedArchives) {
  const std::string file = from_hex(
      "504b03042d000000080000002100bb34463affffffffffffffff05001400782e6e707901001000d0000000000000"
      "0048000000000000009bec17ea1b10c9c850c650ad9e925a9c5ca46ea5a06e9369a4aea3a09e965f54529498179f"
      "5f94920a12774bcc294e058a17672416a402f91a26063a9a3a0ab50ae4032e062a0300504b03042d000000080000"
      "0021002ae38eb1ffffffffffffffff05001400792e6e707901001000830000000000000047000000000000009bec"
      "17ea1b10c9c850c650ad9e925a9c5ca46ea5a05e536aa8aea3a09e965f54529498179f5f94920a12774bcc294e05"
      "8a17672416a402f91ac63a9a3a0ab50a14002e46266600504b01022d032d000000080000002100bb34463a480000"
      "00d0000000050000000000000000000000800100000000782e6e7079504b01022d032d0000000800000021002ae3"
      "8eb1470000008300000005000000000000000000000080017f000000792e6e7079504b0506000000000200020066"
      "000000fd0000000000");
  const auto arrays = parse_npz(file);
  ASSERT_EQ(arrays.size(), 2u);
  EXPECT_EQ(arrays.at("x").shape(), (Shape{40}));
  EXPECT_THAT(arrays.at("x").data<int16_t>(), testing::Each(0));
  EXPECT_THAT(arrays.at("y").data<uint8_t>(), ElementsAre(1, 2, 3));

  for (size_t size = 0; size < file.size(); size += 7)
    EXPECT_THAT(error_of([&] { parse_npz(file.substr(0, size)); }), testing::StartsWith("3: "))
        << size;
  std::string damaged = file;
  damaged[80] ^= 4;
  EXPECT_THAT(error_of([&] { parse_npz(damaged); }), testing::StartsWith("3: array 'x.npy'"));
  for (size_t i = 0; i < file.size(); ++i) {  // any byte: read, or refused
    std::string flipped = file;
    flipped[i] = static_cast<char>(flipped[i] ^ 0xFF);
    EXPECT_THAT(error_of([&] { parse_npz(flipped); }),
                testing::AnyOf("no error", testing::StartsWith("3: "), testing::StartsWith("4: ")))
        << i;
  }
  std::string bomb = file;  // the directory's size of x: 208 -> 2^24 + 208 from 72 bytes
  bomb[253 + 27] = 1;
  EXPECT_THAT(error_of([&] { parse_npz(bomb); }), HasSubstr("cannot hold the declared"));
}

// numpy.savez(**{'a/b': array([1.5], '<f4')}): stored, sizes in the zip64 field of the local
// header.
TEST_F(NpyTest, ReadsStoredArchives) {
  const auto arrays = parse_npz(
      from_hex("504b03042d00000000000000210054792e83ffffffffffffffff07001400612f622e6e7079010010"
               "0084000000000000008400000000000000934e554d5059010076007b276465736372273a20273c66"
               "34272c2027666f727472616e5f6f72646572273a2046616c73652c20277368617065273a2028312c"
               "292c207d202020202020202020202020202020202020202020202020202020202020202020202020"
               "2020202020202020202020202020202020202020202020200a0000c03f504b01022d032d00000000"
               "000000210054792e838400000084000000070000000000000000000000800100000000612f622e6e"
               "7079504b0506000000000100010035000000bd0000000000"));
  EXPECT_THAT(arrays.at("a/b").data<float>(), ElementsAre(1.5f));
}

TEST_F(NpyTest, ArchivesRoundTrip) {
  const std::map<std::string, Tensor> arrays = {{"logits", Tensor::of<float>({1, 2}, {1.f, -2.f})},
                                                {"model/layer:0", Tensor::of<int64_t>({}, {5})},
                                                {"empty", Tensor(DType::kI8, {0, 3})}};
  write_npz(at("a.npz"), arrays);
  const auto back = read_npz(at("a.npz"));
  ASSERT_EQ(back.size(), arrays.size());
  for (const auto& [name, tensor] : arrays) EXPECT_TRUE(back.at(name).equals(tensor)) << name;
  write_npz(at("b.npz"), arrays);
  EXPECT_EQ(read_file(at("a.npz")), read_file(at("b.npz")));
}

TEST_F(NpyTest, MemberNamesStayInTheirFolder) {
  const Tensor x = Tensor::of<float>({1}, {1.f});
  write_npz(at("n.npz"),
            {{"../../etc/x", x}, {"/abs", x}, {"a\x1b[m", x}, {"50%", x}, {"a.b/c-d_e:0", x}});
  std::vector<std::string> names;
  for (const auto& [name, tensor] : read_npz(at("n.npz"))) names.push_back(name);
  EXPECT_THAT(names, testing::UnorderedElementsAre("%2E%2E/%2E%2E/etc/x", "/abs", "a%1B%5Bm",
                                                   "50%25", "a.b/c-d_e:0"));
}

}  // namespace
}  // namespace lapidary
