// Whole data sets against digests of the same pipeline in Python: Pillow 13 (decode, convert,
// resize, crop by torchvision's formulas), numpy float32 ((x * scale) - mean) / std, samples one
// after another.
#include <bit>

#include "lapidary/data.h"
#include "src/base/sha256.h"
#include "test/data/data_test_util.h"
#include "test/support/assets.h"

namespace lapidary {
namespace {

namespace fs = std::filesystem;

const std::string kData = std::string(LAPIDARY_ASSETS_DIR) + "/data/";
const std::string kFashion = "/usr/share/datasets/fashion-mnist/";

struct Digest {
  std::string sha256;
  int64_t labels = 0;  // h = 31 h + label, modulo 2^64
};

Digest digest(const DatasetSpec& spec) {
  const Dataset data = open_dataset(spec);
  Sha256 hash;
  uint64_t labels = 0;
  for (int64_t i = 0; i < data.size(); i += spec.batch) {
    const Batch batch = data.batch(i, spec.batch);
    const Tensor& values = batch.inputs.at("");
    hash.update(values.raw(), values.size_bytes());
    for (int64_t label : batch.labels) labels = labels * 31 + static_cast<uint64_t>(label);
  }
  return {hash.hex().substr(0, 16), std::bit_cast<int64_t>(labels)};
}

TEST(AssetsData, ImagenetPictures) {
  LAPIDARY_SKIP_WITHOUT_ASSETS();
  const Digest d = digest({.kind = "images",
                           .path = kData + "imagenet_calib200",
                           .labels = kData + "imagenet_calib200/labels.csv",
                           .resize = {256},
                           .crop = {224},
                           .mean = {127.5},
                           .std = {127.5},
                           .limit = 64,
                           .batch = 32});
  EXPECT_EQ(d.sha256, "3221169d2eb70999");
  EXPECT_EQ(d.labels, -3112788229945322368);
}

TEST(AssetsData, CocoPicturesOfManySizes) {
  LAPIDARY_SKIP_WITHOUT_ASSETS();
  EXPECT_EQ(digest({.kind = "images",
                    .path = kData + "coco_val128/images",
                    .resize = {256},
                    .crop = {224},
                    .scale = 1 / 255.,
                    .mean = {.485, .456, .406},
                    .std = {.229, .224, .225},
                    .limit = 48,
                    .batch = 32})
                .sha256,
            "25439ff2220443bd");
  EXPECT_EQ(digest({.kind = "images",
                    .path = kData + "coco_val128/images",
                    .channels = "bgr",
                    .letterbox = Letterbox{{416, 416}},
                    .limit = 48,
                    .batch = 16})
                .sha256,
            "9d34855880e02a04");
}

TEST(AssetsData, Cifar10) {
  LAPIDARY_SKIP_WITHOUT_ASSETS();
  const Digest d = digest({.kind = "cifar10",
                           .path = kData + "cifar10/test_batch.bin",
                           .scale = 1 / 255.,
                           .mean = {.485, .456, .406},
                           .std = {.229, .224, .225},
                           .limit = 1000,
                           .batch = 500});
  EXPECT_EQ(d.sha256, "a4ab52046151f5f9");
  EXPECT_EQ(d.labels, 5878222707876062653);
}

TEST(AssetsData, VisualWakeWordsHalf) {
  LAPIDARY_SKIP_WITHOUT_ASSETS();
  DatasetSpec spec{.kind = "raw",
                   .path = kData + "vww256/images_u8_256x96x96x3.bin",
                   .labels = kData + "vww256/labels.csv",
                   .shape = {96, 96, 3},
                   .dtype = "u8",
                   .layout = "nhwc",
                   .scale = 1 / 255.,
                   .batch = 32};
  spec.columns.where = {{"split", "val2017"}};
  const Digest d = digest(spec);
  EXPECT_EQ(d.sha256, "287b9f93e2f3c9e2");
  EXPECT_EQ(d.labels, -6486178408474262854);
}

TEST(AssetsData, FashionMnist) {
  const Digest d = digest({.kind = "idx",
                           .path = kFashion + "t10k-images-idx3-ubyte.gz",
                           .labels = kFashion + "t10k-labels-idx1-ubyte.gz",
                           .scale = 1 / 255.,
                           .mean = {.286},
                           .std = {.353},
                           .limit = 1000,
                           .batch = 500});
  EXPECT_EQ(d.sha256, "fe916f56017b557a");
  EXPECT_EQ(d.labels, -4667026425521319245);
}

// 9,136 predicted tokens: the count that the perplexity of the language model was measured over.
TEST(AssetsData, TinyStories) {
  LAPIDARY_SKIP_WITHOUT_ASSETS();
  const Dataset data =
      open_dataset({.kind = "tokens", .path = kData + "tinystories/token_ids.json"});
  ASSERT_EQ(data.size(), 19);
  int64_t predicted = 0;
  for (int64_t i = 0; i < data.size(); ++i) predicted += data.get(i).targets.size();
  EXPECT_EQ(predicted, 9136);
  EXPECT_EQ(data.get(0).inputs.at("").data<int64_t>()[0], 1);
}

}  // namespace
}  // namespace lapidary
