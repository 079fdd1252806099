#include "src/data/augment.h"

#include <cmath>
#include <set>

#include "src/base/parallel.h"
#include "test/data/data_test_util.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using namespace testing_data;

std::vector<float> values(const Tensor& t) {
  return {t.data<float>().begin(), t.data<float>().end()};
}

/// [1, 2, 3]: 1 2 3 / 4 5 6
Tensor six() { return Tensor::of<float>({1, 2, 3}, {1, 2, 3, 4, 5, 6}); }

TEST(Augment, FlipTurnsColumnsRound) {
  const std::vector<float> border = {0};
  const Tensor always = augment(six(), Layout::kNchw, border, {{"flip", 1}}, Rng(0));
  EXPECT_THAT(values(always), ElementsAre(3, 2, 1, 6, 5, 4));
  const Tensor never = augment(six(), Layout::kNchw, border, {{"flip", 0}}, Rng(0));
  EXPECT_TRUE(never.equals(six()));
  // [1, 3, 2]: pixels of two channels stay together.
  const Tensor last = augment(Tensor::of<float>({1, 3, 2}, {1, 2, 3, 4, 5, 6}), Layout::kNhwc,
                              std::vector<float>{0, 0}, {{"flip", 1}}, Rng(0));
  EXPECT_THAT(values(last), ElementsAre(5, 6, 3, 4, 1, 2));
}

TEST(Augment, FlipHasItsProbability) {
  int flipped = 0;
  for (uint64_t seed = 0; seed < 4000; ++seed)
    flipped += values(augment(six(), Layout::kNchw, std::vector<float>{0}, {{"flip", 0.25}},
                              Rng::of(seed, {})))[0] == 3;
  EXPECT_NEAR(flipped, 1000, 4 * std::sqrt(4000 * 0.25 * 0.75));
}

// in[y + dy][x + dx] of the padded sample, element by element.
TEST(Augment, ShiftCropIsAWindowOfThePaddedSample) {
  const int64_t n = 2;
  const std::vector<float> border = {-7, -8};
  const Tensor first = Tensor::of<float>({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  const Tensor last = Tensor::of<float>({2, 2, 2}, {1, 5, 2, 6, 3, 7, 4, 8});
  std::set<std::pair<int64_t, int64_t>> seen;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Rng draws(seed);
    const auto dy = static_cast<int64_t>(draws.below(5)) - n;
    const auto dx = static_cast<int64_t>(draws.below(5)) - n;
    seen.emplace(dy, dx);
    const Tensor a = augment(first, Layout::kNchw, border, {{"shift_crop", n}}, Rng(seed));
    const Tensor b = augment(last, Layout::kNhwc, border, {{"shift_crop", n}}, Rng(seed));
    for (int64_t c = 0; c < 2; ++c)
      for (int64_t y = 0; y < 2; ++y)
        for (int64_t x = 0; x < 2; ++x) {
          const int64_t sy = y + dy, sx = x + dx;
          const bool inside = sy >= 0 && sy < 2 && sx >= 0 && sx < 2;
          const float expected =
              inside ? static_cast<float>(1 + 4 * c + 2 * sy + sx) : border[static_cast<size_t>(c)];
          EXPECT_EQ(values(a)[static_cast<size_t>(4 * c + 2 * y + x)], expected);
          EXPECT_EQ(values(b)[static_cast<size_t>(2 * (2 * y + x) + c)], expected);
        }
  }
  EXPECT_EQ(seen.size(), 25u);  // every offset occurs
}

TEST(Augment, CutoutZeroesASquareCutAtTheEdges) {
  Tensor ones(DType::kF32, {1, 4, 5});
  for (float& v : ones.mutable_data<float>()) v = 1;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Rng draws(seed);
    const auto top = static_cast<int64_t>(draws.below(4)) - 1;  // side 3: 3 / 2 = 1 before
    const auto left = static_cast<int64_t>(draws.below(5)) - 1;
    const Tensor out =
        augment(ones, Layout::kNchw, std::vector<float>{9}, {{"cutout", 3}}, Rng(seed));
    for (int64_t y = 0; y < 4; ++y)
      for (int64_t x = 0; x < 5; ++x) {
        const bool cut = y >= top && y < top + 3 && x >= left && x < left + 3;
        EXPECT_EQ(values(out)[static_cast<size_t>(5 * y + x)], cut ? 0 : 1) << seed;
      }
  }
}

TEST(Augment, SamplesThatCannotBeAugmentedAreNamed) {
  const auto of = [](Tensor t) {
    return error_of([&] {
      augment(std::move(t), Layout::kNchw, std::vector<float>{0}, {{"flip", 1}}, Rng(0));
    });
  };
  EXPECT_THAT(of(Tensor(DType::kF32, {4})), HasSubstr("three axes, these are float32 [4]"));
  EXPECT_THAT(of(Tensor(DType::kU8, {1, 2, 2})), HasSubstr("2: 'augment' changes float32"));
}

TEST(Augment, ListsAreChecked) {
  const auto of = [](std::vector<Augment> steps) {
    return error_of([&] { check_augment(steps); });
  };
  EXPECT_EQ(of({{"flip", 0.5}, {"shift_crop", 4}, {"cutout", 8}, {"mixup", 0.2}}), "no error");
  EXPECT_THAT(of({{"spin", 1}}), HasSubstr("'spin' is none of flip"));
  EXPECT_THAT(of({{"flip", 1.5}}), HasSubstr("0..1"));
  EXPECT_THAT(of({{"cutout", 2.5}}), HasSubstr("counts pixels"));
  EXPECT_THAT(of({{"mixup", -1}}), HasSubstr("0..65535"));
  EXPECT_THAT(of({{"mixup", 0.2}, {"flip", 0.5}}), HasSubstr("stands last"));
}

// Beta(a, a) has mean 1/2 and variance 1 / (4 (2a + 1)).
TEST(Augment, SharesAreBetaDistributed) {
  for (const double alpha : {0.001, 0.2, 1.0, 3.0, 50.0}) {
    Rng rng(11);
    constexpr int kDraws = 20000;
    double sum = 0, squares = 0;
    for (int i = 0; i < kDraws; ++i) {
      const double x = draw_beta(alpha, rng);
      ASSERT_GE(x, 0);
      ASSERT_LE(x, 1);
      sum += x;
      squares += (x - 0.5) * (x - 0.5);
    }
    const double variance = 1 / (4 * (2 * alpha + 1));
    EXPECT_NEAR(sum / kDraws, 0.5, 4 * std::sqrt(variance / kDraws)) << alpha;
    EXPECT_NEAR(squares / kDraws / variance, 1, 0.05) << alpha;
  }
  // The mean of -ln(x): digamma(2a) - digamma(a) = 1 for a = 1, 47/60 for a = 3.
  for (const auto& [alpha, expected] : {std::pair(1.0, 1.0), std::pair(3.0, 47.0 / 60)}) {
    Rng rng(12);
    double sum = 0;
    for (int i = 0; i < 20000; ++i) sum -= std::log(draw_beta(alpha, rng));
    EXPECT_NEAR(sum / 20000, expected, 0.03) << alpha;
  }
}

class TrainingBatchTest : public FolderTest {
 protected:
  /// 12 gray pictures of 4 x 4, pixel = 16 sample + position, labels = sample.
  Dataset open(std::vector<Augment> augment) const {
    std::string pixels, csv = "index,label\n";
    for (int i = 0; i < 12; ++i) {
      for (int p = 0; p < 16; ++p) pixels += static_cast<char>(16 * i + p);
      csv += std::to_string(i) + "," + std::to_string(i) + "\n";
    }
    put("p.bin", pixels);
    put("labels.csv", csv);
    return open_dataset({.kind = "raw",
                         .path = "p.bin",
                         .labels = "labels.csv",
                         .shape = {4, 4, 1},
                         .dtype = "u8",
                         .layout = "nhwc",
                         .mean = {4},
                         .std = {2},
                         .augment = std::move(augment)},
                        {.base_dir = folder_.string()});
  }
  const std::vector<int64_t> order_ = {7, 3, 11, 0, 5, 2, 9, 1};
  const std::vector<Augment> all_ = {
      {"flip", 0.5}, {"shift_crop", 1}, {"cutout", 2}, {"mixup", 0.4}};

  Batch part(const Dataset& data, int64_t first, int64_t count, int64_t epoch = 3,
             uint64_t seed = 5) const {
    return data.training_batch({order_, first, count, seed, epoch});
  }
};

TEST_F(TrainingBatchTest, WithoutAugmentationSamplesComeAsAsked) {
  const Dataset data = open({});
  const Batch batch = part(data, 2, 3);
  EXPECT_THAT(batch.indices, ElementsAre(11, 0, 5));
  EXPECT_THAT(batch.labels, ElementsAre(11, 0, 5));
  EXPECT_TRUE(batch.labels2.empty() && batch.shares.empty());
  const Tensor& x = batch.inputs.at("");
  EXPECT_EQ(x.shape(), (Shape{3, 1, 4, 4}));
  EXPECT_EQ(x.data<float>()[0], (16 * 11 - 4) / 2.0f);
}

TEST_F(TrainingBatchTest, EvaluationIsNotAugmented) {
  const Batch plain = open({}).batch(0, 12), beside = open(all_).batch(0, 12);
  EXPECT_TRUE(plain.inputs.at("").equals(beside.inputs.at("")));
  EXPECT_EQ(open({}).manifest_sha256(), open(all_).manifest_sha256());
}

TEST_F(TrainingBatchTest, TheBorderIsAStoredZero) {
  const Dataset data = open({{"shift_crop", 4}});
  const Batch batch = part(data, 0, 8);
  int border = 0;
  for (const float v : batch.inputs.at("").data<float>()) border += v == (0 - 4) / 2.0f;
  EXPECT_GT(border, 16);  // sample 0 has one such pixel itself
}

TEST_F(TrainingBatchTest, MixedSamplesAreWeighedSumsOfTheWholeStep) {
  const Dataset plain = open({}), data = open({{"mixup", 0.4}});
  const Batch batch = part(data, 4, 4);
  ASSERT_EQ(batch.labels2.size(), 4u);
  const Batch all = plain.batch(0, 12);
  std::set<int64_t> partners;
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(batch.labels[i], order_[4 + i]);
    EXPECT_THAT(order_, testing::Contains(batch.labels2[i]));
    partners.insert(batch.labels2[i]);
    const float share = batch.shares[i], rest = 1 - share;
    for (size_t p = 0; p < 16; ++p) {
      const auto pixel = [&](int64_t sample) {
        return all.inputs.at("").data<float>()[static_cast<size_t>(sample) * 16 + p];
      };
      EXPECT_EQ(batch.inputs.at("").data<float>()[16 * i + p],
                share * pixel(batch.labels[i]) + rest * pixel(batch.labels2[i]));
    }
  }
  EXPECT_GT(partners.size(), 1u);
}

TEST_F(TrainingBatchTest, DrawsDependOnSeedEpochAndSampleAlone) {
  const Dataset data = open(all_);
  const auto content = [](const Batch& batch) { return values(batch.inputs.at("")); };
  const std::vector<float> whole = content(part(data, 0, 8));
  for (const int threads : {1, 2, 3}) {
    const ThreadScope scope(threads);
    EXPECT_EQ(content(part(data, 0, 8)), whole) << threads;
  }
  // Cut into the parts of two and of eight processes.
  for (const int64_t count : {4, 1}) {
    std::vector<float> joined;
    for (int64_t first = 0; first < 8; first += count)
      for (const float v : content(part(data, first, count))) joined.push_back(v);
    EXPECT_EQ(joined, whole) << count;
  }
  EXPECT_NE(content(part(data, 0, 8, 4)), whole);
  EXPECT_NE(content(part(data, 0, 8, 3, 6)), whole);
  // Another order moves a sample's own draws along with it.
  const Dataset unmixed = open({{"flip", 0.5}, {"shift_crop", 1}});
  const std::vector<int64_t> other = {1, 7};
  const Batch moved = unmixed.training_batch({other, 0, 2, 5, 3});
  const std::vector<float> before = content(part(unmixed, 0, 8)), after = content(moved);
  EXPECT_TRUE(std::equal(before.begin(), before.begin() + 16, after.begin() + 16));
}

TEST_F(TrainingBatchTest, PartsOutsideOfTheStepAreRefused) {
  const Dataset data = open({});
  EXPECT_THAT(error_of([&] { part(data, 6, 3); }), HasSubstr("3 samples from 6 of a step of 8"));
  const std::vector<int64_t> outside = {12};
  EXPECT_THAT(error_of([&] {
                data.training_batch({outside, 0, 1, 0, 0});
              }),
              HasSubstr("sample 12 of 12"));
}

TEST_F(TrainingBatchTest, UnusableSamplesAreLeftOut) {
  for (int i = 0; i < 200; ++i)
    put("f/" + std::to_string(1000 + i) + ".png", i == 3 ? "no picture" : png_of(2, 2, {i, 1, 2}));
  const Dataset data = open_dataset({.kind = "images", .path = "f", .augment = {{"mixup", 1}}},
                                    {.base_dir = folder_.string()});
  std::vector<int64_t> order = {3, 4};
  const Batch batch = data.training_batch({order, 0, 2, 0, 0});
  EXPECT_THAT(batch.indices, ElementsAre(4));
  EXPECT_EQ(batch.shares.size(), 1u);
  EXPECT_EQ(data.skipped().size(), 1u);
  put("f/1004.png", ""), put("f/1005.png", "");
  order = {4, 5};
  EXPECT_THAT(error_of([&] {
                data.training_batch({order, 0, 2, 0, 0});
              }),
              HasSubstr("3 of 200 samples cannot be used"));
}

TEST(Rng, StreamsOfKeysDiffer) {
  std::set<uint64_t> first;
  for (uint64_t a = 0; a < 20; ++a) {
    first.insert(Rng::of(0, {a}).next());
    for (uint64_t b = 0; b < 20; ++b) first.insert(Rng::of(0, {a, b}).next());
  }
  EXPECT_EQ(first.size(), 420u);
  EXPECT_NE(Rng::of(1, {2, 3}).next(), Rng::of(1, {3, 2}).next());
}

}  // namespace
}  // namespace lapidary
