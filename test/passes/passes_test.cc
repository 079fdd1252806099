#include "lapidary/passes.h"

#include <gmock/gmock.h>

#include <limits>

#include "lapidary/error.h"
#include "src/passes/pass.h"
#include "test/passes/run_graph.h"

namespace lapidary {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// A graph under construction: y is its output.
struct Model {
  explicit Model(int64_t opset = 13) : graph(empty_graph(opset)), build(graph) {}
  ValueId input(std::vector<Dim> shape, const std::string& name = "x") {
    return build.input(name, DType::kF32, std::move(shape));
  }
  ValueId constant(const std::string& name, Tensor t) { return build.constant(name, std::move(t)); }
  ValueId ints(const std::string& name, const std::vector<int64_t>& v) {
    return constant(name, Tensor::of<int64_t>({static_cast<int64_t>(v.size())}, v));
  }
  ValueId number(const std::string& name, float v) { return constant(name, Tensor::scalar(v)); }
  void finish(ValueId y) {
    build.output(y);
    infer_types(graph);
  }
  /// Runs the pass; the graph must stay consistent and, where it is run, say the same.
  PassResult run(PassResult (*pass)(Graph&, const PassOptions&), const PassOptions& options = {}) {
    PassResult result = pass(graph, options);
    graph.verify();
    return result;
  }

  Graph graph;
  GraphBuilder build;
};

void expect_same_results(Model& m, PassResult (*pass)(Graph&, const PassOptions&), Shape shape,
                         float tolerance = 1e-6f) {
  const std::map<std::string, Tensor> x{{"x", ramp(std::move(shape))}};
  const Tensor before = run_graph(m.graph, x)[0];
  EXPECT_GT(m.run(pass).changes, 0);
  infer_types(m.graph);
  expect_near(run_graph(m.graph, x)[0], before, tolerance);
}

void expect_untouched(Model& m, PassResult (*pass)(Graph&, const PassOptions&),
                      const PassOptions& options = {}) {
  const Graph before = m.graph;
  EXPECT_EQ(m.run(pass, options).changes, 0);
  std::string difference;
  EXPECT_TRUE(same_graph(m.graph, before, &difference)) << difference;
}

// -- the runner

TEST(RunPasses, UnknownNameIsAUsageErrorWithASuggestion) {
  Graph graph = empty_graph(13);
  try {
    run_passes(graph, {"fold_constant"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUsage);
    EXPECT_THAT(error.message(), HasSubstr("fold_constants"));
  }
}

TEST(RunPasses, RepeatsUntilNothingChangesAndCounts) {
  Model m;
  const ValueId a = m.build.op("Add", {m.number("one", 1), m.number("two", 2)});
  m.finish(m.build.op("Add", {m.input({2}), m.build.op("Identity", {a})}, {}, "y"));
  const auto records = run_passes(m.graph, {"remove_noops", "fold_constants"});
  EXPECT_THAT(op_list(m.graph), ElementsAre("Add"));
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].pass, "remove_noops");
  EXPECT_EQ(records[0].changes, 1);
  EXPECT_EQ(records[1].changes, 1);
}

TEST(RunPasses, TrainSafeListLeavesBatchNormAlone) {
  PassOptions options;
  options.train_safe = true;
  Graph graph = empty_graph(13);
  std::vector<std::string> names;
  for (const PassRecord& record : optimize(graph, options)) names.push_back(record.pass);
  EXPECT_THAT(names, Not(Contains("fold_batchnorm")));
  EXPECT_THAT(list_passes(), Contains(testing::Field(&PassInfo::name, "fold_batchnorm")));
}

// -- fold_constants

TEST(FoldConstants, ComputesFromConstants) {
  Model m;
  const ValueId sum = m.build.op("Add", {m.number("a", 1), m.number("b", 2)}, {}, "sum");
  m.finish(m.build.op("Mul", {m.input({2}), sum}, {}, "y"));
  EXPECT_EQ(m.run(fold_constants).changes, 1);
  EXPECT_THAT(op_list(m.graph), ElementsAre("Mul"));
  EXPECT_EQ(m.graph.constant(m.graph.find_value("sum"))->data<float>()[0], 3);
  EXPECT_FALSE(m.graph.find_value("a").valid());
}

TEST(FoldConstants, KeepsWhatIsTooLarge) {
  Model m;
  const ValueId big =
      m.build.op("Expand", {m.number("a", 1), m.ints("shape", {10, 10})}, {}, "big");
  m.finish(m.build.op("Mul", {m.input({10, 10}), big}, {}, "y"));
  PassOptions options;
  options.fold_limit = 99;
  expect_untouched(m, fold_constants, options);
}

TEST(FoldConstants, KeepsQuantizedWeights) {
  Model m;
  const ValueId w = m.build.op(
      "DequantizeLinear", {m.constant("w", Tensor::of<int8_t>({2}, {1, 2})), m.number("s", 0.5f)});
  m.finish(m.build.op("Mul", {m.input({2}), w}, {}, "y"));
  expect_untouched(m, fold_constants);
}

// -- fold_shapes

TEST(FoldShapes, ShapeGatherConcatBecomesAConstant) {
  Model m;
  const ValueId x = m.input({2, 3, 4});
  const ValueId rows = m.build.op("Gather", {m.build.op("Shape", {x}), m.ints("i", {0})});
  const ValueId target = m.build.op("Concat", {rows, m.ints("rest", {12})}, {{"axis", int64_t{0}}});
  m.finish(m.build.op("Reshape", {x, target}, {}, "y"));
  EXPECT_GT(m.run(fold_shapes).changes, 0);
  EXPECT_THAT(op_list(m.graph), ElementsAre("Reshape"));
  const ValueId folded = m.graph.node(find_node(m.graph, "Reshape")).inputs[1];
  EXPECT_THAT(m.graph.constant(folded)->data<int64_t>(), ElementsAre(2, 12));
}

TEST(FoldShapes, AnUnknownBatchIsCopied) {
  Model m;
  const ValueId x = m.input({Dim::named("N"), 3, 4});
  const ValueId rows = m.build.op("Gather", {m.build.op("Shape", {x}), m.ints("i", {0})});
  const ValueId target = m.build.op("Concat", {rows, m.ints("rest", {12})}, {{"axis", int64_t{0}}});
  m.finish(m.build.op("Reshape", {x, target}, {}, "y"));
  EXPECT_EQ(m.run(fold_shapes).changes, 1);
  EXPECT_THAT(op_list(m.graph), ElementsAre("Reshape"));
  const ValueId folded = m.graph.node(find_node(m.graph, "Reshape")).inputs[1];
  EXPECT_THAT(m.graph.constant(folded)->data<int64_t>(), ElementsAre(0, 12));
}

TEST(FoldShapes, QuantizedWeightsStayIntegers) {
  Model m;
  const ValueId w = m.build.op("DequantizeLinear",
                               {m.constant("w", Tensor(DType::kI8, {3, 2})), m.number("s", 0.5f)});
  m.finish(m.build.op("MatMul", {m.input({4, 2}), m.build.op("Transpose", {w})}, {}, "y"));
  expect_untouched(m, fold_shapes);
}

TEST(FoldShapes, ShapesOfUnknownSizesStay) {
  Model m;
  const ValueId x = m.input({Dim::named("N"), Dim::named("M")});
  m.finish(m.build.op("Shape", {x}, {}, "y"));
  expect_untouched(m, fold_shapes);
}

// -- remove_noops

TEST(RemoveNoops, RemovesWhatChangesNothing) {
  Model m;
  const ValueId x = m.input({2, 3});
  ValueId v = m.build.op("Identity", {m.build.op("Relu", {x})});
  v = m.build.op("Dropout", {v});
  v = m.build.op("Cast", {v}, {{"to", int64_t{1}}});
  v = m.build.op("Reshape", {v, m.ints("shape", {2, 3})});
  v = m.build.op("Transpose", {v}, {{"perm", std::vector<int64_t>{0, 1}}});
  v = m.build.op("Pad", {v, m.ints("pads", {0, 0, 0, 0})});
  v = m.build.op("Slice", {v, m.ints("starts", {0}), m.ints("ends", {99}), m.ints("axes", {1})});
  v = m.build.op("Concat", {v}, {{"axis", int64_t{0}}});
  v = m.build.op("Tile", {v, m.ints("repeats", {1, 1})});
  v = m.build.op("Add", {v, m.number("zero", 0)});
  v = m.build.op("Mul", {m.number("one", 1), v});
  m.finish(m.build.op("Relu", {v}, {}, "y"));
  m.run(remove_noops);
  EXPECT_THAT(op_list(m.graph), ElementsAre("Relu", "Relu"));
  EXPECT_THAT(output_names(m.graph), ElementsAre("y"));
}

TEST(RemoveNoops, GraphOutputKeepsItsName) {
  Model m;
  m.finish(m.build.op("Identity", {m.build.op("Relu", {m.input({2})}, {}, "inner")}, {}, "y"));
  EXPECT_EQ(m.run(remove_noops).changes, 1);
  EXPECT_THAT(op_list(m.graph), ElementsAre("Relu"));
  EXPECT_THAT(output_names(m.graph), ElementsAre("y"));
}

TEST(RemoveNoops, IdentityFromInputToOutputStays) {
  Model m;
  m.finish(m.build.op("Identity", {m.input({2})}, {}, "y"));
  expect_untouched(m, remove_noops);
}

TEST(RemoveNoops, KeepsWhatChangesSomething) {
  Model m;
  ValueId v = m.input({2, 3});
  v = m.build.op("Transpose", {v}, {{"perm", std::vector<int64_t>{1, 0}}});
  v = m.build.op("Pad", {v, m.ints("pads", {0, 1, 0, 0})});
  v = m.build.op("Slice", {v, m.ints("starts", {-1}), m.ints("ends", {-99}), m.ints("axes", {0}),
                           m.ints("steps", {-1})});
  v = m.build.op("Add", {v, m.constant("zeros", Tensor(DType::kF32, {1, 1, 1}))});  // adds an axis
  v = m.build.op("Sub", {m.number("zero", 0), v});
  m.finish(m.build.op("Pow", {v, m.number("two", 2)}, {}, "y"));
  expect_untouched(m, remove_noops);
}

TEST(RemoveNoops, DropoutThatTrainsStays) {
  Model m;
  const ValueId train = m.constant("train", Tensor::of<bool>({}, {true}));
  m.finish(m.build.op("Dropout", {m.input({2}), m.number("ratio", 0.5f), train}, {}, "y"));
  expect_untouched(m, remove_noops);
}

// -- transposes, reshapes, clips

TEST(MergeTransposes, ComposesAndCancels) {
  Model m;
  const auto perm = [](std::vector<int64_t> p) {
    return GraphBuilder::Attrs{{"perm", std::move(p)}};
  };
  ValueId v = m.build.op("Transpose", {m.input({2, 3, 4})}, perm({1, 2, 0}));
  m.finish(m.build.op("Transpose", {v}, perm({1, 2, 0}), "y"));
  expect_same_results(m, merge_transposes, {2, 3, 4});
  EXPECT_THAT(op_list(m.graph), ElementsAre("Transpose"));
  EXPECT_EQ(ints_of(m.graph, "Transpose", "perm"), (std::vector<int64_t>{2, 0, 1}));

  Model back;
  v = back.build.op("Transpose", {back.build.op("Relu", {back.input({2, 3, 4})})}, perm({1, 2, 0}));
  back.finish(back.build.op("Relu", {back.build.op("Transpose", {v}, perm({2, 0, 1}))}, {}, "y"));
  EXPECT_EQ(back.run(merge_transposes).changes, 1);
  EXPECT_THAT(op_list(back.graph), ElementsAre("Relu", "Relu"));
}

TEST(MergeTransposes, LeavesOneWithAnotherReaderInPlace) {
  Model m;
  const ValueId t = m.build.op("Transpose", {m.input({2, 3})}, {}, "t");
  m.build.output(t);
  m.finish(m.build.op("Relu", {t}, {}, "y"));
  expect_untouched(m, merge_transposes);
}

TEST(MergeReshapes, KeepsTheLastShape) {
  Model m;
  const ValueId a = m.build.op("Reshape", {m.input({2, 3, 4}), m.ints("s", {6, 4})});
  const ValueId b = m.build.op("Unsqueeze", {a, m.ints("axes", {0})});
  m.finish(m.build.op("Flatten", {b}, {{"axis", int64_t{2}}}, "y"));
  expect_same_results(m, merge_reshapes, {2, 3, 4});
  EXPECT_THAT(op_list(m.graph), ElementsAre("Reshape"));
}

TEST(MergeReshapes, KeepsAnUnknownBatch) {
  Model m;
  const ValueId a = m.build.op("Reshape", {m.input({Dim::named("N"), 3, 4}), m.ints("s", {0, 12})});
  m.finish(m.build.op("Reshape", {a, m.ints("t", {0, 2, 6})}, {}, "y"));
  expect_same_results(m, merge_reshapes, {5, 3, 4});
  EXPECT_THAT(op_list(m.graph), ElementsAre("Reshape"));
}

TEST(MergeReshapes, LeavesTwoUnknownSizes) {
  Model m;
  const ValueId x = m.input({Dim::named("N"), Dim::named("M"), 4});
  const ValueId a = m.build.op("Flatten", {x});
  m.finish(m.build.op("Unsqueeze", {a, m.ints("axes", {0})}, {}, "y"));
  const PassResult result = m.run(merge_reshapes);
  EXPECT_EQ(result.changes, 0);
}

TEST(MergeClips, ReluAndClipBecomeOneClip) {
  Model m;
  const ValueId r = m.build.op("Relu", {m.input({64})});
  m.finish(m.build.op("Clip", {r, m.number("lo", -1), m.number("hi", 1.5f)}, {}, "y"));
  expect_same_results(m, merge_clips, {64}, 0);
  EXPECT_THAT(op_list(m.graph), ElementsAre("Clip"));
}

TEST(MergeClips, ClipsComposeEvenWhereTheyDoNotMeet) {
  for (const auto& [c, d] :
       {std::pair{-0.5f, 0.5f}, {1.0f, 1.25f}, {-1.5f, -1.0f}, {0.5f, -0.5f}}) {
    Model m;
    const ValueId a =
        m.build.op("Clip", {m.input({64}), m.number("a", -0.25f), m.number("b", 0.75f)});
    m.finish(m.build.op("Clip", {a, m.number("c", c), m.number("d", d)}, {}, "y"));
    expect_same_results(m, merge_clips, {64}, 0);
    EXPECT_EQ(m.graph.node_count(), 1u);
  }
}

TEST(MergeClips, BeforeOpset11BoundsAreAttributes) {
  Model m(10);
  const ValueId a = m.build.op("Clip", {m.input({64})}, {{"min", -1.0f}, {"max", 1.0f}});
  m.finish(m.build.op("Clip", {a}, {{"min", 0.0f}}, "y"));
  expect_same_results(m, merge_clips, {64}, 0);
  EXPECT_EQ(m.graph.node_count(), 1u);
}

TEST(MergeClips, LeavesOneThatOthersRead) {
  Model m;
  const ValueId r = m.build.op("Relu", {m.input({4})}, {}, "r");
  m.build.output(r);
  m.finish(m.build.op("Clip", {r, m.number("lo", -1), m.number("hi", 6)}, {}, "y"));
  expect_untouched(m, merge_clips);
}

// -- merge_duplicates, remove_dead_code

TEST(MergeDuplicates, MergesConstantsAndWhatTheyFeed) {
  Model m;
  const ValueId x = m.input({2});
  const ValueId a = m.build.op("Mul", {x, m.number("k", 3)});
  const ValueId b = m.build.op("Mul", {x, m.number("k", 3)});
  m.finish(m.build.op("Add", {a, b}, {}, "y"));
  EXPECT_EQ(m.run(merge_duplicates).changes, 2);
  EXPECT_THAT(op_list(m.graph), ElementsAre("Mul", "Add"));
}

// Of 100 elements only the last tells the first two apart; the third is the first again.
TEST(MergeDuplicates, ConstantsThatStartAlikeAreComparedToTheEnd) {
  Model m;
  const ValueId x = m.input({100});
  std::vector<float> one(100, 1.0f), other = one;
  other.back() = 2.0f;
  const ValueId a = m.build.op("Mul", {x, m.constant("k", Tensor::of<float>({100}, one))});
  const ValueId b = m.build.op("Add", {a, m.constant("l", Tensor::of<float>({100}, other))});
  const ValueId c = m.build.op("Sub", {b, m.constant("n", Tensor::of<float>({100}, one))});
  const ValueId d = m.build.op("Div", {c, m.constant("o", Tensor::of<float>({100}, other))});
  m.finish(m.build.op("Relu", {d}, {}, "y"));
  EXPECT_EQ(m.run(merge_duplicates).changes, 2);
  EXPECT_EQ(m.graph.find_value("n"), ValueId{});
  EXPECT_EQ(m.graph.find_value("o"), ValueId{});
  EXPECT_NE(m.graph.find_value("l"), ValueId{});
}

TEST(MergeDuplicates, LeavesOtherAttributesAndRandomNodes) {
  Model m;
  const ValueId x = m.input({2, 2});
  const ValueId a = m.build.op("LeakyRelu", {x}, {{"alpha", 0.1f}});
  const ValueId b = m.build.op("LeakyRelu", {x}, {{"alpha", 0.2f}});
  const ValueId c = m.build.op("RandomNormalLike", {x});
  const ValueId d = m.build.op("RandomNormalLike", {x});
  m.finish(m.build.op("Sum", {a, b, c, d}, {}, "y"));
  expect_untouched(m, merge_duplicates);
}

TEST(MergeDuplicates, TrainedParametersStayTheirOwn) {
  Model m;
  const ValueId a =
      m.build.op("Mul", {m.input({2}), m.constant("k", Tensor::of<float>({2}, {1, 1}))});
  m.finish(m.build.op("Mul", {a, m.constant("l", Tensor::of<float>({2}, {1, 1}))}, {}, "y"));
  PassOptions options;
  options.train_safe = true;
  expect_untouched(m, merge_duplicates, options);
}

TEST(MergeDuplicates, TwoGraphOutputsKeepTheirNames) {
  Model m;
  const ValueId x = m.input({2});
  m.build.output(m.build.op("Relu", {x}, {}, "a"));
  m.finish(m.build.op("Relu", {x}, {}, "b"));
  expect_untouched(m, merge_duplicates);
}

TEST(RemoveDeadCode, RemovesChainsAndConstants) {
  Model m;
  const ValueId x = m.input({2});
  m.build.op("Mul", {m.build.op("Relu", {x}), m.number("k", 3)});
  m.number("alone", 1);
  m.finish(m.build.op("Neg", {x}, {}, "y"));
  EXPECT_GT(m.run(remove_dead_code).changes, 0);
  EXPECT_THAT(op_list(m.graph), ElementsAre("Neg"));
  EXPECT_EQ(m.graph.values().size(), 2u);
  expect_untouched(m, remove_dead_code);
}

// -- fold_padding

GraphBuilder::Attrs window(std::vector<int64_t> kernel, GraphBuilder::Attrs more = {}) {
  more.emplace_back("kernel_shape", std::move(kernel));
  return more;
}

TEST(FoldPadding, ZeroPadMovesIntoConv) {
  Model m;
  const ValueId p =
      m.build.op("Pad", {m.input({1, 2, 5, 5}), m.ints("pads", {0, 0, 0, 1, 0, 0, 2, 1})});
  const ValueId w = m.constant("w", ramp({3, 2, 3, 3}));
  m.finish(m.build.op("Conv", {p, w}, window({3, 3}, {{"pads", std::vector<int64_t>{1, 1, 1, 1}}}),
                      "y"));
  expect_same_results(m, fold_padding, {1, 2, 5, 5});
  EXPECT_EQ(ints_of(m.graph, "Conv", "pads"), (std::vector<int64_t>{1, 2, 3, 2}));
}

TEST(FoldPadding, OtherPadsStayBeforeConv) {
  for (const bool channels : {true, false}) {
    Model m;
    const ValueId pads = m.ints("pads", {0, channels, 0, 1, 0, channels, 1, 1});
    const ValueId p =
        m.build.op("Pad", {m.input({1, 2, 5, 5}), pads, m.number("v", channels ? 0 : 1)});
    const ValueId w = m.constant("w", ramp({3, channels ? 4 : 2, 3, 3}));
    m.finish(m.build.op("Conv", {p, w}, {}, "y"));
    expect_untouched(m, fold_padding);
  }
}

TEST(FoldPadding, AveragePoolCountsTheZeros) {
  Model m;
  const ValueId p =
      m.build.op("Pad", {m.input({1, 1, 4, 4}), m.ints("pads", {0, 0, 1, 1, 0, 0, 1, 1})});
  m.finish(m.build.op("AveragePool", {p}, window({2, 2}), "y"));
  expect_same_results(m, fold_padding, {1, 1, 4, 4});
  EXPECT_THAT(op_list(m.graph), ElementsAre("AveragePool"));
}

TEST(FoldPadding, AveragePoolThatLeavesItsOwnPadsOutKeepsThePad) {
  Model m;
  const ValueId p =
      m.build.op("Pad", {m.input({1, 1, 4, 4}), m.ints("pads", {0, 0, 1, 1, 0, 0, 1, 1})});
  m.finish(m.build.op("AveragePool", {p},
                      window({3, 3}, {{"pads", std::vector<int64_t>{1, 1, 1, 1}}}), "y"));
  expect_untouched(m, fold_padding);
}

TEST(FoldPadding, MaxPoolTakesZerosOnlyBehindWhatIsNeverNegative) {
  for (const bool relu : {true, false}) {
    Model m;
    ValueId v = m.input({1, 1, 4, 4});
    v = m.build.op(relu ? "Relu" : "Neg", {v});
    v = m.build.op("Pad", {v, m.ints("pads", {0, 0, 1, 1, 0, 0, 1, 1})});
    m.finish(m.build.op("MaxPool", {v}, window({2, 2}), "y"));
    if (relu)
      expect_same_results(m, fold_padding, {1, 1, 4, 4}, 0);
    else
      expect_untouched(m, fold_padding);
  }
}

TEST(FoldPadding, AutoPadBecomesPads) {
  Model m;
  const ValueId w = m.constant("w", ramp({1, 1, 3, 3}));
  m.finish(m.build.op(
      "Conv", {m.input({1, 1, 6, 5}), w},
      {{"auto_pad", std::string("SAME_UPPER")}, {"strides", std::vector<int64_t>{2, 2}}}, "y"));
  expect_same_results(m, fold_padding, {1, 1, 6, 5}, 0);
  // ceil(6/2) = 3 windows span 7, one more than 6; ceil(5/2) = 3 windows span 7, two more than 5.
  EXPECT_EQ(ints_of(m.graph, "Conv", "pads"), (std::vector<int64_t>{0, 1, 1, 1}));
  EXPECT_EQ(m.graph.node(find_node(m.graph, "Conv")).attr("auto_pad"), nullptr);
}

TEST(FoldPadding, AutoPadOfUnknownSizesStaysWithStrides) {
  Model m;
  const ValueId w = m.constant("w", ramp({1, 1, 3, 3}));
  m.finish(m.build.op(
      "Conv", {m.input({1, 1, Dim::named("H"), 5}), w},
      {{"auto_pad", std::string("SAME_UPPER")}, {"strides", std::vector<int64_t>{2, 2}}}, "y"));
  expect_untouched(m, fold_padding);
}

// -- fold_batchnorm

ValueId batchnorm(Model& m, ValueId x, std::vector<float> variance) {
  const auto n = static_cast<int64_t>(variance.size());
  return m.build.op(
      "BatchNormalization",
      {x, m.constant("gamma", ramp({n}, 3)), m.constant("beta", ramp({n}, 9)),
       m.constant("mean", ramp({n}, 20)), m.constant("var", Tensor::of<float>({n}, variance))},
      {}, "bn");
}

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

// -- fold_affine, canonical_gemm

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

// -- pool_first, pointwise_gemm

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

TEST(Optimize, LeavesNothingToDoForASecondRun) {
  Model m;
  const ValueId w = m.constant("w", ramp({3, 2, 3, 3}));
  ValueId v = batchnorm(m, m.build.op("Conv", {m.build.op("Identity", {m.input({1, 2, 6, 6})}), w}),
                        {1, 2, 3});
  v = m.build.op("Relu", {v});
  v = m.build.op("Reshape", {v, m.build.op("Concat", {m.ints("a", {1}), m.ints("b", {-1})},
                                           {{"axis", int64_t{0}}})});
  m.finish(m.build.op("MatMul", {v, m.constant("k", ramp({48, 2}))}, {}, "y"));
  const std::map<std::string, Tensor> x{{"x", ramp({1, 2, 6, 6})}};
  const Tensor before = run_graph(m.graph, x)[0];
  optimize(m.graph);
  expect_near(run_graph(m.graph, x)[0], before, 1e-5f);
  EXPECT_THAT(op_list(m.graph), ElementsAre("Conv", "Relu", "Reshape", "MatMul"));
  const Graph once = m.graph;
  for (const PassRecord& record : optimize(m.graph)) EXPECT_EQ(record.changes, 0) << record.pass;
  std::string difference;
  EXPECT_TRUE(same_graph(once, m.graph, &difference)) << difference;
}

}  // namespace
}  // namespace lapidary
