#include "src/exec/fake_quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "src/base/parallel.h"
#include "src/base/rng.h"
#include "src/ir/builder.h"
#include "src/ops/evaluate.h"
#include "src/ops/fake_quantize.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::FloatEq;

struct Made {
  std::vector<float> x, s, z;
};
Made backward(const FakeQuantize& how, std::string_view kind, float factor,
              const std::vector<float>& g, const std::vector<float>& x) {
  const auto slices = static_cast<size_t>(how.slices);
  Made out{std::vector<float>(x.size()), std::vector<float>(slices), std::vector<float>(slices)};
  fake_quantize_backward(how, g.data(), x.data(),
                         {kind, factor, out.x.data(), out.s.data(), out.z.data()});
  return out;
}

// x / 0.5 = -9, -1, 0.5, 1.25, 13; levels 0..15 with zero point 3: -3 .. 12, the ends saturate.
const std::vector<float> kX = {-4.5f, -0.5f, 0.25f, 0.625f, 6.5f}, kG = {1, 2, 3, 4, 5};
const float kHalf = 0.5f, kThree = 3, kZero = 0;
const FakeQuantize kHow{1, 1, 5, &kHalf, &kThree, 0, 15};

TEST(FakeQuantizeBackward, LearnsStepSizesAndOffsetsByHand) {
  const Made made = backward(kHow, "lsq", 0.5f, kG, kX);
  EXPECT_THAT(made.x, ElementsAre(0, 2, 3, 4, 0));
  // 1 * -3 + 2 * 0 + 3 * (0 - 0.5) + 4 * (1 - 1.25) + 5 * 12 = 54.5
  EXPECT_THAT(made.s, ElementsAre(27.25f));
  // -0.5 * (1 + 5)
  EXPECT_THAT(made.z, ElementsAre(-1.5f));
}

TEST(FakeQuantizeBackward, PactSumsWhatIsClippedAbove) {
  FakeQuantize how = kHow;
  how.zero_point = &kZero;  // levels 0 .. 15: 13 is inside
  EXPECT_THAT(backward(how, "pact", 1, kG, kX).s, ElementsAre(0));
  how.qmax = 10;
  const Made made = backward(how, "pact", 1, kG, kX);
  EXPECT_THAT(made.s, ElementsAre(50));  // 10 * 5: alpha = 10 s gets 5
  EXPECT_THAT(made.z, ElementsAre(0));
  EXPECT_THAT(made.x, ElementsAre(0, 0, 3, 4, 0));
}

TEST(FakeQuantizeBackward, StraightThroughTrainsNoScale) {
  const Made made = backward(kHow, "ste", 1, kG, kX);
  EXPECT_THAT(made.x, ElementsAre(0, 2, 3, 4, 0));
  EXPECT_THAT(made.s, ElementsAre(0));
  EXPECT_THAT(made.z, ElementsAre(0));
}

struct Layout {
  Shape shape;
  int64_t axis, outer, slices, inner;
};
const Layout kLayouts[] = {{{5, 3, 700}, -1, 1, 1, 10500}, {{7, 40, 50}, 0, 1, 7, 2000},
                           {{3, 5, 100}, 1, 3, 5, 100},    {{300, 13}, 1, 300, 13, 1},
                           {{40, 6, 9}, 1, 40, 6, 9},      {{3, 2, 9000}, 1, 3, 2, 9000}};

/// A layout with numbers for it.
struct Case {
  std::vector<float> x, g, scale, zero;
  FakeQuantize how;
  Case(const Layout& layout, uint64_t seed) {
    Rng rng(seed);
    const auto size = static_cast<size_t>(element_count(layout.shape));
    for (size_t i = 0; i < size; ++i) {
      x.push_back(static_cast<float>(rng.uniform() * 8 - 4));
      g.push_back(static_cast<float>(rng.uniform() - 0.5));
    }
    for (int64_t c = 0; c < layout.slices; ++c) {
      scale.push_back(static_cast<float>(rng.uniform() + 0.1));
      zero.push_back(static_cast<float>(rng.uniform() * 4 - 2));
    }
    how = {layout.outer, layout.slices, layout.inner, scale.data(), zero.data(), -4, 3};
  }
};

TEST(FakeQuantizeForward, HasTheBitsOfTheReference) {
  for (const Layout& layout : kLayouts) {
    const Case c(layout, 5);
    Graph graph;
    graph.opsets = {{"", 17}, {std::string(kOwnDomain), 1}};
    GraphBuilder build(graph);
    const Shape params = layout.axis < 0 ? Shape{} : Shape{layout.slices};
    const Tensor x = Tensor::of<float>(layout.shape, c.x), s = Tensor::of<float>(params, c.scale),
                 z = Tensor::of<float>(params, c.zero);
    GraphBuilder::Attrs attrs = {{"qmin", int64_t{-4}}, {"qmax", int64_t{3}}};
    if (layout.axis >= 0) attrs.emplace_back("axis", layout.axis);
    build.op("FakeQuantize",
             {build.constant("x", x), build.constant("s", s), build.constant("z", z)}, attrs, "y",
             std::string(kOwnDomain));
    const Tensor expected = evaluate_node(graph, graph.nodes()[0], std::vector{&x, &s, &z})[0];
    std::vector<float> y(c.x.size());
    fake_quantize(c.how, c.x.data(), y.data());
    EXPECT_TRUE(Tensor::of<float>(layout.shape, y).equals(expected)) << layout.slices;
  }
}

TEST(FakeQuantizeBackward, SumsOverEverySliceOfEveryLayout) {
  for (const Layout& layout : kLayouts) {
    const Case c(layout, 6);
    const auto slices = static_cast<size_t>(layout.slices);
    std::vector<double> s(slices), z(slices), terms(slices);
    for (size_t i = 0; i < c.x.size(); ++i) {
      const size_t k = i / static_cast<size_t>(layout.inner) % slices;
      const double zero = std::nearbyint(c.zero[k]), u = c.x[i] / c.scale[k];
      const double r = std::nearbyint(u), level = r + zero;
      const double term = level < -4 ? -4 - zero : level > 3 ? 3 - zero : r - u;
      s[k] += c.g[i] * term;
      if (level < -4 || level > 3) z[k] -= c.g[i] * c.scale[k];
      terms[k] += std::abs(c.g[i]) * (std::abs(term) + 1);
    }
    const Made made = backward(c.how, "lsq", 0.25f, c.g, c.x);
    for (size_t k = 0; k < slices; ++k) {
      EXPECT_NEAR(made.s[k], 0.25 * s[k], 1e-6 * terms[k]);
      EXPECT_NEAR(made.z[k], 0.25 * z[k], 1e-6 * terms[k]);
    }
  }
}

TEST(FakeQuantizeBackward, IsTheSameOnAnyNumberOfThreads) {
  for (const Layout& layout : kLayouts) {
    const Case c(layout, 7);
    const auto on = [&](int threads) {
      const ThreadScope scope(threads);
      return backward(c.how, "lsq", 1, c.g, c.x);
    };
    const Made one = on(1), three = on(3);
    EXPECT_EQ(one.x, three.x);
    EXPECT_EQ(one.s, three.s);
    EXPECT_EQ(one.z, three.z);
  }
}

}  // namespace
}  // namespace lapidary
