// Q1 -> DQ1 -> a node that changes nothing -> Q2 -> DQ2. ONNX Runtime makes the two pairs one where
// it removed the node before, and rounds twice otherwise. Stored values: ONNX Runtime 1.31.1.
#include <functional>
#include <limits>

#include "src/ops/infer.h"
#include "test/exec/compare.h"

namespace lapidary::exec {
namespace {

using Ints = std::vector<int64_t>;

const std::vector<float> kOneRounding = {-3.7516468f, -2.9908233f, -2.2562351f, -1.4954116f,
                                         -0.7608235f, 0.0f,        0.7608235f,  1.4954116f,
                                         2.2562351f,  2.3611763f,  2.3611763f,  2.3611763f};
const std::vector<float> kTwoRoundings = {-3.76f, -3.0f, -2.24f, -1.52f, -0.76f, 0.0f,
                                          0.76f,  1.52f, 2.24f,  2.36f,  2.36f,  2.36f};

struct Noop {
  std::string name;
  bool merges = false;
  std::function<ValueId(GraphBuilder&, ValueId)> add;
};

ValueId ints(GraphBuilder& b, Ints values) {
  const Shape shape = {static_cast<int64_t>(values.size())};
  return b.constant("ints", Tensor::of<int64_t>(shape, std::move(values)));
}

ValueId filled(GraphBuilder& b, Shape shape, float value) {
  Tensor t(DType::kF32, std::move(shape));
  for (float& v : t.mutable_data<float>()) v = value;
  return b.constant("number", std::move(t));
}

// The op that reads x alone, or integers, or a constant of one value behind it.
Noop plain(const std::string& op, bool merges, GraphBuilder::Attrs attrs = {}) {
  return {op, merges, [=](GraphBuilder& b, ValueId x) { return b.op(op, {x}, attrs); }};
}
Noop with_ints(const std::string& op, bool merges, const Ints& values) {
  return {op, merges, [=](GraphBuilder& b, ValueId x) { return b.op(op, {x, ints(b, values)}); }};
}
Noop neutral(const std::string& op, bool merges, const Shape& shape, float value) {
  return {op + (shape.empty() ? "" : "PerChannel"), merges, [=](GraphBuilder& b, ValueId x) {
            return b.op(op, {x, filled(b, shape, value)});
          }};
}
Noop slice(const std::string& name, bool merges, int64_t end) {
  return {name, merges, [=](GraphBuilder& b, ValueId x) {
            return b.op("Slice", {x, ints(b, {0}), ints(b, {end}), ints(b, {2})});
          }};
}

const Noop kNoops[] = {
    {"None", true, [](GraphBuilder&, ValueId x) { return x; }},
    plain("Identity", true),
    plain("Dropout", true),
    plain("Cast", true, {{"to", int64_t{1}}}),
    with_ints("Expand", true, {1, 1, 3, 4}),
    slice("SliceWithoutEnd", true, std::numeric_limits<int64_t>::max()),
    neutral("Mul", true, {}, 1),
    neutral("Div", true, {}, 1),
    neutral("Add", true, {}, 0),
    neutral("Sub", true, {}, 0),
    neutral("Pow", false, {}, 1),
    neutral("Mul", false, {1, 1, 3, 1}, 1),
    neutral("Add", false, {1, 1, 3, 1}, 0),
    plain("AveragePool", false, {{"kernel_shape", Ints{1, 1}}}),
    plain("MaxPool", false, {{"kernel_shape", Ints{1, 1}}}),
    with_ints("Reshape", false, {1, 1, 3, 4}),
    plain("Transpose", false, {{"perm", Ints{0, 1, 2, 3}}}),
    plain("Concat", false, {{"axis", int64_t{1}}}),
    plain("Sum", false),
    with_ints("Tile", false, {1, 1, 1, 1}),
    with_ints("Pad", false, {0, 0, 0, 0, 0, 0, 0, 0}),
    {"Resize", false,
     [](GraphBuilder& b, ValueId x) {
       return b.op("Resize", {x, {}, filled(b, {4}, 1)}, {{"mode", std::string("nearest")}});
     }},
    slice("SliceWithEnd", false, 3),
    plain("Clip", false),
    plain("LeakyRelu", false, {{"alpha", 1.0f}}),
};

class DoublePairs : public testing::TestWithParam<Noop> {};

TEST_P(DoublePairs, RoundAsOftenAsInOnnxRuntime) {
  Graph graph = new_graph();
  GraphBuilder b(graph);
  const auto pair = [&](ValueId x, float scale, uint8_t zero) {
    const ValueId s = b.constant("s", Tensor::scalar(scale)),
                  z = b.constant("z", Tensor::scalar(zero));
    return b.op("DequantizeLinear", {b.op("QuantizeLinear", {x, s, z}), s, z});
  };
  const ValueId x = pair(b.input("x", DType::kF32, {1, 1, 3, 4}), 0.03f, 176);
  const ValueId y = pair(GetParam().add(b, x), 0.04f, 108);
  b.output(y);
  infer_types(graph);
  Tensor input(DType::kF32, {1, 1, 3, 4});  // -3.75, -3, ..., 4.5
  float next = -3.75f;
  for (float& v : input.mutable_data<float>()) v = next, next += 0.75f;
  const auto got = Executor(graph).run({{"x", input}}).at(graph.value(y).name);
  EXPECT_THAT(got.data<float>(),
              testing::ElementsAreArray(GetParam().merges ? kOneRounding : kTwoRoundings));
}

INSTANTIATE_TEST_SUITE_P(Noops, DoublePairs, testing::ValuesIn(kNoops),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace lapidary::exec
