#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "test/train/net.h"

// FakeQuantize: values derived by hand from its formula, with loss = sum(y g).

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::FloatEq;

struct Found {
  std::vector<float> y, dx, ds, dz;
};

std::vector<float> floats(const Tensor& t) {
  return {t.data<float>().begin(), t.data<float>().end()};
}

Found run(const Tensor& x, const Tensor& scale, const Tensor& zero, const Tensor& g,
          GraphBuilder::Attrs attrs) {
  Net net;
  const ValueId at = net.param(x), s = net.param(scale), z = net.param(zero);
  const ValueId y = net.op("FakeQuantize", {at, s, z}, std::move(attrs), "ai.lapidary");
  net.finish(y);
  const ValueId loss =
      net.op("ReduceSum", {net.op("Mul", {y, net.fixed(g)})}, {{"keepdims", int64_t{0}}});
  net.graph.rename_value(loss, "loss");
  const auto trainer = open_trainer(net.graph, net.options());
  const Gradients found = trainer->gradients({}, {});
  return {floats(trainer->forward({}, {"y"}, false).at("y")), floats(found.at("p0")),
          floats(found.at("p1")), floats(found.at("p2"))};
}

const Tensor kX =
    Tensor::of<float>({5}, {-1, .25f, .75f, 1.25f, 4});  // s = .5: u = -2 .5 1.5 2.5 8
const Tensor kScale = Tensor::scalar(.5f), kZero = Tensor::scalar(1.f);
const Tensor kG = Tensor::of<float>({5}, {1, 2, 3, 4, 5});

GraphBuilder::Attrs attrs(const char* gradient, float scale = 1) {
  return {{"qmin", int64_t{0}},
          {"qmax", int64_t{3}},
          {"gradient", std::string(gradient)},
          {"gradient_scale", scale}};
}

// j = rint(u) + 1 = -1 1 3 3 9: halves go to even; the first is below 0, the last above 3.
TEST(FakeQuantize, LearnedScale) {
  const Found found = run(kX, kScale, kZero, kG, attrs("lsq", .5f));
  EXPECT_THAT(found.y, ElementsAre(-.5f, 0, 1, 1, 1));
  EXPECT_THAT(found.dx, ElementsAre(0, 2, 3, 4, 0));
  // .5 (1 (0 - 1) + 2 (0 - .5) + 3 (2 - 1.5) + 4 (2 - 2.5) + 5 (3 - 1))
  EXPECT_THAT(found.ds, ElementsAre(FloatEq(.5f * (-1 - 1 + 1.5f - 2 + 10))));
  EXPECT_THAT(found.dz, ElementsAre(FloatEq(.5f * (-.5f * 1 - .5f * 5))));
}

TEST(FakeQuantize, Pact) {
  const Found found = run(kX, kScale, kZero, kG, attrs("pact"));
  EXPECT_THAT(found.dx, ElementsAre(0, 2, 3, 4, 0));
  EXPECT_THAT(found.ds, ElementsAre(FloatEq(5 * (3 - 1))));
  EXPECT_THAT(found.dz, ElementsAre(0));
}

TEST(FakeQuantize, StraightThrough) {
  const Found found = run(kX, kScale, kZero, kG, attrs("ste"));
  EXPECT_THAT(found.y, ElementsAre(-.5f, 0, 1, 1, 1));
  EXPECT_THAT(found.dx, ElementsAre(0, 2, 3, 4, 0));
  EXPECT_THAT(found.ds, ElementsAre(0));
  EXPECT_THAT(found.dz, ElementsAre(0));
}

TEST(FakeQuantize, ZeroPointMayBeAbsent) {
  Net net;
  const ValueId y = net.op("FakeQuantize", {net.param(kX), net.param(kScale)},
                           {{"qmin", int64_t{-1}}, {"qmax", int64_t{2}}}, "ai.lapidary");
  net.finish(y);
  net.graph.rename_value(net.op("ReduceSum", {y}, {{"keepdims", int64_t{0}}}), "loss");
  const auto trainer = open_trainer(net.graph, net.options());
  // rint(u) = -2 0 2 2 8
  EXPECT_THAT(floats(trainer->forward({}, {"y"}, false).at("y")), ElementsAre(-.5f, 0, 1, 1, 1));
  const Gradients found = trainer->gradients({}, {});
  EXPECT_THAT(floats(found.at("p0")), ElementsAre(0, 1, 1, 1, 0));
  EXPECT_THAT(floats(found.at("p1")), ElementsAre(FloatEq(-1 - .5f + .5f - .5f + 2)));
}

/// Two channels along axis 1 of [2,2,1,2], a weight that lies channels innermost beside a Conv.
TEST(FakeQuantize, PerChannelInChannelsLast) {
  Net net;
  const Tensor w = Tensor::of<float>({2, 2, 1, 2}, {.2f, .9f, 3, 5, -.2f, 8, 1, 2});
  const ValueId at = net.param(w), s = net.param(Tensor::of<float>({2}, {.5f, 2}));
  const ValueId z = net.param(Tensor::of<float>({2}, {0, 0}));
  const ValueId q = net.op("FakeQuantize", {at, s, z},
                           {{"axis", int64_t{1}},
                            {"qmin", int64_t{-2}},
                            {"qmax", int64_t{2}},
                            {"gradient", std::string("lsq")}},
                           "ai.lapidary");
  net.graph.mutable_value(q).type = tensor_type(DType::kF32, w.shape());
  // A Conv over ones sums each output channel's weights: y = [1,2,1,1].
  const ValueId x = net.fixed(Tensor::of<float>({1, 2, 1, 2}, {1, 1, 1, 1}));
  net.finish(net.op("Conv", {x, q}));
  const ValueId loss = net.op("ReduceSum", {net.graph.find_value("y")}, {{"keepdims", int64_t{0}}});
  net.graph.rename_value(loss, "loss");
  const auto trainer = open_trainer(net.graph, net.options());
  // channel 0 (s = .5): .2 .9 -.2 8 -> 0 1 0 1;   channel 1 (s = 2): 3 5 1 2 -> 4 4 0 2
  const auto values = trainer->forward({}, {"FakeQuantize_out", "y"}, false);
  EXPECT_THAT(floats(values.at("FakeQuantize_out")), ElementsAre(0, 1, 4, 4, 0, 1, 0, 2));
  EXPECT_THAT(floats(values.at("y")), ElementsAre(9, 3));
  const Gradients found = trainer->gradients({}, {});
  // u: .4 1.8 -.4 16 and 1.5 2.5 .5 1: halves to even, 2.5 to 2
  EXPECT_THAT(floats(found.at("p0")), ElementsAre(1, 1, 1, 1, 1, 0, 1, 1));
  EXPECT_THAT(floats(found.at("p1")),
              ElementsAre(FloatEq(-.4f + .2f + .4f + 2), FloatEq(.5f - .5f - .5f + 0)));
}

TEST(FakeQuantize, NaNStaysAndCountsAsBelow) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Found found = run(Tensor::of<float>({3}, {nan, .5f, 9}), kScale, kZero,
                          Tensor::of<float>({3}, {1, 2, 3}), attrs("lsq"));
  EXPECT_TRUE(std::isnan(found.y[0]));
  EXPECT_THAT(std::vector(found.y.begin() + 1, found.y.end()), ElementsAre(.5f, 1));
  EXPECT_THAT(found.dx, ElementsAre(0, 2, 0));
  EXPECT_THAT(found.ds, ElementsAre(FloatEq(1 * (0 - 1) + 0 + 3 * (3 - 1))));
}

/// A scale that was stepped over zero counts as 2^-60, a zero point outside of the levels as the
/// nearest one.
TEST(FakeQuantize, ScalesAndZeroPointsOutOfRange) {
  const float unit = 0x1p-60f;
  const Found found = run(Tensor::of<float>({3}, {-5 * unit, unit, -unit}), Tensor::scalar(-1.f),
                          Tensor::scalar(7.f), Tensor::of<float>({3}, {1, 2, 4}), attrs("lsq"));
  EXPECT_THAT(found.y, ElementsAre(-3 * unit, 0, -unit));  // z = 3: levels -3 .. 0
  EXPECT_THAT(found.dx, ElementsAre(0, 0, 4));
  EXPECT_THAT(found.ds, ElementsAre(-3));
}

/// A tensor whose axes lie in another order in memory than they are named, behind a Conv of images.
TEST(FakeQuantize, ActivationsInChannelsLast) {
  Net net;
  const Tensor x = net.uniform({2, 3, 5, 4}, -1, 1);
  const ValueId made = net.op("Conv", {net.fixed(x), net.param({6, 3, 3, 3})});
  const ValueId scale = net.param(Tensor::of<float>({6}, {.1f, .2f, .3f, .1f, .2f, .5f}));
  const ValueId q =
      net.op("FakeQuantize", {made, scale},
             {{"axis", int64_t{1}}, {"qmin", int64_t{-4}}, {"qmax", int64_t{3}}}, "ai.lapidary");
  net.finish(q);
  net.graph.rename_value(net.op("ReduceSum", {net.op("Mul", {q, q})}, {{"keepdims", int64_t{0}}}),
                         "loss");
  net.graph.rename_value(made, "made");
  const auto trainer = open_trainer(net.graph, net.options());
  const auto values = trainer->forward({}, {"made", "y"}, false);
  const std::vector<float> u = floats(values.at("made")), y = floats(values.at("y"));
  const std::vector<float> s = floats(trainer->constant("p1"));
  std::vector<double> ds(6);
  for (size_t i = 0; i < u.size(); ++i) {
    const size_t c = i / 6 % 6;  // [2,6,3,2]
    const float at = u[i] / s[c], r = std::nearbyint(at);
    EXPECT_EQ(y[i], std::min(std::max(r, -4.f), 3.f) * s[c]);
    ds[c] += 2.0 * y[i] * (r < -4 ? -4 : r > 3 ? 3 : r - at);
  }
  const std::vector<float> found = floats(trainer->gradients({}, {}).at("p1"));
  for (size_t c = 0; c < 6; ++c) EXPECT_NEAR(found[c], ds[c], 1e-5 * (1 + std::abs(ds[c])));
}

// -- behind BatchNormalization, computed with it: as by itself

struct Normalized {
  std::vector<float> y;
  Gradients gradients;
};

/// Conv -> BatchNormalization -> FakeQuantize; `apart`: another reader keeps the two nodes apart.
Normalized normalized(const char* gradient, bool apart, bool statistics) {
  Net net;
  const int64_t channels = 6;
  const ValueId x =
      net.op("Conv", {net.fixed(net.uniform({4, 3, 7, 5}, -1, 1)), net.param({channels, 3, 3, 3})});
  const ValueId h =
      net.op("BatchNormalization", {x, net.param({channels}, .5, 2), net.param({channels}),
                                    net.fixed(net.uniform({channels}, -1, 1)),
                                    net.fixed(net.uniform({channels}, .5, 2))});
  const ValueId y =
      net.op("FakeQuantize", {h, net.param(Tensor::scalar(.3f)), net.param(Tensor::scalar(1.f))},
             {{"qmin", int64_t{0}},
              {"qmax", int64_t{5}},
              {"gradient", std::string(gradient)},
              {"gradient_scale", .7f}},
             "ai.lapidary");
  net.graph.rename_value(h, "h");
  net.finish(y);
  ValueId product = net.op("Mul", {y, net.fixed(net.uniform({4, channels, 5, 3}, -1, 1))});
  if (apart) product = net.op("Add", {product, net.op("Mul", {h, net.fixed(Tensor::scalar(0.f))})});
  net.graph.rename_value(net.op("ReduceSum", {product}, {{"keepdims", int64_t{0}}}), "loss");
  const auto trainer = open_trainer(net.graph, net.options());
  return {floats(trainer->forward({}, {"y"}, statistics).at("y")),
          trainer->gradients({}, {.batch_statistics = statistics})};
}

class FakeQuantizeBehindNorm : public testing::TestWithParam<const char*> {};

TEST_P(FakeQuantizeBehindNorm, IsAsByItself) {
  for (const bool statistics : {true, false}) {
    const Normalized together = normalized(GetParam(), false, statistics);
    const Normalized apart = normalized(GetParam(), true, statistics);
    EXPECT_EQ(together.y, apart.y);
    EXPECT_NE(*std::min_element(apart.y.begin(), apart.y.end()),
              *std::max_element(apart.y.begin(), apart.y.end()));
    for (const auto& [name, expected] : apart.gradients) {
      const std::vector<float> want = floats(expected);
      const std::vector<float> found = floats(together.gradients.at(name));
      ASSERT_EQ(found.size(), want.size());
      for (size_t i = 0; i < want.size(); ++i)
        EXPECT_NEAR(found[i], want[i], 1e-4) << name << " " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Gradients, FakeQuantizeBehindNorm, testing::Values("lsq", "pact", "ste"));

// Units .5 .5: .9 / .25 = 3.6 -> 1, -.3 / .25 = -1.2 -> -.25.
TEST(FakeQuantizeBias, PassesTheGradientStraightToTheBias) {
  Net net;
  const Tensor b = Tensor::of<float>({2}, {.9f, -.3f}), g = Tensor::of<float>({2}, {2, -3});
  const ValueId y = net.op("FakeQuantizeBias", {net.param(b), net.param(kScale), net.param(kScale)},
                           {}, "ai.lapidary");
  net.finish(y);
  const ValueId loss =
      net.op("ReduceSum", {net.op("Mul", {y, net.fixed(g)})}, {{"keepdims", int64_t{0}}});
  net.graph.rename_value(loss, "loss");
  const auto trainer = open_trainer(net.graph, net.options());
  EXPECT_THAT(floats(trainer->forward({}, {"y"}, false).at("y")), ElementsAre(1, -.25f));
  const Gradients found = trainer->gradients({}, {});
  EXPECT_THAT(floats(found.at("p0")), ElementsAre(2, -3));
  EXPECT_THAT(floats(found.at("p1")), ElementsAre(0));
}

}  // namespace
}  // namespace lapidary
