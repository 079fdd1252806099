#include "lapidary/factorize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lapidary/error.h"
#include "src/factorize/choice.h"
#include "test/factorize/net.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

/// Weights [out, in, kernel, kernel] whose channels are of rank `rank`, and a little noise.
Tensor low(int64_t out, int64_t in, int64_t kernel, int64_t rank, int64_t seed,
           double rest = 0.02) {
  const int64_t columns = in * kernel * kernel;
  const lowrank::Matrix m = noise_matrix(out, rank, seed) * noise_matrix(rank, columns, seed + 1) +
                            rest * noise_matrix(out, columns, seed + 2);
  Tensor w(DType::kF32, {out, in, kernel, kernel});
  for (int64_t o = 0; o < out; ++o)
    for (int64_t c = 0; c < columns; ++c)
      w.mutable_data<float>()[static_cast<size_t>(o * columns + c)] = static_cast<float>(m(o, c));
  return w;
}

/// wide (3x3, 16 -> 32, low rank), deep (depthwise), narrow (1x1, 32 -> 16, full rank), then the
/// mean over positions and head (Gemm, 16 -> 10, of rank 2).
Graph net() {
  Graph graph;
  graph.set_opset("", 17);
  GraphBuilder b(graph);
  const std::vector<int64_t> pads = {1, 1, 1, 1};
  ValueId x = b.input("x", DType::kF32, {Dim::named("N"), 16, 8, 8});
  x = b.op("Conv",
           {x, b.constant("wide.w", low(32, 16, 3, 4, 1)), b.constant("wide.b", noise({32}, 50))},
           {{"pads", pads}}, "wide");
  x = b.op("Relu", {x});
  x = b.op("Conv", {x, b.constant("deep.w", noise({32, 1, 3, 3}, 10))},
           {{"pads", pads}, {"group", int64_t{32}}}, "deep");
  x = b.op("Conv", {x, b.constant("narrow.w", noise({16, 32, 1, 1}, 11))}, {}, "narrow");
  x = b.op("Flatten", {b.op("GlobalAveragePool", {x})});
  x = b.op("Gemm", {x, b.constant("head.w", low(10, 16, 1, 2, 12).reshaped({10, 16}))},
           {{"transB", int64_t{1}}}, "head");
  b.output(x);
  infer_types(graph);
  return graph;
}

const FactorizedLayer& layer(const FactorizeResult& result, const std::string& name) {
  for (const FactorizedLayer& one : result.layers)
    if (one.node == name) return one;
  throw std::runtime_error("no layer " + name);
}

TEST(Factorize, ByEnergyWhatHasLowRankIsSmaller) {
  const Graph whole = net();
  const FactorizeResult result =
      factorize(whole, {.ranks = {"energy", 0.99}, .methods = {"svd"}, .round_to = 1});
  ASSERT_THAT(result.layers, SizeIs(4));
  const FactorizedLayer& wide = layer(result, "wide");
  EXPECT_EQ(wide.method, "svd");
  EXPECT_THAT(wide.ranks, ElementsAre(4));
  EXPECT_THAT(wide.full, ElementsAre(32));
  EXPECT_GE(wide.energy, 0.99);
  EXPECT_LE(wide.error, 0.1);
  // 64 positions: 3x3 from 16 to 32; then 16 to 4 and 1x1 to 32.
  EXPECT_EQ(wide.before.macs, 64 * 32 * 16 * 9);
  EXPECT_EQ(wide.after.macs, 64 * (4 * 16 * 9 + 32 * 4));
  EXPECT_THAT(layer(result, "head").ranks, ElementsAre(2));
  EXPECT_EQ(layer(result, "deep").reason, "it has 32 groups of channels");
  EXPECT_EQ(layer(result, "narrow").method, "");
  EXPECT_THAT(layer(result, "narrow").reason, HasSubstr("is no smaller"));
  EXPECT_EQ(result.before.macs - result.after.macs,
            wide.before.macs - wide.after.macs + 10 * 16 - 2 * (10 + 16));
  const double error =
      apart(output_of_run(result.graph, {2, 16, 8, 8}), output_of_run(whole, {2, 16, 8, 8}));
  EXPECT_LT(error, 0.1);
  EXPECT_GT(error, 1e-6);
}

TEST(Factorize, OfSeveralMethodsTheCheapestIsTaken) {
  const FactorizeResult all = factorize(net(), {.ranks = {"energy", 0.95}, .round_to = 1});
  int64_t least = layer(all, "wide").before.macs;
  for (const char* method : {"svd", "spatial_svd", "tucker"}) {
    const FactorizeResult one =
        factorize(net(), {.ranks = {"energy", 0.95}, .methods = {method}, .round_to = 1});
    least = std::min(least, layer(one, "wide").after.macs);
  }
  EXPECT_EQ(layer(all, "wide").after.macs, least);
  EXPECT_LT(least, layer(all, "wide").before.macs);
}

TEST(Factorize, RanksAreRounded) {
  const FactorizeResult by_8 =
      factorize(net(), {.ranks = {"energy", 0.99}, .methods = {"svd"}, .round_to = 8});
  EXPECT_THAT(layer(by_8, "wide").ranks, ElementsAre(8));
  EXPECT_THAT(layer(by_8, "head").reason, HasSubstr("rank 8 of 10 is no smaller"));
  const FactorizeResult share =
      factorize(net(), {.ranks = {"share", 0.01}, .methods = {"svd"}, .round_to = 1});
  EXPECT_THAT(layer(share, "wide").ranks, ElementsAre(1));
  EXPECT_THAT(layer(share, "head").ranks, ElementsAre(1));
  EXPECT_EQ(lowrank::round_rank(9, 8, 32), 16);
  EXPECT_EQ(lowrank::round_rank(9, 8, 12), 12);
  EXPECT_EQ(lowrank::round_rank(8, 8, 32), 8);
}

TEST(Factorize, VariationalBayesFindsTheRank) {
  const auto of = [](double way) {
    return factorize(net(),
                     {.ranks = {"vbmf", way}, .methods = {"svd"}, .round_to = 1, .keep = {"head"}});
  };
  EXPECT_THAT(layer(of(1), "wide").ranks, ElementsAre(4));
  EXPECT_THAT(layer(of(0.75), "wide").ranks, ElementsAre(11));  // 32 - 0.75 (32 - 4)
  EXPECT_EQ(layer(of(1), "head").reason, "kept by name");
}

TEST(Factorize, BoundsAreMet) {
  const Graph whole = net();
  for (const char* of : {"macs", "parameters"})
    for (const double share : {0.9, 0.5, 0.3}) {
      SCOPED_TRACE(std::string(of) + " " + std::to_string(share));
      const FactorizeResult result = factorize(whole, {.ranks = {of, share}, .round_to = 1});
      const bool macs = std::string(of) == "macs";
      const auto left = static_cast<double>(macs ? result.after.macs : result.after.parameters);
      const auto all = static_cast<double>(macs ? result.before.macs : result.before.parameters);
      EXPECT_LE(left, share * all);
      EXPECT_DOUBLE_EQ(result.got, left / all);
    }
  EXPECT_THAT(
      [&] {
        factorize(whole, {.ranks = {"macs", 0.01}});
      },
      testing::ThrowsMessage<Error>(HasSubstr("1.0 % of the macs cannot be met")));
  // Nothing has to be done for all of it.
  const FactorizeResult all = factorize(whole, {.ranks = {"macs", 1}});
  EXPECT_EQ(all.before.macs, all.after.macs);
  EXPECT_EQ(layer(all, "wide").reason, "the target is met without it");
}

// Two layers, costs and losses by hand: the steps by loss per cost are a to 6 (0.01 / 4),
// b to 5 (0.02 / 5), a to 2 (0.05 / 4), b to 1 (0.3 / 4).
TEST(MeetBound, StepsThatLoseLeastPerCostGoFirst) {
  const std::vector<std::vector<lowrank::Point>> layers = {
      {{{}, 10, 0}, {{}, 6, 0.01}, {{}, 2, 0.06}, {{}, 7, 0.05}},
      {{{}, 10, 0}, {{}, 5, 0.02}, {{}, 1, 0.32}, {{}, 9, 0.001}}};
  const auto at = [&](double bound) { return lowrank::meet_bound(layers, bound).value(); };
  EXPECT_THAT(at(20), ElementsAre(0, 0));
  EXPECT_THAT(at(16), ElementsAre(1, 0));
  EXPECT_THAT(at(15.5), ElementsAre(1, 3));  // b to 5 too; of what that saves too much b has back
  EXPECT_THAT(at(11), ElementsAre(1, 1));
  EXPECT_THAT(at(7), ElementsAre(2, 1));
  EXPECT_THAT(at(3), ElementsAre(2, 2));
  EXPECT_EQ(lowrank::meet_bound(layers, 2.9), std::nullopt);
}

// A clock by hand: a layer that is alone costs 1 ms, in factors `factors` ms for each node; the
// whole model 10 ms.
TEST(Factorize, WhatIsNoFasterStays) {
  const auto clock = [](double factors, double again) {
    return [=](const Graph& graph, bool once_more) {
      if (graph.node_count() > 3) return 10.0;
      if (graph.node_count() == 1) return 1.0;
      return (once_more ? again : factors) * static_cast<double>(graph.node_count());
    };
  };
  FactorizeOptions options{.ranks = {"energy", 0.99}, .methods = {"svd"}, .round_to = 1};
  options.latency = clock(0.6, 0.6);
  FactorizeResult result = factorize(net(), options);
  EXPECT_EQ(layer(result, "wide").method, "");
  EXPECT_THAT(layer(result, "wide").reason, HasSubstr("is no faster: 1.200 ms, 1.000 ms as it is"));
  options.latency = clock(0.4, 0.4);
  result = factorize(net(), options);
  EXPECT_EQ(layer(result, "wide").method, "svd");
  EXPECT_EQ(layer(result, "wide").ms_before, 1.0);
  EXPECT_EQ(layer(result, "wide").ms_after, 0.8);

  // wide, narrow and head can each save 0.6 of 10 ms: 0.85 wants all three.
  options.ranks = {"latency", 0.85};
  options.latency = clock(0.2, 0.2);
  result = factorize(net(), options);
  EXPECT_EQ(result.ms_before, 10.0);
  EXPECT_DOUBLE_EQ(*result.ms_after, 10 - 3 * 0.6);
  EXPECT_LE(result.got, 0.85);
  options.latency = clock(0.2, 0.6);  // of which nothing is true
  EXPECT_THROW(factorize(net(), options), Error);
  options.ranks = {"latency", 1};
  result = factorize(net(), options);
  EXPECT_EQ(result.got, 1);
}

TEST(Factorize, OnDataOutputsLoseLess) {
  const Graph whole = net();
  Tensor x = noise({24, 16, 8, 8}, 91);
  for (int64_t i = 0; i < x.size(); ++i)  // channels of unequal size
    x.mutable_data<float>()[static_cast<size_t>(i)] *= 1.0f / static_cast<float>(1 + i / 64 % 16);
  const Dataset data = dataset_of({{"x", x}});
  FactorizeOptions options{
      .ranks = {"share", 0.1}, .methods = {"svd"}, .round_to = 1, .keep = {"narrow", "head"}};
  const auto error = [&](const Graph& graph) {
    Executor a(graph), b(whole);
    return apart(a.run({{"x", x}}).begin()->second, b.run({{"x", x}}).begin()->second);
  };
  const FactorizeResult of_weights = factorize(whole, options);
  options.data = &data;
  const FactorizeResult of_outputs = factorize(whole, options);
  EXPECT_EQ(layer(of_outputs, "wide").ranks, layer(of_weights, "wide").ranks);
  EXPECT_GT(layer(of_outputs, "wide").error, layer(of_weights, "wide").error);
  EXPECT_LT(error(of_outputs.graph), error(of_weights.graph));
  options.methods = {"tucker"};
  EXPECT_THROW(factorize(whole, options), Error);
}

TEST(Factorize, RefusalsSayWhy) {
  const auto reason = [](LayerNet net) {
    const FactorizeResult result = factorize(net.graph(), {.round_to = 1});
    EXPECT_EQ(result.graph.node_count(), 1u);
    return result.layers.at(0).reason;
  };
  EXPECT_EQ(
      reason({.op = "ConvTranspose", .w = low(16, 16, 3, 2, 1), .x = {1, 16, 8, 8}, .bias = false}),
      "no method is for ConvTranspose");
  EXPECT_EQ(reason({.w = Tensor(DType::kF32, {16, 16, 3, 3}), .x = {1, 16, 8, 8}}),
            "its weights are zero");
  Tensor bad = low(16, 16, 3, 2, 1);
  bad.mutable_data<float>()[5] = INFINITY;
  EXPECT_THROW(factorize(LayerNet{.w = bad, .x = {1, 16, 8, 8}}.graph()), Error);
  EXPECT_THROW(factorize(net(), {.keep = {"no such layer"}}), Error);
  EXPECT_THROW(factorize(net(), {.methods = {"sdv"}}), Error);
  EXPECT_THROW(factorize(net(), {.ranks = {"energy", 1.5}}), Error);

  Graph shared = net();
  const NodeId head = shared.nodes().back();
  Node twin = shared.node(head);
  twin.outputs = {shared.add_value("second")};
  twin.name = "twin";
  shared.add_node(std::move(twin));
  shared.set_outputs({shared.outputs()[0], shared.find_value("second")});
  infer_types(shared);
  EXPECT_EQ(layer(factorize(shared, {.round_to = 1}), "head").reason, "2 nodes read its weights");
}

}  // namespace
}  // namespace lapidary
