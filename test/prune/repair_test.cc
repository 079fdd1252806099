#include <gtest/gtest.h>

#include <cmath>

#include "test/passes/run_graph.h"
#include "test/prune/net.h"

namespace lapidary {
namespace {

constexpr int64_t kSamples = 24;

Dataset pictures() {
  Tensor x(DType::kF32, {kSamples, 3, 8, 8});
  Rng rng(3);
  for (float& v : x.mutable_data<float>()) v = static_cast<float>(rng.normal());
  return dataset_of({{"x0", x}});
}

/// a (8 units), b (6 units), last; `normed`: BatchNormalization behind a.
Graph net(bool normed) {
  PruneNet net;
  const ValueId image = net.builder().input("x0", DType::kF32, {Dim::named("N"), 3, 8, 8});
  ValueId x = net.conv("a", image, 3, 8);
  if (normed) x = net.norm("bn", x, 8);
  x = net.relu(net.conv("b", net.relu(x), 8, 6));
  return net.take({net.conv("last", x, 6, 4)});
}

/// Makes output channel `to` of the constant what `from` is.
void copy_channel(Graph& graph, const std::string& name, int64_t from, int64_t to) {
  Tensor& t = *graph.mutable_value(graph.find_value(name)).constant;
  const int64_t each = t.size() / t.dim(0);
  const auto data = t.mutable_data<float>();
  std::copy_n(data.begin() + from * each, each, data.begin() + to * each);
}

Executor::Values run(const Graph& graph, const std::vector<std::string>& values) {
  Graph tapped = graph;
  std::vector<ValueId> outputs;
  for (const std::string& name : values) outputs.push_back(tapped.find_value(name));
  tapped.set_outputs(outputs);
  const Batch batch = pictures().batch(0, kSamples);
  return Executor(tapped, {.executor = ExecutorKind::kReference}).run(batch.inputs);
}

double difference(const Tensor& a, const Tensor& b) {
  double worst = 0;
  for (size_t i = 0; i < a.data<float>().size(); ++i)
    worst = std::max<double>(worst, std::abs(a.data<float>()[i] - b.data<float>()[i]));
  return worst;
}

/// The sum of (last - expected)^2.
double squared_error(const Graph& pruned, const Tensor& expected) {
  const Tensor got = run(pruned, {"last"}).at("last");
  double sum = 0;
  for (size_t i = 0; i < got.data<float>().size(); ++i)
    sum += std::pow(got.data<float>()[i] - expected.data<float>()[i], 2);
  return sum;
}

// A channel that another one repeats is no loss: its reader's weights can be added to the other's.
TEST(Repair, WeightsMakeUpForARepeatedChannel) {
  Graph whole = net(false);
  copy_channel(whole, "a.w", 1, 5);
  copy_channel(whole, "a.b", 1, 5);
  const PruningGraph graph(whole);
  const RemovedUnits removed = {{5}, {}};
  Graph pruned = graph.prune(removed);
  const Tensor expected = run(whole, {"last"}).at("last");
  EXPECT_GT(difference(run(pruned, {"last"}).at("last"), expected), 0.01);
  const RepairRecord record = repair(graph, removed, pruned, pictures(),
                                     {.samples = 0, .damping = 1e-9, .statistics = false});
  EXPECT_EQ(record.weights, 1);
  EXPECT_LT(difference(run(pruned, {"last"}).at("last"), expected), 1e-3);
}

// test/prune/repair_reference.py
TEST(Repair, WeightsAreTheLeastSquaresOfTheFeaturesLeft) {
  Graph whole;
  whole.set_opset("", 17);
  GraphBuilder b(whole);
  const ValueId x = b.input("x0", DType::kF32, {Dim::named("N"), 5});
  const ValueId h = b.op("MatMul", {x, b.constant("a.w", ramp({5, 4}, 30))}, {}, "a");
  b.output(b.op("MatMul", {h, b.constant("last.w", ramp({4, 3}, 50))}, {}, "last"));
  infer_types(whole);
  const PruningGraph graph(whole);
  Graph pruned = graph.prune({{1}});
  const RepairRecord record =
      repair(graph, {{1}}, pruned, dataset_of({{"x0", ramp({6, 5})}}), {.statistics = false});
  EXPECT_EQ(record.weights, 1);
  expect_near(*pruned.constant(pruned.find_value("last.w")),
              Tensor::of<float>({3, 3}, {-0.399197f, 0.134578f, 0.668353f, -0.973775f, -0.897866f,
                                         -0.821957f, 0.488127f, 1.094205f, 1.700284f}),
              2e-5f);
}

TEST(Repair, WeightsLowerTheError) {
  const Graph whole = net(true);
  const PruningGraph graph(whole);
  const RemovedUnits removed = {{0, 3, 6}, {2, 4}};
  const Tensor expected = run(whole, {"last"}).at("last");
  const auto error = [&](const Graph& pruned) { return squared_error(pruned, expected); };
  Graph pruned = graph.prune(removed);
  const double before = error(pruned);
  EXPECT_EQ(repair(graph, removed, pruned, pictures(), {.statistics = false}).weights, 2);
  EXPECT_LT(error(pruned), 0.5 * before);
}

// Masked weights stay 0, and what is left is the least error that they allow: no step along a
// weight that is not masked lowers it, up to what damping takes.
TEST(Repair, WeightsKeepZeros) {
  Graph whole = net(false);
  auto weights = whole.mutable_value(whole.find_value("last.w")).constant->mutable_data<float>();
  for (size_t i = 0; i < weights.size(); i += 3) weights[i] = 0;
  const PruningGraph graph(whole);
  const RemovedUnits removed = {{}, {2, 4}};
  const Tensor expected = run(whole, {"last"}).at("last");
  const auto error = [&](const Graph& pruned) { return squared_error(pruned, expected); };
  const auto data = [](Graph& g) {
    return g.mutable_value(g.find_value("last.w")).constant->mutable_data<float>();
  };
  Graph cut = graph.prune(removed);
  for (const bool keep : {false, true}) {
    Graph pruned = cut;
    repair(graph, removed, pruned, pictures(),
           {.samples = 0, .damping = 1e-9, .statistics = false, .keep_zeros = keep});
    int64_t filled = 0;
    for (size_t i = 0; i < data(cut).size(); ++i)
      filled += data(cut)[i] == 0 && data(pruned)[i] != 0;
    EXPECT_EQ(filled == 0, keep) << filled;
    if (!keep) continue;
    const double least = error(pruned);
    EXPECT_LT(least, 0.8 * error(cut));
    for (size_t i = 0; i < data(cut).size(); i += 17) {
      if (data(cut)[i] == 0) continue;
      for (const float step : {-0.02f, 0.02f}) {
        Graph other = pruned;
        data(other)[i] += step;
        EXPECT_GT(error(other), least) << i;
      }
    }
  }
}

struct Channel {
  double mean, deviation;
};

std::vector<Channel> channels(const Tensor& x) {
  std::vector<Channel> out;
  const int64_t area = x.dim(2) * x.dim(3);
  for (int64_t c = 0; c < x.dim(1); ++c) {
    double sum = 0, squares = 0;
    for (int64_t n = 0; n < x.dim(0); ++n)
      for (int64_t i = 0; i < area; ++i) {
        const double v = x.data<float>()[static_cast<size_t>((n * x.dim(1) + c) * area + i)];
        sum += v;
        squares += v * v;
      }
    const auto count = static_cast<double>(x.dim(0) * area);
    out.push_back({sum / count, std::sqrt(squares / count - sum * sum / count / count)});
  }
  return out;
}

// With or without BatchNormalization: what comes before the first activation, behind it, and in
// the layer after has the mean and variance that it had.
TEST(Repair, StatisticsAreThoseOfTheWholeModel) {
  for (const bool normed : {false, true}) {
    const Graph whole = net(normed);
    const PruningGraph graph(whole);
    const RemovedUnits removed = {{0, 3, 6}, {2, 4}};
    Graph pruned = graph.prune(removed);
    const RepairRecord record =
        repair(graph, removed, pruned, pictures(), {.samples = 0, .weights = false});
    EXPECT_EQ(record.norms, normed ? 1 : 0);
    EXPECT_EQ(record.scaled, normed ? 1 : 2);
    EXPECT_EQ(pruned.node_count(), whole.node_count());
    const auto before = channels(run(whole, {"b"}).at("b")),
               after = channels(run(pruned, {"b"}).at("b"));
    const std::vector<size_t> left = {0, 1, 3, 5};
    ASSERT_EQ(after.size(), left.size());
    for (size_t c = 0; c < left.size(); ++c) {
      EXPECT_NEAR(after[c].mean, before[left[c]].mean, 1e-4);
      EXPECT_NEAR(after[c].deviation, before[left[c]].deviation, 1e-3);
    }
  }
}

}  // namespace
}  // namespace lapidary
