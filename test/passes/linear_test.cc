#include <limits>

#include "test/passes/model.h"

namespace lapidary {
namespace {

using testing::HasSubstr;

TEST(FoldBatchnorm, IntoConv) {
  for (const bool bias : {true, false}) {
    Model m;
    std::vector<ValueId> in{m.input({1, 2, 4, 4}), m.constant("w", ramp({3, 2, 3, 3}))};
    if (bias) in.push_back(m.constant("b", ramp({3}, 7)));
    m.finish(batchnorm(m, m.build.op("Conv", in), {0.5f, 2, 1}));
    expect_same_results(m, fold_batchnorm, {1, 2, 4, 4}, 1e-5f);
    EXPECT_THAT(op_list(m.graph), ElementsAre("Conv"));
    EXPECT_THAT(output_names(m.graph), ElementsAre("bn"));
  }
}

TEST(FoldBatchnorm, IntoGroupedConvTranspose) {
  Model m;
  const ValueId c =
      m.build.op("ConvTranspose", {m.input({1, 4, 3, 3}), m.constant("w", ramp({4, 3, 2, 2}))},
                 {{"group", int64_t{2}}});
  m.finish(batchnorm(m, c, {0.5f, 2, 1, 3, 4, 0.25f}));
  expect_same_results(m, fold_batchnorm, {1, 4, 3, 3}, 1e-5f);
  EXPECT_THAT(op_list(m.graph), ElementsAre("ConvTranspose"));
}

TEST(FoldBatchnorm, IntoGemm) {
  Model m;
  const ValueId g = m.build.op(
      "Gemm", {m.input({2, 3}), m.constant("w", ramp({4, 3})), m.constant("b", ramp({4}, 5))},
      {{"transB", int64_t{1}}, {"alpha", 0.5f}, {"beta", 2.0f}});
  m.finish(batchnorm(m, g, {0.5f, 2, 1, 3}));
  expect_same_results(m, fold_batchnorm, {2, 3}, 1e-5f);
  EXPECT_THAT(op_list(m.graph), ElementsAre("Gemm"));
}

TEST(FoldBatchnorm, IsRefusedForABadVarianceAndSaysWhichChannel) {
  for (const float bad : {-1.0f, std::numeric_limits<float>::quiet_NaN()}) {
    Model m;
    const ValueId c =
        m.build.op("Conv", {m.input({1, 1, 1, 1}), m.constant("w", ramp({3, 1, 1, 1}))});
    m.finish(batchnorm(m, c, {1, 1, bad}));
    const PassResult result = m.run(fold_batchnorm);
    EXPECT_EQ(result.changes, 0);
    EXPECT_THAT(result.notes, ElementsAre(HasSubstr("'bn' not folded: variance of channel 2")));
    EXPECT_THAT(op_list(m.graph), ElementsAre("Conv", "BatchNormalization"));
  }
}

TEST(FoldBatchnorm, LeavesAConvThatOthersRead) {
  Model m;
  const ValueId c =
      m.build.op("Conv", {m.input({1, 1, 1, 1}), m.constant("w", ramp({2, 1, 1, 1}))});
  m.build.output(c);
  m.finish(batchnorm(m, c, {1, 1}));
  expect_untouched(m, fold_batchnorm);
}

TEST(FoldBatchnorm, LeavesSharedWeightsToTheOtherReader) {
  Model m;
  const ValueId x = m.input({1, 1, 2, 2}), w = m.constant("w", ramp({2, 1, 1, 1}));
  const ValueId normal = batchnorm(m, m.build.op("Conv", {x, w}), {0.5f, 2});
  m.finish(m.build.op("Add", {normal, m.build.op("Conv", {x, w})}, {}, "y"));
  expect_same_results(m, fold_batchnorm, {1, 1, 2, 2}, 1e-5f);
  EXPECT_THAT(op_list(m.graph), ElementsAre("Conv", "Conv", "Add"));
}

TEST(FoldAffine, PerChannelConstantsGoIntoConv) {
  for (const std::string op : {"Mul", "Add", "Sub", "Div"})
    for (const bool first : {true, false}) {
      if (op == "Div" && first) continue;
      Model m;
      const ValueId c =
          m.build.op("Conv", {m.input({1, 2, 3, 3}), m.constant("w", ramp({3, 2, 1, 1}))});
      const ValueId k = m.constant("k", ramp({3, 1, 1}, 5));  // no zero among them
      m.finish(
          m.build.op(op, first ? std::vector<ValueId>{k, c} : std::vector<ValueId>{c, k}, {}, "y"));
      expect_same_results(m, fold_affine, {1, 2, 3, 3}, 1e-5f);
      EXPECT_THAT(op_list(m.graph), ElementsAre("Conv"));
    }
}

TEST(FoldAffine, LeavesWhatIsNotPerChannel) {
  for (const Shape& shape : {Shape{3}, Shape{1, 3, 3}, Shape{1, 1, 1, 1, 1}}) {
    Model m;
    const ValueId c =
        m.build.op("Conv", {m.input({1, 2, 3, 3}), m.constant("w", ramp({3, 2, 1, 1}))});
    m.finish(m.build.op("Mul", {c, m.constant("k", ramp(shape, 2))}, {}, "y"));
    expect_untouched(m, fold_affine);
  }
}

TEST(FoldAffine, LeavesAConstantMinusItsReciprocal) {
  Model m;
  const ValueId c =
      m.build.op("Conv", {m.input({1, 2, 3, 3}), m.constant("w", ramp({3, 2, 1, 1}))});
  m.finish(m.build.op("Div", {m.number("k", 2), c}, {}, "y"));
  expect_untouched(m, fold_affine);
}

TEST(CanonicalGemm, MatMulAndAddBecomeGemm) {
  Model m;
  const ValueId p = m.build.op("MatMul", {m.input({2, 3}), m.constant("w", ramp({3, 4}))});
  m.finish(m.build.op("Add", {m.constant("b", ramp({4}, 1)), p}, {}, "y"));
  expect_same_results(m, canonical_gemm, {2, 3});
  EXPECT_THAT(op_list(m.graph), ElementsAre("Gemm"));
}

TEST(CanonicalGemm, BatchedMatMulStays) {
  Model m;
  const ValueId p = m.build.op("MatMul", {m.input({1, 2, 3}), m.constant("w", ramp({3, 4}))});
  m.finish(m.build.op("Add", {p, m.constant("b", ramp({4}, 1))}, {}, "y"));
  expect_untouched(m, canonical_gemm);
}

TEST(CanonicalGemm, TransposesAndFactorsGoIntoTheConstants) {
  Model m;
  const ValueId t = m.build.op("Transpose", {m.input({3, 2})});
  m.finish(m.build.op("Gemm", {t, m.constant("w", ramp({4, 3})), m.constant("b", ramp({4}, 1))},
                      {{"transB", int64_t{1}}, {"alpha", 0.5f}, {"beta", 0.25f}}, "y"));
  expect_same_results(m, canonical_gemm, {3, 2});
  EXPECT_THAT(op_list(m.graph), ElementsAre("Gemm"));
  const Node& gemm = m.graph.node(find_node(m.graph, "Gemm"));
  ASSERT_EQ(gemm.attrs.size(), 1u);
  EXPECT_EQ(gemm.attrs[0].first, "transA");
}

TEST(PoolFirst, AveragesBeforeAPointwiseConvolution) {
  Model m;
  const ValueId c = m.build.op(
      "Conv",
      {m.input({2, 4, 3, 5}), m.constant("w", ramp({6, 2, 1, 1})), m.constant("b", ramp({6}, 1))},
      {{"group", int64_t{2}}});
  m.finish(m.build.op("GlobalAveragePool", {c}, {}, "y"));
  expect_same_results(m, pool_first, {2, 4, 3, 5});
  EXPECT_THAT(op_list(m.graph), ElementsAre("GlobalAveragePool", "Conv"));
  EXPECT_EQ(m.graph.value(m.graph.outputs()[0]).name, "y");
}

TEST(PoolFirst, LeavesWhatIsNotLinearPerPosition) {
  const auto conv = [](Model& m, Shape kernel, GraphBuilder::Attrs attrs) {
    return m.build.op("Conv", {m.input({1, 2, 4, 4}), m.constant("w", ramp(std::move(kernel)))},
                      std::move(attrs));
  };
  const std::vector<int64_t> two{2, 2}, one{1, 1, 1, 1};
  for (int i = 0; i < 5; ++i) {
    Model m;
    ValueId v = conv(m, i == 0 ? Shape{3, 2, 3, 3} : Shape{3, 2, 1, 1},
                     i == 1   ? GraphBuilder::Attrs{{"strides", two}}
                     : i == 2 ? GraphBuilder::Attrs{{"pads", one}}
                              : GraphBuilder::Attrs{});
    if (i == 3) m.build.output(v);
    if (i == 4) v = m.build.op("Relu", {v});
    m.finish(m.build.op("GlobalAveragePool", {v}, {}, "y"));
    SCOPED_TRACE(i);
    expect_untouched(m, pool_first);
  }
}

TEST(PointwiseGemm, LastConvolutionOnOnePositionBecomesGemm) {
  Model m;
  const ValueId c = m.build.op("Conv", {m.input({2, 4, 1, 1}), m.constant("w", ramp({6, 4, 1, 1})),
                                        m.constant("b", ramp({6}, 1))});
  m.finish(m.build.op("Reshape", {c, m.ints("shape", {-1, 6})}, {}, "y"));
  expect_same_results(m, pointwise_gemm, {2, 4, 1, 1});
  EXPECT_THAT(op_list(m.graph), ElementsAre("Flatten", "Gemm", "Reshape", "Reshape"));
}

TEST(PointwiseGemm, LeavesConvolutionsThatOthersGoOnFrom) {
  Model m;
  const ValueId c =
      m.build.op("Conv", {m.input({2, 4, 1, 1}), m.constant("w", ramp({6, 4, 1, 1}))});
  m.finish(m.build.op("Relu", {c}, {}, "y"));
  expect_untouched(m, pointwise_gemm);
}

TEST(PointwiseGemm, LeavesMorePositionsThanOne) {
  Model m;
  m.finish(
      m.build.op("Conv", {m.input({2, 4, 1, 2}), m.constant("w", ramp({6, 4, 1, 1}))}, {}, "y"));
  expect_untouched(m, pointwise_gemm);
}

}  // namespace
}  // namespace lapidary
