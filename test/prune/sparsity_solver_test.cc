#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "calibrate/hessian.h"
#include "lapidary/error.h"
#include "prune/sparsity/solver.h"
#include "src/ir/builder.h"
#include "test/passes/graphs.h"
#include "test/passes/run_graph.h"

// Stored values: test/prune/sparsegpt_reference.py.

namespace lapidary {
namespace {

/// 2 X^T X of ramp([20, 8], 40) without its seventh column.
std::vector<double> inputs_hessian() {
  Tensor x = ramp({20, 8}, 40);
  std::vector<double> h(64);
  for (size_t p = 0; p < 20; ++p) {
    float* row = x.mutable_data<float>().data() + 8 * p;
    row[6] = 0;
    for (size_t i = 0; i < 64; ++i) h[i] += 2.0 * row[i / 8] * row[i % 8];
  }
  return h;
}

void expect_solved(const SolverOptions& options, const std::vector<float>& stored) {
  Tensor w = ramp({3, 8}, 5);
  sparsegpt_solve(w.mutable_data<float>(), 8, inputs_hessian(), options);
  for (size_t i = 0; i < stored.size(); ++i) {
    EXPECT_NEAR(w.data<float>()[i], stored[i], 2e-6) << "element " << i;
    EXPECT_EQ(w.data<float>()[i] == 0, stored[i] == 0) << "element " << i;
  }
}

TEST(SparsitySolver, BlocksOfColumns) {
  expect_solved(
      {.ratio = 0.4, .block = 4},
      {0, 0.688122134,  -1.08395089, 1.29094183,  0,           1.9973287,   0, -3.08573823,
       0, -0.905392139, 1.44782821,  0,           -1.86517122, 0,           0, 1.97358996,
       0, 1.65071643,   0,           -1.71711118, 0.597473051, -1.12129918, 0, -1.15780577});
}

TEST(SparsitySolver, OneBlockAndMoreDamping) {
  expect_solved(
      {.ratio = 0.3, .damping = 0.1},
      {-1.6875, 0.625,        -1.0625,    1.25,        -0.4375,     1.875,       0, -1.5,
       0,       -0.928804963, 1.45508411, 0,           -1.88374193, 0.355912889, 0, 1.74316057,
       0,       1.67052728,   0,          -1.70750711, 0.60823894,  -1.14306134, 0, -1.09104211});
}

TEST(SparsitySolver, TwoOfFour) {
  const std::vector<float> stored = {0,          0,           -1.32484703, 1.22452381, 0,
                                     1.91900964, 0,           -3.31650377, 0,          -0.905392139,
                                     1.44782821, 0,           -1.86517122, 0,          0,
                                     1.97358996, 0,           1.65071643,  0,          -1.71711118,
                                     0,          -1.37315886, 0,           -1.12940965};
  expect_solved({.pattern = SparsePattern::parse("2:4"), .block = 4}, stored);
  expect_solved({.pattern = SparsePattern::parse("2:4"), .block = 128}, stored);
}

TEST(SparsitySolver, RefusesAHessianThatIsNone) {
  std::vector<float> w(4, 1);
  const std::vector<double> h = {1, 2, 2, 1};  // not positive
  EXPECT_THROW(sparsegpt_solve(w, 2, h, {}), Error);
}

// -- H

TEST(SparsityHessian, OfAConvolutionIsThatOfItsWindows) {
  Graph graph = empty_graph(17);
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {2, 2, 3, 3});
  b.output(b.op("Conv", {x, b.constant("w", ramp({3, 2, 2, 2}))},
                {{"pads", std::vector<int64_t>{1, 1, 1, 1}}}, "conv"));
  infer_types(graph);
  const LayerWeights layer = layer_weights(graph).at(0);
  const Dataset data = dataset_of({{"x", ramp({2, 2, 3, 3}, 7)}});
  const LayerWeights* const layers[] = {&layer};
  const Hessian found = hessians(graph, layers, data, 0, 1).at(0);
  ASSERT_EQ(found.columns, 8);
  const std::vector<double> stored = {
      45.203125, -2.546875,  -16.59375,  6.359375,  -4.09375,   29.265625, -9.28125, -10.40625,
      -2.546875, 49.46875,   -12.546875, -12.75,    -15.453125, -5.25,     18.84375, -4.21875,
      -16.59375, -12.546875, 45.203125,  -2.546875, 7.40625,    -9.65625,  -4.09375, 29.265625};
  for (size_t i = 0; i < stored.size(); ++i) EXPECT_NEAR(found.groups[0][i], stored[i], 1e-4) << i;
  for (size_t i = 0; i < 8; ++i)
    for (size_t j = 0; j < 8; ++j)
      EXPECT_EQ(found.groups[0][8 * i + j], found.groups[0][8 * j + i]);
}

TEST(SparsityHessian, OfGroupsIsOneEachAndOfRowsThatOfAProduct) {
  Graph graph = empty_graph(17);
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {Dim::named("N"), 2, 1, 2});
  b.output(b.op("Conv", {x, b.constant("w", ramp({2, 1, 1, 1}))}, {{"group", int64_t{2}}}, "conv"));
  const ValueId rows = b.input("rows", DType::kF32, {Dim::named("N"), 2, 3});
  b.output(b.op("MatMul", {rows, b.constant("v", ramp({3, 2}))}, {}, "product"));
  infer_types(graph);
  const auto layers = layer_weights(graph);
  Hessian grouped, product;
  const Tensor in = Tensor::of<float>({2, 2, 1, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  add_inputs(graph, layers[0], layers[0].readers[0], in, 1, grouped);  // the first sample alone
  ASSERT_EQ(grouped.groups.size(), 2u);
  EXPECT_EQ(grouped.groups[0][0], 2 * (1 + 4));
  EXPECT_EQ(grouped.groups[1][0], 2 * (9 + 16));
  const Tensor two = Tensor::of<float>({1, 2, 3}, {1, 0, 2, 0, 3, 1});
  add_inputs(graph, layers[1], layers[1].readers[0], two, 1, product);
  // lower triangle of 2 (x x^T + y y^T), x = 1 0 2, y = 0 3 1
  const auto& h = product.groups[0];
  EXPECT_THAT((std::vector<double>{h[0], h[3], h[4], h[6], h[7], h[8]}),
              testing::ElementsAre(2, 0, 18, 4, 6, 10));
}

}  // namespace
}  // namespace lapidary
