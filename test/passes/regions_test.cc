#include "src/passes/regions.h"

#include <gmock/gmock.h>

#include <cmath>

#include "test/passes/run_graph.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Drawing {
  Graph graph = empty_graph(13);
  GraphBuilder build{graph};
  ValueId x = build.input("x", DType::kF32, {2, 8});

  ValueId number(float v) { return build.constant("k", Tensor::scalar(v)); }
  ValueId vector(float v) {
    return build.constant("v", Tensor::of<float>({8}, std::vector<float>(8, v)));
  }
  ValueId op(const std::string& type, std::vector<ValueId> in, GraphBuilder::Attrs attrs = {}) {
    return build.op(type, std::move(in), std::move(attrs));
  }
  ValueId mul(ValueId a, ValueId b) { return op("Mul", {a, b}); }
  ValueId mean(ValueId v, std::vector<int64_t> axes = {-1}) {
    return op("ReduceMean", {v}, {{"axes", std::move(axes)}});
  }
  std::vector<Region> regions(ValueId y) {
    build.output(y);
    infer_types(graph);
    return find_regions(graph);
  }
};

RegionKind only_kind(Drawing& d, ValueId y) {
  const auto regions = d.regions(y);
  EXPECT_EQ(regions.size(), 1u);
  if (regions.empty()) return RegionKind::kSoftmax;
  EXPECT_EQ(regions[0].nodes.size(), d.graph.node_count());
  EXPECT_EQ(regions[0].output, y);
  EXPECT_THAT(regions[0].inputs, ElementsAre(d.x));
  return regions[0].kind;
}

// Behind a chain of unary nodes, none of which is an activation, one is found all the same.
TEST(Regions, AnActivationBehindALongChainOfUnaryNodes) {
  Drawing d;
  ValueId v = d.x;
  for (int i = 0; i < 50; ++i) v = d.op(i % 2 ? "Tanh" : "Sigmoid", {v});
  const ValueId y = d.mul(v, d.op("Sigmoid", {v}));
  const auto regions = d.regions(y);
  ASSERT_EQ(regions.size(), 1u);
  EXPECT_EQ(regions[0].kind, RegionKind::kSilu);
  EXPECT_THAT(regions[0].inputs, ElementsAre(v));
  EXPECT_EQ(regions[0].nodes.size(), 2u);
}

// -- normalization, by how the square, the root and the division are written

enum class Square { kPow, kMul };
enum class Division { kDiv, kReciprocal, kOneOver, kPowMinusHalf };

ValueId normalized(Drawing& d, ValueId v, Square square, Division division) {
  const ValueId squared = square == Square::kPow ? d.op("Pow", {v, d.number(2)}) : d.mul(v, v);
  const ValueId spread = d.op("Add", {d.mean(squared), d.number(1e-5f)});
  if (division == Division::kPowMinusHalf) return d.mul(v, d.op("Pow", {spread, d.number(-0.5f)}));
  const ValueId root = d.op("Sqrt", {spread});
  if (division == Division::kDiv) return d.op("Div", {v, root});
  return d.mul(v, division == Division::kReciprocal ? d.op("Reciprocal", {root})
                                                    : d.op("Div", {d.number(1), root}));
}

TEST(Regions, LayerNormAndRmsNormInEverySpelling) {
  for (const Square square : {Square::kPow, Square::kMul})
    for (const Division division :
         {Division::kDiv, Division::kReciprocal, Division::kOneOver, Division::kPowMinusHalf}) {
      Drawing layer;
      const ValueId centred = layer.op("Sub", {layer.x, layer.mean(layer.x)});
      const ValueId y =
          layer.op("Add", {layer.mul(normalized(layer, centred, square, division), layer.vector(2)),
                           layer.vector(3)});
      EXPECT_EQ(only_kind(layer, y), RegionKind::kLayerNorm);
      Drawing rms;
      EXPECT_EQ(only_kind(rms, rms.mul(rms.vector(2), normalized(rms, rms.x, square, division))),
                RegionKind::kRmsNorm);
    }
}

TEST(Regions, NormalizationSaysItsParameters) {
  Drawing d;
  const ValueId centred = d.op("Sub", {d.x, d.mean(d.x)});
  const ValueId gamma = d.vector(2), beta = d.vector(3);
  const ValueId y =
      d.op("Add", {d.mul(normalized(d, centred, Square::kPow, Division::kDiv), gamma), beta});
  const Region region = d.regions(y).at(0);
  EXPECT_EQ(region.scale, gamma);
  EXPECT_EQ(region.bias, beta);
  EXPECT_FLOAT_EQ(region.epsilon, 1e-5f);
  EXPECT_THAT(region.axes, ElementsAre(1));
  EXPECT_TRUE(is_uncuttable(region.kind));
}

TEST(Regions, NormalizationIsNoneWhereAnInnerValueIsReadOutside) {
  Drawing d;
  const ValueId centred = d.op("Sub", {d.x, d.mean(d.x)});
  const ValueId y = normalized(d, centred, Square::kMul, Division::kDiv);
  d.build.output(d.op("Neg", {centred}));
  EXPECT_THAT(d.regions(y), IsEmpty());
}

TEST(Regions, NormalizationIsNoneWhereAxesDiffer) {
  Drawing d;
  const ValueId centred = d.op("Sub", {d.x, d.mean(d.x, {0})});
  const auto regions = d.regions(normalized(d, centred, Square::kMul, Division::kDiv));
  ASSERT_EQ(regions.size(), 1u);  // x / sqrt(mean(x^2)) of the difference is still one
  EXPECT_EQ(regions[0].kind, RegionKind::kRmsNorm);
  EXPECT_THAT(regions[0].inputs, ElementsAre(centred));
}

// -- activations

ValueId erf_term(Drawing& d, bool divide) {
  const float root2 = std::sqrt(2.0f);
  const ValueId scaled =
      divide ? d.op("Div", {d.x, d.number(root2)}) : d.mul(d.x, d.number(1 / root2));
  return d.op("Add", {d.op("Erf", {scaled}), d.number(1)});
}

TEST(Regions, ErfGeluInItsFactorings) {
  for (int form = 0; form < 4; ++form) {
    Drawing d;
    const ValueId e = erf_term(d, form % 2 == 0), half = d.number(0.5f);
    const ValueId y = form == 0   ? d.mul(d.mul(d.x, e), half)
                      : form == 1 ? d.mul(d.mul(d.x, half), e)
                      : form == 2 ? d.mul(d.x, d.mul(e, half))
                                  : d.mul(half, d.mul(e, d.x));
    EXPECT_EQ(only_kind(d, y), RegionKind::kGelu) << form;
  }
}

TEST(Regions, TanhGeluInItsFactorings) {
  for (const bool pow : {true, false}) {
    Drawing d;
    const ValueId cube = pow ? d.op("Pow", {d.x, d.number(3)}) : d.mul(d.mul(d.x, d.x), d.x);
    const ValueId inner = d.op("Add", {d.x, d.mul(d.number(0.044715f), cube)});
    const ValueId t = d.op("Tanh", {d.mul(d.number(0.7978845608f), inner)});
    const ValueId y = d.mul(d.mul(d.number(0.5f), d.x), d.op("Add", {t, d.number(1)}));
    EXPECT_EQ(only_kind(d, y), RegionKind::kTanhGelu);
  }
}

TEST(Regions, SiluHardSwishAndMish) {
  Drawing silu;
  EXPECT_EQ(only_kind(silu, silu.mul(silu.op("Sigmoid", {silu.x}), silu.x)), RegionKind::kSilu);
  Drawing hard;
  const ValueId gate = hard.op("HardSigmoid", {hard.x}, {{"alpha", 1.0f / 6}});
  EXPECT_EQ(only_kind(hard, hard.mul(hard.x, gate)), RegionKind::kHardSwish);
  Drawing clip;
  const ValueId shifted = clip.op("Add", {clip.x, clip.number(3)});
  const ValueId clipped = clip.op("Clip", {shifted, clip.number(0), clip.number(6)});
  EXPECT_EQ(only_kind(clip, clip.op("Div", {clip.mul(clip.x, clipped), clip.number(6)})),
            RegionKind::kHardSwish);
  Drawing mish;
  EXPECT_EQ(only_kind(mish, mish.mul(mish.x, mish.op("Tanh", {mish.op("Softplus", {mish.x})}))),
            RegionKind::kMish);
  Drawing logs;
  const ValueId one_more = logs.op("Add", {logs.op("Exp", {logs.x}), logs.number(1)});
  EXPECT_EQ(only_kind(logs, logs.mul(logs.x, logs.op("Tanh", {logs.op("Log", {one_more})}))),
            RegionKind::kMish);
  EXPECT_FALSE(is_uncuttable(RegionKind::kSilu));
  EXPECT_TRUE(is_uncuttable(RegionKind::kGelu));
}

TEST(Regions, OtherFunctionsAreNone) {
  Drawing d;  // x sigmoid(1.7 x)
  EXPECT_THAT(d.regions(d.mul(d.x, d.op("Sigmoid", {d.mul(d.x, d.number(1.7f))}))), IsEmpty());
  Drawing gated;  // z sigmoid(x)
  const ValueId z = gated.build.input("z", DType::kF32, {2, 8});
  EXPECT_THAT(gated.regions(gated.mul(z, gated.op("Sigmoid", {gated.x}))), IsEmpty());
  Drawing shared;
  const ValueId s = shared.op("Sigmoid", {shared.x});
  shared.build.output(s);
  EXPECT_THAT(shared.regions(shared.mul(shared.x, s)), IsEmpty());
}

// -- softmax

TEST(Regions, SoftmaxAsOneNodeAndAsFive) {
  Drawing one;
  EXPECT_EQ(only_kind(one, one.op("Softmax", {one.x})), RegionKind::kSoftmax);
  Drawing five;
  const std::vector<int64_t> axes{1};
  const ValueId top = five.op("ReduceMax", {five.x}, {{"axes", axes}});
  const ValueId e = five.op("Exp", {five.op("Sub", {five.x, top})});
  const ValueId sum =
      five.op("ReduceSum", {e, five.build.constant("axes", Tensor::of<int64_t>({1}, axes))});
  EXPECT_EQ(only_kind(five, five.op("Div", {e, sum})), RegionKind::kSoftmax);
}

TEST(Regions, AttentionSoftmaxTakesScaleAndMaskIn) {
  Drawing d;
  const ValueId k = d.build.input("k", DType::kF32, {8, 2}),
                v = d.build.input("v", DType::kF32, {2, 8});
  const ValueId mask = d.build.input("mask", DType::kF32, {2, 2});
  const ValueId scores = d.op("MatMul", {d.x, k});
  const ValueId masked = d.op("Add", {d.op("Div", {scores, d.number(4)}), mask});
  const auto regions = d.regions(d.op("MatMul", {d.op("Softmax", {masked}), v}));
  ASSERT_EQ(regions.size(), 1u);
  EXPECT_EQ(regions[0].kind, RegionKind::kAttentionSoftmax);
  EXPECT_EQ(regions[0].nodes.size(), 3u);
  EXPECT_THAT(regions[0].inputs, ElementsAre(scores, mask));
  EXPECT_FLOAT_EQ(regions[0].factor, 0.25f);
}

TEST(Regions, AttentionSoftmaxBetweenIntegerProducts) {
  Drawing d;
  d.graph.set_opset("com.microsoft", 1);
  const ValueId q = d.build.input("q", DType::kU8, {2, 8}),
                k = d.build.input("k", DType::kU8, {8, 2}),
                v = d.build.input("v", DType::kU8, {2, 8});
  const ValueId s = d.number(0.5f), z = d.build.constant("z", Tensor::scalar<uint8_t>(3));
  const ValueId scores =
      d.build.op("MatMulIntegerToFloat", {q, k, s, s, z, z}, {}, "", "com.microsoft");
  const ValueId p = d.op("Softmax", {d.mul(scores, d.number(0.25f))});
  const ValueId bytes = d.op("QuantizeLinear", {p, s, z});
  const auto regions = d.regions(d.op("QLinearMatMul", {bytes, s, z, v, s, z, s, z}));
  ASSERT_EQ(regions.size(), 1u);
  EXPECT_EQ(regions[0].kind, RegionKind::kAttentionSoftmax);
  EXPECT_THAT(regions[0].inputs, ElementsAre(scores));
  EXPECT_EQ(regions[0].factor, 0.25f);
}

TEST(Regions, SoftmaxAwayFromMatMulKeepsItsScaleOut) {
  Drawing d;
  const auto regions = d.regions(d.op("Softmax", {d.mul(d.x, d.number(2))}));
  ASSERT_EQ(regions.size(), 1u);
  EXPECT_EQ(regions[0].kind, RegionKind::kSoftmax);
  EXPECT_EQ(regions[0].nodes.size(), 1u);
}

}  // namespace
}  // namespace lapidary
