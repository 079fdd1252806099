#include "test/ops/axis_case.h"

#include <algorithm>
#include <limits>
#include <set>

// Equations by hand from the definitions of the ops. A case that says so also removes elements and
// evaluates the node (AxisCase::check_removals).

namespace lapidary {
namespace {

using testing::IsEmpty;
using testing::UnorderedElementsAre;

#define EXPECT_SAID(axis_case, ...) \
  EXPECT_THAT((axis_case).said(), UnorderedElementsAre(__VA_ARGS__))

Tensor u8(const Shape& shape, std::vector<uint8_t> values) {
  Tensor tensor(DType::kU8, shape);
  std::ranges::copy(values, tensor.mutable_data<uint8_t>().begin());
  return tensor;
}
Tensor scalar_index(int64_t at) { return Tensor::scalar<int64_t>(at); }

// -- elementwise

TEST(AxisFlow, BroadcastAlignsAtTheLastAxes) {
  const auto add = AxisCase("Add").in({2, 3, 4}).in({3, 1});
  EXPECT_SAID(add, "x0.0 = y0.0", "x0.1 = y0.1", "x0.2 = y0.2", "x1.0 = y0.1");
  EXPECT_EQ(add.check_removals(), 2 * 2 + 3 * 3 + 2 * 4);
}

TEST(AxisFlow, FirstOperandIsRepeatedToo) {
  const auto mul = AxisCase("Mul").in({4}).in({2, 3, 4});
  EXPECT_SAID(mul, "x0.0 = y0.2", "x1.0 = y0.0", "x1.1 = y0.1", "x1.2 = y0.2");
  EXPECT_GT(mul.check_removals(), 0);
}

TEST(AxisFlow, UnknownSizeBesideAKnownOneFreezes) {
  EXPECT_SAID(AxisCase("Add").in({-1, 4}).in({-1}), "x0.0 = y0.0", "x0.1 = y0.1", "freeze x1.0",
              "freeze y0.1");
}

TEST(AxisFlow, UnaryVariadicAndWhere) {
  for (const char* op : {"Relu", "Sigmoid", "Exp", "Identity", "Abs", "Neg", "Clip", "IsNaN"}) {
    SCOPED_TRACE(op);
    EXPECT_SAID(AxisCase(op).in({2, 3}), "x0.0 = y0.0", "x0.1 = y0.1");
  }
  EXPECT_SAID(AxisCase("Sum").in({3}).in({1}).in({2, 3}), "x0.0 = y0.1", "x2.0 = y0.0",
              "x2.1 = y0.1");
  Tensor condition(DType::kBool, {3, 1});
  EXPECT_SAID(AxisCase("Where").in(condition).in({2}).in({1, 2}), "x0.0 = y0.0", "x1.0 = y0.1",
              "x2.1 = y0.1");
  EXPECT_SAID(AxisCase("PRelu").in({2, 3, 4}).in({3, 1}), "x0.0 = y0.0", "x0.1 = y0.1",
              "x0.2 = y0.2", "x1.0 = y0.1");
}

TEST(AxisFlow, DropoutsMaskFollows) {
  EXPECT_SAID(AxisCase("Dropout", 13).in({2, 3}).outputs(2), "x0.0 = y0.0", "x0.1 = y0.1",
              "x0.0 = y1.0", "x0.1 = y1.1");
}

TEST(AxisFlow, CastLikeReadsATypeOnly) {
  EXPECT_SAID(AxisCase("CastLike").in({2, 3}).in({5}), "x0.0 = y0.0", "x0.1 = y0.1", "leave x1.0");
}

// -- normalizations

TEST(AxisFlow, BatchNormalization) {
  const auto norm = AxisCase("BatchNormalization").in({2, 3, 2}).in({3}).in({3}).in({3}).in({3});
  EXPECT_SAID(norm, "x0.0 = y0.0", "x0.1 = y0.1", "x0.2 = y0.2", "x0.1 = x1.0", "x0.1 = x2.0",
              "x0.1 = x3.0", "x0.1 = x4.0");
  EXPECT_EQ(norm.check_removals(), 2 * 2 + 6 * 3 + 2 * 2);
}

TEST(AxisFlow, BatchNormalizationThatTrains) {
  const auto norm = AxisCase("BatchNormalization")
                        .in({2, 3})
                        .in({3})
                        .in({3})
                        .in({3})
                        .in({3})
                        .attr("training_mode", int64_t{1})
                        .outputs(3);
  EXPECT_SAID(norm, "x0.0 = y0.0", "x0.1 = y0.1", "x0.1 = x1.0", "x0.1 = x2.0", "x0.1 = x3.0",
              "x0.1 = x4.0", "x0.1 = y1.0", "x0.1 = y2.0", "lossy x0.0");
  EXPECT_GT(norm.check_removals(), 0);
}

TEST(AxisFlow, InstanceNormalization) {
  const auto norm = AxisCase("InstanceNormalization").in({2, 3, 4}).in({3}).in({3});
  EXPECT_SAID(norm, "x0.0 = y0.0", "x0.1 = y0.1", "x0.2 = y0.2", "x0.1 = x1.0", "x0.1 = x2.0",
              "lossy x0.2");
  EXPECT_GT(norm.check_removals(), 0);
}

TEST(AxisFlow, GroupNormalizationPerChannelAndPerGroup) {
  const auto norm = [](int64_t opset, int64_t parameters) {
    return AxisCase("GroupNormalization", opset)
        .in({2, 6, 4})
        .in({parameters})
        .in({parameters})
        .attr("num_groups", int64_t{2});
  };
  EXPECT_SAID(norm(21, 6), "x0.0 = y0.0", "x0.1 = y0.1", "x0.2 = y0.2", "x0.1 = a:2 * b:3",
              "freeze a:2", "lossy b:3", "lossy x0.2", "x0.1 = x1.0", "x0.1 = x2.0");
  EXPECT_SAID(norm(18, 2), "x0.0 = y0.0", "x0.1 = y0.1", "x0.2 = y0.2", "x0.1 = a:2 * b:3",
              "freeze a:2", "lossy b:3", "lossy x0.2", "a:2 = x1.0", "a:2 = x2.0");
  EXPECT_GT(norm(21, 6).check_removals(), 0);
  EXPECT_GT(norm(18, 2).check_removals(), 0);
}

TEST(AxisFlow, LayerNormalization) {
  const auto norm = AxisCase("LayerNormalization")
                        .in({2, 3, 4})
                        .in({3, 4})
                        .in({4})
                        .outputs(3)
                        .attr("axis", int64_t{1});
  EXPECT_SAID(norm, "x0.0 = y0.0", "x0.1 = y0.1", "x0.2 = y0.2", "x1.0 = y0.1", "x1.1 = y0.2",
              "x2.0 = y0.2", "lossy x0.1", "lossy x0.2", "x0.0 = y1.0", "x0.0 = y2.0");
  EXPECT_GT(norm.check_removals(), 0);
  EXPECT_SAID(AxisCase("RMSNormalization", 23).in({2, 4}).in({4}), "x0.0 = y0.0", "x0.1 = y0.1",
              "x1.0 = y0.1", "lossy x0.1");
}

TEST(AxisFlow, NormsWithoutParameters) {
  EXPECT_SAID(AxisCase("LRN").in({2, 6, 4}).attr("size", int64_t{3}), "x0.0 = y0.0", "x0.1 = y0.1",
              "x0.2 = y0.2", "freeze x0.1");
  const auto lp = AxisCase("LpNormalization").in({2, 4}).attr("axis", int64_t{-1});
  EXPECT_SAID(lp, "x0.0 = y0.0", "x0.1 = y0.1", "sums x0.1");
  EXPECT_EQ(lp.check_removals(), 12);
  EXPECT_SAID(AxisCase("MeanVarianceNormalization").in({2, 3, 4}).ints("axes", {0, -1}),
              "x0.0 = y0.0", "x0.1 = y0.1", "x0.2 = y0.2", "lossy x0.0", "lossy x0.2");
}

// -- convolutions and products

TEST(AxisFlow, Conv) {
  const auto conv = AxisCase("Conv").in({2, 3, 5}).in({4, 3, 2}).in({4});
  EXPECT_SAID(conv, "x0.0 = y0.0", "x0.1 = x1.1", "x1.0 = y0.1", "x1.0 = x2.0", "sums x0.1");
  EXPECT_EQ(conv.check_removals(), 2 * 2 + 2 * 3 + 3 * 4);
}

TEST(AxisFlow, GroupedConv) {
  const auto conv = AxisCase("Conv").in({2, 6, 5}).in({4, 3, 2}).in({4}).attr("group", int64_t{2});
  EXPECT_SAID(conv, "x0.0 = y0.0", "x1.0 = y0.1", "x1.0 = x2.0", "x0.1 = a:2 * b:3",
              "x1.0 = a:2 * c:2", "b:3 = x1.1", "group = #a:2", "sums x0.1");
  EXPECT_GT(conv.check_removals(), 6);
}

TEST(AxisFlow, DepthwiseConvWithTwoOfEachChannel) {
  const auto conv = AxisCase("Conv").in({1, 3, 5}).in({6, 1, 2}).attr("group", int64_t{3});
  EXPECT_SAID(conv, "x0.0 = y0.0", "x1.0 = y0.1", "x0.1 = a:3 * b:1", "x1.0 = a:3 * c:2",
              "b:1 = x1.1", "group = #a:3", "sums x0.1");
  // Of x an element is a group; of w one of two in all groups.
  EXPECT_GT(conv.check_removals(), 3);
}

TEST(AxisFlow, GroupedConvOfUnknownChannels) {
  EXPECT_SAID(AxisCase("Conv").in({1, -1, 5}).in({4, 3, 2}).attr("group", int64_t{2}),
              "x0.0 = y0.0", "x1.0 = y0.1", "freeze x0.1", "freeze x1.0", "freeze x1.1",
              "sums x0.1");
}

TEST(AxisFlow, IntegerConvs) {
  const auto conv = AxisCase("ConvInteger")
                        .in(u8({1, 2, 3}, {1, 2, 3, 4, 5, 6}))
                        .in(u8({3, 2, 1}, {1, 2, 3, 4, 5, 6}))
                        .absent()
                        .in(u8({3}, {0, 0, 0}));
  EXPECT_SAID(conv, "x0.0 = y0.0", "x0.1 = x1.1", "x1.0 = y0.1", "x1.0 = x3.0", "sums x0.1");
  EXPECT_EQ(conv.check_removals(), 2 * 2 + 3 * 3);
}

TEST(AxisFlow, ConvTranspose) {
  const auto conv = AxisCase("ConvTranspose").in({1, 4, 3}).in({4, 3, 2}).in({3});
  EXPECT_SAID(conv, "x0.0 = y0.0", "x0.1 = x1.0", "x1.1 = y0.1", "x2.0 = y0.1", "sums x0.1");
  EXPECT_EQ(conv.check_removals(), 2 * 4 + 3 * 3);
}

TEST(AxisFlow, GroupedConvTranspose) {
  const auto conv =
      AxisCase("ConvTranspose").in({1, 4, 3}).in({4, 3, 2}).in({6}).attr("group", int64_t{2});
  EXPECT_SAID(conv, "x0.0 = y0.0", "x0.1 = x1.0", "x2.0 = y0.1", "x1.0 = a:2 * b:2",
              "y0.1 = a:2 * c:3", "c:3 = x1.1", "group = #a:2", "sums x0.1");
  EXPECT_GT(conv.check_removals(), 6);
}

TEST(AxisFlow, Gemm) {
  const auto gemm = AxisCase("Gemm").in({2, 3}).in({3, 4}).in({4});
  EXPECT_SAID(gemm, "x0.0 = y0.0", "x1.1 = y0.1", "x0.1 = x1.0", "sums x0.1", "sums x1.0",
              "x2.0 = y0.1");
  EXPECT_EQ(gemm.check_removals(), 2 * 2 + 2 * 3 + 3 * 4);
}

TEST(AxisFlow, GemmTransposedWithAColumn) {
  const auto gemm = AxisCase("Gemm")
                        .in({3, 2})
                        .in({4, 3})
                        .in({2, 1})
                        .attr("transA", int64_t{1})
                        .attr("transB", int64_t{1});
  EXPECT_SAID(gemm, "x0.1 = y0.0", "x1.0 = y0.1", "x0.0 = x1.1", "sums x0.0", "sums x1.1",
              "x2.0 = y0.0");
  EXPECT_EQ(gemm.check_removals(), 3 * 2 + 2 * 3 + 2 * 4);
}

TEST(AxisFlow, MatMulOfBatches) {
  const auto matmul = AxisCase("MatMul").in({2, 1, 3, 4}).in({5, 4, 2});
  EXPECT_SAID(matmul, "x0.3 = x1.1", "sums x0.3", "sums x1.1", "x0.2 = y0.2", "x1.2 = y0.3",
              "x0.0 = y0.0", "x1.0 = y0.1");
  EXPECT_EQ(matmul.check_removals(), 2 * (4 + 3 + 2 + 2 + 5));
}

TEST(AxisFlow, MatMulOfVectors) {
  const auto row = AxisCase("MatMul").in({3}).in({2, 3, 4});
  EXPECT_SAID(row, "x0.0 = x1.1", "sums x0.0", "sums x1.1", "x1.2 = y0.1", "x1.0 = y0.0");
  const auto column = AxisCase("MatMul").in({2, 4, 3}).in({3});
  EXPECT_SAID(column, "x0.2 = x1.0", "sums x0.2", "sums x1.0", "x0.1 = y0.1", "x0.0 = y0.0");
  const auto dot = AxisCase("MatMul").in({3}).in({3});
  EXPECT_SAID(dot, "x0.0 = x1.0", "sums x0.0", "sums x1.0");
  for (const AxisCase* product : {&row, &column, &dot}) EXPECT_GT(product->check_removals(), 0);
}

TEST(AxisFlow, MatMulInteger) {
  EXPECT_SAID(AxisCase("MatMulInteger")
                  .in(u8({2, 2}, {1, 2, 3, 4}))
                  .in(u8({2, 3}, {1, 2, 3, 4, 5, 6}))
                  .absent()
                  .in(u8({3}, {1, 2, 3})),
              "x0.1 = x1.0", "sums x0.1", "sums x1.0", "x0.0 = y0.0", "x1.1 = y0.1", "x1.1 = x3.0");
}

// -- joining and cutting

TEST(AxisFlow, Concat) {
  const auto concat = AxisCase("Concat").in({2, 3}).in({2, 1}).in({2, 2}).attr("axis", int64_t{-1});
  EXPECT_SAID(concat, "x0.0 = y0.0", "x1.0 = y0.0", "x2.0 = y0.0", "x0.1[0,1,2] = y0.1[0,1,2]",
              "x1.1[0] = y0.1[3]", "x2.1[0,1] = y0.1[4,5]");
  // The part of one element stays.
  EXPECT_EQ(concat.check_removals(), 4 * 2 + 2 * 3 + 2 * 2);
}

TEST(AxisFlow, ConcatOfUnknownPartsSaysNothingAlongTheAxis) {
  EXPECT_SAID(AxisCase("Concat").in({2, -1}).in({2, 2}).attr("axis", int64_t{1}), "x0.0 = y0.0",
              "x1.0 = y0.0");
}

TEST(AxisFlow, SplitByInput) {
  const auto split =
      AxisCase("Split", 13).in({2, 6}).list({2, 4}).outputs(2).attr("axis", int64_t{1});
  EXPECT_SAID(split, "x0.0 = y0.0", "x0.0 = y1.0", "x0.1[0,1] = y0.1[0,1]",
              "x0.1[2,3,4,5] = y1.1[0,1,2,3]", "x1[0] = #y0.1", "x1[1] = #y1.1");
  EXPECT_EQ(split.check_removals(), 3 * 2 + 2 * 6);
}

TEST(AxisFlow, SplitByAttributeWithAnUnwantedPart) {
  const auto split =
      AxisCase("Split", 11).in({6}).ints("split", {2, 3, 1}).outputs(3).without_output(1);
  EXPECT_SAID(split, "x0.0[0,1] = y0.0[0,1]", "split[0] = #y0.0", "split[1] = #x0.0[2,5)",
              "x0.0[5] = y2.0[0]", "split[2] = #y2.0");
  EXPECT_EQ(split.check_removals(), 2 + 3 + 2);
}

TEST(AxisFlow, SplitIntoPartsThatMustStayEqual) {
  EXPECT_SAID(AxisCase("Split", 18)
                  .in({2, 6})
                  .outputs(3)
                  .attr("axis", int64_t{1})
                  .attr("num_outputs", int64_t{3}),
              "x0.0 = y0.0", "x0.0 = y1.0", "x0.0 = y2.0", "freeze x0.1");
}

TEST(AxisFlow, Slice) {
  const auto slice = AxisCase("Slice").in({2, 6}).list({1}).list({-2}).list({-1});
  EXPECT_SAID(slice, "x0.0 = y0.0", "x0.1[1,2,3] = y0.1[0,1,2]", "x1[0] = #x0.1[0,1)",
              "x2[0] = #x0.1[0,4)");
  EXPECT_EQ(slice.check_removals(), 2 * 2 + 6 + 3);
}

TEST(AxisFlow, SliceToTheEndByAttributes) {
  const auto slice = AxisCase("Slice", 9)
                         .in({4, 5})
                         .ints("starts", {0, -3})
                         .ints("ends", {2, std::numeric_limits<int64_t>::max()});
  EXPECT_SAID(slice, "x0.0[0,1] = y0.0[0,1]", "starts[0] = #x0.0[0,0)", "ends[0] = #x0.0[0,2)",
              "x0.1[2,3,4] = y0.1[0,1,2]", "starts[1] = #x0.1[0,2)", "ends[1] = #x0.1[0,5)");
  EXPECT_EQ(slice.check_removals(), 4 + 2 + 5 + 3);
}

TEST(AxisFlow, SliceWithAStepLosesWholeBlocks) {
  const auto slice = AxisCase("Slice").in({6}).list({-5}).list({6}).list({0}).list({2});
  EXPECT_SAID(slice, "x0.0 = y0.0 * a:2", "freeze a:2", "x1[0] = #a:2[0,1)", "x2[0] = #x0.0[0,6)");
  EXPECT_EQ(slice.check_removals(), 6 + 3);
}

TEST(AxisFlow, SlicesThatMayNotChange) {
  EXPECT_SAID(AxisCase("Slice").in({7}).list({0}).list({7}).list({0}).list({2}), "freeze x0.0",
              "freeze y0.0");  // 7 is no multiple of 2
  EXPECT_SAID(AxisCase("Slice").in({2, 3}).list({-1}).list({-9}).list({1}).list({-1}),
              "x0.0 = y0.0", "freeze x0.1", "freeze y0.1");
  EXPECT_SAID(AxisCase("Slice").in({2, 3}).unknown_ints({1}).list({2}).list({1}), "x0.0 = y0.0");
}

TEST(AxisFlow, Gather) {
  const auto gather = AxisCase("Gather").in({2, 5, 3}).list({4, 0, -4}).attr("axis", int64_t{1});
  EXPECT_SAID(gather, "x0.0 = y0.0", "x0.2 = y0.2", "x1.0 = y0.1", "x0.1[4,0,1] = y0.1[0,1,2]",
              "x1[0] = #x0.1[0,4)", "x1[1] = #x0.1[0,0)", "x1[2] = #x0.1[0,1)");
  EXPECT_EQ(gather.check_removals(), 2 * 2 + 2 * 3 + 5 + 3 + 3);
}

TEST(AxisFlow, GatherOfOneElementKeepsIt) {
  const auto gather = AxisCase("Gather").in({4, 3}).in(scalar_index(2));
  EXPECT_SAID(gather, "x0.1 = y0.0", "x0.0[2] = a:1[0]", "x1[0] = #x0.0[0,2)");
  EXPECT_EQ(gather.check_removals(), 3 + 2 * 3);
}

TEST(AxisFlow, GatherByUnknownIndices) {
  EXPECT_SAID(AxisCase("Gather").in({9, 3}).unknown_ints({2, 4}), "x0.1 = y0.2", "x1.0 = y0.0",
              "x1.1 = y0.1", "freeze x0.0");
}

// -- orders and shapes

TEST(AxisFlow, TransposeByAPermutationThatIsNotItsInverse) {
  const auto transpose = AxisCase("Transpose").in({2, 3, 4}).ints("perm", {1, 2, 0});
  EXPECT_SAID(transpose, "x0.1 = y0.0", "x0.2 = y0.1", "x0.0 = y0.2");
  EXPECT_EQ(transpose.check_removals(), 2 * 9);
}

TEST(AxisFlow, SqueezeAndUnsqueeze) {
  EXPECT_SAID(AxisCase("Squeeze").in({2, 1, -1, 3}).list({1}), "x0.0 = y0.0", "x0.2 = y0.1",
              "x0.3 = y0.2");
  EXPECT_SAID(AxisCase("Squeeze", 11).in({1, 2, 1}).ints("axes", {-1}), "x0.0 = y0.0",
              "x0.1 = y0.1");
  EXPECT_SAID(AxisCase("Squeeze").in({1, 2, 1, 3}), "x0.1 = y0.0", "x0.3 = y0.1");
  EXPECT_SAID(AxisCase("Unsqueeze").in({2, 3}).list({0, -1}), "x0.0 = y0.1", "x0.1 = y0.2");
  EXPECT_SAID(AxisCase("Unsqueeze", 11).in({2, 3}).ints("axes", {1}), "x0.0 = y0.0", "x0.1 = y0.2");
}

TEST(AxisFlow, ReshapeOneToMany) {
  const auto reshape = AxisCase("Reshape").in({2, 12}).list({0, 3, 4});
  EXPECT_SAID(reshape, "x0.0 = y0.0", "x0.1 = y0.1 * y0.2", "x1[1] = #y0.1", "x1[2] = #y0.2");
  EXPECT_GT(reshape.check_removals(), 4);
}

TEST(AxisFlow, ReshapeManyToOneWithARest) {
  const auto reshape = AxisCase("Reshape").in({2, 3, 2, 2}).list({2, -1});
  EXPECT_SAID(reshape, "x0.0 = y0.0", "y0.1 = x0.1 * x0.2 * x0.3", "x1[0] = #y0.0");
  EXPECT_GT(reshape.check_removals(), 4);
}

TEST(AxisFlow, ReshapeManyToManyWithCommonFactors) {
  const auto reshape = AxisCase("Reshape").in({4, 6}).list({8, 3});
  EXPECT_SAID(reshape, "a:4 = x0.0", "x0.1 = b:2 * c:3", "y0.0 = a:4 * b:2", "c:3 = y0.1",
              "x1[0] = #y0.0", "x1[1] = #y0.1");
}

TEST(AxisFlow, ReshapeThatCutsAcross) {
  EXPECT_SAID(AxisCase("Reshape").in({5, 6, 4}).list({5, 4, 6}), "x0.0 = y0.0", "freeze x0.1",
              "freeze x0.2", "freeze y0.1", "freeze y0.2", "x1[0] = #y0.0", "x1[1] = #y0.1",
              "x1[2] = #y0.2");
}

TEST(AxisFlow, ReshapeAroundAnUnknownBatch) {
  EXPECT_SAID(AxisCase("Reshape").in({-1, 1, 12, 4}).list({-1, 3, 4, 4}), "x0.0 = y0.0",
              "x0.2 = y0.1 * y0.2", "x0.3 = y0.3", "x1[1] = #y0.1", "x1[2] = #y0.2",
              "x1[3] = #y0.3");
}

TEST(AxisFlow, ReshapeBehindAnUnknownLength) {
  // The last axes line up whatever comes before them; 12 joins an unknown size and stays.
  EXPECT_SAID(AxisCase("Reshape").in({-1, 12, -1, 8}).list({-1, 2, 4}), "x0.3 = y0.1 * y0.2",
              "freeze x0.0", "freeze x0.1", "freeze x0.2", "freeze y0.0", "x1[1] = #y0.1",
              "x1[2] = #y0.2");
}

TEST(AxisFlow, ReshapeThatCopiesUnknownSizes) {
  EXPECT_SAID(AxisCase("Reshape").in({-1, 6, -1, -1}).list({0, 0, -1}), "x0.0 = y0.0",
              "x0.1 = y0.1", "freeze x0.2", "freeze x0.3", "freeze y0.2");
}

TEST(AxisFlow, ReshapeThatCopiesAnotherAxis) {
  const auto reshape = AxisCase("Reshape").in({4, 2, 2}).list({2, 0, 4});
  EXPECT_SAID(reshape, "x0.0 = y0.0 * y0.1", "y0.2 = x0.1 * x0.2", "x1[0] = #y0.0", "x1[1] = #y0.1",
              "x1[2] = #y0.2");
  EXPECT_GT(reshape.check_removals(), 0);
}

TEST(AxisFlow, ReshapeByAComputedShapeWritesAllSizesThatAreKnown) {
  EXPECT_SAID(AxisCase("Reshape").in({-1, 12, 2}).unknown_ints({4}).declared({-1, 3, 4, 2}),
              "x0.0 = y0.0", "x0.1 = y0.1 * y0.2", "x0.2 = y0.3", "x1[1] = #y0.1", "x1[2] = #y0.2",
              "x1[3] = #y0.3");
}

TEST(AxisFlow, Flatten) {
  EXPECT_SAID(AxisCase("Flatten").in({2, 3, 4}), "x0.0 = y0.0", "y0.1 = x0.1 * x0.2");
  EXPECT_SAID(AxisCase("Flatten").in({-1, 3, 4}), "x0.0 = y0.0", "y0.1 = x0.1 * x0.2");
  EXPECT_SAID(AxisCase("Flatten").in({2, 3, 4}).attr("axis", int64_t{-1}), "y0.0 = x0.0 * x0.1",
              "x0.2 = y0.1");
}

TEST(AxisFlow, Expand) {
  const auto expand = AxisCase("Expand").in({3, 1}).list({2, 1, 4});
  EXPECT_SAID(expand, "x0.0 = y0.1", "leave y0.0", "leave y0.2", "x1[0] = #y0.0", "x1[2] = #y0.2");
  EXPECT_EQ(expand.check_removals(), 2 * 3 + 2 + 4);
}

TEST(AxisFlow, ExpandOfMoreAxesThanTheShapeLists) {
  EXPECT_SAID(AxisCase("Expand").in({2, 3, 1}).list({4}), "x0.0 = y0.0", "x0.1 = y0.1",
              "leave y0.2", "x1[0] = #y0.2");
}

TEST(AxisFlow, Tile) {
  const auto tile = AxisCase("Tile").in({3, 1, 2}).list({2, 4, 1});
  EXPECT_SAID(tile, "x0.0[0,1,2] = y0.0[0,1,2]", "x0.0[0,1,2] = y0.0[3,4,5]", "leave y0.1",
              "x1[1] = #y0.1", "x0.2 = y0.2");
  EXPECT_EQ(tile.check_removals(), 3 + 6 + 4 + 2 * 2);
}

TEST(AxisFlow, PadThatAddsAndCrops) {
  const auto pad = AxisCase("Pad").in({2, 5}).list({0, 2, 0, -1});
  EXPECT_SAID(pad, "x0.0 = y0.0", "x0.1[0,1,2,3] = y0.1[2,3,4,5]", "x1[1] = #y0.1[0,2)",
              "x1[3] = -#x0.1[4,5)");
  EXPECT_EQ(pad.check_removals(), 2 * 2 + 5 + 6);
}

TEST(AxisFlow, PadOfNamedAxesAndByAttribute) {
  const auto named = AxisCase("Pad").in({2, 3}).list({-1, 1}).absent().list({-1});
  EXPECT_SAID(named, "x0.0 = y0.0", "x0.1[1,2] = y0.1[0,1]", "x1[0] = -#x0.1[0,1)",
              "x1[1] = #y0.1[2,3)");
  EXPECT_EQ(named.check_removals(), 2 * 2 + 3 + 3);
  const auto old = AxisCase("Pad", 10).in({3}).ints("pads", {1, 0});
  EXPECT_SAID(old, "x0.0[0,1,2] = y0.0[1,2,3]", "pads[0] = #y0.0[0,1)", "pads[1] = #y0.0[4,4)");
  EXPECT_EQ(old.check_removals(), 3 + 4);
}

TEST(AxisFlow, PadByNeighbours) {
  EXPECT_SAID(AxisCase("Pad").in({2, 5}).list({0, 1, 0, 0}).attr("mode", std::string("reflect")),
              "x0.0 = y0.0", "freeze x0.1", "freeze y0.1");
}

TEST(AxisFlow, Resize) {
  const Tensor none(DType::kF32, {0});
  EXPECT_SAID(AxisCase("Resize").in({1, 3, 2}).absent().absent().list({1, 3, 4}), "x0.0 = y0.0",
              "x0.1 = y0.1", "x3[0] = #y0.0", "x3[1] = #y0.1");
  EXPECT_SAID(
      AxisCase("Upsample", 7).in({1, 3, 3}).attr("scales", std::vector<float>{1.0f, 1.0f, 1.2f}),
      "x0.0 = y0.0", "x0.1 = y0.1");  // floor(3 * 1.2) = 3, resampled all the same
  EXPECT_SAID(AxisCase("Resize", 18).in({1, 3, 2}).absent().absent().list({4}).ints("axes", {2}),
              "x0.0 = y0.0", "x0.1 = y0.1");
}

// -- reductions and pools

TEST(AxisFlow, ReduceSum) {
  const auto sum = AxisCase("ReduceSum", 13).in({2, 3, 4}).list({1}).attr("keepdims", int64_t{0});
  EXPECT_SAID(sum, "x0.0 = y0.0", "x0.2 = y0.1", "sums x0.1");
  EXPECT_EQ(sum.check_removals(), 2 * 2 + 3 + 2 * 4);
  EXPECT_SAID(AxisCase("ReduceSum", 11).in({2, 3}).ints("axes", {-1}), "x0.0 = y0.0", "sums x0.1");
}

TEST(AxisFlow, OtherReductions) {
  for (const char* op : {"ReduceMean", "ReduceMax", "ReduceProd", "ReduceLogSumExp"})
    EXPECT_SAID(AxisCase(op, 18).in({2, 3}).list({0}), "x0.1 = y0.1", "lossy x0.0");
  for (const char* op : {"ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum"}) {
    const auto sum = AxisCase(op, 13).in({2, 3});
    EXPECT_SAID(sum, "sums x0.0", "sums x0.1");
    EXPECT_EQ(sum.check_removals(), 5);
  }
  EXPECT_THAT(AxisCase("ReduceMean", 18).in({2, 3}).unknown_ints({1}).said(), IsEmpty());
}

TEST(AxisFlow, ArgMaxFreezesItsAxis) {
  const auto arg =
      AxisCase("ArgMax").in({2, 3, 4}).attr("axis", int64_t{1}).attr("keepdims", int64_t{0});
  EXPECT_SAID(arg, "x0.0 = y0.0", "x0.2 = y0.1");
  EXPECT_EQ(arg.check_removals(), 2 * 2 + 2 * 4);
}

TEST(AxisFlow, Pools) {
  const auto pool = AxisCase("MaxPool").in({2, 3, 4}).ints("kernel_shape", {2});
  EXPECT_SAID(pool, "x0.0 = y0.0", "x0.1 = y0.1");
  EXPECT_EQ(pool.check_removals(), 2 * 2 + 2 * 3);
  EXPECT_THAT(AxisCase("MaxPool").in({2, 3, 4}).ints("kernel_shape", {2}).outputs(2).said(),
              IsEmpty());
  for (const char* op : {"GlobalAveragePool", "GlobalMaxPool"})
    EXPECT_SAID(AxisCase(op).in({2, 3, 4}), "x0.0 = y0.0", "x0.1 = y0.1");
}

TEST(AxisFlow, Softmax) {
  EXPECT_SAID(AxisCase("Softmax", 13).in({2, 3, 4}).attr("axis", int64_t{1}), "x0.0 = y0.0",
              "x0.1 = y0.1", "x0.2 = y0.2", "lossy x0.1");
  EXPECT_SAID(AxisCase("LogSoftmax", 11).in({2, 3, 4}), "x0.0 = y0.0", "x0.1 = y0.1", "x0.2 = y0.2",
              "lossy x0.1", "lossy x0.2");
}

TEST(AxisFlow, DepthToSpaceInBothOrders) {
  const auto shuffle = [](const char* mode) {
    return AxisCase("DepthToSpace")
        .in({1, 12, 2, 1})
        .attr("blocksize", int64_t{2})
        .attr("mode", std::string(mode));
  };
  EXPECT_SAID(shuffle("DCR"), "x0.0 = y0.0", "x0.1 = a:2 * b:2 * y0.1", "freeze a:2", "freeze b:2");
  EXPECT_SAID(shuffle("CRD"), "x0.0 = y0.0", "x0.1 = y0.1 * a:2 * b:2", "freeze a:2", "freeze b:2");
  EXPECT_EQ(shuffle("DCR").check_removals(), 12 + 3);
  EXPECT_EQ(shuffle("CRD").check_removals(), 12 + 3);
}

TEST(AxisFlow, SpaceToDepth) {
  const auto fold = AxisCase("SpaceToDepth").in({1, 3, 4, 2}).attr("blocksize", int64_t{2});
  EXPECT_SAID(fold, "x0.0 = y0.0", "y0.1 = a:2 * b:2 * x0.1", "freeze a:2", "freeze b:2");
  EXPECT_EQ(fold.check_removals(), 3 + 12);
}

// -- quantizers

TEST(AxisFlow, QuantizersPerAxis) {
  const auto quantize = AxisCase("QuantizeLinear").in({2, 3}).in({3}).in(u8({3}, {1, 2, 3}));
  EXPECT_SAID(quantize, "x0.0 = y0.0", "x0.1 = y0.1", "x0.1 = x1.0", "x0.1 = x2.0");
  EXPECT_EQ(quantize.check_removals(), 2 * 2 + 4 * 3);
  EXPECT_SAID(AxisCase("DequantizeLinear")
                  .in(u8({2, 3}, {1, 2, 3, 4, 5, 6}))
                  .in({2})
                  .attr("axis", int64_t{0}),
              "x0.0 = y0.0", "x0.1 = y0.1", "x0.0 = x1.0");
  EXPECT_SAID(AxisCase("QuantizeLinear").in({3}).in(Tensor::scalar(0.5f)), "x0.0 = y0.0");
}

TEST(AxisFlow, QuantizersInBlocks) {
  const auto blocks = AxisCase("DequantizeLinear")
                          .in(u8({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}))
                          .in({2, 2})
                          .attr("axis", int64_t{1})
                          .attr("block_size", int64_t{2});
  EXPECT_SAID(blocks, "x0.0 = y0.0", "x0.1 = y0.1", "freeze x0.1", "x0.0 = x1.0");
  EXPECT_EQ(blocks.check_removals(), 3 * 2);
}

TEST(AxisFlow, FakeQuantizers) {
  EXPECT_SAID(AxisCase("FakeQuantize", 1, "ai.lapidary")
                  .in({3, 2})
                  .in({3})
                  .attr("axis", int64_t{0})
                  .attr("qmin", int64_t{-127})
                  .attr("qmax", int64_t{127}),
              "x0.0 = y0.0", "x0.1 = y0.1", "x0.0 = x1.0");
  const auto bias = AxisCase("FakeQuantizeBias", 1, "ai.lapidary").in({3}).in({1}).in({3});
  EXPECT_SAID(bias, "x0.0 = y0.0", "x0.0 = x2.0");
  EXPECT_EQ(bias.check_removals(), 3 * 3);
  const auto dynamic = AxisCase("DynamicQuantizeLinear").in({2, 3}).outputs(3);
  EXPECT_SAID(dynamic, "x0.0 = y0.0", "x0.1 = y0.1", "sums x0.0", "sums x0.1");
  EXPECT_EQ(dynamic.check_removals(), 2 * 5);
}

// -- sizes

TEST(AxisFlow, ShapeTellsSizes) {
  EXPECT_SAID(AxisCase("Shape").in({2, 3, 4}).attr("start", int64_t{-2}), "leave x0.0",
              "leave x0.1", "leave x0.2", "y0[0] tells x0.1", "y0[1] tells x0.2");
}

TEST(AxisFlow, CumSumAndTrilu) {
  EXPECT_SAID(AxisCase("CumSum").in({2, 3}).in(scalar_index(-1)), "x0.0 = y0.0");
  EXPECT_SAID(AxisCase("Trilu").in({2, 3, 4}), "x0.0 = y0.0");
}

// -- the table

/// Ops that compute or move values, of whose axes none may be removed.
const std::set<std::string> kWithoutRule{"DeformConv", "Einsum", "GatherElements",
                                         "ai.lapidary.BinaryConv", "ai.lapidary.BinaryMatMul"};

TEST(AxisFlow, EveryOpThatMattersHasARule) {
  std::set<std::string> missing;
  for (const OpDef* def : all_ops()) {
    const bool matters = def->macs != nullptr || def->role == QuantRole::kCompute ||
                         def->role == QuantRole::kPassThrough;
    if (matters && def->axes == nullptr)
      missing.insert((def->domain.empty() ? "" : std::string(def->domain) + ".") +
                     std::string(def->name));
  }
  EXPECT_EQ(missing, kWithoutRule);
}

}  // namespace
}  // namespace lapidary
