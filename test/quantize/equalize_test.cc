#include "quantize/ptq/equalize.h"

#include <cmath>

#include "test/quantize/nets.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// x [N,2,4,4] -> Conv (1x1, 3 channels) -> `activation` "f" -> depthwise Conv "d".
struct Blocks : Net {
  explicit Blocks(const std::string& activation = "Relu", GraphBuilder::Attrs attrs = {}) {
    const ValueId x = input("x", {Dim::named("N"), 2, 4, 4});
    conv =
        op("Conv", {x, constant("w1", ramp({3, 2, 1, 1}, 4)), constant("b1", ramp({3}, 2))}, "c");
    if (activation == "Clip")
      f = op("Clip",
             {conv, constant("low", Tensor::scalar(0.0f)), constant("high", Tensor::scalar(6.0f))},
             "f");
    else
      f = activation.empty() ? conv : op(activation, {conv}, "f", std::move(attrs));
    depth = op("Conv", {f, constant("w2", ramp({3, 1, 3, 3}, 1))}, "d", {{"group", int64_t{3}}});
  }
  ValueId conv, f, depth;
};

/// Statistics that say how far each channel of `tensor` reaches.
Statistics::Impl reaching(const std::string& tensor, std::vector<float> low,
                          std::vector<float> high) {
  Statistics::Impl stats;
  TensorStats& t = stats.tensors[tensor];
  t.channel_axis = 1;
  t.channel_low = std::move(low);
  t.channel_high = std::move(high);
  t.channel_sums.resize(t.channel_low.size());
  t.count = 1;
  return stats;
}

const std::vector<float> kZeros = {0, 0, 0};

TEST(Equalize, FactorsBringEveryChannelToTheWidest) {
  Blocks net;
  Graph graph = net.finish({net.depth});
  const auto done = equalize_depthwise(graph, reaching("f", kZeros, {8, 2, 0.5f}));
  ASSERT_EQ(done.size(), 1u);
  EXPECT_THAT(done.at("f"), ElementsAre(1, 4, 16));
  const Tensor w1 = ramp({3, 2, 1, 1}, 4), b1 = ramp({3}, 2), w2 = ramp({3, 1, 3, 3}, 1);
  const float factors[] = {1, 4, 16};
  const auto now = [&](const char* name) {
    return graph.constant(graph.find_value(name))->data<float>();
  };
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(now("w1")[i], w1.data<float>()[i] * factors[i / 2]);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(now("b1")[i], b1.data<float>()[i] * factors[i]);
  for (size_t i = 0; i < 27; ++i) EXPECT_EQ(now("w2")[i], w2.data<float>()[i] / factors[i / 9]);
}

TEST(Equalize, KeepsTheFunction) {
  for (const char* activation : {"", "Relu", "LeakyRelu", "Clip"}) {
    Blocks net(activation);
    const Graph before = net.finish({net.depth});
    const std::string tensor = *activation ? "f" : "c";
    const Tensor x = ramp({5, 2, 4, 4});
    Graph probe = before;
    probe.set_outputs({probe.find_value(tensor)});
    const Tensor seen = run_graph(probe, {{"x", x}})[0];
    std::vector<float> low(3), high(3);
    for (int64_t i = 0; i < seen.size(); ++i) {
      const auto c = static_cast<size_t>(i / 16 % 3);
      const float v = seen.data<float>()[static_cast<size_t>(i)];
      low[c] = std::min(low[c], v);
      high[c] = std::max(high[c], v);
    }
    Graph after = before;
    const auto done = equalize_depthwise(after, reaching(tensor, low, high));
    ASSERT_EQ(done.size(), 1u) << activation;
    EXPECT_GT(*std::max_element(done.at(tensor).begin(), done.at(tensor).end()), 1.2) << activation;
    const Tensor a = run_graph(before, {{"x", x}})[0], b = run_graph(after, {{"x", x}})[0];
    float largest = 0;
    for (const float v : a.data<float>()) largest = std::max(largest, std::fabs(v));
    for (size_t i = 0; i < static_cast<size_t>(a.size()); ++i)
      EXPECT_NEAR(a.data<float>()[i], b.data<float>()[i], 1e-6 * static_cast<double>(largest))
          << activation;
  }
}

TEST(Equalize, NegativeEndsCountToo) {
  Blocks net("LeakyRelu");
  Graph graph = net.finish({net.depth});
  const auto done = equalize_depthwise(graph, reaching("f", {-6, -1, 0}, {1, 3, 0}));
  EXPECT_THAT(done.at("f"), ElementsAre(1, 2, 1));  // a channel without values keeps its weights
}

TEST(Equalize, StaysBelowTheLimitOfAClip) {
  Blocks net("Clip");
  Graph graph = net.finish({net.depth});
  // 6 / 1.5; beyond the limit nothing would be left of the function.
  const auto done = equalize_depthwise(graph, reaching("f", kZeros, {6, 1.5f, 3}));
  EXPECT_THAT(done.at("f"), ElementsAre(1, 4, 2));
  // A reach beyond the limit, which statistics of another graph could claim, counts as the limit.
  Graph claimed = Blocks("Clip").finish({});
  EXPECT_THAT(equalize_depthwise(claimed, reaching("f", kZeros, {12, 1.5f, 3})).at("f"),
              ElementsAre(1, 4, 2));
  Graph full = Blocks("Clip").finish({});
  EXPECT_THAT(equalize_depthwise(full, reaching("f", kZeros, {6, 6, 6})), IsEmpty());
}

TEST(Equalize, FactorsAreBounded) {
  Blocks net;
  Graph graph = net.finish({net.depth});
  const auto done = equalize_depthwise(graph, reaching("f", kZeros, {1000, 1, 999}));
  EXPECT_EQ(done.at("f")[1], 64);
}

TEST(Equalize, NotWhereItGainsNothing) {
  Blocks net;
  Graph graph = net.finish({net.depth});
  EXPECT_THAT(equalize_depthwise(graph, reaching("f", kZeros, {1, 1.02f, 1.01f})), IsEmpty());
}

void expect_untouched(Graph graph, const std::string& why, const std::string& tensor = "f") {
  const Graph before = graph;
  EXPECT_THAT(equalize_depthwise(graph, reaching(tensor, kZeros, {8, 2, 1})), IsEmpty()) << why;
  std::string difference;
  EXPECT_TRUE(same_graph(graph, before, &difference)) << why << ": " << difference;
}

TEST(Equalize, NotWhereSomethingElseReadsTheActivation) {
  {
    Blocks net;
    expect_untouched(net.finish({net.depth, net.f}), "a graph output");
  }
  {
    Blocks net;
    expect_untouched(net.finish({net.depth, net.op("Sigmoid", {net.f}, "s")}), "a second reader");
  }
  {
    Blocks net;
    expect_untouched(net.finish({net.depth, net.conv}),
                     "the value before the activation is an output");
  }
  {
    Blocks net("Sigmoid");
    expect_untouched(net.finish({net.depth}), "an activation that is not homogeneous");
  }
  {
    Net net;
    const ValueId x = net.input("x", {Dim::named("N"), 3, 4, 4});
    const ValueId f = net.op("Relu", {x}, "f");
    expect_untouched(net.finish({net.conv(f, 3, 3, "d", 3)}), "no layer before it");
  }
  {
    Net net;
    const ValueId x = net.input("x", {Dim::named("N"), 3, 4, 4});
    const ValueId f = net.op("Relu", {net.conv(x, 3, 3, "c")}, "f");
    expect_untouched(net.finish({net.conv(f, 3, 3, "d")}), "a dense reader");
  }
  {
    Net net;
    const ValueId x = net.input("x", {Dim::named("N"), 3, 8, 8});
    const ValueId w = net.constant("w", ramp({3, 1, 3, 3}));
    const ValueId f = net.op("Conv", {x, w}, "f", {{"group", int64_t{3}}});
    const ValueId d = net.op("Conv", {f, w}, "d", {{"group", int64_t{3}}});
    expect_untouched(net.finish({d}), "shared weights");
  }
  {
    Net net;
    const ValueId x = net.input("x", {Dim::named("N"), 3, 4, 4});
    const ValueId low = net.constant("low", Tensor::scalar(-1.0f));
    const ValueId high = net.constant("high", Tensor::scalar(1.0f));
    const ValueId f = net.op("Clip", {net.conv(x, 3, 3, "c"), low, high}, "f");
    expect_untouched(net.finish({net.conv(f, 3, 3, "d", 3)}), "a Clip that does not begin at 0");
  }
}

TEST(Equalize, BothDepthwiseReadersAreScaled) {
  Blocks net;
  const ValueId second = net.op("Conv", {net.f, net.constant("w3", ramp({6, 1, 1, 1}, 3))}, "e",
                                {{"group", int64_t{3}}});
  const Graph before = net.finish({net.depth, second});
  Graph after = before;
  ASSERT_EQ(equalize_depthwise(after, reaching("f", kZeros, {8, 2, 1})).size(), 1u);
  const Tensor x = ramp({2, 2, 4, 4});
  const auto a = run_graph(before, {{"x", x}}), b = run_graph(after, {{"x", x}});
  for (size_t i = 0; i < 2; ++i) EXPECT_TRUE(a[i].equals(b[i])) << i;  // powers of two: exactly
}

TEST(Equalize, StatisticsAreThoseOfTheEqualizedGraph) {
  const Tensor x = ramp({20, 2, 4, 4});
  const Dataset data = dataset_of({{"x", x}});
  Blocks net;
  const Graph before = calibrated_form(net.finish({net.depth}));
  const Statistics seen = calibrate(before, data);
  Graph after = before;
  const auto factors = equalize_depthwise(after, seen.impl());
  ASSERT_EQ(factors.count("f"), 1u);
  const Statistics derived = equalized_statistics(after, seen, factors, data, 20, 1);
  const Statistics measured = calibrate(after, data);
  const TensorStats& a = derived.impl().tensor("f");
  const TensorStats& b = measured.impl().tensor("f");
  EXPECT_NEAR(a.min, b.min, 1e-6);
  EXPECT_NEAR(a.max, b.max, 1e-5);
  EXPECT_TRUE(a.histogram == b.histogram);
  for (size_t c = 0; c < 3; ++c) {
    EXPECT_NEAR(a.channel_high[c], b.channel_high[c], 1e-5);
    EXPECT_NEAR(a.channel_mean(c), b.channel_mean(c), 1e-5);
  }
  const WindowStats& wa = derived.impl().windows.at("d");
  const WindowStats& wb = measured.impl().windows.at("d");
  ASSERT_EQ(wa.sums.size(), wb.sums.size());
  for (size_t k = 0; k < wa.sums.size(); ++k)
    EXPECT_NEAR(wa.sums[k].value(), wb.sums[k].value(), 1e-3);
}

}  // namespace
}  // namespace lapidary
