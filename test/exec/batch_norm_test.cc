#include "src/exec/batch_norm.h"

#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <vector>

#include "src/base/parallel.h"
#include "src/base/rng.h"

// Against the formulas in float64.

namespace lapidary {
namespace {

using Floats = std::vector<float>;

struct Size {
  int64_t rows, channels;
};
/// Columns that fill vectors, that do not and are taken together, with rows left over; many blocks.
const Size kSizes[] = {{1, 5}, {7, 1}, {1000, 3}, {1003, 24}, {700, 64}, {90, 130}, {50000, 8}};

struct Case {
  int64_t rows, channels;
  Floats x, g, scale, bias, mean, variance, inverse;
  BatchNorm how;

  Case(const Size& size, uint64_t seed, float offset = 0)
      : rows(size.rows), channels(size.channels) {
    Rng rng(seed);
    const auto some = [&](int64_t count, double low, double high) {
      Floats out;
      for (int64_t i = 0; i < count; ++i)
        out.push_back(static_cast<float>(low + (high - low) * rng.uniform()));
      return out;
    };
    x = some(rows * channels, -1, 2);
    for (float& v : x) v += offset;
    g = some(rows * channels, -1, 1);
    scale = some(channels, -2, 2);
    bias = some(channels, -1, 1);
    mean.resize(scale.size());
    variance.resize(scale.size());
    batch_moments(rows, channels, x.data(), mean.data(), variance.data());
    for (const float v : variance) inverse.push_back(1 / std::sqrt(v + 1e-3f));
    how = {rows, channels, mean.data(), inverse.data(), scale.data(), bias.data(), {}};
  }
  Floats forward() const {
    Floats y(x.size());
    batch_norm(how, x.data(), y.data());
    return y;
  }
};

struct Made {
  Floats x, scale, bias;
  float fake_scale = 0, fake_zero = 0;
};
Made backward(const Case& c, bool of_batch) {
  Made out{Floats(c.x.size()), Floats(c.scale.size()), Floats(c.scale.size())};
  batch_norm_backward(
      c.how, of_batch, c.g.data(), c.x.data(),
      {out.x.data(), out.scale.data(), out.bias.data(), &out.fake_scale, &out.fake_zero});
  return out;
}

TEST(BatchMoments, AreThoseOfEveryChannel) {
  for (const Size& size : kSizes) {
    const Case c(size, 3, 1000);  // far from 0: no difference of squares
    const auto channels = static_cast<size_t>(size.channels);
    for (size_t k = 0; k < channels; ++k) {
      double sum = 0, squares = 0;
      for (size_t i = k; i < c.x.size(); i += channels) sum += c.x[i];
      const double mean = sum / static_cast<double>(size.rows);
      for (size_t i = k; i < c.x.size(); i += channels) squares += std::pow(c.x[i] - mean, 2);
      EXPECT_NEAR(c.mean[k], mean, 2e-4);
      EXPECT_NEAR(c.variance[k], squares / static_cast<double>(size.rows), 1e-4) << size.channels;
    }
  }
}

AfterBatchNorm relu6() {
  return {.kind = AfterBatchNorm::Kind::kClamp, .lo = 0, .hi = 1, .least = FLT_MIN, .most = 1};
}
AfterBatchNorm fake() {
  return {.kind = AfterBatchNorm::Kind::kFakeQuantize,
          .scale = 0.25f,
          .zero_point = 1.2f,
          .qmin = 0,
          .qmax = 7,
          .factor = 0.5f};
}

void check(const Case& c, bool of_batch) {
  const auto channels = static_cast<size_t>(c.channels);
  const auto rows = static_cast<double>(c.rows);
  const Floats y = c.forward();
  const Made made = backward(c, of_batch);
  double ds = 0, dz = 0;
  for (size_t k = 0; k < channels; ++k) {
    std::vector<double> e;
    double sum = 0, product = 0;
    const float f = c.scale[k] * c.inverse[k];
    for (size_t i = k; i < c.x.size(); i += channels) {
      const double n = (c.x[i] - c.mean[k]) * static_cast<double>(c.inverse[k]);
      // Rounded as the kernels round, so that levels are the same.
      const double h = std::fma(c.x[i], f, c.bias[k] - c.mean[k] * f);
      ASSERT_NEAR(h, n * c.scale[k] + c.bias[k], 1e-5);
      double expected = h, g = c.g[i];
      if (c.how.then.kind == AfterBatchNorm::Kind::kClamp) {
        expected = std::min(std::max(h, 0.0), 1.0);
        if (h <= 0 || h > 1) g = 0;
      } else if (c.how.then.kind == AfterBatchNorm::Kind::kFakeQuantize) {
        const double u = h / 0.25, level = std::nearbyint(u) + 1;  // rint(1.2) = 1
        expected = (std::min(std::max(level, 0.0), 7.0) - 1) * 0.25;
        ds += g * (level < 0 ? -1 : level > 7 ? 6 : std::nearbyint(u) - u);
        if (level < 0 || level > 7) {
          dz -= g * 0.25;
          g = 0;
        }
      }
      ASSERT_NEAR(y[i], expected, 2e-5);
      e.push_back(g);
      sum += g;
      product += g * n;
    }
    EXPECT_NEAR(made.bias[k], sum, 1e-5 * (10 + rows / 100));
    EXPECT_NEAR(made.scale[k], product, 1e-5 * (10 + rows / 100));
    for (size_t r = 0; r < e.size(); ++r) {
      const size_t i = k + r * channels;
      const double n = (c.x[i] - c.mean[k]) * static_cast<double>(c.inverse[k]);
      const double own = of_batch ? (sum + n * product) / rows : 0;
      ASSERT_NEAR(made.x[i], f * (e[r] - own), 2e-4);
    }
  }
  if (c.how.then.kind != AfterBatchNorm::Kind::kFakeQuantize) return;
  EXPECT_NEAR(made.fake_scale, 0.5 * ds, 1e-3 * (1 + std::abs(ds)));
  EXPECT_NEAR(made.fake_zero, 0.5 * dz, 1e-3 * (1 + std::abs(dz)));
}

TEST(BatchNorm, ValuesAndGradientsOfEverySizeAndFollower) {
  for (const Size& size : kSizes)
    for (const AfterBatchNorm& then : {AfterBatchNorm{}, relu6(), fake()})
      for (const bool of_batch : {true, false}) {
        Case c(size, 4);
        c.how.then = then;
        check(c, of_batch);
      }
}

TEST(BatchNorm, PactSumsWhatIsAboveAndStraightThroughNothing) {
  Case c({100, 3}, 5);
  c.how.then = fake();
  c.how.then.gradient = "pact";
  double above = 0;
  const Floats y = c.forward();
  for (size_t i = 0; i < y.size(); ++i) {
    const size_t k = i % 3;
    const float h = (c.x[i] - c.mean[k]) * c.inverse[k] * c.scale[k] + c.bias[k];
    if (std::nearbyint(h / 0.25f) + 1 > 7) above += c.g[i];
  }
  EXPECT_NE(above, 0);
  EXPECT_NEAR(backward(c, true).fake_scale, 0.5 * 6 * above, 1e-4 * (1 + std::abs(above)));
  EXPECT_EQ(backward(c, true).fake_zero, 0);
  c.how.then.gradient = "ste";
  EXPECT_EQ(backward(c, true).fake_scale, 0);
}

TEST(BatchNorm, IsTheSameOnAnyNumberOfThreads) {
  for (const Size& size : kSizes) {
    const auto on = [&](int threads) {
      const ThreadScope scope(threads);
      Case c(size, 6);
      c.how.then = fake();
      return std::pair(c.forward(), backward(c, true));
    };
    const auto one = on(1), three = on(3);
    EXPECT_EQ(one.first, three.first);
    EXPECT_EQ(one.second.x, three.second.x);
    EXPECT_EQ(one.second.scale, three.second.scale);
    EXPECT_EQ(one.second.fake_scale, three.second.fake_scale);
  }
}

}  // namespace
}  // namespace lapidary
