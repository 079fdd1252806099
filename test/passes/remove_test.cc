#include "test/passes/model.h"

namespace lapidary {
namespace {

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

/// 1.1 * 5 rounds down to 5 again, but output i lies at i / 1.1.
TEST(RemoveNoops, ResizeByAScaleThatKeepsTheSizeStays) {
  for (const float scale : {1.1f, 1.0f}) {
    Model m;
    const ValueId scales = m.constant("scales", Tensor::of<float>({4}, {1, 1, scale, scale}));
    const ValueId y = m.build.op("Resize", {m.input({1, 1, 5, 5}), {}, scales},
                                 {{"mode", std::string("linear")}});
    m.finish(m.build.op("Relu", {y}, {}, "y"));
    m.run(remove_noops);
    EXPECT_EQ(op_list(m.graph).size(), scale == 1 ? 1u : 2u) << scale;
  }
}

TEST(RemoveNoops, DropoutThatTrainsStays) {
  Model m;
  const ValueId train = m.constant("train", Tensor::of<bool>({}, {true}));
  m.finish(m.build.op("Dropout", {m.input({2}), m.number("ratio", 0.5f), train}, {}, "y"));
  expect_untouched(m, remove_noops);
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

}  // namespace
}  // namespace lapidary
