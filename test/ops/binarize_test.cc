#include "src/ops/binarize.h"

#include "src/ops/fake_quantize.h"
#include "test/ops/axis_case.h"
#include "test/ops/op_case.h"

// Stored values: binary_reference.py.

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::FloatEq;
using testing::HasSubstr;
using testing::Pointwise;

const std::vector<float> kW = {0.5f, -1.5f, 0.25f,    -0.125f, 3.0f,   0.75f,
                               -2,   0,     -0.0625f, 0.5f,    0.875f, -4};

OpCase own(const char* op) { return OpCase(op, 1, std::string(kOwnDomain)); }
OpCase weight(const char* op) { return own(op).in<float>({3, 4}, kW); }
/// The same elements as [4, 3], slices along axis 1.
OpCase transposed(const char* op) {
  std::vector<float> w;
  for (size_t i = 0; i < 12; ++i) w.push_back(kW[i % 3 * 4 + i / 3]);
  return own(op).in<float>({4, 3}, w).attr("axis", int64_t{-1});
}
std::vector<float> values(const Tensor& t) {
  return {t.data<float>().begin(), t.data<float>().end()};
}

TEST(Binarize, IsTheSignWithZeroAbove) {
  const Tensor y =
      own("Binarize").in<float>({7}, {-2, -1e-40f, -0.0f, 0, 1e-40f, 3, INFINITY}).run();
  EXPECT_THAT(y.data<float>(), ElementsAre(-1, -1, 1, 1, 1, 1, 1));
}

TEST(Binarize, NanStaysOne) {
  EXPECT_TRUE(std::isnan(own("Binarize").in<float>({1}, {NAN}).run().data<float>()[0]));
  for (const char* op : {"BinarizeWeight", "TernarizeWeight"})
    EXPECT_TRUE(std::isnan(own(op).in<float>({1, 2}, {NAN, 1}).run().data<float>()[0])) << op;
  const Tensor learned = own("TernarizeWeight")
                             .in<float>({1, 2}, {NAN, 1})
                             .in<float>({}, {1})
                             .in<float>({}, {1})
                             .run();
  EXPECT_TRUE(std::isnan(learned.data<float>()[0]));
}

TEST(Binarize, RefusesWhatDoesNotFit) {
  const auto message = [](OpCase c) {
    const auto error = c.infer_error();
    return error ? std::string(error->what()) : std::string();
  };
  const auto x = [](const char* op) { return own(op).in_type(DType::kF32, {2, 3}); };
  EXPECT_THAT(message(x("Binarize").attr("estimator", "signum")),
              HasSubstr("estimator is 'signum'"));
  EXPECT_THAT(message(x("Binarize").attr("estimator", "ede")), HasSubstr("`sharpness`"));
  EXPECT_THAT(message(x("Binarize").in_type(DType::kF32, {2})), HasSubstr("expected one element"));
  EXPECT_THAT(message(x("BinarizeWeight").attr("scale", "max")), HasSubstr("scale is 'max'"));
  EXPECT_THAT(message(x("BinarizeWeight").attr("axis", int64_t{2})), HasSubstr("axis"));
  EXPECT_THAT(message(x("TernarizeWeight").in_type(DType::kF32, {})), HasSubstr("both or none"));
  EXPECT_THAT(message(x("TernarizeWeight").attr("threshold", 1.0f)), HasSubstr("threshold is 1"));
  EXPECT_THAT(message(own("Binarize").in_type(DType::kF16, {2})), HasSubstr("float16"));
  EXPECT_EQ(x("Binarize").attr("estimator", "ede").in_type(DType::kF32, {1}).infer(),
            "float32[2,3]");
}

TEST(BinarizeWeight, ScalesPerSlice) {
  const auto scaled = [](const char* scale) {
    return values(weight("BinarizeWeight").attr("scale", scale).run());
  };
  EXPECT_THAT(scaled("mean"),
              ElementsAre(.59375f, -.59375f, .59375f, -.59375f, 1.4375f, 1.4375f, -1.4375f, 1.4375f,
                          -1.359375f, 1.359375f, 1.359375f, -1.359375f));
  EXPECT_THAT(scaled("shift"), ElementsAre(.5f, -.5f, .5f, -.5f, 2, 2, -2, 2, -1, 1, 1, -1));
  EXPECT_THAT(scaled("none"), ElementsAre(1, -1, 1, -1, 1, 1, -1, 1, -1, 1, 1, -1));
}

TEST(BinarizeWeight, ScalesAlongAnyAxis) {
  // [3, 4] along axis 1: columns.
  const Tensor y = weight("BinarizeWeight").attr("axis", int64_t{1}).run();
  EXPECT_THAT(values(y),
              Pointwise(FloatEq(), {1.1875f, -.9166667f, 1.041667f, -1.375f, 1.1875f, .9166667f,
                                    -1.041667f, 1.375f, -1.1875f, .9166667f, 1.041667f, -1.375f}));
}

TEST(BinarizeWeight, Standardizes) {
  const auto scaled = [](const char* scale) {
    return values(
        weight("BinarizeWeight").attr("standardize", int64_t{1}).attr("scale", scale).run());
  };
  EXPECT_THAT(scaled("mean"), Pointwise(FloatEq(), {.8293412f, -.8293412f, .8293412f, .8293412f,
                                                    .803685f, .803685f, -.803685f, -.803685f,
                                                    .8532569f, .8532569f, .8532569f, -.8532569f}));
  EXPECT_THAT(scaled("shift"), ElementsAre(1, -1, 1, 1, 1, 1, -1, -1, 1, 1, 1, -1));
}

TEST(BinarizeWeight, EqualAndZeroSlicesStayFinite) {
  for (const char* scale : {"mean", "shift"})
    for (const int64_t standardize : {0, 1}) {
      const auto y = values(own("BinarizeWeight")
                                .in<float>({2, 2}, {0, 0, .5f, .5f})
                                .attr("scale", scale)
                                .attr("standardize", standardize)
                                .run());
      const float other = standardize ? 0 : .5f;
      EXPECT_THAT(y, ElementsAre(0, 0, other, other)) << scale << standardize;
    }
}

TEST(TernarizeWeight, OfTheMeanMagnitude) {
  EXPECT_THAT(values(weight("TernarizeWeight").run()),
              ElementsAre(1, -1, 0, 0, 2.5f, 0, -2.5f, 0, 0, 0, 0, -4));
  EXPECT_THAT(values(transposed("TernarizeWeight").run()),
              ElementsAre(1, 2.5f, 0, -1, 0, 0, 0, -2.5f, 0, 0, 0, -4));
  // Columns as slices.
  EXPECT_THAT(values(weight("TernarizeWeight").attr("axis", int64_t{1}).run()),
              ElementsAre(0, -1.125f, 0, 0, 3, 1.125f, -1.4375f, 0, 0, 0, 1.4375f, -4));
  EXPECT_THAT(values(own("TernarizeWeight").in<float>({1, 2}, {0, 0}).run()), ElementsAre(0, 0));
}

TEST(TernarizeWeight, WithLearnedScales) {
  const auto learned = [] {
    return weight("TernarizeWeight").in<float>({}, {1.25f}).in<float>({}, {.5f});
  };
  EXPECT_THAT(values(learned().run()),
              ElementsAre(1.25f, -.5f, 1.25f, 0, 1.25f, 1.25f, -.5f, 0, 0, 1.25f, 1.25f, -.5f));
  EXPECT_THAT(values(learned().attr("threshold", .25f).run()),
              ElementsAre(0, -.5f, 0, 0, 1.25f, 0, -.5f, 0, 0, 0, 0, -.5f));
}

TEST(BinaryAxes, SlicesMayGoAndWhatIsAveragedIsLossy) {
  const auto said = [](const char* op) {
    return AxisCase(op, 1, std::string(kOwnDomain)).in({3, 2}).attr("axis", int64_t{0});
  };
  EXPECT_THAT(AxisCase("Binarize", 1, std::string(kOwnDomain)).in({3, 2}).said(),
              ElementsAre("x0.0 = y0.0", "x0.1 = y0.1"));
  for (const char* op : {"BinarizeWeight", "TernarizeWeight"}) {
    EXPECT_THAT(said(op).said(), ElementsAre("x0.0 = y0.0", "x0.1 = y0.1", "lossy x0.1")) << op;
    EXPECT_EQ(said(op).check_removals(), 5 * 2) << op;
  }
  EXPECT_THAT(said("TernarizeWeight").in({1}).in({1}).said(),
              ElementsAre("x0.0 = y0.0", "x0.1 = y0.1", "lossy x0.0", "lossy x0.1"));
}

}  // namespace
}  // namespace lapidary
