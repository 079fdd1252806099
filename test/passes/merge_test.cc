#include "test/passes/model.h"

namespace lapidary {
namespace {

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

}  // namespace
}  // namespace lapidary
