#include "quantize/clamps.h"

#include <algorithm>

#include "lapidary/calibrate.h"
#include "quantize/qparams.h"
#include "test/quantize/nets.h"

namespace lapidary {
namespace {

using testing::Contains;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr QuantScheme kU8{.bits = 8};
constexpr QuantScheme kMiddle{.bits = 8, .symmetric = true};

/// y = op(x) with Clip's bounds, or Relu.
struct Clamp {
  explicit Clamp(std::optional<std::pair<float, float>> bounds) {
    std::vector<ValueId> inputs = {net.input("x", {1, 4})};
    if (bounds) {
      inputs.push_back(net.constant("low", Tensor::scalar(bounds->first)));
      inputs.push_back(net.constant("high", Tensor::scalar(bounds->second)));
    }
    net.finish({net.op(bounds ? "Clip" : "Relu", inputs, "y")});
    node = net.graph.nodes()[0];
  }
  bool stands_for(const Range& range, const QuantScheme& scheme) const {
    return saturation_clamps(net.graph, node, choose_qparams(range, scheme));
  }
  Net net;
  NodeId node;
};

TEST(SaturationClamps, AReluOnlyWhereTheSmallestIntegerIsZero) {
  const Clamp relu(std::nullopt);
  EXPECT_TRUE(relu.stands_for({0, 2.55f}, kU8));
  EXPECT_FALSE(relu.stands_for({-0.01f, 2.54f}, kU8));  // zero point 1
  EXPECT_FALSE(relu.stands_for({0, 2.55f}, kMiddle));   // zero point 128
}

TEST(SaturationClamps, AClipOnlyWhereTheIntegersEndAtItsBounds) {
  const Clamp six({{0.0f, 6.0f}});
  EXPECT_TRUE(six.stands_for({0, 6}, kU8));
  EXPECT_TRUE(six.stands_for({0, 4.5f}, kU8));  // a range may end before
  EXPECT_TRUE(six.stands_for({0, 6.02f}, kU8));
  EXPECT_FALSE(six.stands_for({0, 6.1f}, kU8));
  const Clamp one({{-1.0f, 1.0f}});
  EXPECT_TRUE(one.stands_for({-1, 1}, kU8));
  EXPECT_FALSE(one.stands_for({-1.1f, 1}, kU8));
  const Clamp half({{0.5f, 3.0f}});
  EXPECT_FALSE(half.stands_for({0.5f, 3}, kU8));  // integers always reach 0
}

/// Quantizes with 16 samples and returns the SQNR in dB over them; what `log` holds is checked by
/// the caller.
double sqnr_of(const Graph& graph, const QuantizeOptions& options, QuantizeLog& log,
               Graph* made = nullptr) {
  const Tensor x = tiny_samples(16, 0, {4, 6, 6});
  const Dataset data = dataset_of({{"x", x}});
  const Graph q = quantize(graph, calibrate(graph, data), data, options, &log);
  if (made) *made = q;
  return sqnr_db(run_graph(graph, {{"x", x}})[0], run_graph(q, {{"x", x}})[0]);
}

/// A convolution, a clamp (Relu, or Clip with bounds) and a convolution.
Graph clamped(std::optional<std::pair<float, float>> bounds) {
  Net net;
  std::vector<ValueId> inputs = {net.conv(net.input("x", {Dim::named("N"), 4, 6, 6}), 4, 4, "a")};
  if (bounds) {
    inputs.push_back(net.constant("low", Tensor::scalar(bounds->first)));
    inputs.push_back(net.constant("high", Tensor::scalar(bounds->second)));
  }
  return net.finish({net.conv(net.op(bounds ? "Clip" : "Relu", inputs, "clamp"), 4, 4, "b")});
}

TEST(KeepClamps, WhatSaturationCannotDoStaysAndIsNamed) {
  for (const bool middle : {false, true}) {
    QuantizeOptions options;
    if (middle) options.symmetric = true;
    QuantizeLog log;
    Graph made;
    EXPECT_GT(sqnr_of(clamped(std::nullopt), options, log, &made), 25) << middle;
    EXPECT_EQ(std::ranges::count(op_list(made), "Relu"), middle ? 1 : 0);
    if (middle)
      EXPECT_THAT(log.kept_float, Contains(Field(&KeptFloat::reason, HasSubstr("bounds"))));
    else
      EXPECT_THAT(log.kept_float, IsEmpty());
  }
  QuantizeLog log;
  EXPECT_GT(sqnr_of(clamped({{0.5f, 3.0f}}), {}, log), 25);
}

TEST(KeepClamps, AConcatOfClampedAndOtherInputsKeepsTheirScalesApart) {
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 4, 6, 6});
  const ValueId relu = net.op("Relu", {net.conv(x, 4, 4, "a")}, "relu");
  const ValueId both =
      net.op("Concat", {relu, net.conv(x, 4, 8, "b")}, "both", {{"axis", int64_t{1}}});
  const Graph graph = net.finish({net.conv(both, 12, 4, "c")});
  QuantizeLog log;
  Graph made;
  EXPECT_GT(sqnr_of(graph, {}, log, &made), 25);
  EXPECT_THAT(op_list(made), testing::Not(Contains("Relu")));
}

}  // namespace
}  // namespace lapidary
