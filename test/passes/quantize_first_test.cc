#include "src/passes/quantize_first.h"

#include "src/ops/infer.h"
#include "test/passes/model.h"

namespace lapidary {
namespace {

using Ints = std::vector<int64_t>;

struct Quantized : Model {
  ValueId quantize(ValueId x, float scale = 0.1f, const std::string& name = "q") {
    return build.op(
        "QuantizeLinear",
        {x, number("scale", scale), constant("zero", Tensor::scalar(static_cast<uint8_t>(7)))}, {},
        name);
  }
  ValueId halve(ValueId x, int64_t first) {
    return build.op("Slice", {x, ints("starts", {first}), ints("ends", {99}), ints("axes", {1}),
                              ints("steps", {2})});
  }
  int64_t moves() {
    infer_types(graph);
    return quantize_first(graph);
  }
};

TEST(QuantizeFirst, GoesBeforeWhatMovesElements) {
  Quantized m;
  const ValueId x = m.input({2, 6});
  const ValueId both = m.build.op("Concat", {m.halve(x, 0), m.halve(x, 1)}, {{"axis", int64_t{1}}});
  m.finish(m.quantize(m.build.op("Transpose", {both}, {{"perm", Ints{1, 0}}})));
  EXPECT_EQ(m.moves(), 1);
  EXPECT_THAT(op_list(m.graph),
              ElementsAre("QuantizeLinear", "Slice", "Slice", "Concat", "Transpose"));
  EXPECT_THAT(output_names(m.graph), ElementsAre("q"));
  infer_types(m.graph);
  for (const NodeId id : m.graph.nodes())
    EXPECT_EQ(m.graph.value(m.graph.node(id).outputs[0]).type.dtype, DType::kU8);
}

TEST(QuantizeFirst, QuantizesWhatPadPutsAround) {
  // rint(0.57 / 0.1) + 7 = 13; 0 is the zero point.
  for (const bool given : {true, false}) {
    Quantized m;
    std::vector<ValueId> inputs = {m.input({2, 6}), m.ints("pads", {0, 1, 0, 2})};
    if (given) inputs.push_back(m.number("around", 0.57f));
    m.finish(m.quantize(m.build.op("Pad", inputs)));
    EXPECT_EQ(m.moves(), 1);
    EXPECT_THAT(op_list(m.graph), ElementsAre("QuantizeLinear", "Pad"));
    const Node& pad = m.graph.node(m.graph.nodes()[1]);
    ASSERT_EQ(pad.inputs.size(), 3u);
    EXPECT_TRUE(m.graph.constant(pad.inputs[2])
                    ->equals(Tensor::scalar(static_cast<uint8_t>(given ? 13 : 7))));
  }
}

TEST(QuantizeFirst, StaysBehindReflections) {
  Quantized m;
  m.finish(m.quantize(
      m.build.op("Pad", {m.input({2, 6}), m.ints("pads", {0, 1, 0, 2})}, {{"mode", "reflect"}})));
  EXPECT_EQ(m.moves(), 0);
}

TEST(QuantizeFirst, StaysWhereItWouldGetMoreElements) {
  Quantized m;
  m.finish(m.quantize(m.halve(m.input({2, 6}), 0)));
  EXPECT_EQ(m.moves(), 0);
  EXPECT_THAT(op_list(m.graph), ElementsAre("Slice", "QuantizeLinear"));
}

TEST(QuantizeFirst, StaysWhereOthersReadTheFloats) {
  Quantized m;
  const ValueId moved = m.build.op("Transpose", {m.input({2, 6})}, {{"perm", Ints{1, 0}}});
  m.finish(m.build.op("Relu", {moved}, {}, "r"));
  m.build.output(m.quantize(moved));
  EXPECT_EQ(m.moves(), 0);
}

TEST(QuantizeFirst, StaysBehindArithmetic) {
  Quantized m;
  m.finish(m.quantize(m.build.op("Relu", {m.input({2, 6})})));
  EXPECT_EQ(m.moves(), 0);
}

}  // namespace
}  // namespace lapidary
