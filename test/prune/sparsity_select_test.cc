#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "lapidary/error.h"
#include "prune/sparsity/select.h"
#include "test/passes/graphs.h"
#include "test/passes/run_graph.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using Bytes = std::vector<uint8_t>;

/// [rows, channels] of one tap, row-major.
ScoredWeights scored(int64_t rows, int64_t channels, std::vector<float> scores) {
  return {{.rows = rows,
           .channels = channels,
           .group_stride = rows * channels,
           .row_stride = channels,
           .channel_stride = 1},
          std::move(scores)};
}

// -- patterns

TEST(SparsityPattern, IsReadAndWritten) {
  using Kind = SparsePattern::Kind;
  EXPECT_EQ(SparsePattern::parse("unstructured").kind, Kind::kUnstructured);
  EXPECT_EQ(SparsePattern::parse("4:8"), (SparsePattern{.kind = Kind::kNM, .n = 4, .m = 8}));
  EXPECT_EQ(SparsePattern::parse("2x16"),
            (SparsePattern{.kind = Kind::kBlock, .rows = 2, .columns = 16}));
  for (const char* text : {"unstructured", "2:4", "4x1"})
    EXPECT_EQ(SparsePattern::parse(text).text(), text);
  for (const char* text : {"", "2:", "4:4", "5:4", "0:4", "2:4x", "0x4", "4x", "2:4:8", "block"})
    EXPECT_THROW(SparsePattern::parse(text), Error) << text;
}

// -- which elements go; all values by hand

TEST(SparsitySelect, TheLeastOfEachTensorOrOfAll) {
  const std::vector<ScoredWeights> two = {scored(1, 4, {5, 1, 7, 2}), scored(2, 2, {3, 9, 8, 6})};
  const auto local = select_least(two, {}, 0.5, false);
  EXPECT_THAT(local, ElementsAre(Bytes{0, 1, 0, 1}, Bytes{1, 0, 0, 1}));
  const auto global = select_least(two, {}, 0.5, true);  // 1 2 3 5
  EXPECT_THAT(global, ElementsAre(Bytes{1, 1, 0, 1}, Bytes{1, 0, 0, 0}));
}

TEST(SparsitySelect, EqualScoresGoInOrderAndTheCountIsRounded) {
  const std::vector<ScoredWeights> one = {scored(1, 6, {1, 1, 1, 0, 1, 1})};
  EXPECT_THAT(select_least(one, {}, 0.5, false), ElementsAre(Bytes{1, 1, 0, 1, 0, 0}));
  EXPECT_THAT(select_least(one, {}, 0.4, false), ElementsAre(Bytes{1, 0, 0, 1, 0, 0}));  // 2.4
  EXPECT_THAT(select_least(one, {}, 0, true), ElementsAre(Bytes(6, 0)));
  EXPECT_THAT(select_least(one, {}, 1, true), ElementsAre(Bytes(6, 1)));
}

TEST(SparsitySelect, OfEachFourConsecutiveChannelsTwoStay) {
  const std::vector<ScoredWeights> one = {scored(2, 4, {4, 3, 2, 1, 1, 1, 5, 1})};
  const SparsePattern p = SparsePattern::parse("2:4");
  EXPECT_THAT(select_least(one, p, 0.5, false), ElementsAre(Bytes{0, 0, 1, 1, 1, 1, 0, 0}));
  // On the way there: floor(0.3 4) = 1 of each.
  EXPECT_THAT(select_least(one, p, 0.3, false), ElementsAre(Bytes{0, 0, 0, 1, 1, 0, 0, 0}));
}

TEST(SparsitySelect, BlocksGoWholeAndAsManyAsFit) {
  // 3 x 5 in blocks of 2 x 2: means 1 3 2 / 8 0 9, of 4 4 2 / 2 2 1 elements.
  const std::vector<ScoredWeights> one = {
      scored(3, 5, {1, 1, 3, 3, 2, 1, 1, 3, 3, 2, 8, 8, 0, 0, 9})};
  const SparsePattern p = SparsePattern::parse("2x2");
  // 7 of 15: the blocks of 0 (2) and 1 (4), then that of 2 would make 8.
  EXPECT_THAT(select_least(one, p, 7.0 / 15, false),
              ElementsAre(Bytes{1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1, 0}));
  EXPECT_THAT(select_least(one, p, 8.0 / 15, true),
              ElementsAre(Bytes{1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 0, 0, 1, 1, 0}));
}

TEST(SparsitySelect, WhatIsMaskedStaysSoAndCounts) {
  ScoredWeights one = scored(1, 4, {9, 1, 8, 2});
  one.masked = {1, 0, 0, 0};
  EXPECT_THAT(select_least({&one, 1}, {}, 0.5, false), ElementsAre(Bytes{1, 1, 0, 0}));
  one.masked = {1, 0, 1, 0};
  EXPECT_THAT(select_least({&one, 1}, {}, 0.25, false), ElementsAre(Bytes{1, 0, 1, 0}));
}

// -- which weights are whose

/// The constant's offset of each element in matrix order.
std::vector<int64_t> order_of(const WeightMatrix& m) {
  std::vector<int64_t> out;
  for_each_element(m, [&](size_t, size_t offset) { out.push_back(static_cast<int64_t>(offset)); });
  return out;
}

Graph one_layer(const std::string& op, Shape x, Shape w, GraphBuilder::Attrs attrs = {}) {
  Graph graph = empty_graph(17);
  GraphBuilder b(graph);
  const ValueId in = b.input("x", DType::kF32, {x.begin(), x.end()});
  b.output(b.op(op, {in, b.constant("w", ramp(std::move(w)))}, std::move(attrs), "layer"));
  infer_types(graph);
  return graph;
}

TEST(SparsityWeights, InputChannelsAreInnermost) {
  const auto of = [](const Graph& graph) { return order_of(layer_weights(graph).at(0).matrix); };
  // [O 2, I 3, 1, 2]: row, tap, channel
  EXPECT_THAT(of(one_layer("Conv", {1, 3, 4, 4}, {2, 3, 1, 2})),
              ElementsAre(0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11));
  EXPECT_THAT(of(one_layer("Conv", {1, 4, 4, 4}, {2, 2, 1, 1}, {{"group", int64_t{2}}})),
              ElementsAre(0, 1, 2, 3));
  // [I 2, O 3, 1, 1]
  EXPECT_THAT(of(one_layer("ConvTranspose", {1, 2, 4, 4}, {2, 3, 1, 1})),
              ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(of(one_layer("Gemm", {1, 2}, {2, 3})), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(of(one_layer("Gemm", {1, 3}, {2, 3}, {{"transB", int64_t{1}}})),
              ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(of(one_layer("MatMul", {2, 1, 2}, {2, 2, 2})), ElementsAre(0, 2, 1, 3, 4, 6, 5, 7));
}

}  // namespace
}  // namespace lapidary
