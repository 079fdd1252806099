#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "test/train/net.h"

// Binarize, BinarizeWeight, TernarizeWeight with loss = sum(y g); stored values:
// test/ops/binary_reference.py.

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::FloatNear;
using testing::Pointwise;

std::vector<float> floats(const Tensor& t) {
  return {t.data<float>().begin(), t.data<float>().end()};
}

/// The op on parameter p0 (and further inputs) under a loss.
struct Case {
  Net net;
  Case(const char* op, const Tensor& x, const Tensor& g, GraphBuilder::Attrs attrs,
       const std::vector<Tensor>& fixed = {}, const std::vector<Tensor>& trained = {}) {
    std::vector<ValueId> inputs = {net.param(x)};
    for (const Tensor& t : fixed) inputs.push_back(net.builder.constant("sharpness", t));
    for (const Tensor& t : trained) inputs.push_back(net.param(t));
    const ValueId y = net.op(op, inputs, std::move(attrs), "ai.lapidary");
    net.finish(y);
    net.graph.rename_value(
        net.op("ReduceSum", {net.op("Mul", {y, net.fixed(g)})}, {{"keepdims", int64_t{0}}}),
        "loss");
  }
  std::vector<float> gradient(const char* of = "p0") {
    return floats(open_trainer(net.graph, net.options())->gradients({}, {}).at(of));
  }
};

const Tensor kX = Tensor::of<float>({9}, {-3, -1, -.75f, -.25f, 0, .125f, .5f, 1, 1.5f});
const Tensor kOnes = Tensor::of<float>({9}, std::vector<float>(9, 1));

std::vector<float> slope(const char* estimator, float t) {
  return Case("Binarize", kX, kOnes, {{"estimator", std::string(estimator)}}, {Tensor::scalar(t)})
      .gradient();
}

TEST(Binarize, Estimators) {
  EXPECT_THAT(slope("ste", 1), ElementsAre(0, 1, 1, 1, 1, 1, 1, 1, 0));
  EXPECT_THAT(slope("bireal", 1), ElementsAre(0, 0, .5f, 1.5f, 2, 1.75f, 1, 0, 0));
  EXPECT_THAT(slope("swish", 1),
              Pointwise(FloatNear(1e-6f), {-3.97673e-05f, -.1949923f, -.3541776f, 2.262047f, 5.f,
                                           4.112191f, -.08462157f, -.1949923f, -.03034021f}));
  EXPECT_THAT(slope("ede", .25f),
              Pointwise(FloatNear(1e-6f), {.5965858f, .9400148f, .9656516f, .9961039f, 1.f,
                                           .9990241f, .9845363f, .9400148f, .87158f}));
  EXPECT_THAT(slope("ede", 2),
              Pointwise(FloatNear(1e-6f), {4.915313e-05f, .1413016f, .3614133f, 1.572895f, 2.f,
                                           1.88003f, .8399487f, .1413016f, .01973207f}));
}

TEST(Binarize, SwishOfLargeNumbersIsFlat) {
  const Tensor far = Tensor::of<float>({3}, {-1e30f, 40, 3e38f});
  const auto d = Case("Binarize", far, Tensor::of<float>({3}, {1, 1, 1}),
                      {{"estimator", std::string("swish")}})
                     .gradient();
  for (const float v : d) EXPECT_NEAR(v, 0, 1e-30);
}

TEST(Binarize, SharpnessIsWhatItWasSetTo) {
  Case c("Binarize", kX, kOnes, {{"estimator", std::string("ede")}}, {Tensor::scalar(.25f)});
  const auto trainer = open_trainer(c.net.graph, c.net.options());
  trainer->gradients({}, {});
  trainer->set_constant("sharpness", Tensor::scalar(2.f));
  EXPECT_EQ(floats(trainer->gradients({}, {}).at("p0")), slope("ede", 2));
}

const Tensor kW =
    Tensor::of<float>({3, 4}, {.5f, -1.5f, .25f, -.125f, 3, .75f, -2, 0, -.0625f, .5f, .875f, -4});
const Tensor kG = Tensor::of<float>({3, 4}, {1, 2, -1, .5f, -2, 1, .25f, 3, .5f, -.5f, 1.5f, 2});

TEST(BinarizeWeight, TakesItsScaleForConstant) {
  EXPECT_THAT(Case("BinarizeWeight", kW, kG, {}).gradient(),
              Pointwise(FloatNear(1e-6f), {.59375f, 0.f, -.59375f, .296875f, 0.f, 1.4375f, 0.f,
                                           4.3125f, .6796875f, -.6796875f, 2.039062f, 0.f}));
}

TEST(BinarizeWeight, GradientGoesThroughTheStandardization) {
  EXPECT_THAT(Case("BinarizeWeight", kW, kG, {{"standardize", int64_t{1}}}).gradient(),
              Pointwise(FloatNear(2e-6f),
                        {.8434564f, .03690122f, -1.270456f, .3900986f, -.359353f, .01097261f,
                         -.5349148f, .8832952f, .01895633f, -.4515397f, .401495f, .03108838f}));
  EXPECT_THAT(Case("BinarizeWeight", kW, kG,
                   {{"standardize", int64_t{1}},
                    {"scale", std::string("shift")},
                    {"estimator", std::string("ede")}},
                   {Tensor::scalar(2.f)})
                  .gradient(),
              Pointwise(FloatNear(2e-6f),
                        {.09326611f, -.2109757f, -.9290212f, 1.046731f, -.7484599f, .1069357f,
                         -1.082589f, 1.724113f, .2288314f, -.2959117f, .08832388f, -.0212436f}));
}

TEST(TernarizeWeight, StraightThrough) {
  EXPECT_EQ(Case("TernarizeWeight", kW, kG, {}).gradient(), floats(kG));
}

TEST(TernarizeWeight, LearnedScales) {
  Case c("TernarizeWeight", kW, kG, {{"threshold", .25f}}, {},
         {Tensor::scalar(1.25f), Tensor::scalar(.5f)});
  EXPECT_THAT(c.gradient(), ElementsAre(1, 1, -1, .5f, -2.5f, 1, .125f, 3, .5f, -.5f, 1.5f, 1));
  EXPECT_THAT(c.gradient("p1"), ElementsAre(-2));
  EXPECT_THAT(c.gradient("p2"), ElementsAre(-4.25f));
}

// -- forward: the bits of the reference, in every form and beside a Conv, whose weights lie
// channels innermost

struct Form {
  const char* op;
  GraphBuilder::Attrs attrs;
  bool learned = false;
};
std::vector<Form> forms() {
  std::vector<Form> out;
  for (const char* scale : {"mean", "shift", "none"})
    for (const int64_t standardize : {0, 1})
      for (const int64_t axis : {0, 1})
        out.push_back(
            {"BinarizeWeight",
             {{"scale", std::string(scale)}, {"standardize", standardize}, {"axis", axis}}});
  for (const int64_t axis : {0, 1}) out.push_back({"TernarizeWeight", {{"axis", axis}}});
  out.push_back({"TernarizeWeight", {{"threshold", .3f}}, true});
  return out;
}

TEST(BinaryWeights, ForwardHasTheBitsOfTheReference) {
  for (const Form& form : forms()) {
    Net net;
    net.rng = Rng(form.attrs.size() * 7 + 1);
    std::vector<ValueId> inputs = {net.param(net.uniform({24, 16, 3, 3}, -.3, .4))};
    if (form.learned)
      for (const float v : {.3f, .2f}) inputs.push_back(net.param(Tensor::scalar(v)));
    const ValueId w = net.op(form.op, inputs, form.attrs, "ai.lapidary");
    net.graph.mutable_value(w).type = tensor_type(DType::kF32, Shape{24, 16, 3, 3});
    net.graph.rename_value(w, "w");
    const ValueId x =
        net.op("Binarize", {net.fixed(net.uniform({2, 16, 5, 5}, -1, 1))}, {}, "ai.lapidary");
    net.finish(net.op("Conv", {x, w}));
    net.graph.rename_value(
        net.op("ReduceSum", {net.graph.find_value("y")}, {{"keepdims", int64_t{0}}}), "loss");
    const auto trainer = open_trainer(net.graph, net.options());
    const Tensor found = trainer->forward({}, {"w"}, false).at("w");
    Executor reference(net.graph, {.executor = ExecutorKind::kReference, .keep_all_values = true});
    EXPECT_TRUE(found.equals(reference.run({}).at("w"))) << form.op;
  }
}

}  // namespace
}  // namespace lapidary
