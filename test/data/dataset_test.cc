#include "lapidary/data.h"

#include <fmt/format.h>
#include <zlib.h>

#include <limits>

#include "src/base/parallel.h"
#include "src/base/rng.h"
#include "src/data/npy.h"
#include "test/data/data_test_util.h"
#include "test/data/test_pictures.h"

namespace lapidary {
namespace {

namespace fs = std::filesystem;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;
using namespace testing_data;

std::vector<float> floats(const Batch& batch, const std::string& input = "") {
  const auto values = batch.inputs.at(input).data<float>();
  return {values.begin(), values.end()};
}

class DatasetTest : public FolderTest {
 protected:
  OpenOptions here(uint64_t seed = 0) const { return {.seed = seed, .base_dir = folder_.string()}; }
  std::string open_error(const DatasetSpec& spec) const {
    return error_of([&] { open_dataset(spec, here()); });
  }
  /// `count` PNGs of 2 x 2 pixels, red = their number, and labels.csv.
  void put_pictures(int count) const {
    std::string csv = "file,label\n";
    for (int i = 0; i < count; ++i) {
      put(fmt::format("p/{:03}.png", i), png_of(2, 2, {i, 1, 2}));
      csv += fmt::format("{:03}.png,{}\n", i, i % 10);
    }
    put("labels.csv", csv);
  }
  const DatasetSpec pictures_ = {.kind = "images", .path = "p", .labels = "labels.csv"};
};

std::string gzip(const std::string& content) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + 15, 9, Z_DEFAULT_STRATEGY);
  std::string out(content.size() + 100, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

const std::string kIdxImages = from_hex(
    "00000803"
    "00000003"
    "00000001"
    "00000002"
    "010203040506");
const std::string kIdxLabels = from_hex(
    "00000801"
    "00000003"
    "070809");

TEST_F(DatasetTest, PixelValuesThatNobodyAskedForAreMentioned) {
  for (const char* name : {"bright/0.png", "bright/1.png"}) put(name, png_of(2, 2, {200, 1, 2}));
  DatasetSpec spec = {.kind = "images", .path = "bright"};
  EXPECT_THAT(open_dataset(spec, here()).warnings(),
              ElementsAre(HasSubstr("values from 1 to 200: the record gives no scale")));
  spec.scale = 1;
  EXPECT_THAT(open_dataset(spec, here()).warnings(), IsEmpty());
  spec.scale.reset();
  spec.mean = {128};
  EXPECT_THAT(open_dataset(spec, here()).warnings(), IsEmpty());
  spec.mean.clear();
  const OpenOptions bytes = {.base_dir = folder_.string(), .requests = {{"", {DType::kU8}}}};
  EXPECT_THAT(open_dataset(spec, bytes).warnings(), IsEmpty());
}

TEST_F(DatasetTest, Idx) {
  put("images", kIdxImages);
  put("labels", kIdxLabels);
  put("images.gz", gzip(kIdxImages));
  put("labels.gz", gzip(kIdxLabels));
  for (const std::string end : {"", ".gz"}) {
    const Dataset data =
        open_dataset({.kind = "idx", .path = "images" + end, .labels = "labels" + end}, here());
    ASSERT_EQ(data.size(), 3);
    const Batch batch = data.batch(1, 10);
    EXPECT_EQ(batch.inputs.at("").shape(), (Shape{2, 1, 1, 2}));
    EXPECT_THAT(floats(batch), ElementsAre(3, 4, 5, 6));
    EXPECT_THAT(batch.labels, ElementsAre(8, 9));
    EXPECT_THAT(batch.sources, ElementsAre("images" + end + "[1]", "images" + end + "[2]"));
  }
  // 16-bit big-endian numbers stay numbers: no picture, no channel axis.
  put("i16", from_hex("00000b02"
                      "00000001"
                      "00000002"
                      "0102fffe"));
  const Sample sample = open_dataset({.kind = "idx", .path = "i16"}, here()).get(0);
  EXPECT_THAT(sample.inputs.at("").data<int16_t>(), ElementsAre(0x0102, -2));
}

TEST_F(DatasetTest, BadIdxFiles) {
  put("cut", kIdxImages.substr(0, 20));
  put("long", kIdxImages + "x");
  put("type", from_hex("00000a01"
                       "00000001"
                       "07"));
  put("text", "hello, world");
  put("cut.gz", gzip(kIdxImages.substr(0, 20)));
  put("bomb.gz", gzip(from_hex("00000803"
                               "ffffffff"
                               "ffffffff"
                               "ffffffff")));
  const auto refused = [&](const char* path) { return open_error({.kind = "idx", .path = path}); };
  EXPECT_THAT(refused("cut"), HasSubstr("uint8 of shape [3,1,2] is 6 bytes, the file holds 4"));
  EXPECT_THAT(refused("long"), HasSubstr("3: "));
  EXPECT_THAT(refused("type"), HasSubstr("idx element type 0x0a"));
  EXPECT_THAT(refused("text"), HasSubstr("not an idx file"));
  EXPECT_THAT(refused("cut.gz"), HasSubstr("cut.gz: ends after 20 bytes, its header promises 22"));
  EXPECT_THAT(refused("bomb.gz"), StartsWith("7: "));
  EXPECT_THAT(refused("absent"), StartsWith("6: "));
  put("images", kIdxImages);
  put("two", from_hex("00000801"
                      "00000002"
                      "0708"));
  EXPECT_THAT(open_error({.kind = "idx", .path = "images", .labels = "two"}),
              HasSubstr("2 labels for 3 samples"));
}

TEST_F(DatasetTest, Cifar10) {
  std::string records;
  for (int i = 0; i < 4; ++i)
    records += bytes_of({i}) + std::string(3072, static_cast<char>(10 * i));
  put("a.bin", records.substr(0, 2 * 3073));
  put("b.bin", records.substr(2 * 3073));
  const Dataset data =
      open_dataset({.kind = "cifar10", .path = {"a.bin", "b.bin"}, .limit = 2, .skip = 1}, here());
  const Batch batch = data.batch(0, 9);
  EXPECT_EQ(batch.inputs.at("").shape(), (Shape{2, 3, 32, 32}));
  EXPECT_THAT(batch.labels, ElementsAre(1, 2));
  EXPECT_THAT(batch.sources, ElementsAre("a.bin[1]", "b.bin[0]"));
  EXPECT_EQ(floats(batch)[3071], 10);
  EXPECT_EQ(floats(batch)[3072], 20);
  EXPECT_EQ(data.num_classes(), 10);
  EXPECT_TRUE(data.labelled());

  put("c.bin", records + "x");
  EXPECT_THAT(open_error({.kind = "cifar10", .path = "c.bin"}),
              HasSubstr("12293 bytes are no whole number of CIFAR-10 records"));
  put("d.bin", bytes_of({77}) + std::string(3072, '\0'));
  EXPECT_THAT(
      error_of([&] { open_dataset({.kind = "cifar10", .path = "d.bin"}, here()).batch(0, 1); }),
      HasSubstr("3: d.bin[0] (sample 0): label 77"));
}

TEST_F(DatasetTest, RawWithAFilteredTable) {
  put("x.bin", from_hex("0102030405060708090a0b0c"));
  put("l.csv", "split,name,person\ntrain,a,0\nval,b,1\nval,c,2\n");
  DatasetSpec spec{.kind = "raw",
                   .path = "x.bin",
                   .labels = "l.csv",
                   .shape = {2, 1, 2},
                   .dtype = "u8",
                   .layout = "nhwc"};
  spec.columns.where = {{"split", "val"}};
  const Dataset data = open_dataset(spec, here());
  const Batch batch = data.batch(0, 2);
  EXPECT_THAT(floats(batch), ElementsAre(5, 7, 6, 8, 9, 11, 10, 12));
  EXPECT_THAT(batch.labels, ElementsAre(1, 2));
  EXPECT_THAT(batch.sources, ElementsAre("x.bin[1]", "x.bin[2]"));
  put("short.csv", "split,person\ntrain,0\n");
  spec.labels = "short.csv";
  EXPECT_THAT(open_error(spec), HasSubstr("1 rows for 3 samples"));
  put("index.csv", "index,label\n2,5\n0,6\n");
  spec.labels = "index.csv";
  spec.columns.where.clear();
  EXPECT_THAT(open_dataset(spec, here()).batch(0, 2).labels, ElementsAre(5, 6));
  EXPECT_THAT(open_dataset(spec, here()).warnings(),
              ElementsAre(HasSubstr("index.csv has rows for 2 of 3 samples")));
  put("cut.bin", "12345");
  spec.path = "cut.bin";
  EXPECT_THAT(open_error(spec),
              HasSubstr("5 bytes are no whole number of uint8 samples of [2,1,2]"));
}

TEST_F(DatasetTest, NpyAndNpz) {
  write_npy(at("x.npy"), Tensor::of<float>({3, 2}, {1, 2, 3, 4, 5, 6}));
  write_npy(at("y.npy"), Tensor::of<int64_t>({3}, {4, 5, 6}));
  write_npz(at("x.npz"), {{"a", Tensor::of<int64_t>({3, 1}, {7, 8, 9})}});
  const Dataset one = open_dataset({.kind = "npy", .path = "x.npy", .labels = "y.npy"}, here());
  EXPECT_THAT(floats(one.batch(0, 3)), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(one.batch(0, 3).labels, ElementsAre(4, 5, 6));

  DatasetSpec several;
  several.inputs = {{.kind = "npy", .path = "x.npy", .labels = "y.npy", .input = "x"},
                    {.kind = "npy", .path = "x.npz", .input = "ids"}};
  several.limit = 2;
  several.skip = 1;
  const Batch batch = open_dataset(several, here()).batch(0, 2);
  EXPECT_THAT(floats(batch, "x"), ElementsAre(3, 4, 5, 6));
  EXPECT_THAT(batch.inputs.at("ids").data<int64_t>(), ElementsAre(8, 9));
  EXPECT_THAT(batch.labels, ElementsAre(5, 6));
  write_npy(at("x.npy"), Tensor::of<float>({1, 2}, {1, 2}));
  several.inputs[0].labels.clear();
  EXPECT_THAT(open_error(several), HasSubstr("3: input 'x' has 1 samples, input 'ids' has 3"));
}

TEST_F(DatasetTest, NonFiniteSamplesAreNamed) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  write_npy(at("x.npy"), Tensor::of<float>({3, 2}, {1, 2, 3, nan, 5, 6}));
  DatasetSpec spec{.kind = "npy", .path = "x.npy"};
  EXPECT_THAT(error_of([&] { open_dataset(spec, here()).batch(0, 3); }),
              HasSubstr("3: x.npy[1] (sample 1): value 1 is NaN or infinite"));
  spec.nonfinite = "skip";
  const Dataset data = open_dataset(spec, here());
  EXPECT_THAT(data.batch(0, 3).indices, ElementsAre(0, 2));
  EXPECT_THAT(data.skipped(), SizeIs(1));
  EXPECT_EQ(data.skipped()[0].index, 1);
  EXPECT_EQ(data.skipped()[0].source, "x.npy[1]");
  EXPECT_EQ(data.skipped()[0].reason, "value 1 is NaN or infinite");  // no advice that was taken
}

TEST_F(DatasetTest, Tokens) {
  put("t.json", R"({"bos": 1, "sequences": [[1, 5, 6, 7, 8, 9], [4, 3], [1]]})");
  const Dataset whole = open_dataset({.kind = "tokens", .path = "t.json"}, here());
  ASSERT_EQ(whole.size(), 2);  // one token predicts nothing
  EXPECT_THAT(whole.get(0).inputs.at("").data<int64_t>(), ElementsAre(1, 5, 6, 7, 8));
  EXPECT_THAT(whole.get(0).targets.data<int64_t>(), ElementsAre(5, 6, 7, 8, 9));
  EXPECT_THAT(whole.get(1).inputs.at("").data<int64_t>(), ElementsAre(1, 4));
  const Batch first = whole.batch(0, 2);  // another length begins another batch
  EXPECT_THAT(first.indices, ElementsAre(0));
  EXPECT_EQ(first.next, 1);
  const Batch second = whole.batch(first.next, 2);
  EXPECT_THAT(second.indices, ElementsAre(1));
  EXPECT_EQ(second.inputs.at("").shape(), (Shape{1, 2}));
  EXPECT_EQ(second.next, 2);
  const Dataset cut = open_dataset({.kind = "tokens", .path = "t.json", .window = 2}, here());
  ASSERT_EQ(cut.size(), 4);
  EXPECT_THAT(cut.get(1).inputs.at("").data<int64_t>(), ElementsAre(6, 7));
  EXPECT_THAT(cut.get(1).targets.data<int64_t>(), ElementsAre(7, 8));
  EXPECT_THAT(cut.get(2).targets.data<int64_t>(), ElementsAre(9));
  EXPECT_EQ(cut.batch(0, 2).targets.shape(), (Shape{2, 2}));

  for (const char* text : {"", "[]", "{\"sequences\": 3}", "{\"sequences\": [[1, -2]]}",
                           "{\"sequences\": [[1, 2.5]]}", "{\"sequences\": [[99999999999]]}"}) {
    put("bad.json", text);
    EXPECT_THAT(open_error({.kind = "tokens", .path = "bad.json"}), StartsWith("3: ")) << text;
  }
}

TEST_F(DatasetTest, ImagesByTableFolderAndClass) {
  put_pictures(3);
  const Dataset listed = open_dataset(pictures_, here());
  const Batch batch = listed.batch(0, 3);
  EXPECT_EQ(batch.inputs.at("").shape(), (Shape{3, 3, 2, 2}));
  EXPECT_EQ(floats(batch)[12], 1);
  EXPECT_THAT(batch.labels, ElementsAre(0, 1, 2));
  EXPECT_THAT(batch.sources, ElementsAre("000.png", "001.png", "002.png"));

  const Dataset plain = open_dataset({.kind = "images", .path = "p"}, here());
  EXPECT_THAT(plain.batch(0, 3).labels, Each(-1));

  put("tree/dog/b.PNG", png_of(1, 1, {3, 0, 0}));
  put("tree/cat/a.png", png_of(1, 1, {4, 0, 0}));
  put("tree/cat/notes.txt", "x");
  fs::create_directory_symlink(at("tree"), at("tree/dog/loop"));
  const Dataset classes =
      open_dataset({.kind = "images", .path = "tree", .labels = "folders"}, here());
  EXPECT_TRUE(classes.labelled());
  EXPECT_EQ(classes.num_classes(), 2);
  EXPECT_THAT(classes.batch(0, 9).sources, testing::Contains("cat/a.png"));
  EXPECT_EQ(classes.get(0).label, 0);
  EXPECT_EQ(classes.get(classes.size() - 1).label, 1);
  EXPECT_THAT(open_error({.kind = "images", .path = "none", .labels = "folders"}),
              StartsWith("6: "));
  EXPECT_THAT(open_error({.kind = "images", .path = "p", .labels = "folders"}), StartsWith("3: "));
}

TEST_F(DatasetTest, UnusablePicturesAreSkippedUpToOnePercent) {
  put_pictures(200);
  put("p/010.png", "");
  put("p/020.png", png_of(2, 2, {0, 0, 0}).substr(0, 45));
  const Dataset data = open_dataset(pictures_, here());
  EXPECT_THAT(data.batch(0, 200).indices, SizeIs(198));
  data.batch(0, 200);  // a second pass counts nothing twice
  const auto skipped = data.skipped();
  ASSERT_THAT(skipped, SizeIs(2));
  EXPECT_EQ(skipped[0].index, 10);
  EXPECT_EQ(skipped[0].reason, "the file is empty");
  EXPECT_THAT(error_of([&] { data.get(20); }), HasSubstr("3: 020.png (sample 20): damaged PNG"));

  fs::remove(at("p/030.png"));
  fs::create_symlink("nowhere", at("p/030.png"));
  const Dataset worse = open_dataset(pictures_, here());
  EXPECT_THAT(error_of([&] { worse.batch(0, 200); }),
              AllOf(HasSubstr("3: 3 of 200 samples cannot be used, more than 1 %: 010.png"),
                    HasSubstr("030.png (sample 30): "), HasSubstr("No such file")));
}

TEST_F(DatasetTest, OnlyTheFirstFiveAreListedAndTheFirstDecidesTheCode) {
  put_pictures(20);
  for (int i = 3; i < 20; ++i)
    put(fmt::format("p/{:03}.png", i), png_of(60000, 60000, {0, 0, 0}, false));
  const std::string text = error_of([&] { open_dataset(pictures_, here()).batch(0, 20); });
  EXPECT_THAT(text,
              StartsWith("7: 17 of 20 samples cannot be used, more than 1 %: 003.png (sample 3)"));
  EXPECT_THAT(text, AllOf(HasSubstr("; 007.png (sample 7)"), testing::EndsWith("; ...")));
  EXPECT_THAT(text, testing::Not(HasSubstr("008.png")));
}

TEST_F(DatasetTest, ARefusalCountsWhatLiesBehindTheBatchToo) {
  put_pictures(20);
  for (int i : {1, 5, 6, 12, 13, 14, 19}) put(fmt::format("p/{:03}.png", i), "");
  const std::string text = error_of([&] { open_dataset(pictures_, here()).batch(0, 2); });
  EXPECT_THAT(text, StartsWith("3: 7 of 20 samples cannot be used, more than 1 %: 001.png"));
  EXPECT_THAT(text, AllOf(HasSubstr("; 013.png (sample 13): the file is empty; ..."),
                          testing::Not(HasSubstr("014.png"))));
  for (int i = 0; i < 20; ++i) put(fmt::format("p/{:03}.png", i), "");
  EXPECT_THAT(error_of([&] { open_dataset(pictures_, here()).inputs(); }),
              StartsWith("3: 20 of 20 samples cannot be used"));
}

TEST_F(DatasetTest, LabelsAreChecked) {
  put_pictures(100);
  OpenOptions options = here();
  options.num_classes = 10;
  EXPECT_THAT(open_dataset(pictures_, options).batch(0, 100).indices, SizeIs(100));
  options.num_classes = 9;
  EXPECT_THAT(error_of([&] { open_dataset(pictures_, options).batch(0, 100); }),
              HasSubstr("3: 10 of 100 samples cannot be used, more than 1 %: 009.png "
                        "(sample 9): label 9 is outside 0..8; 019.png"));
  put("labels.csv", "file,label\n000.png,1\n001.png,\n");
  const Dataset data = open_dataset(pictures_, here());
  EXPECT_THAT(error_of([&] { data.get(1); }), HasSubstr("001.png (sample 1): has no label"));
  EXPECT_THAT(data.warnings(), testing::Contains(HasSubstr("98 pictures (first: 002.png)")));
}

TEST_F(DatasetTest, PicturesOfOtherShapesAreNamed) {
  put_pictures(3);
  put("p/001.png", png_of(3, 2, {0, 0, 0}));
  const Dataset data = open_dataset(pictures_, here());
  EXPECT_THAT(error_of([&] { data.batch(0, 3); }),
              HasSubstr("3: 001.png (sample 1): float32 [3,3,2] does not stack with 000.png"));
  OpenOptions options = here();
  options.requests[""].shape = {3, 2, 2};
  EXPECT_THAT(error_of([&] { open_dataset(pictures_, options).batch(0, 3); }),
              HasSubstr("3: 001.png (sample 1): shape [3,3,2], the graph input wants [3,2,2]"));
}

TEST_F(DatasetTest, RotationIsWarnedOf) {
  std::string jpeg = from_hex(kJpeg420.hex);
  jpeg.insert(2, from_hex("ffe10022457869660000"
                          "4d4d002a00000008"
                          "0001"
                          "011200030000000100060000"
                          "00000000"));
  put("p/a.png", jpeg);  // the name's ending does not matter
  const Dataset data = open_dataset({.kind = "images", .path = "p", .scale = 1}, here());
  EXPECT_EQ(data.inputs()[0].shape, (Shape{3, 11, 19}));
  EXPECT_THAT(data.warnings(),
              ElementsAre("p holds one sample only",
                          "1 pictures (first: a.png) ask for a rotation (EXIF), which is ignored"));
}

TEST_F(DatasetTest, EmptyAndShortDatasets) {
  fs::create_directory(at("empty"));
  EXPECT_THAT(open_error({.kind = "images", .path = "empty"}),
              HasSubstr("2: empty: no samples (0 found, 0 skipped by the record)"));
  put("images", kIdxImages);
  EXPECT_THAT(open_error({.kind = "idx", .path = "images", .skip = 3}),
              HasSubstr("no samples (3 found, 3 skipped"));
  EXPECT_THAT(open_dataset({.kind = "idx", .path = "images", .limit = 5}, here()).warnings(),
              ElementsAre("5 samples were asked for, images holds 3"));
}

TEST_F(DatasetTest, ShuffleIsSeededAndComesFirst) {
  put_pictures(40);
  DatasetSpec spec = pictures_;
  spec.shuffle = true;
  const auto order = Rng(7).permutation(40);
  spec.skip = 5;
  spec.limit = 10;
  const Batch batch = open_dataset(spec, here(7)).batch(0, 10);
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(floats(batch)[12 * i], order[5 + i]);
  EXPECT_NE(floats(open_dataset(spec, here(8)).batch(0, 10)), floats(batch));
}

TEST_F(DatasetTest, ThreadsDoNotChangeBatches) {
  put_pictures(30);
  const Dataset data = open_dataset(pictures_, here());
  const Batch many = data.batch(0, 30);
  set_thread_count(1);
  const Batch one = data.batch(0, 30);
  set_thread_count(0);
  EXPECT_TRUE(one.inputs.at("").equals(many.inputs.at("")));
  EXPECT_EQ(one.labels, many.labels);
}

TEST_F(DatasetTest, ManifestFollowsContentsAndSettings) {
  put_pictures(5);
  const auto manifest = [&](const DatasetSpec& spec, uint64_t seed = 0) {
    return open_dataset(spec, here(seed)).manifest_sha256();
  };
  const std::string first = manifest(pictures_);
  EXPECT_THAT(first, SizeIs(64));
  EXPECT_EQ(manifest(pictures_, 1), first);  // the seed does not matter without shuffle
  DatasetSpec limited = pictures_;
  limited.limit = 4;
  EXPECT_NE(manifest(limited), first);
  fs::rename(at("p"), at("q"));
  DatasetSpec moved = pictures_;
  moved.path = "q";
  EXPECT_EQ(manifest(moved), first);
  put("q/002.png", png_of(2, 2, {9, 9, 9}));
  EXPECT_NE(manifest(moved), first);
}

TEST_F(DatasetTest, PartsOfTheSameDataSaySo) {
  put_pictures(5);
  const auto whole = [&](const DatasetSpec& spec, uint64_t seed = 0) {
    return open_dataset(spec, here(seed)).whole_sha256();
  };
  const std::string first = whole(pictures_);
  EXPECT_THAT(first, SizeIs(64));
  DatasetSpec part = pictures_;
  part.skip = 2;
  part.limit = 2;
  EXPECT_EQ(whole(part), first);
  EXPECT_EQ(open_dataset(part, here(0)).first_index(), 2);
  EXPECT_EQ(open_dataset(pictures_, here(0)).first_index(), 0);
  DatasetSpec shuffled = part;
  shuffled.shuffle = true;  // numbered in their own order
  EXPECT_NE(whole(shuffled), first);
  EXPECT_NE(whole(shuffled, 1), whole(shuffled));
  put("p/004.png", png_of(2, 2, {9, 9, 9}));  // outside the part
  EXPECT_NE(whole(part), first);
}

TEST_F(DatasetTest, ManifestOfTensorsInMemoryFollowsTheirElements) {
  const auto manifest = [](std::vector<float> x, std::vector<int64_t> labels) {
    const Shape shape = {2, static_cast<int64_t>(x.size()) / 2};
    return dataset_of({{"x", Tensor::of<float>(shape, x)}}, std::move(labels)).manifest_sha256();
  };
  const std::string first = manifest({1, 2, 3, 4}, {5, 6});
  EXPECT_EQ(manifest({1, 2, 3, 4}, {5, 6}), first);
  EXPECT_NE(manifest({1, 2, 3, 5}, {5, 6}), first);
  EXPECT_NE(manifest({1, 2, 3, 4}, {5, 7}), first);
  EXPECT_NE(manifest({1, 2, 3, 4, 5, 6}, {5, 6}), first);
}

TEST_F(DatasetTest, TensorsInMemory) {
  const Dataset data = dataset_of({{"x", Tensor::of<float>({2, 2}, {1, 2, 3, 4})}}, {5, 6});
  EXPECT_EQ(data.size(), 2);
  EXPECT_THAT(floats(data.batch(0, 2), "x"), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(data.batch(0, 2).labels, ElementsAre(5, 6));
  EXPECT_EQ(data.inputs()[0].shape, (Shape{2}));
  EXPECT_TRUE(data.labelled());
  EXPECT_FALSE(dataset_of({{"x", Tensor::of<float>({1, 1}, {1})}}).labelled());
  EXPECT_THAT(error_of([&] { data.get(2); }), StartsWith("2: sample 2 of 2"));
  EXPECT_EQ(value_range(Tensor::of<float>({3}, {2, -1, 5})), std::pair(-1.0, 5.0));
}

}  // namespace
}  // namespace lapidary
