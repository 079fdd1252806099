#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "lapidary/error.h"
#include "lapidary/train.h"
#include "src/ir/builder.h"

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

using Strings = std::vector<std::string>;

Tensor filled(const Shape& shape, float value) {
  Tensor out(DType::kF32, shape);
  for (float& x : out.mutable_data<float>()) x = value;
  return out;
}

/// A graph whose constants are all 9.
struct Nine {
  Graph graph;
  GraphBuilder b{graph};

  Nine() { graph.set_opset("", 17); }
  ValueId input(const std::string& name, std::vector<Dim> shape, DType dtype = DType::kF32) {
    return b.input(name, dtype, std::move(shape));
  }
  ValueId c(const std::string& name, const Shape& shape, float value = 9) {
    return b.constant(name, filled(shape, value));
  }
  ValueId op(const std::string& type, std::vector<ValueId> inputs, GraphBuilder::Attrs attrs = {}) {
    return b.op(type, std::move(inputs), std::move(attrs));
  }
  ValueId norm(ValueId x, const std::string& name, int64_t channels) {
    return op("BatchNormalization",
              {x, c(name + "_gain", {channels}), c(name + "_shift", {channels}),
               c(name + "_mean", {channels}), c(name + "_variance", {channels})});
  }
  Tensor get(const std::string& name) const { return *graph.constant(graph.find_value(name)); }
  bool all(const std::string& name, float value) const {
    const Tensor t = get(name);
    return std::all_of(t.data<float>().begin(), t.data<float>().end(),
                       [&](float x) { return x == value; });
  }
};

Nine images() {
  Nine n;
  ValueId x = n.input("x", {Dim::named("N"), 32, 16, 16});
  x = n.op("Div", {n.op("Sub", {x, n.c("data_mean", {1, 32, 1, 1})}), n.c("data_std", {32, 1, 1})});
  x = n.op("Add", {x, n.c("data_shift", {1, 32, 1, 1})});
  x = n.op("Conv", {x, n.c("conv_w", {64, 32, 3, 3}), n.c("conv_b", {64})});
  x = n.op("PRelu", {n.norm(x, "bn", 64), n.c("slope", {64, 1, 1})});
  x = n.op("Conv", {x, n.c("depth_w", {64, 1, 7, 7})}, {{"group", int64_t{64}}});
  x = n.op("ConvTranspose", {x, n.c("up_w", {64, 32, 4, 4}), n.c("up_b", {64})},
           {{"group", int64_t{2}}, {"strides", std::vector<int64_t>{2, 2}}});
  x = n.op("Mul", {n.op("Add", {x, n.c("term", {1, 64, 1, 1})}), n.c("factor", {64, 1, 1})});
  x = n.op("Mul", {x, n.c("half", {})});
  n.b.output(n.op("Gemm",
                  {n.op("Flatten", {n.op("GlobalAveragePool", {x})}), n.c("fc_w", {100, 64}),
                   n.c("fc_b", {100})},
                  {{"transB", int64_t{1}}}));
  return n;
}

Nine tokens() {
  Nine n;
  const ValueId ids = n.input("ids", {Dim::named("N"), 16}, DType::kI64);
  ValueId x = n.op("Gather", {n.c("table", {500, 40}), ids});
  x = n.op("Add", {x, n.c("positions", {1, 16, 40})});
  x = n.op("LayerNormalization", {x, n.c("ln_gain", {40}), n.c("ln_shift", {40})});
  x = n.op("Add", {n.op("MatMul", {x, n.c("mm_w", {40, 300})}), n.c("mm_b", {300})});
  x = n.op("Add", {x, n.c("mask", {16, 300}, -1e9f)});
  n.b.output(n.op("Gemm", {n.op("Flatten", {x}, {{"axis", int64_t{2}}}), n.c("fc_w", {300, 100})}));
  return n;
}

Strings names(const std::vector<TrainedParameter>& parameters, bool decay) {
  Strings out;
  for (const TrainedParameter& p : parameters)
    if (p.decay == decay) out.push_back(p.name);
  return out;
}

template <class Body>
std::string usage_error(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "expected an Error";
  return {};
}

// -- what is trained

TEST(TrainableParameters, AreWhatLayersAndNormsRead) {
  const auto found = trainable_parameters(images().graph);
  EXPECT_THAT(names(found, true), ElementsAre("conv_w", "depth_w", "up_w", "fc_w"));
  EXPECT_THAT(names(found, false), UnorderedElementsAre("conv_b", "bn_gain", "bn_shift", "slope",
                                                        "up_b", "term", "factor", "fc_b"));
}

TEST(TrainableParameters, OfTransformersAreTablesToo) {
  const auto found = trainable_parameters(tokens().graph);
  EXPECT_THAT(names(found, true), ElementsAre("table", "mm_w", "fc_w"));
  EXPECT_THAT(names(found, false),
              UnorderedElementsAre("positions", "ln_gain", "ln_shift", "mm_b"));
}

/// A GRU, its weights put together from the parts that another framework keeps, and an LSTM.
Nine sequences() {
  Nine n;
  ValueId x = n.input("x", {Dim::named("T"), Dim::named("N"), 30});
  const ValueId axis = n.b.constant("axis", Tensor::of<int64_t>({1}, {0}));
  const ValueId parts =
      n.op("Concat", {n.c("wz", {80, 30}), n.c("wrh", {160, 30})}, {{"axis", int64_t{0}}});
  x = n.op("GRU", {x, n.op("Unsqueeze", {parts, axis}), n.c("r", {1, 240, 80})});
  x = n.op("Squeeze", {x, n.b.constant("axis1", Tensor::of<int64_t>({1}, {1}))});
  n.b.output(n.op("LSTM", {x,
                           n.c("w2", {1, 160, 80}),
                           n.c("r2", {1, 160, 40}),
                           n.c("b2", {1, 320}),
                           {},
                           {},
                           {},
                           n.c("p2", {1, 120})}));
  return n;
}

TEST(TrainableParameters, OfRecurrentLayers) {
  const auto found = trainable_parameters(sequences().graph);
  EXPECT_THAT(names(found, true), ElementsAre("wz", "wrh", "r", "w2", "r2"));
  EXPECT_THAT(names(found, false), ElementsAre("b2", "p2"));
}

/// y = c ? x w : x, w a Constant node of its branch.
Nine branches() {
  Nine n;
  const ValueId c = n.input("c", {}, DType::kBool), x = n.input("x", {Dim::named("N"), 60});
  Node node;
  node.op = "If";
  node.inputs = {c};
  node.outputs = {n.graph.add_value("y")};
  for (const char* attr : {"then_branch", "else_branch"}) {
    auto body = std::make_shared<Graph>();
    body->set_opset("", 17);
    GraphBuilder in(*body);
    const ValueId inner = body->add_value(std::string("x_") + attr);
    node.captures.push_back({x, attr, 0, inner});
    const bool layer = node.attrs.empty();
    in.output(layer ? in.op("MatMul",
                            {inner, in.op("Constant", {}, {{"value", filled({60, 50}, 9)}}, "w")})
                    : in.op("Identity", {inner}));
    node.attrs.emplace_back(attr, std::shared_ptr<const Graph>(body));
  }
  n.graph.add_node(std::move(node));
  n.b.output(n.graph.find_value("y"));
  return n;
}

TEST(TrainableParameters, OfBranches) {
  EXPECT_THAT(names(trainable_parameters(branches().graph), true), ElementsAre("w"));
}

TEST(TrainableParameters, InitializersThatAreInputsTooCount) {
  Nine n = images();
  auto inputs = n.graph.inputs();
  inputs.push_back(n.graph.find_value("conv_w"));
  n.graph.set_inputs(std::move(inputs));
  EXPECT_THAT(names(trainable_parameters(n.graph), true),
              ElementsAre("conv_w", "depth_w", "up_w", "fc_w"));
}

// -- how it begins

/// Mean and variance as those of that many normal numbers, within five standard errors:
/// 1 / sqrt(n) of the deviation, sqrt(2 / n) of the variance. Within one deviation lie 68.3 %.
void expect_normal(const Tensor& t, double variance) {
  const auto x = t.data<float>();
  const auto n = static_cast<double>(x.size());
  double sum = 0, squares = 0, inside = 0;
  for (const float v : x) {
    sum += v;
    squares += double{v} * v;
    inside += v * v < variance;
  }
  EXPECT_NEAR(sum / n, 0, 5 * std::sqrt(variance / n));
  EXPECT_NEAR(squares / n / variance, 1, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(inside / n, 0.6827, 5 * std::sqrt(0.6827 * 0.3173 / n));
}

TEST(InitParameters, WeightsHaveTheVarianceOfHe) {
  Nine n = images();
  init_parameters(n.graph, 1);
  expect_normal(n.get("conv_w"), 2.0 / (32 * 3 * 3));
  expect_normal(n.get("depth_w"), 2.0 / (7 * 7));
  // 64 / 2 inputs; of the 4 x 4 taps an output sees one in 2 x 2.
  expect_normal(n.get("up_w"), 2.0 / (32 * 2 * 2));
  expect_normal(n.get("fc_w"), 2.0 / 64);

  Nine t = tokens();
  init_parameters(t.graph, 1);
  expect_normal(t.get("mm_w"), 2.0 / 40);
  expect_normal(t.get("fc_w"), 2.0 / 300);
  expect_normal(t.get("table"), 0.02 * 0.02);

  Nine s = sequences();
  init_parameters(s.graph, 1);
  expect_normal(s.get("wz"), 2.0 / 30);
  expect_normal(s.get("wrh"), 2.0 / 30);
  expect_normal(s.get("r"), 2.0 / 80);
  expect_normal(s.get("r2"), 2.0 / 40);

  Nine b = branches();
  init_parameters(b.graph, 1);
  expect_normal(b.get("w"), 2.0 / 60);
}

TEST(InitParameters, TheRestBeginsAsNothing) {
  Nine n = images();
  init_parameters(n.graph, 1);
  for (const char* name : {"conv_b", "bn_shift", "bn_mean", "up_b", "term", "fc_b"})
    EXPECT_TRUE(n.all(name, 0)) << name;
  for (const char* name : {"bn_gain", "bn_variance", "factor"}) EXPECT_TRUE(n.all(name, 1)) << name;
  EXPECT_TRUE(n.all("slope", 0.25f));
  for (const char* name : {"data_mean", "data_std", "data_shift", "half"})
    EXPECT_TRUE(n.all(name, 9)) << name;

  Nine t = tokens();
  init_parameters(t.graph, 1);
  EXPECT_TRUE(t.all("ln_gain", 1));
  EXPECT_TRUE(t.all("mm_b", 0));
  EXPECT_TRUE(t.all("positions", 9));
  EXPECT_TRUE(t.all("mask", -1e9f));

  Nine s = sequences();
  init_parameters(s.graph, 1);
  EXPECT_TRUE(s.all("b2", 0));
  EXPECT_TRUE(s.all("p2", 0));
}

TEST(InitParameters, FollowTheSeedAndNotTheNames) {
  const auto weights = [](uint64_t seed, const std::string& name) {
    Nine n = images();
    n.graph.rename_value(n.graph.find_value("conv_w"), name);
    init_parameters(n.graph, seed);
    return n.get(name);
  };
  EXPECT_TRUE(weights(3, "conv_w").equals(weights(3, "other")));
  EXPECT_FALSE(weights(3, "conv_w").equals(weights(4, "conv_w")));
  // Layers of one shape do not begin alike.
  Nine twins;
  ValueId x = twins.input("x", {Dim::named("N"), 8});
  for (const char* name : {"a", "b"}) x = twins.op("MatMul", {x, twins.c(name, {8, 8})});
  twins.b.output(x);
  init_parameters(twins.graph, 3);
  EXPECT_FALSE(twins.get("a").equals(twins.get("b")));
}

TEST(InitParameters, SharedConstantsBeginOneWayOnly) {
  Nine n;
  const ValueId x = n.input("x", {Dim::named("N"), 4, 2, 2});
  const ValueId shared = n.c("shared", {4});
  n.b.output(n.op("BatchNormalization", {x, shared, n.c("shift", {4}), n.c("m", {4}), shared}));
  EXPECT_THAT(usage_error([&] { init_parameters(n.graph, 0); }), HasSubstr("no weights"));
  n.b.output(n.op("BatchNormalization", {n.op("Conv", {x, n.c("w", {4, 4, 1, 1})}), n.c("g", {4}),
                                         shared, n.c("m2", {4}), n.c("v2", {4})}));
  EXPECT_THAT(usage_error([&] { init_parameters(n.graph, 0); }), HasSubstr("'shared'"));
}

// -- the way back from training

TEST(WithoutLoss, GivesTheModelItsTrainedConstants) {
  Nine n = images();
  n.graph.set_opset("", 11);  // older than losses are
  const Graph original = n.graph;
  Graph training = original;
  add_loss(training, {{.kind = "cross_entropy"}});
  ASSERT_EQ(training.opset(), 13);
  for (const char* name : {"conv_w", "bn_mean", "bn_variance", "fc_b"}) {
    const ValueId id = training.find_value(name);
    training.mutable_value(id).constant = filled(training.constant(id)->shape(), 5);
  }
  n.graph = without_loss(training, original);
  for (const char* name : {"conv_w", "bn_mean", "bn_variance", "fc_b"})
    EXPECT_TRUE(n.all(name, 5)) << name;
  EXPECT_TRUE(n.all("fc_w", 9));
  // All else is as it was: nodes, names, inputs, outputs, opset.
  for (const char* name : {"conv_w", "bn_mean", "bn_variance", "fc_b"}) {
    const ValueId id = n.graph.find_value(name);
    n.graph.mutable_value(id).constant = filled(n.graph.constant(id)->shape(), 9);
  }
  std::string difference;
  EXPECT_TRUE(same_graph(n.graph, original, &difference)) << difference;
}

TEST(WithoutLoss, RefusesAnotherModelsGraph) {
  const Graph original = images().graph;
  EXPECT_THAT(usage_error([&] { without_loss(tokens().graph, original); }),
              HasSubstr("'conv_w' is missing, expected float32[64,32,3,3]"));
  Nine other = images();
  const ValueId id = other.graph.find_value("fc_w");
  other.graph.mutable_value(id).constant = filled({10, 64}, 0);
  EXPECT_THAT(usage_error([&] { without_loss(other.graph, original); }),
              HasSubstr("'fc_w' is float32[10,64], expected float32[100,64]"));
}

}  // namespace
}  // namespace lapidary
