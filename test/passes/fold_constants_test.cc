#include "test/passes/model.h"

namespace lapidary {
namespace {

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

TEST(FoldConstants, KeepsPackedWeights) {
  Model m;
  m.graph.set_opset("ai.lapidary", 1);
  const ValueId w = m.build.op("UnpackBinary", {m.constant("w", Tensor(DType::kU8, {4, 1}))},
                               {{"shape", std::vector<int64_t>{4, 2}}}, "unpacked", "ai.lapidary");
  m.finish(m.build.op("Mul", {m.input({4, 2}), w}, {}, "y"));
  expect_untouched(m, fold_constants);
  expect_untouched(m, fold_shapes);
}

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

}  // namespace
}  // namespace lapidary
