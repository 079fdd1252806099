#include <gtest/gtest.h>

#include "src/factorize/low_rank.h"
#include "src/factorize/method.h"
#include "src/factorize/vbmf.h"
#include "test/factorize/net.h"

// Stored values: reference.py.

namespace lapidary::lowrank {
namespace {

/// A net's only layer, taken apart, and the graph with the factors in its place.
struct TakenNet {
  Graph graph;
  Layer layer;
  Matrix w;
  std::unique_ptr<Decomposition> parts;

  explicit TakenNet(const LayerNet& net, const char* method, const Matrix* inputs = nullptr)
      : graph(net.graph()) {
    layer = find_layers(graph, {}).at(0);
    EXPECT_EQ(layer.reason, "");
    EXPECT_EQ(find_method(method).refusal(layer), "");
    w = weights_of(graph, layer);
    parts = find_method(method).take_apart(layer, w, inputs);
  }
  double error(const Ranks& ranks) const {
    return (w - parts->composed(parts->factors(ranks, true))).norm() / w.norm();
  }
  Graph replaced(const Ranks& ranks) const {
    Graph out = graph;
    replace_layer(out, layer, parts->factors(ranks, true));
    infer_types(out);
    out.verify();
    return out;
  }
};

LayerNet gemm_net() {
  return {.op = "Gemm",
          .w = noise({20, 12}, 1),
          .x = {Dim::named("N"), 12},
          .attrs = {{"transB", int64_t{1}}}};
}
LayerNet conv_net() { return {.w = noise({10, 6, 3, 3}, 2), .x = {1, 6, 9, 8}}; }

TEST(Svd, ErrorsAreThoseOfSingularValues) {
  const TakenNet gemm(gemm_net(), "svd"), conv(conv_net(), "svd");
  EXPECT_NEAR(gemm.error({3}), 0.721228771, 1e-7);
  EXPECT_NEAR(gemm.error({8}), 0.336785592, 1e-7);
  EXPECT_NEAR(conv.error({4}), 0.680426100, 1e-7);
  EXPECT_NEAR(conv.error({8}), 0.330418612, 1e-7);
  EXPECT_NEAR(gemm.parts->energy({3}), 1 - 0.721228771 * 0.721228771, 1e-7);
  EXPECT_EQ(gemm.parts->full(), Ranks{12});
  EXPECT_EQ(conv.parts->full(), Ranks{10});
}

TEST(Svd, SingularValuesAreSplitEvenly) {
  const LowRank::Pair pair = LowRank(noise_matrix(20, 12, 1)).split(5);
  for (Index k = 0; k < 5; ++k)
    EXPECT_NEAR(pair.left.col(k).norm(), pair.right.row(k).norm(), 1e-9);
}

// The best for outputs loses less of them than the best for weights, and more of the weights.
TEST(Svd, OfOutputs) {
  const Matrix w = noise_matrix(8, 6, 6);
  Matrix x = noise_matrix(30, 6, 7).transpose();
  x.row(0) *= 4;
  x.row(3) *= 2;
  x.row(4) *= 0.5;
  const Matrix products = x * x.transpose();
  const LowRank of_outputs(w, &products), of_weights(w);
  const auto outputs = [&](const LowRank& r) {
    const LowRank::Pair pair = r.split(2);
    return ((w - pair.left * pair.right) * x).norm() / (w * x).norm();
  };
  const auto weights = [&](const LowRank& r) {
    const LowRank::Pair pair = r.split(2);
    return (w - pair.left * pair.right).norm() / w.norm();
  };
  EXPECT_NEAR(outputs(of_outputs), 0.279244311, 1e-7);
  EXPECT_NEAR(weights(of_outputs), 0.734621436, 1e-7);
  EXPECT_NEAR(1 - of_outputs.energy(2), 0.279244311 * 0.279244311, 1e-7);
  EXPECT_NEAR(weights(of_weights), 0.629293447, 1e-7);
  EXPECT_GT(outputs(of_weights), outputs(of_outputs));
}

TEST(SpatialSvd, ErrorsAreThoseOfSingularValues) {
  const TakenNet net(conv_net(), "spatial_svd");
  EXPECT_NEAR(net.error({4}), 0.755355929, 1e-7);
  EXPECT_NEAR(net.error({8}), 0.516737290, 1e-7);
  EXPECT_EQ(net.parts->full(), Ranks{18});
}

TEST(Tucker, ErrorsAreThoseOfAlternations) {
  const TakenNet net(conv_net(), "tucker");
  EXPECT_NEAR(net.error({4, 5}), 0.699659626, 1e-7);
  EXPECT_NEAR(net.error({6, 5}), 0.603157398, 1e-7);
  EXPECT_NEAR(net.error({3, 10}), 0.646966381, 1e-7);
  EXPECT_NEAR(net.parts->energy({4, 5}), 0.475860089, 1e-7);
  EXPECT_NEAR(net.parts->energy({6, 5}), 0.636201153, 1e-7);
  EXPECT_NEAR(net.parts->energy({3, 10}), 0.581434502, 1e-7);
}

TEST(Vbmf, RanksOfSignalAndNoise) {
  const auto rank = [](int64_t rows, int64_t columns, int64_t of, double scale) {
    Matrix left = noise_matrix(rows, std::max<int64_t>(of, 1), 3);
    for (Index k = 0; k < left.cols(); ++k) left.col(k) *= of == 0 ? 0 : std::pow(0.75, k);
    const Matrix m =
        scale * noise_matrix(rows, columns, 5) + left * noise_matrix(left.cols(), columns, 4);
    return LowRank(m).vbmf();
  };
  EXPECT_EQ(rank(40, 60, 12, 1.0), 3);
  EXPECT_EQ(rank(40, 60, 12, 3.0), 0);
  EXPECT_EQ(rank(60, 40, 12, 0.2), 8);
  EXPECT_EQ(rank(24, 200, 8, 1.5), 4);
  EXPECT_EQ(rank(32, 32, 10, 0.1), 8);
  EXPECT_EQ(rank(32, 32, 0, 1.0), 0);
  EXPECT_EQ(rank(64, 64, 30, 0.5), 6);
}

// The same function in other nodes, where nothing is left out: strides, pads that differ by side,
// dilations, an axis whose pads auto_pad says, products in all their forms.
struct Form {
  const char* name;
  LayerNet net;
  Shape x;
};
std::vector<Form> forms() {
  using Ints = std::vector<int64_t>;
  const Dim n = Dim::named("N");
  return {
      {"Gemm transB", gemm_net(), {3, 12}},
      {"Gemm", {.op = "Gemm", .w = noise({12, 20}, 3), .x = {n, 12}}, {3, 12}},
      {"Gemm transA alpha beta",
       {.op = "Gemm",
        .w = noise({20, 12}, 3),
        .x = {12, 3},
        .attrs = {{"transA", int64_t{1}}, {"transB", int64_t{1}}, {"alpha", 0.5f}, {"beta", 2.0f}}},
       {12, 3}},
      {"MatMul",
       {.op = "MatMul", .w = noise({12, 20}, 4), .x = {n, 5, 12}, .bias = false},
       {2, 5, 12}},
      {"1x1 stride 2",
       {.w = noise({10, 6, 1, 1}, 5), .x = {n, 6, 9, 8}, .attrs = {{"strides", Ints{2, 2}}}},
       {2, 6, 9, 8}},
      {"1x1 padded",
       {.w = noise({10, 6, 1, 1}, 5), .x = {n, 6, 5, 4}, .attrs = {{"pads", Ints{1, 0, 0, 2}}}},
       {2, 6, 5, 4}},
      {"3x3", conv_net(), {1, 6, 9, 8}},
      {"3x3 stride 2, pads that differ",
       {.w = noise({10, 6, 3, 3}, 2),
        .x = {n, 6, 9, 8},
        .attrs = {{"strides", Ints{2, 1}}, {"pads", Ints{1, 0, 2, 1}}}},
       {2, 6, 9, 8}},
      {"5x3 dilated",
       {.w = noise({10, 6, 5, 3}, 6),
        .x = {n, 6, 11, 9},
        .attrs = {{"dilations", Ints{1, 2}}, {"pads", Ints{0, 2, 1, 1}}, {"group", int64_t{1}}}},
       {2, 6, 11, 9}},
      {"3x5 SAME_UPPER",
       {.w = noise({10, 6, 3, 5}, 7),
        .x = {n, 6, 9, 8},
        .attrs = {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{2, 2}}}},
       {2, 6, 9, 8}},
      {"3x3 VALID",
       {.w = noise({10, 6, 3, 3}, 7),
        .x = {n, 6, 9, 8},
        .attrs = {{"auto_pad", std::string("VALID")}}},
       {2, 6, 9, 8}},
      {"1-d",
       {.w = noise({10, 6, 3}, 8), .x = {n, 6, 9}, .attrs = {{"pads", Ints{1, 1}}}},
       {2, 6, 9}},
  };
}

TEST(Factors, OfFullRankAreTheLayer) {
  for (const Form& form : forms())
    for (const char* method : {"svd", "spatial_svd"}) {
      SCOPED_TRACE(std::string(form.name) + " " + method);
      const Graph whole = form.net.graph();
      const Layer layer = find_layers(whole, {}).at(0);
      if (!find_method(method).refusal(layer).empty()) {
        EXPECT_STREQ(method, "spatial_svd");
        continue;
      }
      const TakenNet net(form.net, method);
      const Graph replaced = net.replaced(net.parts->full());
      ASSERT_EQ(replaced.node_count(), 2u);
      EXPECT_LT(apart(output_of_run(replaced, form.x), output_of_run(whole, form.x)), 2e-6);
    }
}

/// Weights of multilinear rank (`p`, `q`), exactly: W = C x_1 U x_2 V.
Tensor of_tucker_rank(const Tensor& like, int64_t p, int64_t q) {
  const int64_t out = like.dim(0), in = like.dim(1), taps = like.size() / out / in;
  const Matrix u = noise_matrix(out, q, 21), v = noise_matrix(p, in, 22);
  Tensor w(DType::kF32, like.shape());
  for (int64_t t = 0; t < taps; ++t) {
    const Matrix slice = u * noise_matrix(q, p, 30 + t) * v;
    for (int64_t o = 0; o < out; ++o)
      for (int64_t i = 0; i < in; ++i)
        w.mutable_data<float>()[static_cast<size_t>((o * in + i) * taps + t)] =
            static_cast<float>(slice(o, i));
  }
  return w;
}

TEST(Factors, OfTuckerAreTheLayerWhereItHasThatRank) {
  int64_t fitting = 0;
  for (Form form : forms()) {
    SCOPED_TRACE(form.name);
    if (form.net.op != "Conv") continue;
    form.net.w = of_tucker_rank(form.net.w, 3, 4);
    const Graph whole = form.net.graph();
    if (!find_method("tucker").refusal(find_layers(whole, {}).at(0)).empty()) continue;
    ++fitting;
    const TakenNet net(form.net, "tucker");
    const Tensor expected = output_of_run(whole, form.x);
    const std::vector<std::pair<Ranks, size_t>> nodes = {{{3, 4}, 3}, {{6, 4}, 2}, {{3, 10}, 2}};
    for (const auto& [ranks, count] : nodes) {
      const Graph replaced = net.replaced(ranks);
      EXPECT_EQ(replaced.node_count(), count);
      EXPECT_LT(apart(output_of_run(replaced, form.x), expected), 2e-6);
      EXPECT_LT(net.error(ranks), 1e-6);
    }
    EXPECT_GT(net.error({2, 4}), 0.01);
    EXPECT_GT(net.error({3, 3}), 0.01);
  }
  EXPECT_EQ(fitting, 6);
}

// What a choice says it costs is what its factors cost, and what the op table counts.
TEST(Factors, CostWhatIsSaid) {
  for (const Form& form : forms())
    for (const Method* method : all_methods()) {
      SCOPED_TRACE(std::string(form.name) + " " + std::string(method->name));
      const Graph whole = form.net.graph();
      if (!method->refusal(find_layers(whole, {}).at(0)).empty()) continue;
      const TakenNet net(form.net, std::string(method->name).c_str());
      Ranks ranks(net.parts->full().size(), 3);
      for (int i = 0; i < 2; ++i, ranks[0] = net.parts->full()[0]) {
        const FactorizeCost said = net.parts->cost(ranks);
        FactorizeCost made;
        for (const Factor& f : net.parts->factors(ranks, false)) {
          made.macs += f.macs();
          made.parameters += f.weight.size();
        }
        EXPECT_EQ(said.macs, made.macs);
        EXPECT_EQ(said.parameters, made.parameters);
        EXPECT_EQ(said.macs, graph_cost(net.replaced(ranks)).macs);
        EXPECT_EQ(said.parameters - net.layer.weights.matrix.elements(),
                  graph_cost(net.replaced(ranks)).parameters - graph_cost(whole).parameters);
      }
    }
}

TEST(Factors, NamesStay) {
  const TakenNet net(conv_net(), "tucker");
  const Graph replaced = net.replaced({4, 5});
  std::vector<std::string> names;
  for (const NodeId id : replaced.nodes()) names.push_back(replaced.node(id).name);
  EXPECT_EQ(names, (std::vector<std::string>{"layer_u", "layer_v", "layer"}));
  EXPECT_EQ(replaced.value(replaced.outputs()[0]).name,
            net.graph.value(net.graph.outputs()[0]).name);
  EXPECT_FALSE(replaced.find_value("w").valid());
  const Node& last = replaced.node(replaced.nodes().back());
  EXPECT_EQ(replaced.value(last.inputs.at(2)).name, "b");
  EXPECT_EQ(replaced.node(replaced.nodes()[0]).inputs.size(), 2u);
}

}  // namespace
}  // namespace lapidary::lowrank
