#include <algorithm>
#include <array>
#include <functional>

#include "lapidary/error.h"
#include "test/exec/compare.h"

namespace lapidary::exec {
namespace {

struct Net {
  Graph graph = new_graph();
  GraphBuilder b{graph};
  Executor::Values inputs;

  ValueId input(const std::string& name, Shape shape, uint64_t seed = 1) {
    inputs.emplace(name, random_floats(shape, seed));
    return b.input(name, DType::kF32, std::vector<Dim>(shape.begin(), shape.end()));
  }
  ValueId weights(Shape shape, uint64_t seed = 2) {
    return b.constant("w", random_weights(std::move(shape), seed));
  }
  ValueId ints(std::vector<int64_t> values) {
    return b.constant("ints", Tensor::of({static_cast<int64_t>(values.size())}, values));
  }
  ValueId scalar(float v) { return b.constant("scalar", Tensor::scalar(v)); }
  Executor::Values expect(const std::string& kernel, double tolerance = 1e-5) {
    return expect_same(graph, inputs, kernel, tolerance);
  }
  /// Output `y` named so.
  void output(ValueId y) { b.output(y); }
};

using Ints = std::vector<int64_t>;

TEST(ConvStep, KnownValues) {
  // 2x2 box sums of 0..8, plus 1: by hand.
  Net net;
  std::vector<float> ramp(9);
  for (size_t i = 0; i < 9; ++i) ramp[i] = static_cast<float>(i);
  const ValueId x = net.input("x", {1, 1, 3, 3});
  net.inputs["x"] = Tensor::of({1, 1, 3, 3}, ramp);
  const ValueId w = net.b.constant("w", Tensor::of<float>({1, 1, 2, 2}, {1, 1, 1, 1}));
  const ValueId bias = net.b.constant("bias", Tensor::of<float>({1}, {1}));
  net.output(net.b.op("Conv", {x, w, bias}, {}, "y"));
  const auto got = net.expect("dw_f32");
  EXPECT_TRUE(got.at("y").equals(Tensor::of<float>({1, 1, 2, 2}, {9, 13, 21, 25})));
}

TEST(ConvStep, ResultsInAConcatAreReadRowMajorAsWell) {
  Net net;
  const ValueId x = net.input("x", {1, 3, 4, 5});
  const ValueId left = net.b.op("Conv", {x, net.weights({4, 3, 1, 1})});
  const ValueId right = net.b.op("Conv", {x, net.weights({2, 3, 1, 1}, 3)});
  const ValueId joined = net.b.op("Concat", {left, right}, {{"axis", int64_t{1}}});
  net.output(net.b.op("Reshape", {joined, net.ints({1, 6, 20})}, {}, "y"));
  net.expect("conv_f32");
}

struct ConvCase {
  const char* name;
  Shape x, w;
  Ints strides, pads, dilations;
  int64_t group = 1;
  std::string auto_pad = "NOTSET";
};
class ConvSteps : public testing::TestWithParam<ConvCase> {};

TEST_P(ConvSteps, AgreeWithTheReference) {
  const ConvCase& c = GetParam();
  under_each_isa([&] {
    Net net;
    const ValueId x = net.input("x", c.x);
    GraphBuilder::Attrs attrs = {
        {"strides", c.strides}, {"dilations", c.dilations}, {"group", c.group}};
    if (c.auto_pad == "NOTSET")
      attrs.emplace_back("pads", c.pads);
    else
      attrs.emplace_back("auto_pad", c.auto_pad);
    const ValueId bias = net.weights({c.w[0]}, 5);
    net.output(net.b.op("Conv", {x, net.weights(c.w), bias}, attrs, "y"));
    net.expect("");
  });
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, ConvSteps,
    testing::Values(
        ConvCase{"Pointwise", {2, 20, 5, 7}, {33, 20, 1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}},
        ConvCase{"Padded3x3", {1, 3, 9, 8}, {17, 3, 3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}},
        ConvCase{"Stride2", {2, 5, 11, 10}, {8, 5, 3, 3}, {2, 2}, {1, 1, 1, 1}, {1, 1}},
        ConvCase{"UnevenPads", {1, 4, 8, 8}, {6, 4, 4, 3}, {2, 1}, {0, 2, 1, 0}, {1, 1}},
        ConvCase{"Dilated", {1, 4, 12, 12}, {6, 4, 3, 3}, {1, 1}, {2, 2, 2, 2}, {2, 2}},
        ConvCase{"Grouped", {1, 8, 6, 6}, {12, 2, 3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 4},
        ConvCase{"ManyGroups", {1, 40, 6, 5}, {30, 4, 3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 10},
        ConvCase{"ChannelMultiplier", {2, 6, 7, 9}, {18, 1, 3, 3}, {2, 2}, {1, 1, 1, 1}, {1, 1}, 6},
        ConvCase{
            "DepthwiseDilated", {1, 19, 9, 9}, {19, 1, 3, 3}, {1, 1}, {2, 3, 2, 3}, {2, 3}, 19},
        ConvCase{"Depthwise", {2, 19, 7, 9}, {19, 1, 3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 19},
        ConvCase{
            "DepthwiseStride2", {1, 32, 9, 9}, {32, 1, 5, 5}, {2, 2}, {2, 2, 2, 2}, {1, 1}, 32},
        ConvCase{"SameLower", {1, 3, 7, 6}, {4, 3, 2, 2}, {1, 1}, {}, {1, 1}, 1, "SAME_LOWER"},
        ConvCase{"OneAxis", {2, 6, 15}, {9, 6, 3}, {2}, {1, 1}, {1}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(ConvStep, TakesActivationAndResidualAlong) {
  for (const std::string op : {"Relu", "LeakyRelu", "Clip"}) {
    Net net;
    const ValueId x = net.input("x", {2, 16, 6, 6});
    const ValueId short_cut = net.b.op("Conv", {x, net.weights({16, 16, 1, 1}, 3)});
    const ValueId conv =
        net.b.op("Conv", {x, net.weights({16, 16, 3, 3})}, {{"pads", Ints{1, 1, 1, 1}}});
    const ValueId sum = net.b.op("Add", {short_cut, conv});
    const bool clip = op == "Clip";
    net.output(clip ? net.b.op(op, {sum, net.scalar(-3), net.scalar(20)}, {}, "y")
                    : net.b.op(op, {sum}, {}, "y"));
    net.expect("conv_f32");
    Executor fast(net.graph);
    fast.run(net.inputs);
    std::vector<std::string> ops;
    for (const StepInfo& step : fast.steps()) ops.push_back(step.op);
    EXPECT_EQ(std::count(ops.begin(), ops.end(), "Conv+Add+" + op), 1)
        << testing::PrintToString(ops);
  }
}

TEST(ConvStep, WritesOverItsResidualOnlyWhereNobodyReadsIt) {
  for (const std::string reader : {"nobody", "the convolution", "a later node"}) {
    Net net;
    const ValueId x = net.b.op("Relu", {net.input("x", {1, 48, 9, 9})});
    const ValueId residual =
        reader == "the convolution" ? x : net.b.op("Conv", {x, net.weights({48, 48, 1, 1}, 3)});
    const ValueId conv =
        net.b.op("Conv", {x, net.weights({48, 48, 3, 3})}, {{"pads", Ints{1, 1, 1, 1}}});
    const ValueId sum = net.b.op("Relu", {net.b.op("Add", {conv, residual})});
    net.output(reader == "a later node" ? net.b.op("Sub", {sum, residual}, {}, "y")
                                        : net.b.op("Neg", {sum}, {}, "y"));
    SCOPED_TRACE(reader);
    net.expect("conv_f32");
  }
}

TEST(ConvStep, KeepsWhatOthersRead) {
  // The convolution's own result is read twice: no fusing.
  Net net;
  const ValueId x = net.input("x", {1, 4, 5, 5});
  const ValueId conv = net.b.op("Conv", {x, net.weights({4, 4, 1, 1})}, {}, "c");
  const ValueId relu = net.b.op("Relu", {conv}, {}, "r");
  net.output(net.b.op("Sub", {relu, conv}, {}, "y"));
  net.expect("conv_f32");
}

TEST(PoolSteps, AgreeWithTheReference) {
  for (const std::string op : {"MaxPool", "AveragePool"})
    for (const int64_t ceil : {0, 1})
      for (const int64_t include : {0, 1}) {
        if (op == "MaxPool" && include != 0) continue;
        Net net;
        const ValueId x = net.input("x", {2, 21, 9, 8});
        GraphBuilder::Attrs attrs = {{"kernel_shape", Ints{3, 2}},
                                     {"strides", Ints{2, 2}},
                                     {"pads", Ints{1, 0, 1, 1}},
                                     {"ceil_mode", ceil}};
        if (op == "AveragePool") attrs.emplace_back("count_include_pad", include);
        net.output(net.b.op(op, {x}, attrs, "y"));
        net.expect(ceil != 0 && include != 0 ? "" : "pool");
      }
  for (const std::string op : {"GlobalAveragePool", "GlobalMaxPool"}) {
    Net net;
    net.output(net.b.op(op, {net.input("x", {3, 20, 7, 5})}, {}, "y"));
    net.expect("pool");
  }
}

TEST(BinarySteps, BroadcastInBothLayouts) {
  const std::vector<Shape> others = {{2, 6, 5, 4}, {6, 1, 1}, {1, 6, 1, 1}, {},
                                     {1},          {4},       {5, 1},       {2, 1, 1, 4},
                                     {2, 1, 5, 4}, {6, 5, 4}, {6, 1, 4}};
  for (const bool behind_conv : {false, true})
    for (const std::string op : {"Add", "Sub", "Mul", "Div", "Min", "Max", "PRelu"})
      for (const Shape& shape : others)
        for (const bool swapped : {false, true}) {
          Net net;
          ValueId x = net.input("x", {2, 6, 5, 4});
          if (behind_conv) x = net.b.op("Conv", {x, net.weights({6, 6, 1, 1})});
          Tensor other = random_floats(shape, 9);
          for (float& v : other.mutable_data<float>()) v = v == 0 ? 1 : v;
          const ValueId c = net.b.constant("c", other);
          net.output(net.b.op(op, swapped ? std::vector{c, x} : std::vector{x, c}, {}, "y"));
          SCOPED_TRACE(op + shape_text(shape));
          if (swapped && op == "Div") continue;    // x has zeros
          if (swapped && op == "PRelu") continue;  // slopes do not spread over x
          net.expect(op == "PRelu" ? "eltwise_f32" : "");
        }
}

TEST(BinarySteps, InPlaceOnlyWhereNobodyElseReads) {
  Net net;
  const ValueId x = net.input("x", {1, 8, 6, 6});
  const ValueId a = net.b.op("Sigmoid", {x}), c = net.b.op("Tanh", {x});
  const ValueId sum = net.b.op("Add", {a, c});
  const ValueId again = net.b.op("Mul", {sum, a});
  const ValueId square = net.b.op("Mul", {again, again});
  net.output(net.b.op("Sub", {square, c}, {}, "y"));
  net.expect("eltwise_f32");
}

TEST(UnarySteps, AgreeWithTheReference) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> ops_by_kernel = {
      {"eltwise_f32_", {"Relu", "LeakyRelu", "HardSigmoid", "HardSwish"}},
      {"exp_f32_", {"Sigmoid", "Exp", "Erf"}},
      {"unary_f32", {"Tanh", "Neg", "Abs", "Sin", "Cos"}}};
  for (const auto& [kernel, ops] : ops_by_kernel)
    for (const std::string& op : ops) {
      Net net;
      net.graph.set_opset("", 14);
      net.output(net.b.op(op, {net.input("x", {3, 50})}, {}, "y"));
      SCOPED_TRACE(op);
      net.expect(kernel, 1e-6);
    }
  for (const std::string op : {"Sqrt", "Log", "Reciprocal"}) {
    Net net;
    const ValueId x = net.input("x", {300});
    for (float& v : net.inputs["x"].mutable_data<float>()) v = std::fabs(v) + 0.25f;
    net.output(net.b.op(op, {x}, {}, "y"));
    net.expect("unary", 1e-6);
  }
}

TEST(UnarySteps, NotANumberStays) {
  for (const std::string op : {"Relu", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh",
                               "Exp", "Erf", "Sqrt", "Log"}) {
    Net net;
    net.graph.set_opset("", 14);
    const ValueId x = net.input("x", {4});
    net.inputs["x"] = Tensor::of<float>({4}, {1, NAN, 2, -NAN});
    net.output(net.b.op(op, {x}, {}, "y"));
    SCOPED_TRACE(op);
    const auto y = net.expect("", 1e-6).at("y");
    EXPECT_TRUE(std::isnan(y.data<float>()[1]) && std::isnan(y.data<float>()[3]));
  }
}

TEST(UnarySteps, ExponentialAtTheEdges) {
  // e^-100 underflows to 0 (below the smallest normal), e^89 overflows; values from numpy in
  // float32.
  Net net;
  const ValueId x = net.input("x", {6});
  net.inputs["x"] = Tensor::of<float>({6}, {-100, -1, 0, 1, 88, 89});
  net.output(net.b.op("Exp", {x}, {}, "y"));
  const auto y = Executor(net.graph).run(net.inputs).at("y");
  EXPECT_EQ(y.data<float>()[0], 0.0f);
  EXPECT_FLOAT_EQ(y.data<float>()[1], 0.36787945f);
  EXPECT_EQ(y.data<float>()[2], 1.0f);
  EXPECT_FLOAT_EQ(y.data<float>()[3], 2.7182817f);
  EXPECT_FLOAT_EQ(y.data<float>()[4], 1.6516363e38f);
  EXPECT_EQ(y.data<float>()[5], INFINITY);
}

TEST(UnarySteps, SiluIsOneStep) {
  Net net;
  const ValueId x = net.input("x", {1, 8, 7, 7});
  const ValueId conv = net.b.op("Conv", {x, net.weights({8, 8, 1, 1})});
  const ValueId gate = net.b.op("Sigmoid", {conv});
  net.output(net.b.op("Mul", {conv, gate}, {}, "y"));
  net.expect("exp_f32_", 1e-6);
  Executor fast(net.graph);
  bool found = false;
  for (const StepInfo& step : fast.steps()) found = found || step.op == "Sigmoid+Mul";
  EXPECT_TRUE(found);
}

TEST(MatMulSteps, AgreeWithTheReference) {
  struct Case {
    Shape a, b;
    bool constant;
  };
  for (const Case& c :
       {Case{{7, 33}, {33, 20}, true}, Case{{2, 3, 5, 16}, {16, 9}, true},
        Case{{2, 3, 5, 16}, {2, 3, 16, 9}, false}, Case{{2, 1, 5, 16}, {3, 16, 9}, false},
        Case{{5, 16}, {4, 16, 9}, false}, Case{{1, 1000}, {1000, 7}, true}}) {
    Net net;
    const ValueId a = net.input("a", c.a);
    const ValueId b = c.constant ? net.weights(c.b) : net.input("b", c.b, 4);
    net.output(net.b.op("MatMul", {a, b}, {}, "y"));
    net.expect("gemm_f32");
  }
}

TEST(MatMulSteps, BiasResidualAndActivationAreFused) {
  Net net;
  const ValueId x = net.input("x", {2, 5, 24});
  const ValueId first = net.b.op("MatMul", {x, net.weights({24, 24})});
  const ValueId biased = net.b.op("Add", {net.weights({24}, 6), first});
  const ValueId sum = net.b.op("Add", {x, biased});
  net.output(net.b.op("Relu", {sum}, {}, "y"));
  net.expect("gemm_f32");
  Executor fast(net.graph);
  EXPECT_EQ(fast.steps().size(), 1u);
}

TEST(GemmSteps, AgreeWithTheReference) {
  for (const int64_t transposed : {0, 1})
    for (const float alpha : {1.0f, 0.5f})
      for (const Shape& bias : std::vector<Shape>{{18}, {1, 18}, {1}}) {
        Net net;
        const ValueId x = net.input("x", {4, 30});
        const ValueId w = net.weights(transposed ? Shape{18, 30} : Shape{30, 18});
        net.output(net.b.op("Gemm", {x, w, net.weights(bias, 3)},
                            {{"transB", transposed}, {"alpha", alpha}, {"beta", 2.0f}}, "y"));
        net.expect("gemm_f32");
      }
}

TEST(MoveSteps, AgreeWithTheReferenceBehindAConvolution) {
  using Body = std::function<ValueId(Net&, ValueId)>;
  const std::vector<std::pair<std::string, Body>> bodies = {
      {"concat",
       [](Net& n, ValueId x) {
         return n.b.op("Concat", {x, n.b.op("Relu", {x}), x}, {{"axis", int64_t{1}}});
       }},
      {"concat_h",
       [](Net& n, ValueId x) {
         return n.b.op("Concat", {x, x}, {{"axis", int64_t{-2}}});
       }},
      {"transpose",
       [](Net& n, ValueId x) {
         return n.b.op("Transpose", {x}, {{"perm", Ints{0, 2, 3, 1}}});
       }},
      {"transpose_hw",
       [](Net& n, ValueId x) {
         return n.b.op("Transpose", {x}, {{"perm", Ints{0, 1, 3, 2}}});
       }},
      {"slice",
       [](Net& n, ValueId x) {
         return n.b.op("Slice",
                       {x, n.ints({1, -1}), n.ints({5, -100}), n.ints({1, 3}), n.ints({2, -1})});
       }},
      {"flatten", [](Net& n, ValueId x) { return n.b.op("Flatten", {x}); }},
      {"reshape",
       [](Net& n, ValueId x) {
         return n.b.op("Reshape", {x, n.ints({2, 3, -1})});
       }},
      {"pad",
       [](Net& n, ValueId x) {
         return n.b.op("Pad", {x, n.ints({0, 1, 2, 0, 0, 0, 1, 3}), n.scalar(2.5f)});
       }},
      {"resize",
       [](Net& n, ValueId x) {
         const ValueId roi = n.b.constant("roi", Tensor(DType::kF32, {0}));
         const ValueId scales = n.b.constant("s", Tensor::of<float>({4}, {1, 1, 2, 3}));
         return n.b.op("Resize", {x, roi, scales},
                       {{"coordinate_transformation_mode", std::string("asymmetric")},
                        {"nearest_mode", std::string("floor")}});
       }},
      {"gather",
       [](Net& n, ValueId x) {
         return n.b.op("Gather", {x, n.b.constant("i", Tensor::scalar<int64_t>(-2))},
                       {{"axis", int64_t{1}}});
       }},
      {"expand",
       [](Net& n, ValueId x) {
         return n.b.op("Expand", {n.b.op("GlobalAveragePool", {x}), n.ints({2, 6, 4, 3})});
       }},
      {"squeeze",
       [](Net& n, ValueId x) {
         return n.b.op("Squeeze", {n.b.op("GlobalAveragePool", {x}), n.ints({2, 3})});
       }},
      {"identity", [](Net& n, ValueId x) { return n.b.op("Identity", {x}); }},
      {"softmax",
       [](Net& n, ValueId x) {
         return n.b.op("Softmax", {x}, {{"axis", int64_t{-1}}});
       }},
      {"mean",
       [](Net& n, ValueId x) {
         return n.b.op("ReduceMean", {x}, {{"axes", Ints{2, 3}}});
       }},
  };
  for (const auto& [name, body] : bodies)
    for (const bool conv_behind : {false, true}) {
      if (conv_behind &&
          (name == "flatten" || name == "squeeze" || name == "reshape" || name == "gather"))
        continue;
      SCOPED_TRACE(name);
      Net net;
      const ValueId x = net.b.op("Conv", {net.input("x", {2, 6, 5, 7}), net.weights({6, 6, 3, 3})},
                                 {{"pads", Ints{1, 1, 1, 1}}});
      ValueId y = body(net, x);
      if (conv_behind) y = net.b.op("AveragePool", {y}, {{"kernel_shape", Ints{1, 1}}});
      net.output(y);
      net.expect("conv_f32");
    }
}

TEST(MoveSteps, ResizeRepeatsElementsOnlyByWholeScales) {
  // Output o takes element floor(o / 2.4): 0, 0.42, 0.83, 1.25. Both scales make 4 elements.
  for (const float scale : {2.0f, 2.4f}) {
    Net net;
    net.graph.set_opset("", 11);
    const ValueId x = net.input("x", {1, 1, 1, 2});
    net.inputs["x"] = Tensor::of<float>({1, 1, 1, 2}, {5, 7});
    const ValueId scales = net.b.constant("s", Tensor::of<float>({4}, {1, 1, 1, scale}));
    net.output(net.b.op("Resize", {x, net.b.constant("roi", Tensor(DType::kF32, {0})), scales},
                        {{"coordinate_transformation_mode", std::string("asymmetric")},
                         {"nearest_mode", std::string("floor")}},
                        "y"));
    Executor fast(net.graph);
    const auto y = fast.run(net.inputs).at("y");
    EXPECT_TRUE(y.equals(Tensor::of<float>({1, 1, 1, 4}, {5, 5, scale == 2 ? 7.0f : 5.0f, 7})));
    EXPECT_EQ(fast.steps().back().kernel, scale == 2 ? "copy" : "reference");
  }
}

TEST(MoveSteps, SplitGivesEveryPart) {
  Net net;
  const ValueId x = net.b.op("Conv", {net.input("x", {2, 6, 3, 3}), net.weights({6, 6, 1, 1})});
  const auto parts = net.b.ops("Split", 2, {x, net.ints({2, 4})}, {{"axis", int64_t{1}}});
  net.output(net.b.op("Relu", {parts[0]}, {}, "a"));
  net.output(net.b.op("MaxPool", {parts[1]}, {{"kernel_shape", Ints{2, 2}}}, "c"));
  net.expect("copy");
}

TEST(GatherStep, TakesRowsOfAnyAxis) {
  for (const int64_t axis : {0, 1, -1})
    for (const bool wide : {false, true}) {
      Net net;
      const ValueId x = net.input("x", {5, 6, 7});
      const ValueId at = net.b.input("at", wide ? DType::kI64 : DType::kI32, {2, 3});
      const std::vector<int32_t> indices = {4, 0, -1, 2, -5, 3};
      if (wide)
        net.inputs.emplace("at", Tensor::of<int64_t>({2, 3}, Ints(indices.begin(), indices.end())));
      else
        net.inputs.emplace("at", Tensor::of<int32_t>({2, 3}, indices));
      net.output(net.b.op("Gather", {x, at}, {{"axis", axis}}, "y"));
      net.expect("gather");
      net.inputs["at"] = wide ? Tensor::of<int64_t>({2, 3}, {0, 0, 7, 0, 0, 0})
                              : Tensor::of<int32_t>({2, 3}, {0, 0, 7, 0, 0, 0});
      EXPECT_THROW(Executor(net.graph, {.threads = 2}).run(net.inputs), Error);
    }
}

TEST(WhereStep, BroadcastsAllThree) {
  const std::vector<std::array<Shape, 3>> cases = {
      {Shape{2, 3, 5, 4}, {2, 3, 5, 4}, {2, 3, 5, 4}},
      {Shape{5, 4}, {2, 3, 5, 4}, {}},  // a mask of scores
      {Shape{2, 1, 1, 4}, {1}, {2, 3, 5, 4}},
      {Shape{2, 3, 1, 1}, {4}, {5, 1}},
      {Shape{}, {2, 3, 5, 4}, {3, 1, 4}},
  };
  for (const auto& shapes : cases)
    for (const bool wide : {false, true}) {
      Net net;
      const auto dims = [](const Shape& s) { return std::vector<Dim>(s.begin(), s.end()); };
      const ValueId c = net.b.input("c", DType::kBool, dims(shapes[0]));
      Tensor condition = random_bytes(DType::kBool, shapes[0], 7);
      auto* bytes = static_cast<uint8_t*>(condition.mutable_raw());
      for (int64_t i = 0; i < condition.size(); ++i) bytes[i] &= 1;
      net.inputs.emplace("c", condition);
      ValueId x = net.input("x", shapes[1], 2), y = net.input("y", shapes[2], 3);
      if (wide) {
        x = net.b.op("Cast", {x}, {{"to", static_cast<int64_t>(DType::kI64)}});
        y = net.b.op("Cast", {y}, {{"to", static_cast<int64_t>(DType::kI64)}});
      }
      net.output(net.b.op("Where", {c, x, y}, {}, "z"));
      if (!wide) {
        net.expect("where");
        continue;
      }
      expect_same(net.graph, net.inputs);
      Executor fast(net.graph);
      fast.run(net.inputs);
      EXPECT_EQ(fast.steps().back().kernel, "where");
    }
}

TEST(GatherStep, ConstantsInAnyOrder) {
  Net net;
  const ValueId at = net.b.constant("at", Tensor::of<int64_t>({3}, {2, 0, 3}));
  net.output(net.b.op("Gather", {net.input("x", {4, 6}), at}, {}, "y"));
  net.expect("gather");
}

TEST(MoveSteps, LayoutChangesOfTheModelCostNothing) {
  // [N,H,W,C] in and out of the file's own transposes: both are names for what lies there.
  Net net;
  const ValueId x = net.input("x", {2, 5, 6, 8});
  const ValueId nchw = net.b.op("Transpose", {x}, {{"perm", Ints{0, 3, 1, 2}}});
  const ValueId conv = net.b.op("Conv", {nchw, net.weights({16, 8, 1, 1})});
  net.output(net.b.op("Transpose", {conv}, {{"perm", Ints{0, 2, 3, 1}}}, "y"));
  net.expect("conv_f32");
  EXPECT_EQ(Executor(net.graph).steps().size(), 1u);
}

TEST(BatchNormalizationStep, AgreesWithTheReference) {
  Net net;
  const ValueId x = net.input("x", {2, 5, 4, 3});
  const ValueId variance = net.b.constant("v", Tensor::of<float>({5}, {0.5f, 1, 2, 0.25f, 4}));
  net.output(net.b.op("BatchNormalization",
                      {x, net.weights({5}), net.weights({5}, 3), net.weights({5}, 4), variance}, {},
                      "y"));
  net.expect("eltwise_f32");
}

// Random chains of layers that branch and join: layouts, fusing, in-place results and the arena
// must never change what is computed.
TEST(Steps, RandomNetsAgreeWithTheReference) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Rng rng(seed);
    Net net;
    std::vector<ValueId> values = {net.input("x", {2, 8, 6, 6}, seed)};
    const auto any = [&] { return values[rng.below(values.size())]; };
    for (int i = 0; i < 14; ++i) {
      const ValueId x = any();
      switch (rng.below(9)) {
        case 0:
          values.push_back(net.b.op("Conv", {x, net.weights({8, 8, 1, 1}, seed + 1)}));
          break;
        case 1:
          values.push_back(net.b.op("Conv", {x, net.weights({8, 1, 3, 3}, seed)},
                                    {{"group", int64_t{8}}, {"pads", Ints{1, 1, 1, 1}}}));
          break;
        case 2:
          values.push_back(net.b.op("Relu", {x}));
          break;
        case 3:
          values.push_back(net.b.op("Add", {x, any()}));
          break;
        case 4:
          values.push_back(net.b.op("Sigmoid", {x}));
          break;
        case 5: {
          const ValueId wide = net.b.op("Concat", {x, any()}, {{"axis", int64_t{1}}});
          values.push_back(net.b.op("Slice", {wide, net.ints({3}), net.ints({11}), net.ints({1})}));
          break;
        }
        case 6:
          values.push_back(net.b.op("Transpose", {x}, {{"perm", Ints{0, 1, 3, 2}}}));
          break;
        case 7: {
          const ValueId flat = net.b.op("Reshape", {x, net.ints({2, 8, 36})});
          values.push_back(net.b.op("Reshape", {net.b.op("Neg", {flat}), net.ints({2, 8, 6, 6})}));
          break;
        }
        default:
          values.push_back(net.b.op("Clip", {x, net.scalar(-8), net.scalar(8)}));
          break;
      }
    }
    net.output(values.back());
    net.output(values[values.size() / 2]);
    SCOPED_TRACE(seed);
    expect_same(net.graph, net.inputs, "", 1e-5, 1 + static_cast<int>(seed % 3));
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace lapidary::exec
