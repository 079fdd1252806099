#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "lapidary/error.h"
#include "lapidary/prune.h"
#include "prune/criterion.h"
#include "prune/map_rank.h"
#include "src/ir/builder.h"
#include "src/ops/infer.h"

// Stored values are those that test/prune/criteria_reference.py prints: the formulas in numpy, on
// the same net. Its members per unit are written out there by hand; groups that it calls "conv3
// inner" and "conv3 groups" are the second and the third here.

namespace lapidary {
namespace {

using testing::HasSubstr;

/// With i' = i + 17 seed: ((13 i'^2 + 37 i' + 11 seed) mod 101 - 50) / 64 + lift, exact in float32.
Tensor drawn(int64_t seed, Shape shape, float lift = 0) {
  Tensor t(DType::kF32, std::move(shape));
  int64_t i = 17 * seed;
  for (float& v : t.mutable_data<float>()) {
    v = static_cast<float>((13 * i * i + 37 * i + 11 * seed) % 101 - 50) / 64 + lift;
    ++i;
  }
  return t;
}

/// x [N,2,3,4] -> conv1, bn, Relu "r1" -> squeeze (1x1), Relu -> depth (depthwise) -> expand, + r1
/// -> conv3 (1x1), Relu -> grouped (1x1, 2 groups) -> Flatten -> fc [N,3].
Graph net(Dim batch = Dim::named("N")) {
  Graph graph;
  graph.set_opset("", 17);
  GraphBuilder b(graph);
  int64_t seed = 0;
  const auto weight = [&](const std::string& name, Shape shape, float lift = 0) {
    return b.constant(name, drawn(++seed, std::move(shape), lift));
  };
  const auto same = std::vector<int64_t>{1, 1, 1, 1};
  const ValueId x = b.input("x", DType::kF32, {batch, 2, 3, 4});
  ValueId v = b.op("Conv", {x, weight("conv1.w", {6, 2, 3, 3}), weight("conv1.b", {6})},
                   {{"pads", same}}, "conv1");
  v = b.op("BatchNormalization",
           {v, weight("bn.gain", {6}), weight("bn.shift", {6}, 0.75f), weight("bn.mean", {6}),
            b.constant("bn.variance", Tensor::of<float>({6}, std::vector<float>(6, 1.5f)))},
           {}, "bn");
  const ValueId r1 = b.op("Relu", {v}, {}, "r1");
  v = b.op("Conv", {r1, weight("squeeze.w", {4, 6, 1, 1}), weight("squeeze.b", {4}, 1)}, {},
           "squeeze");
  v = b.op("Conv", {b.op("Relu", {v}), weight("depth.w", {4, 1, 3, 3})},
           {{"group", int64_t{4}}, {"pads", same}}, "depth");
  v = b.op("Conv", {v, weight("expand.w", {6, 4, 1, 1})}, {}, "expand");
  v = b.op("Add", {r1, v}, {}, "a");
  v = b.op("Relu", {b.op("Conv", {v, weight("conv3.w", {8, 6, 1, 1})}, {}, "conv3")});
  v = b.op("Conv", {v, weight("grouped.w", {6, 4, 1, 1})}, {{"group", int64_t{2}}}, "grouped");
  b.output(b.op("Gemm", {b.op("Flatten", {v}), weight("fc.w", {3, 72}), weight("fc.b", {3})},
                {{"transB", int64_t{1}}}, "fc"));
  infer_types(graph);
  return graph;
}

/// Samples of the net's input, those listed of four.
Dataset samples(const std::vector<int64_t>& listed = {0, 1, 2, 3}) {
  const Tensor all = drawn(99, {4, 2, 3, 4});
  std::vector<float> x;
  for (const int64_t i : listed)
    x.insert(x.end(), all.data<float>().begin() + 24 * i, all.data<float>().begin() + 24 * (i + 1));
  return dataset_of({{"x", Tensor::of<float>({std::ssize(listed), 2, 3, 4}, x)}});
}

/// Of every constant that training changes.
Gradients gradients() {
  const std::vector<std::string> names = {
      "conv1.w", "conv1.b",  "bn.gain", "bn.shift",  "",     "squeeze.w", "squeeze.b",
      "depth.w", "expand.w", "conv3.w", "grouped.w", "fc.w", "fc.b"};
  const Graph graph = net();
  Gradients out;
  for (size_t k = 0; k < names.size(); ++k)
    if (!names[k].empty())
      out[names[k]] =
          drawn(static_cast<int64_t>(k) + 41, graph.constant(graph.find_value(names[k]))->shape());
  return out;
}

void expect_scores(const UnitScores& got, const UnitScores& expected, double tolerance) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t g = 0; g < got.size(); ++g) {
    ASSERT_EQ(got[g].size(), expected[g].size()) << "group " << g;
    for (size_t u = 0; u < got[g].size(); ++u)
      EXPECT_NEAR(got[g][u], expected[g][u], tolerance * (1e-9 + expected[g][u]))
          << "group " << g << ", unit " << u;
  }
}

CriterionSpec plain(const std::string& kind, Numbers params = {}) {
  return {.kind = kind, .params = std::move(params), .normalize = "none"};
}

constexpr double kStored = 1e-8;    // digits that are stored
constexpr double kComputed = 1e-5;  // of what the net computes in float32

TEST(Criteria, GroupsOfTheNet) {
  const PruningGraph graph(net());
  std::vector<std::string> names;
  for (const PruneGroup& group : graph.groups())
    names.push_back(group.name + " " + std::to_string(group.units));
  EXPECT_THAT(names,
              testing::ElementsAre("conv1 6", "squeeze 4", "conv3 4", "conv3 #2 2", "grouped 3"));
}

TEST(Criteria, Magnitude) {
  const PruningGraph graph(net());
  expect_scores(score_units(graph, plain("magnitude")),
                {{1.65570068, 1.74572754, 1.83959961, 1.60601807, 1.46343994, 1.48278809},
                 {1.37646484, 1.92659505, 2.13085938, 1.47306315},
                 {1.69384766, 1.54541016, 2.09033203, 1.29797363},
                 {8.28841146, 9.46394857},
                 {6.59094238, 6.86120605, 8.74755859}},
                kStored);
  expect_scores(score_units(graph, plain("magnitude", {{"p", {1}}})),
                {{3.14453125, 3.3984375, 3.4375, 3.20703125, 3.16015625, 2.8125},
                 {2.70833333, 3.25, 3.5, 2.66145833},
                 {3.421875, 3.140625, 3.84375, 2.9453125},
                 {17.1458333, 18.484375},
                 {13.7421875, 14.2578125, 16.5}},
                kStored);
}

TEST(Criteria, NormScaleAndWeightsWhereThereIsNoNormalization) {
  expect_scores(score_units(PruningGraph(net()), plain("norm_scale")),
                {{0.46875, 0.125, 0.3125, 0.09375, 0.53125, 0.015625},
                 {0.435647717, 0.477495256, 0.579926116, 0.492360813},
                 {0.435822678, 0.386646405, 0.488286458, 0.400347749},
                 {0.391935912, 0.459939311},
                 {0.49385877, 0.244943991, 0.495770687}},
                kStored);
}

TEST(Criteria, Taylor) {
  const PruningGraph graph(net());
  expect_scores(score_units(graph, plain("taylor"), {.gradients = gradients()}),
                {{0.442452567, 0.508161272, 0.295200893, 0.39882115, 0.239188058, 0.354352679},
                 {0.349914551, 0.220275879, 0.955078125, 0.230285645},
                 {0.109375, 0.533203125, 0.646850586, 0.615356445},
                 {0.447509766, 0.900716146},
                 {0.874755859, 0.444702148, 0.380371094}},
                kStored);
  expect_scores(score_units(graph, plain("taylor", {{"p", {2}}}), {.gradients = gradients()}),
                {{0.303996614, 0.478045651, 0.121595195, 0.195700535, 0.0708311456, 0.314555049},
                 {0.200474933, 0.0794124156, 0.945047289, 0.104482189},
                 {0.0179903507, 0.301238596, 0.421806127, 0.405061871},
                 {0.250401596, 1.12890009},
                 {0.801182866, 0.228188783, 0.144732296}},
                kStored);
}

TEST(Criteria, Fpgm) {
  expect_scores(score_units(PruningGraph(net()), plain("fpgm")),
                {{10.3053381, 9.18309674, 9.36166385, 9.95053221, 9.12638165, 10.1669168},
                 {5.6517213, 6.17610705, 5.855142, 5.03689568},
                 {6.41289487, 5.27339848, 7.57150406, 5.20850548},
                 {2.73946654, 2.73946654},
                 {4.01679775, 3.12028444, 3.86970079}},
                kStored);
}

const UnitScores kRanks = {
    {3, 3, 3, 3, 1.75, 3}, {3, 3, 0, 0}, {2.875, 1.375, 1.5, 0.5}, {1.25, 1.3125}, {1, 1, 1}};
const UnitScores kWanda = {{11.8299329, 10.2594981, 26.1549593, 7.51984868, 4.43687885, 2.56648174},
                           {19.9760896, 14.1424124, 0, 0},
                           {10.7239236, 1.52891741, 9.9112748, 0.353571603},
                           {32.336314, 50.6855215},
                           {26.6074426, 11.87231, 44.5420829}};

TEST(Criteria, ActivationRank) {
  const Dataset data = samples();
  expect_scores(score_units(PruningGraph(net()), plain("activation_rank"), {.data = &data}), kRanks,
                kStored);
}

TEST(Criteria, Wanda) {
  const Dataset data = samples();
  expect_scores(score_units(PruningGraph(net()), plain("wanda"), {.data = &data}), kWanda,
                kComputed);
}

TEST(Criteria, WhatFillsUpABatchDoesNotCount) {
  const Dataset data = samples();
  const PruningGraph graph(net(3));  // the second batch repeats its one sample twice
  expect_scores(score_units(graph, plain("wanda"), {.data = &data}), kWanda, kComputed);
  expect_scores(score_units(graph, plain("activation_rank"), {.data = &data}), kRanks, kStored);
}

TEST(Criteria, SamplesAreSpreadOverTheData) {
  const Dataset data = samples();
  // Of four in batches of one: the first and the third.
  expect_scores(score_units(PruningGraph(net(1)), plain("wanda"), {.data = &data, .samples = 2}),
                {{8.52437217, 7.43781235, 17.9868044, 5.37573568, 2.89707278, 1.78892708},
                 {13.7893996, 9.94299664, 0, 0},
                 {7.4542308, 1.1958143, 6.74690179, 0.289955248},
                 {21.9642615, 34.8610122},
                 {18.1166544, 8.1615131, 30.5471062}},
                kComputed);
}

TEST(Criteria, ThreadsMakeNoDifference) {
  const Dataset data = samples();
  const PruningGraph graph(net());
  for (const std::string kind : {"wanda", "activation_rank", "fpgm"})
    EXPECT_EQ(score_units(graph, plain(kind), {.data = &data, .threads = 1}),
              score_units(graph, plain(kind), {.data = &data, .threads = 3}))
        << kind;
}

TEST(Criteria, Random) {
  CriterionSpec spec = plain("random");
  spec.seed = 5;
  const PruningGraph graph(net());
  const UnitScores scores = score_units(graph, spec);
  expect_scores(scores,
                {{0.0768889518, 0.490883485, 0.401859586, 0.441649312, 0.0625975823, 0.787270188},
                 {0.666170618, 0.0583024422, 0.179873697, 0.500058797},
                 {0.179157939, 0.619621141, 0.532600888, 0.422419062},
                 {0.82599073, 0.323877512},
                 {0.438307522, 0.644736433, 0.498040222}},
                kStored);
  spec.seed = 6;
  EXPECT_NE(score_units(graph, spec), scores);
}

TEST(Criteria, AValueThatTwoNodesReadCountsOnce) {
  Graph graph;
  graph.set_opset("", 17);
  GraphBuilder b(graph);
  const auto conv = [&](ValueId x, const std::string& name, int64_t seed, int64_t out, int64_t in) {
    return b.op("Conv", {x, b.constant(name + ".w", drawn(seed, {out, in, 1, 1}))}, {}, name);
  };
  const ValueId x = b.input("x", DType::kF32, {Dim::named("N"), 2, 3, 4});
  const ValueId r = b.op("Relu", {conv(x, "first", 1, 3, 2)}, {}, "r");
  b.output(conv(r, "left", 2, 1, 3));
  b.output(conv(r, "right", 3, 1, 3));
  infer_types(graph);
  const PruningGraph pruning(graph);
  ASSERT_EQ(pruning.groups().size(), 1u);
  ASSERT_EQ(pruning.groups()[0].read.size(), 2u);
  const Dataset data = samples();
  CriterionSpec spec = plain("activation_rank");
  const UnitScores mean = score_units(pruning, spec, {.data = &data});
  spec.reduce = "sum";
  EXPECT_EQ(score_units(pruning, spec, {.data = &data}), mean);
  EXPECT_GT(*std::ranges::max_element(mean[0]), 0);
}

std::vector<double> of_conv1(const std::string& reduce, const std::string& normalize) {
  return score_units(PruningGraph(net()), {.reduce = reduce, .normalize = normalize})[0];
}

TEST(Scores, AreReducedOverMembers) {
  const UnitScores expected = {
      {6.62280273, 6.98291016, 7.35839844, 6.42407227, 5.85375977, 5.93115234},
      {1.65570068, 1.74572754, 1.83959961, 1.60601807, 1.46343994, 1.48278809},
      {3.12426758, 3.14624023, 3.16918945, 3.51904297, 2.73413086, 3.21191406}};
  expect_scores({of_conv1("sum", "none"), of_conv1("mean", "none"), of_conv1("max", "none")},
                expected, kStored);
}

TEST(Scores, AreNormalizedByGroup) {
  const UnitScores expected = {
      {1.01439051, 1.06954685, 1.12705901, 0.983951687, 0.896599004, 0.908452943},
      {0.900033179, 0.948971466, 1, 0.873025879, 0.795520902, 0.806038487},
      {0.169065084, 0.178257808, 0.187843169, 0.163991948, 0.149433167, 0.151408824},
      {0.412731945, 0.435173779, 0.458574145, 0.400347096, 0.364805317, 0.36962841}};
  expect_scores({of_conv1("mean", "mean"), of_conv1("mean", "max"), of_conv1("mean", "sum"),
                 of_conv1("mean", "norm")},
                expected, kStored);
}

TEST(Scores, ThatAreAllZeroStay) {
  Graph graph = net();
  graph.mutable_value(graph.find_value("bn.gain")).constant = Tensor(DType::kF32, {6});
  for (const std::string normalize : {"mean", "max", "sum", "norm"})
    EXPECT_EQ(score_units(PruningGraph(graph), {.kind = "norm_scale", .normalize = normalize})[0],
              std::vector<double>(6, 0.0))
        << normalize;
}

struct Refusal {
  ErrorCode code = ErrorCode::kInternal;
  std::string text;
};
Refusal refusal(const CriterionSpec& spec, const ScoreInputs& inputs = {},
                const Graph& graph = net()) {
  try {
    score_units(PruningGraph(graph), spec, inputs);
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {ErrorCode::kInternal, "nothing was thrown"};
}
void expect_usage(const Refusal& refusal, const std::string& part) {
  EXPECT_EQ(refusal.code, ErrorCode::kUsage);
  EXPECT_THAT(refusal.text, HasSubstr(part));
}

TEST(Scores, RefuseNamesThatDoNotExist) {
  expect_usage(refusal(plain("magnitud")), "did you mean 'magnitude'");
  expect_usage(refusal(plain("magnitude", {{"q", {2}}})), "q");
  expect_usage(refusal(plain("magnitude", {{"p", {3}}})), "p");
  expect_usage(refusal(plain("magnitude", {{"p", {1.5}}})), "p");
  expect_usage(refusal(plain("random", {{"p", {1}}})), "p");
  expect_usage(refusal({.reduce = "median"}), "median");
  expect_usage(refusal({.normalize = "median"}), "median");
  EXPECT_THROW(needs_data({.kind = "magnitud"}), Error);
}

TEST(Scores, RefuseInputsThatAreMissingOrDoNotFit) {
  expect_usage(refusal(plain("taylor")), "needs gradients");
  Gradients some = gradients();
  for (const char* name : {"grouped.w", "fc.w"}) some.erase(name);
  expect_usage(refusal(plain("taylor"), {.gradients = some}), "group 'grouped'");
  Gradients wrong = gradients();
  wrong["conv1.w"] = Tensor(DType::kF32, {6, 2, 3, 1});
  expect_usage(refusal(plain("taylor"), {.gradients = wrong}), "conv1.w");
  expect_usage(refusal(plain("wanda")), "needs data");
  expect_usage(refusal(plain("activation_rank")), "needs data");
  const Dataset data = samples();
  expect_usage(refusal(plain("wanda"), {.data = &data, .samples = 0}), "no samples");
}

TEST(Scores, RefuseWhatIsNotFinite) {
  Graph graph = net();
  Tensor weights = drawn(1, {6, 2, 3, 3});
  weights.mutable_data<float>()[40] = std::numeric_limits<float>::quiet_NaN();  // channel 2
  graph.mutable_value(graph.find_value("conv1.w")).constant = weights;
  const Refusal by_weights = refusal(plain("magnitude"), {}, graph);
  EXPECT_EQ(by_weights.code, ErrorCode::kInvalid);
  EXPECT_THAT(by_weights.text, testing::AllOf(HasSubstr("conv1"), HasSubstr("unit 2")));
  const Dataset data =
      dataset_of({{"x", Tensor::of<float>({1, 2, 3, 4}, std::vector<float>(24, 3e38f))}});
  EXPECT_EQ(refusal(plain("activation_rank"), {.data = &data}).code, ErrorCode::kInvalid);
}

TEST(Scores, SayWhatCriteriaNeed) {
  std::vector<std::string> by_gradients, by_data, names;
  for (const NamedHelp& each : list_criteria()) {
    names.push_back(each.name);
    if (needs_gradients({.kind = each.name})) by_gradients.push_back(each.name);
    if (needs_data({.kind = each.name})) by_data.push_back(each.name);
    EXPECT_FALSE(each.help.empty()) << each.name;
  }
  EXPECT_THAT(names, testing::ElementsAre("magnitude", "norm_scale", "taylor", "fpgm",
                                          "activation_rank", "wanda", "random"));
  EXPECT_THAT(by_gradients, testing::ElementsAre("taylor"));
  EXPECT_THAT(by_data, testing::ElementsAre("activation_rank", "wanda"));
}

TEST(MapRank, IsNumpys) {
  const auto rank = [](const std::vector<float>& x, int64_t rows, int64_t columns) {
    return prune::map_rank(x, rows, columns);
  };
  // Between them is the threshold of [2, 2], 2 * 2^-23 = 2.4e-7.
  EXPECT_EQ(rank({1, 0, 0, 3e-7f}, 2, 2), 2);
  EXPECT_EQ(rank({1, 0, 0, 2e-7f}, 2, 2), 1);
  EXPECT_EQ(rank({1, -1, 2, 5, 2, -2, 4, 10, 3, -3, 6, 15}, 3, 4), 1);
  EXPECT_EQ(rank({0, 0, 0, 0, 0, 0}, 2, 3), 0);
  EXPECT_EQ(rank({1, 2, 3, 4, 5, 6, 7, 8, 9}, 3, 3), 2);
  EXPECT_EQ(rank({0, 3}, 1, 2), 1);
}

}  // namespace
}  // namespace lapidary
