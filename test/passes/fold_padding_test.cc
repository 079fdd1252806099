#include "test/passes/model.h"

namespace lapidary {
namespace {

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

}  // namespace
}  // namespace lapidary
