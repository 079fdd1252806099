#include "test/ops/op_case.h"

namespace lapidary {
namespace {

const Dim kN = Dim::named("N");

struct Net {
  Graph graph;
  GraphBuilder b{graph};

  explicit Net(int64_t opset = 13) { graph.set_opset("", opset); }
  std::string type(ValueId id) const { return graph.value(id).type.text(); }
};

TEST(InferTypes, ShapeArithmeticReachesReshape) {
  Net n;
  const ValueId x = n.b.input("x", DType::kF32, {kN, 4, 6});
  const ValueId shape = n.b.op("Shape", {x});
  const ValueId first = n.b.op("Gather", {shape, n.b.constant("zero", Tensor::scalar(int64_t{0}))},
                               {{"axis", int64_t{0}}});
  const ValueId same = n.b.op("Mul", {first, n.b.constant("one", Tensor::scalar(int64_t{1}))});
  const ValueId lifted =
      n.b.op("Unsqueeze", {same, n.b.constant("axes", Tensor::of<int64_t>({1}, {0}))});
  const ValueId sizes =
      n.b.op("Concat", {lifted, n.b.constant("rest", Tensor::of<int64_t>({1}, {-1}))},
             {{"axis", int64_t{0}}});
  const ValueId y = n.b.op("Reshape", {x, sizes});
  infer_types(n.graph);
  EXPECT_EQ(n.type(y), "float32[N,24]");
}

TEST(InferTypes, ConstantsAreComputedOnTheWay) {
  Net n;
  const ValueId x = n.b.input("x", DType::kF32, {2, 6});
  const ValueId half =
      n.b.op("Div", {n.b.op("Size", {x}), n.b.constant("two", Tensor::scalar(int64_t{2}))});
  const ValueId sizes =
      n.b.op("Unsqueeze", {half, n.b.constant("axes", Tensor::of<int64_t>({1}, {0}))});
  const ValueId y = n.b.op("Expand", {n.b.constant("c", Tensor::of<float>({1}, {7})), sizes});
  infer_types(n.graph);
  EXPECT_EQ(n.type(y), "float32[6]");
}

TEST(InferTypes, SymbolsAreBound) {
  Net n;
  const ValueId x = n.b.input("x", DType::kF32, {kN, 3, Dim::named("H")});
  const ValueId y = n.b.op("Relu", {x});
  InferOptions by_symbol;
  by_symbol.symbols = {{"N", 2}};
  infer_types(n.graph, by_symbol);
  EXPECT_EQ(n.type(y), "float32[2,3,H]");
  InferOptions by_input;
  by_input.input_shapes = {{"x", {2, 3, 9}}};
  infer_types(n.graph, by_input);
  EXPECT_EQ(n.type(y), "float32[2,3,9]");
}

TEST(InferTypes, InputShapesMustFit) {
  const auto asked = [](std::string name, Shape shape) {
    Net n;
    n.b.op("Add",
           {n.b.input("input", DType::kF32, {kN, 3}), n.b.input("other", DType::kF32, {kN, 3})});
    InferOptions options;
    options.input_shapes = {{"input", {2, 3}}};
    options.input_shapes[name] = shape;
    try {
      infer_types(n.graph, options);
    } catch (const Error& e) {
      EXPECT_EQ(static_cast<int>(e.code()), static_cast<int>(ErrorCode::kUsage));
      return std::string(e.what());
    }
    return std::string();
  };
  EXPECT_EQ(asked("other", {2, 3}), "");
  EXPECT_THAT(asked("imput", {2, 3}), testing::HasSubstr("did you mean 'input'"));
  EXPECT_THAT(asked("input", {2, 4}), testing::HasSubstr("float32[N,3], asked for [2,4]"));
  EXPECT_THAT(asked("input", {2}), testing::HasSubstr("asked for [2]"));
  EXPECT_THAT(asked("other", {5, 3}), testing::HasSubstr("symbol 'N'"));
}

TEST(InferTypes, DeclaredTypesAreChecked) {
  const auto declared = [](std::vector<Dim> shape, bool replace) {
    Net n;
    const ValueId y = n.b.op("Relu", {n.b.input("x", DType::kF32, {kN, 3})}, {}, "act");
    n.graph.mutable_value(y).type = {DType::kF32, std::move(shape)};
    InferOptions options;
    options.replace_declared = replace;
    try {
      infer_types(n.graph, options);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return n.type(y);
  };
  EXPECT_EQ(declared({Dim::named("batch"), 3}, false), "float32[N,3]");  // a stale symbol gives way
  EXPECT_EQ(declared({8, Dim()}, false), "float32[8,3]");                // a known size adds to it
  const std::string error = declared({kN, 4}, false);
  EXPECT_THAT(error, testing::HasSubstr("Relu 'act'"));
  EXPECT_THAT(error, testing::HasSubstr("float32[N,4]"));
  EXPECT_THAT(error, testing::HasSubstr("float32[N,3]"));
  EXPECT_THAT(declared({kN}, false), testing::HasSubstr("declared as float32[N]"));
  EXPECT_EQ(declared({kN, 4}, true), "float32[N,3]");
}

TEST(InferTypes, UnknownOpsKeepWhatTheFileSays) {
  Net n;
  const ValueId x = n.b.input("x", DType::kF32, {2});
  const ValueId said = n.b.op("Mystery", {x}, {}, "a", "my.domain");
  const ValueId unsaid = n.b.op("Mystery", {x}, {}, "b", "my.domain");
  n.graph.mutable_value(said).type = {DType::kF32, std::vector<Dim>{5}};
  const ValueId y = n.b.op("Relu", {said});
  EXPECT_THAT(infer_types(n.graph), testing::ElementsAre("my.domain.Mystery 'b'"));
  EXPECT_EQ(n.type(y), "float32[5]");
  EXPECT_EQ(n.type(unsaid), "?[?]");
}

TEST(InferTypes, NamesProducersOfWrongInputs) {
  Net n;
  const ValueId x = n.b.input("x", DType::kF32, {4, 5});
  const ValueId a = n.b.op("Relu", {x}, {}, "left");
  n.b.op("MatMul", {a, x}, {}, "product");
  try {
    infer_types(n.graph);
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("MatMul 'product'"));
    EXPECT_THAT(e.what(), testing::HasSubstr("'left' float32[4,5] of Relu 'left'"));
  }
}

// Work must grow with the number of nodes: a quadratic walk would not come back in a test's time.
TEST(InferTypes, LongChain) {
  Net n;
  ValueId x = n.b.input("x", DType::kF32, {kN, 8});
  for (int i = 0; i < 100'000; ++i) x = n.b.op("Relu", {x}, {}, "r" + std::to_string(i));
  EXPECT_TRUE(infer_types(n.graph).empty());
  EXPECT_EQ(n.type(x), "float32[N,8]");
}

TEST(InferTypes, HugeDeclaredSizesDoNotWrap) {
  Net n;
  const ValueId x = n.b.input("x", DType::kF32, {int64_t{1} << 40, int64_t{1} << 40});
  const ValueId y = n.b.op("Relu", {x});
  infer_types(n.graph);
  EXPECT_EQ(n.type(y), "float32[1099511627776,1099511627776]");
  const ValueId z = n.b.op("Reshape", {y, n.b.constant("s", Tensor::of<int64_t>({1}, {-1}))});
  EXPECT_THROW(infer_types(n.graph), Error);
  (void)z;
}

TEST(BroadcastDims, UnknownsAndSymbols) {
  const auto text = [](std::vector<Dim> a, std::vector<Dim> b) {
    return TensorType{DType::kF32, broadcast_dims(a, b)}.text();
  };
  EXPECT_EQ(text({kN, 1}, {3}), "float32[N,3]");
  EXPECT_EQ(text({kN}, {kN}), "float32[N]");
  EXPECT_EQ(text({Dim()}, {Dim()}), "float32[?]");
  EXPECT_EQ(text({}, {2, kN}), "float32[2,N]");
  EXPECT_THROW(text({2}, {3}), Error);
}

}  // namespace
}  // namespace lapidary
