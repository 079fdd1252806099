#include <cmath>

#include "test/calibrate/tiny.h"

namespace lapidary {
namespace {

using testing::HasSubstr;

constexpr float kEpsilon = 0.25f;

/// x [N,2,1,2] -> bn1 -> Relu -> bn2 "y", [N,2,1,2]; gain 2, shift 0.5 in both.
Graph two_norms(Dim batch = Dim::named("N")) {
  Graph graph = empty_graph(17);
  GraphBuilder build(graph);
  const ValueId x = build.input("x", DType::kF32, {batch, 2, 1, 2});
  const auto norm = [&](ValueId in, const std::string& name) {
    const auto both = [&](const std::string& part, float value) {
      return build.constant(name + part, Tensor::of<float>({2}, {value, value}));
    };
    return build.op("BatchNormalization",
                    {in, both("_gain", 2), both("_shift", 0.5f), both("_mean", 3), both("_var", 7)},
                    {{"epsilon", kEpsilon}}, name);
  };
  build.output(norm(build.op("Relu", {norm(x, "bn1")}), "bn2"));
  infer_types(graph);
  return graph;
}

/// Three samples: channel 0 is {1, 3 | 5, 7 | 2, 6}, channel 1 {-2, 0 | 4, 4 | 1, -1}.
Tensor samples() { return Tensor::of<float>({3, 2, 1, 2}, {1, 3, -2, 0, 5, 7, 4, 4, 2, 6, 1, -1}); }

struct Moments {
  double mean = 0, variance = 0;
};
Moments moments(const std::vector<double>& x) {
  Moments out;
  for (const double v : x) out.mean += v / static_cast<double>(x.size());
  for (const double v : x)
    out.variance += (v - out.mean) * (v - out.mean) / static_cast<double>(x.size());
  return out;
}

void expect_statistics(const Graph& graph, const std::string& name, const Moments& first,
                       const Moments& second) {
  const auto at = [&](const std::string& part) {
    const Tensor& t = *graph.constant(graph.find_value(name + part));
    return std::vector<float>(t.data<float>().begin(), t.data<float>().end());
  };
  EXPECT_NEAR(at("_mean")[0], first.mean, 1e-6) << name;
  EXPECT_NEAR(at("_mean")[1], second.mean, 1e-6) << name;
  EXPECT_NEAR(at("_var")[0], first.variance, 1e-5) << name;
  EXPECT_NEAR(at("_var")[1], second.variance, 1e-5) << name;
}

/// By hand: channel 0 has mean 24 / 6 = 4 and variance (9 + 1 + 1 + 9 + 4 + 4) / 6 = 14 / 3,
/// channel 1 mean 1 and variance (9 + 1 + 9 + 9 + 0 + 4) / 6 = 16 / 3. bn2 sees what these make of
/// x.
void expect_found(const Graph& graph) {
  const Moments m0{4, 14.0 / 3}, m1{1, 16.0 / 3};
  expect_statistics(graph, "bn1", m0, m1);
  const auto between = [](std::vector<double> x, const Moments& m) {
    for (double& v : x)
      v = std::max(0.0, 2 * (v - m.mean) / std::sqrt(m.variance + kEpsilon) + 0.5);
    return moments(x);
  };
  expect_statistics(graph, "bn2", between({1, 3, 5, 7, 2, 6}, m0),
                    between({-2, 0, 4, 4, 1, -1}, m1));
}

TEST(ReestimateBatchnorm, GivesMomentsOfWhatInferenceComputes) {
  Graph graph = two_norms();
  EXPECT_EQ(reestimate_batchnorm(graph, dataset_of({{"x", samples()}})), 2);
  expect_found(graph);
}

TEST(ReestimateBatchnorm, WhatFillsUpABatchDoesNotCount) {
  Graph graph = two_norms(2);  // the last sample runs twice
  reestimate_batchnorm(graph, dataset_of({{"x", samples()}}));
  expect_found(graph);
}

TEST(ReestimateBatchnorm, BatchesAndThreadsMakeNoDifference) {
  const Dataset data = dataset_of({{"x", tiny_samples(50, 0, {2, 1, 2})}});
  Graph one = two_norms(), other = two_norms();
  reestimate_batchnorm(one, data, {.batch = 50, .threads = 1});
  reestimate_batchnorm(other, data, {.batch = 7, .threads = 3});
  std::string difference;
  EXPECT_TRUE(same_graph(one, other, &difference)) << difference;
}

TEST(ReestimateBatchnorm, TakesAsManySamplesAsAsked) {
  Graph graph = two_norms();
  // One sample of three: the first.
  reestimate_batchnorm(graph, dataset_of({{"x", samples()}}), {.samples = 1, .batch = 1});
  const Tensor& mean = *graph.constant(graph.find_value("bn1_mean"));
  EXPECT_FLOAT_EQ(mean.data<float>()[0], 2);
  EXPECT_FLOAT_EQ(mean.data<float>()[1], -1);
}

TEST(ReestimateBatchnorm, SharedConstantsStayWithTheirOtherReaders) {
  Graph graph = two_norms();
  const ValueId shared = graph.find_value("bn1_shift");
  for (const NodeId id : graph.nodes())
    if (graph.node(id).is("BatchNormalization")) graph.set_input(id, 3, shared);
  reestimate_batchnorm(graph, dataset_of({{"x", samples()}}));
  EXPECT_FLOAT_EQ(graph.constant(shared)->data<float>()[0], 0.5f);
  for (const NodeId id : graph.nodes()) {
    if (!graph.node(id).is("BatchNormalization")) continue;
    EXPECT_NE(graph.node(id).inputs[3], shared);
    EXPECT_NE(graph.constant(graph.node(id).inputs[3])->data<float>()[0], 0.5f);
  }
  graph.verify();
}

TEST(ReestimateBatchnorm, WhatIsComputedFromStatisticsFollowsThem) {
  Graph graph = two_norms();
  GraphBuilder build(graph);
  const ValueId variance = graph.find_value("bn1_var");
  build.output(build.op("Sqrt", {variance}));
  reestimate_batchnorm(graph, dataset_of({{"x", samples()}}));
  EXPECT_EQ(graph.node(graph.nodes().front()).inputs[4], variance);
  EXPECT_NEAR(graph.constant(variance)->data<float>()[0], 14.0 / 3, 1e-5);
}

TEST(ReestimateBatchnorm, RefusesWhatItCannotMeasure) {
  Graph graph = two_norms();
  graph.mutable_value(graph.find_value("bn1_gain")).constant = Tensor::of<float>({2}, {1, 3e38f});
  const Caught infinite = error_of([&] {
    reestimate_batchnorm(graph, dataset_of({{"x", samples()}}));
  });
  EXPECT_EQ(infinite.code, ErrorCode::kInvalid);
  EXPECT_THAT(infinite.text, AllOf(HasSubstr("bn2"), HasSubstr("channel 1")));

  const NodeId first = graph.nodes().front();
  graph.set_attr(first, "training_mode", int64_t{1});
  const Caught mode = error_of([&] {
    reestimate_batchnorm(graph, dataset_of({{"x", samples()}}));
  });
  EXPECT_EQ(mode.code, ErrorCode::kUnsupported);
  EXPECT_THAT(mode.text, HasSubstr("training mode"));
}

}  // namespace
}  // namespace lapidary
