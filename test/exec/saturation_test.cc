#include <algorithm>

#include "lapidary/error.h"
#include "test/exec/compare.h"

namespace lapidary::exec {
namespace {

using Ints = std::vector<int64_t>;
constexpr float kMultiplier = 1.0f / 2048;

/// A graph of one integer product: x u8 (or s8), weights s8, y u8 with zero point 120.
struct Net {
  Graph graph = new_graph();
  GraphBuilder b{graph};

  ValueId scalar(float v) { return b.constant("s", Tensor::scalar(v)); }
  ValueId zero(DType type, int u8) {
    return b.constant("z", type == DType::kI8 ? Tensor::scalar(static_cast<int8_t>(u8 - 128))
                                              : Tensor::scalar(static_cast<uint8_t>(u8)));
  }
  ValueId input(DType type, const Shape& shape) {
    return b.input("x", type, std::vector<Dim>(shape.begin(), shape.end()));
  }
  void product(const std::string& op, const std::string& domain, DType type, const Shape& x,
               const Tensor& w, GraphBuilder::Attrs attrs = {}) {
    const ValueId in = input(type, x);
    std::vector<ValueId> inputs = {in,
                                   scalar(1.0f),
                                   zero(type, 17),
                                   b.constant("w", w),
                                   scalar(kMultiplier),
                                   b.constant("wz", Tensor(w.dtype(), Shape{}))};
    if (op == "QGemm") inputs.push_back(ValueId());
    inputs.insert(inputs.end(), {scalar(1.0f), zero(type, 120)});
    b.output(b.op(op, inputs, std::move(attrs), "product", domain));
  }
};

ExecOptions saturating(int threads = 1) {
  return {.threads = threads, .integer_arithmetic = IntegerArithmetic::kAvx2Saturating};
}

/// y = saturate(rint(acc / 2048) + 120) of each row of K inputs and each column of K weights.
struct Expected {
  std::vector<uint8_t> y;
  int64_t pairs = 0, saturated = 0;

  void add(const std::vector<int>& x, const std::vector<int>& w) {
    int acc = 0;
    for (size_t k = 0; k < x.size(); ++k) acc -= 17 * w[k];
    for (size_t k = 0; k < x.size(); k += 2) {
      const int pair = x[k] * w[k] + (k + 1 < x.size() ? x[k + 1] * w[k + 1] : 0);
      ++pairs;
      saturated += pair < -32768 || pair > 32767;
      acc += std::clamp(pair, -32768, 32767);
    }
    const float r = std::nearbyint(static_cast<float>(acc) * kMultiplier);
    y.push_back(static_cast<uint8_t>(std::clamp(r, -120.0f, 135.0f) + 120));
  }
};

/// 3x3 convolution, padded by one, NCHW.
Expected convolved(const Tensor& x, const Tensor& w, int64_t groups) {
  Expected out;
  const int64_t n = x.dim(0), c = x.dim(1), h = x.dim(2), wd = x.dim(3), oc = w.dim(0);
  const auto* xs = static_cast<const uint8_t*>(x.raw());
  const int flip = x.dtype() == DType::kI8 ? 128 : 0;
  for (int64_t i = 0; i < n * oc * h * wd; ++i) {
    const int64_t ox = i % wd, oy = i / wd % h, o = i / (wd * h) % oc, s = i / (wd * h * oc);
    std::vector<int> inputs, weights;
    for (int64_t ky = 0; ky < 3; ++ky)
      for (int64_t kx = 0; kx < 3; ++kx)
        for (int64_t ic = 0; ic < c / groups; ++ic) {
          const int64_t iy = oy + ky - 1, ix = ox + kx - 1;
          const int64_t at = ((s * c + o / (oc / groups) * (c / groups) + ic) * h + iy) * wd + ix;
          const bool inside = iy >= 0 && iy < h && ix >= 0 && ix < wd;
          inputs.push_back(inside ? xs[at] ^ flip : 17);
          weights.push_back(
              w.data<int8_t>()[static_cast<size_t>(((o * (c / groups) + ic) * 3 + ky) * 3 + kx)]);
        }
    out.add(inputs, weights);
  }
  return out;
}

void expect_equal(const Graph& graph, const Tensor& x, const Expected& expected) {
  under_each_isa([&] {
    for (const int threads : {1, 2, 3, 8}) {
      Executor fast(graph, saturating(threads));
      for (int run = 1; run <= 2; ++run) {
        const Tensor y = fast.run({{"x", x}}).begin()->second;
        std::vector<uint8_t> got(static_cast<const uint8_t*>(y.raw()),
                                 static_cast<const uint8_t*>(y.raw()) + y.size());
        if (x.dtype() == DType::kI8)
          for (uint8_t& v : got) v ^= 128;
        EXPECT_EQ(got, expected.y) << threads << " threads";
        const auto layers = fast.saturation();
        ASSERT_EQ(layers.size(), 1u);
        EXPECT_EQ(layers[0].node, "product");
        EXPECT_EQ(layers[0].pair_sums, run * expected.pairs);
        EXPECT_EQ(layers[0].saturated, run * expected.saturated);
      }
      const auto& steps = fast.steps();
      EXPECT_TRUE(std::any_of(steps.begin(), steps.end(), [](const StepInfo& step) {
        return step.kernel.starts_with("conv_sat_s8");
      }));
    }
  });
}

TEST(Saturation, ConvolutionsPairNeighbouringChannels) {
  struct Case {
    Shape x, w;
    int64_t groups;
  };
  for (const DType type : {DType::kU8, DType::kI8})
    for (const Case& c :
         {Case{{1, 3, 5, 6}, {4, 3, 3, 3}, 1}, Case{{5, 8, 4, 4}, {20, 8, 3, 3}, 1},
          // groups that exact rows would join
          Case{{2, 40, 4, 4}, {30, 4, 3, 3}, 10}, Case{{1, 6, 4, 4}, {18, 1, 3, 3}, 6}}) {
      Net net;
      const Tensor w = random_bytes(DType::kI8, c.w, 3), x = random_bytes(type, c.x, 4);
      net.product("QLinearConv", "", type, c.x, w,
                  {{"pads", Ints{1, 1, 1, 1}}, {"group", c.groups}});
      const Expected expected = convolved(x, w, c.groups);
      EXPECT_GT(expected.saturated, 0);
      expect_equal(net.graph, x, expected);
    }
}

TEST(Saturation, MatrixProductsPairNeighboursInK) {
  for (const bool gemm : {false, true}) {
    const int64_t m = 5, k = 27, n = 19;
    Net net;
    const Tensor w = random_bytes(DType::kI8, {k, n}, 5), x = random_bytes(DType::kU8, {m, k}, 6);
    net.product(gemm ? "QGemm" : "QLinearMatMul", gemm ? "com.microsoft" : "", DType::kU8, {m, k},
                w);
    Expected expected;
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        std::vector<int> row, column;
        for (int64_t e = 0; e < k; ++e) {
          row.push_back(x.data<uint8_t>()[static_cast<size_t>(i * k + e)]);
          column.push_back(w.data<int8_t>()[static_cast<size_t>(e * n + j)]);
        }
        expected.add(row, column);
      }
    EXPECT_GT(expected.saturated, 0);
    expect_equal(net.graph, x, expected);
  }
}

TEST(Saturation, DepthwiseAndU8WeightsStayExact) {
  for (const bool depthwise : {false, true}) {
    Net net;
    const Shape shape = {1, 16, 5, 5};
    const Tensor w =
        random_bytes(depthwise ? DType::kI8 : DType::kU8, {16, depthwise ? 1 : 16, 3, 3}, 7);
    net.product("QLinearConv", "", DType::kU8, shape, w,
                {{"pads", Ints{1, 1, 1, 1}}, {"group", int64_t{depthwise ? 16 : 1}}});
    const Tensor x = random_bytes(DType::kU8, shape, 8);
    Executor exact(net.graph), other(net.graph, saturating());
    EXPECT_TRUE(
        exact.run({{"x", x}}).begin()->second.equals(other.run({{"x", x}}).begin()->second));
    EXPECT_TRUE(other.saturation().empty());
  }
}

TEST(Saturation, ExactExecutorsCountNothing) {
  Net net;
  net.product("QLinearConv", "", DType::kU8, {1, 8, 4, 4},
              random_bytes(DType::kI8, {8, 8, 1, 1}, 3));
  Executor exact(net.graph);
  exact.run({{"x", random_bytes(DType::kU8, {1, 8, 4, 4}, 4)}});
  EXPECT_TRUE(exact.saturation().empty());
}

TEST(Saturation, TheReferenceIsExactOnly) {
  Net net;
  net.product("QLinearConv", "", DType::kU8, {1, 8, 4, 4},
              random_bytes(DType::kI8, {8, 8, 1, 1}, 3));
  ExecOptions options = saturating();
  options.executor = ExecutorKind::kReference;
  EXPECT_THROW(Executor(net.graph, options), Error);
}

TEST(Saturation, ProfilesHaveNames) {
  EXPECT_EQ(integer_arithmetic("avx2-saturating"), IntegerArithmetic::kAvx2Saturating);
  EXPECT_EQ(integer_arithmetic("exact"), IntegerArithmetic::kExact);
  for (const IntegerArithmetic a : {IntegerArithmetic::kExact, IntegerArithmetic::kAvx2Saturating})
    EXPECT_EQ(integer_arithmetic(execution_profile(a)), a);
  EXPECT_EQ(execution_profile(IntegerArithmetic::kAvx2Saturating), "onnxruntime-1.31/avx2");
  EXPECT_THROW(integer_arithmetic("avx3"), Error);
}

}  // namespace
}  // namespace lapidary::exec
