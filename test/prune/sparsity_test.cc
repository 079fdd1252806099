#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "calibrate/hessian.h"
#include "lapidary/compress.h"
#include "lapidary/qat.h"
#include "lapidary/sparsify.h"
#include "prune/sparsity/solver.h"
#include "src/passes/parameters.h"
#include "src/passes/qdq/qdq.h"
#include "test/quantize/qat_nets.h"

namespace lapidary {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<float> floats(const Graph& graph, const std::string& name) {
  const auto data = graph.constant(graph.find_value(name))->data<float>();
  return {data.begin(), data.end()};
}

int64_t zeros_in(const std::vector<float>& values) {
  return std::count(values.begin(), values.end(), 0.0f);
}

std::vector<std::string> tensors_of(const Sparsity& sparsity) {
  std::vector<std::string> out;
  for (const SparseTensor& t : sparsity.tensors) out.push_back(t.tensor);
  return out;
}

// -- one shot

TEST(Sparsity, OneThresholdForAllLayers) {
  const Graph before = tiny_net();
  Graph graph = before;
  const Sparsity found = sparsify(graph, {.ratio = 0.6});
  EXPECT_THAT(tensors_of(found), ElementsAre("w1", "w2", "w3"));
  EXPECT_EQ(found.elements, 72 + 36 + 12);
  EXPECT_EQ(found.zeros, 72);
  float most_dropped = 0, least_kept = 1e9f;
  for (const SparseTensor& t : found.tensors) {
    const auto now = floats(graph, t.tensor), was = floats(before, t.tensor);
    const auto mask = found.masks.at(t.tensor).data<uint8_t>();
    EXPECT_EQ(t.zeros, zeros_in(now));
    for (size_t i = 0; i < now.size(); ++i) {
      EXPECT_EQ(mask[i], now[i] != 0);
      EXPECT_TRUE(now[i] == 0 || now[i] == was[i]);
      float& bound = now[i] == 0 ? most_dropped : least_kept;
      bound = now[i] == 0 ? std::max(bound, std::fabs(was[i])) : std::min(bound, std::fabs(was[i]));
    }
  }
  EXPECT_LE(most_dropped, least_kept);
  EXPECT_GT(zeros_in(floats(graph, "w1")), 43);  // its weights are a quarter: more than 60 % go
}

TEST(Sparsity, TheSameShareOfEachLayerAmongThosePicked) {
  Graph graph = tiny_net();
  const Sparsity found = sparsify(
      graph, {.ratio = 0.5, .scope = "local", .include = {"op:Conv"}, .exclude = {"depth"}});
  EXPECT_THAT(tensors_of(found), ElementsAre("w1"));
  EXPECT_EQ(zeros_in(floats(graph, "w1")), 36);
  EXPECT_EQ(zeros_in(floats(graph, "w3")), zeros_in(floats(tiny_net(), "w3")));
}

TEST(Sparsity, TwoOfFourLeavesDenseWhatItDoesNotFit) {
  Graph graph = qat_net();
  const Sparsity found = sparsify(graph, {.pattern = SparsePattern::parse("2:4")});
  EXPECT_THAT(tensors_of(found), ElementsAre("conv2_w", "fc_w"));
  EXPECT_THAT(
      found.warnings,
      ElementsAre(AllOf(HasSubstr("Conv 'conv1' (3), Conv 'conv3' (1 per group) stay dense"),
                        HasSubstr("`round_to: 4`"))));
  const auto conv = floats(graph, "conv2_w");  // [8, 8, 3, 3]
  for (size_t o = 0; o < 8; ++o)
    for (size_t tap = 0; tap < 9; ++tap)
      for (size_t c = 0; c < 8; c += 4) {
        int zeros = 0;
        for (size_t i = c; i < c + 4; ++i) zeros += conv[(o * 8 + i) * 9 + tap] == 0;
        EXPECT_EQ(zeros, 2) << o << " " << tap << " " << c;
      }
  const auto fc = floats(graph, "fc_w");  // [8, 5], transB 0
  for (size_t n = 0; n < 5; ++n)
    for (size_t k = 0; k < 8; k += 4) {
      int zeros = 0;
      for (size_t i = k; i < k + 4; ++i) zeros += fc[i * 5 + n] == 0;
      EXPECT_EQ(zeros, 2);
    }
}

TEST(Sparsity, RandomDependsOnTheSeedAlone) {
  const auto masked = [](uint64_t seed) {
    Graph graph = tiny_net();
    return sparsify(graph, {.method = "random", .ratio = 0.5, .seed = seed}).masks.at("w1");
  };
  EXPECT_TRUE(masked(1).equals(masked(1)));
  EXPECT_FALSE(masked(1).equals(masked(2)));
}

TEST(Sparsity, MovementDropsWhatMovesToZero) {
  Graph graph = tiny_net();
  std::map<std::string, Tensor> movement;
  for (const char* name : {"w1", "w2", "w3"})
    movement[name] = Tensor(DType::kF32, graph.constant(graph.find_value(name))->shape());
  for (const size_t i : {3u, 7u}) movement["w3"].mutable_data<float>()[i] = -1;
  sparsify(graph, {.method = "movement", .ratio = 2.0 / 120, .movement = &movement});
  const auto before = floats(tiny_net(), "w3"), now = floats(graph, "w3");
  for (size_t i = 0; i < now.size(); ++i) EXPECT_EQ(now[i], i == 3 || i == 7 ? 0 : before[i]) << i;
}

TEST(Sparsity, RefusesWhatContradictsItself) {
  const auto refused = [](const SparsifyOptions& options, const Dataset* data = nullptr) {
    Graph graph = tiny_net();
    const Caught caught = error_of([&] { sparsify(graph, options, data); });
    EXPECT_EQ(caught.code, ErrorCode::kUsage) << caught.text;
    return caught.text;
  };
  const SparsePattern nm = SparsePattern::parse("2:4");
  EXPECT_THAT(refused({.method = "magnitud"}), HasSubstr("did you mean 'magnitude'"));
  for (const double ratio : {0.0, 1.0, 1.5})
    EXPECT_THAT(refused({.ratio = ratio}), HasSubstr("'ratio' is")) << ratio;
  EXPECT_THAT(refused({.pattern = nm, .ratio = 0.6}), HasSubstr("2:4 makes 0.5"));
  EXPECT_THAT(refused({.pattern = nm, .scope = "global"}), HasSubstr("same share"));
  EXPECT_THAT(refused({.include = {"op:Loop"}}), HasSubstr("op:Loop"));
  EXPECT_THAT(refused({.include = {"relu"}}), HasSubstr("no layer"));
  EXPECT_THAT(refused({.method = "movement"}), HasSubstr("while training"));
  EXPECT_THAT(refused({.method = "sparsegpt"}), HasSubstr("needs samples"));
  const Dataset data = tiny_data(4);
  EXPECT_THAT(refused({.method = "sparsegpt", .pattern = SparsePattern::parse("2x2")}, &data),
              HasSubstr("chooses elements"));
  EXPECT_THAT(refused({.method = "sparsegpt", .damping = 0}, &data), HasSubstr("'damping'"));
  Graph graph = tiny_net();
  graph.mutable_value(graph.find_value("w2")).constant->mutable_data<float>()[3] = NAN;
  EXPECT_EQ(error_of([&] { sparsify(graph); }).code, ErrorCode::kInvalid);
}

TEST(Sparsity, SaysWhereALayerHasNothingLeft) {
  Graph graph = tiny_net(1.0f / 64);
  const Sparsity found = sparsify(graph, {.ratio = 0.7});
  EXPECT_THAT(found.warnings, ElementsAre(HasSubstr("all weights of 'conv' are zero")));
}

// -- SparseGPT over a graph

/// Mean square of what the outputs miss.
double missed(const Graph& before, const Graph& after, const Tensor& x) {
  const Tensor y = run_graph(before, {{"x", x}})[0], made = run_graph(after, {{"x", x}})[0];
  double sum = 0;
  for (size_t i = 0; i < static_cast<size_t>(y.size()); ++i)
    sum += std::pow(static_cast<double>(y.data<float>()[i]) - made.data<float>()[i], 2);
  return sum / static_cast<double>(y.size());
}

TEST(SparsityGpt, MissesLessThanMagnitudeWithAsManyZeros) {
  const Graph before = qat_net(false);
  for (const char* pattern : {"unstructured", "2:4"}) {
    const SparsePattern p = SparsePattern::parse(pattern);
    Graph simple = before, solved = before;
    const Dataset data = qat_data(32);
    const Sparsity a = sparsify(simple, {.pattern = p, .scope = "local"});
    const Sparsity b = sparsify(solved, {.method = "sparsegpt", .pattern = p}, &data);
    EXPECT_EQ(tensors_of(a), tensors_of(b));
    EXPECT_EQ(a.zeros, b.zeros);
    const Tensor fresh = tiny_samples(16, 100, {3, 8, 8});
    EXPECT_LT(missed(before, solved, fresh), 0.8 * missed(before, simple, fresh)) << pattern;
  }
}

TEST(SparsityGpt, LayersSeeWhatSparseLayersBeforeThemMake) {
  const Dataset data = tiny_data(12);
  const SparsifyOptions options{.method = "sparsegpt", .ratio = 0.5};
  Graph all = tiny_net(), one = tiny_net();
  sparsify(all, options, &data);
  SparsifyOptions first = options;
  first.include = {"conv"};
  sparsify(one, first, &data);
  EXPECT_EQ(floats(all, "w1"), floats(one, "w1"));
  const auto layers = layer_weights(one);
  const LayerWeights* const second[] = {&layers[1]};  // depthwise: each channel by itself
  const Hessian h = hessians(one, second, data, 0, 1).at(0);
  std::vector<float> w = floats(one, "w2");
  for (size_t g = 0; g < 4; ++g)
    sparsegpt_solve(std::span(w).subspan(9 * g, 9), 9, h.groups[g],
                    {.ratio = 0.5, .before = 9 * static_cast<int64_t>(g)});
  EXPECT_EQ(floats(all, "w2"), w);
  EXPECT_EQ(zeros_in(w), 18);
  const Hessian dense = hessians(tiny_net(), second, data, 0, 1).at(0);
  EXPECT_NE(dense.groups[0], h.groups[0]);
}

TEST(SparsityGpt, DoesNotDependOnThreadsOrBatches) {
  const auto solved = [](int threads) {
    const Dataset data = tiny_data(40);
    Graph graph = tiny_net();
    sparsify(graph, {.method = "sparsegpt", .ratio = 0.5, .threads = threads}, &data);
    return floats(graph, "w1");
  };
  EXPECT_EQ(solved(1), solved(2));
}

// -- zeros of files

TEST(SparsityMasks, OfTensorsWithEnoughZeros) {
  Graph graph = tiny_net();
  sparsify(graph, {.ratio = 0.5, .scope = "local", .include = {"conv"}});
  ASSERT_EQ(zeros_in(floats(graph, "w3")), 1);  // of 12
  const Masks masks = masks_of(graph);
  EXPECT_TRUE(masks.contains("w1"));
  EXPECT_FALSE(masks.contains("w3"));
  EXPECT_TRUE(masks_of(graph, 0).contains("w3"));
  const auto w = floats(graph, "w1");
  for (size_t i = 0; i < w.size(); ++i) EXPECT_EQ(masks.at("w1").data<uint8_t>()[i], w[i] != 0);
}

/// Zeros by layer of the result are at least those of `before`, and not all.
void expect_zeros_kept(const Sparsity& before, const Graph& result) {
  const Sparsity now = measure_sparsity(result);
  ASSERT_EQ(now.tensors.size(), before.tensors.size());
  for (size_t i = 0; i < now.tensors.size(); ++i) {
    EXPECT_EQ(now.tensors[i].elements, before.tensors[i].elements);
    EXPECT_GE(now.tensors[i].zeros, before.tensors[i].zeros) << now.tensors[i].tensor;
    EXPECT_LT(now.tensors[i].zeros, now.tensors[i].elements) << now.tensors[i].tensor;
  }
}

/// Integers of a layer whose float weights are 0 are 0, at a zero point of 0.
void expect_masked_integers_zero(const Graph& sparse, const Graph& lowered) {
  int layers = 0;
  for (const NodeId id : lowered.nodes()) {
    const Node& node = lowered.node(id);
    if (!node.is("Conv") && !node.is("Gemm")) continue;
    const auto dq = dequantized(lowered, node.inputs[1]);
    ASSERT_TRUE(dq);
    const Tensor& q = *lowered.constant(dq->data);
    ASSERT_NE(dq->zero_points, nullptr);
    for (const int8_t zero : dq->zero_points->data<int8_t>()) EXPECT_EQ(zero, 0);
    for (const NodeId other : sparse.nodes()) {
      if (sparse.node(other).name != node.name) continue;
      const Tensor& w = *sparse.constant(sparse.node(other).inputs[1]);
      const bool turned = w.shape() != q.shape();  // Gemm's, [K, N] to [N, K]
      ++layers;
      int64_t masked = 0;
      for (int64_t i = 0; i < w.size(); ++i) {
        if (w.data<float>()[static_cast<size_t>(i)] != 0) continue;
        const int64_t at = turned ? i % w.dim(1) * w.dim(0) + i / w.dim(1) : i;
        EXPECT_EQ(q.data<int8_t>()[static_cast<size_t>(at)], 0) << node.name << " " << i;
        ++masked;
      }
      EXPECT_GT(masked, 0) << node.name;
    }
  }
  EXPECT_EQ(layers, 4);
}

TEST(SparsityMasks, QuantizationKeepsZeros) {
  Graph sparse = qat_net(false);
  const Sparsity before = sparsify(sparse, {.ratio = 0.5, .scope = "local"});
  const Dataset data = qat_data(16);
  const Statistics stats = calibrate(sparse, data);
  const Graph int8 = quantize(sparse, stats, data);
  expect_zeros_kept(before, int8);
  expect_masked_integers_zero(sparse, int8);
  expect_zeros_kept(before, quantize(sparse, stats, data, {.format = "qoperator"}));
  expect_zeros_kept(before, convert_to_fp16(sparse));
  expect_zeros_kept(before, convert_to_fp16(sparse, {.weights_only = true}));
}

TEST(SparsityMasks, LoweringWhatWasTrainedKeepsZeros) {
  for (const char* method : {"lsq", "lsq+", "pact", "dorefa", "fixed"})
    for (const bool per_channel : {true, false})
      for (const int bits : {8, 4}) {
        SCOPED_TRACE(fmt::format("{} {} {}", method, per_channel, bits));
        Graph sparse = qat_net();
        const Sparsity before = sparsify(sparse, {.ratio = 0.5, .scope = "local"});
        const QatOptions options{.method = method,
                                 .bits = {.weights = bits, .activations = 8, .first_last = 0},
                                 .per_channel = per_channel};
        const Dataset data = qat_data(8);
        const QatGraph made = make_qat_graph(sparse, nullptr, &data, options);
        const Masks masks = masks_of(made.graph, 0);
        EXPECT_EQ(masks.size(), 4u);
        for (const auto& [name, mask] : masks)
          EXPECT_TRUE(std::any_of(made.parameters.begin(), made.parameters.end(),
                                  [&](const TrainedParameter& p) { return p.name == name; }))
              << name;
        const Graph lowered = lower_qat(made.graph, options);
        expect_zeros_kept(before, lowered);
        expect_masked_integers_zero(sparse, lowered);
      }
}

}  // namespace
}  // namespace lapidary
