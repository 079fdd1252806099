#include <functional>

#include "lapidary/error.h"
#include "test/exec/compare.h"

namespace lapidary::exec {
namespace {

using Ints = std::vector<int64_t>;

/// Builds QDQ graphs: float x -> Q -> DQ -> op -> Q -> DQ -> y, activations of one 8-bit type.
struct QdqNet {
  DType type;
  Graph graph = new_graph();
  GraphBuilder b{graph};
  Executor::Values inputs;

  explicit QdqNet(DType activation) : type(activation) {}

  Tensor zero(int u8) const {
    return type == DType::kU8 ? Tensor::scalar(static_cast<uint8_t>(u8))
                              : Tensor::scalar(static_cast<int8_t>(u8 - 128));
  }
  /// Q and DQ of a value; zero points as for uint8.
  ValueId quantized(ValueId x, float scale, int zero_point, const std::string& name = {}) {
    const ValueId s = b.constant("scale", Tensor::scalar(scale));
    const ValueId z = b.constant("zero", zero(zero_point));
    const ValueId q = b.op("QuantizeLinear", {x, s, z}, {}, name);
    return b.op("DequantizeLinear", {q, s, z});
  }
  ValueId input(const std::string& name, Shape shape, uint64_t seed = 1) {
    inputs.emplace(name, random_floats(shape, seed));
    return quantized(b.input(name, DType::kF32, std::vector<Dim>(shape.begin(), shape.end())),
                     0.03f, 131);
  }
  /// Weights s8 with a scale per slice of `axis`.
  ValueId weights(Shape shape, int64_t axis, uint64_t seed = 2) {
    const int64_t channels = shape[static_cast<size_t>(axis)];
    Tensor scales(DType::kF32, {channels});
    for (int64_t c = 0; c < channels; ++c)
      scales.mutable_data<float>()[static_cast<size_t>(c)] =
          0.004f + 0.0007f * static_cast<float>(c);
    return b.op("DequantizeLinear",
                {b.constant("w", random_bytes(DType::kI8, std::move(shape), seed)),
                 b.constant("ws", scales), b.constant("wz", Tensor(DType::kI8, {channels}))},
                {{"axis", axis}});
  }
  ValueId bias(int64_t channels) {
    Tensor values(DType::kI32, {channels}), scales(DType::kF32, {channels});
    for (int64_t c = 0; c < channels; ++c) {
      values.mutable_data<int32_t>()[static_cast<size_t>(c)] = static_cast<int32_t>(100 * c - 350);
      scales.mutable_data<float>()[static_cast<size_t>(c)] =
          0.03f * (0.004f + 0.0007f * static_cast<float>(c));
    }
    return b.op("DequantizeLinear",
                {b.constant("bias", values), b.constant("bs", scales),
                 b.constant("bz", Tensor(DType::kI32, {channels}))},
                {{"axis", int64_t{0}}});
  }
  void output(ValueId y, float scale = 0.05f, int zero_point = 117) {
    b.output(quantized(y, scale, zero_point, "yq"));
  }
  void expect(const std::string& op, const std::string& kernel) {
    SCOPED_TRACE(dtype_name(type));
    expect_same_bits(graph, inputs, op, kernel);
  }
};

const DType kBoth[] = {DType::kU8, DType::kI8};

TEST(QLinearConvStep, KnownValues) {
  // x = {1, -2} as q = round(x / 0.5) + 10 = {12, 6}; w = {3, -1} (scale 0.25);
  // acc = 2*3 + (-4)*(-1) = 10, y = round(10 * 0.125 / 0.1) + 5: 12.5 (0.125 / 0.1f is exactly
  // 1.25f) rounds half to even to 12, + 5 = 17; real 1.2.
  Graph graph = new_graph();
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {1, 2, 1, 1});
  const auto f = [&](float v) { return b.constant("s", Tensor::scalar(v)); };
  const auto u = [&](uint8_t v) { return b.constant("z", Tensor::scalar(v)); };
  const ValueId sx = f(0.5f), zx = u(10), sy = f(0.1f), zy = u(5), sw = f(0.25f);
  const ValueId q = b.op("DequantizeLinear", {b.op("QuantizeLinear", {x, sx, zx}), sx, zx});
  const ValueId w =
      b.op("DequantizeLinear", {b.constant("w", Tensor::of<int8_t>({1, 2, 1, 1}, {3, -1})), sw,
                                b.constant("z", Tensor::scalar<int8_t>(0))});
  const ValueId yq = b.op("QuantizeLinear", {b.op("Conv", {q, w}), sy, zy}, {}, "yq");
  b.output(yq);
  Executor fast(graph);
  const auto got = fast.run({{"x", Tensor::of<float>({1, 2, 1, 1}, {1, -2})}});
  EXPECT_TRUE(got.at("yq").equals(Tensor::of<uint8_t>({1, 1, 1, 1}, {17})));
}

TEST(QLinearConvStep, SameBitsEverywhere) {
  struct Case {
    Shape x, w;
    GraphBuilder::Attrs attrs;
    const char* kernel;
  };
  const Ints same = {1, 1, 1, 1};
  for (const DType type : kBoth)
    for (const Case& c :
         {Case{{2, 19, 7, 5}, {21, 19, 1, 1}, {}, "conv_s8"},
          Case{{1, 3, 9, 10}, {20, 3, 3, 3}, {{"pads", same}, {"strides", Ints{2, 2}}}, "conv_s8"},
          Case{{1, 8, 8, 8}, {12, 4, 3, 3}, {{"pads", same}, {"group", int64_t{2}}}, "conv_s8"},
          Case{{1, 40, 6, 6}, {30, 4, 3, 3}, {{"pads", same}, {"group", int64_t{10}}}, "conv_s8"},
          Case{{2, 6, 7, 9}, {18, 1, 3, 3}, {{"pads", same}, {"group", int64_t{6}}}, "conv_s8"},
          Case{{1, 80, 9, 9},
               {80, 1, 3, 3},
               {{"dilations", Ints{2, 2}}, {"pads", same}, {"group", int64_t{80}}},
               "dw_s8"},
          Case{{1, 6, 9, 9}, {5, 6, 3, 3}, {{"dilations", Ints{2, 2}}}, "conv_s8"},
          Case{{2, 35, 9, 8}, {35, 1, 3, 3}, {{"pads", same}, {"group", int64_t{35}}}, "dw_s8"},
          Case{{1, 16, 9, 8},
               {16, 1, 5, 5},
               {{"strides", Ints{2, 2}}, {"group", int64_t{16}}},
               "dw_s8"}}) {
      QdqNet net(type);
      const ValueId x = net.input("x", c.x);
      net.output(net.b.op("Conv", {x, net.weights(c.w, 0), net.bias(c.w[0])}, c.attrs), 0.11f);
      net.expect("QLinearConv", c.kernel);
    }
}

TEST(QLinearConvStep, ResidualAndTableAreFused) {
  for (const DType type : kBoth)
    for (const std::string activation : {"", "LeakyRelu", "Sigmoid"}) {
      QdqNet net(type);
      const ValueId x = net.input("x", {1, 16, 6, 6});
      ValueId y = net.b.op("Conv", {x, net.weights({16, 16, 1, 1}, 0), net.bias(16)});
      y = net.quantized(y, 0.08f, 120);
      if (!activation.empty()) y = net.quantized(net.b.op(activation, {y}), 0.04f, 90);
      net.output(net.b.op("Add", {y, x}), 0.07f, 125);
      net.expect("QLinearAdd", "conv_s8");
      Executor fast(net.graph);
      std::string all;
      for (const StepInfo& step : fast.steps()) all += step.op + " ";
      const std::string table = activation.empty() ? "" : "+QLinear" + activation;
      EXPECT_NE(all.find("QLinearConv" + table + "+QLinearAdd "), std::string::npos) << all;
    }
}

TEST(QLinearConvStep, WritesOverItsResidualOnlyWhereNobodyReadsIt) {
  for (const std::string reader : {"nobody", "the convolution", "a later node"}) {
    QdqNet net(DType::kU8);
    const ValueId x = net.input("x", {1, 48, 9, 9});
    ValueId residual = x;
    if (reader != "the convolution")
      residual = net.quantized(net.b.op("Conv", {x, net.weights({48, 48, 1, 1}, 0), net.bias(48)}),
                               0.05f, 120);
    const ValueId conv = net.b.op("Conv", {x, net.weights({48, 48, 3, 3}, 0), net.bias(48)},
                                  {{"pads", Ints{1, 1, 1, 1}}});
    const ValueId y = net.quantized(conv, 0.08f, 120);
    const ValueId sum = net.quantized(net.b.op("Add", {y, residual}), 0.07f, 125);
    net.output(
        reader == "a later node" ? net.b.op("Mul", {sum, residual}) : net.b.op("Sigmoid", {sum}),
        0.05f);
    SCOPED_TRACE(reader);
    net.expect("QLinearAdd", "conv_s8");
  }
}

TEST(QuantizedSteps, ElementwiseSameBits) {
  for (const DType type : kBoth) {
    for (const std::string op : {"Add", "Mul"})
      for (const auto& [shape, other] : std::vector<std::pair<Shape, Shape>>{
               {{2, 18, 5, 4}, {2, 18, 5, 4}},
               {{2, 18, 5, 4}, {1, 18, 1, 1}},
               {{2, 18, 5, 4}, {2, 1, 5, 4}},
               {{2, 18, 41, 39}, {2, 18, 41, 39}},  // work for three threads and more
               {{2, 18, 41, 39}, {1, 18, 1, 1}}}) {
        QdqNet net(type);
        const ValueId a = net.input("a", shape), c = net.input("c", other, 3);
        net.output(net.b.op(op, {a, c}), 0.06f);
        net.expect("QLinear" + op, "eltwise_s8");
      }
    for (const std::string op : {"Sigmoid", "LeakyRelu"}) {
      QdqNet net(type);
      net.output(net.b.op(op, {net.input("x", {2, 18, 41, 39})}), 0.004f, 3);
      net.expect("QLinear" + op, "eltwise_s8");
    }
    QdqNet net(type);
    net.output(net.b.op("Softmax", {net.input("x", {3, 4, 40})}), 1.0f / 256, 0);
    net.expect("QLinearSoftmax", "softmax_u8");
  }
}

TEST(QuantizedSteps, SoftmaxGivesOnnxRuntimesBytes) {
  // ONNX Runtime 1.31.1 of the same node; y_scale 1/256.
  struct Case {
    Tensor x, x_zero, y_zero, y;
  };
  const Case cases[] = {
      {Tensor::of<uint8_t>({2, 7},
                           {171, 206, 5, 206, 120, 131, 161, 73, 250, 13, 71, 98, 146, 104}),
       Tensor::scalar<uint8_t>(131), Tensor::scalar<uint8_t>(0),
       Tensor::of<uint8_t>({2, 7}, {32, 92, 0, 92, 7, 10, 24, 1, 238, 0, 1, 2, 10, 3})},
      {Tensor::of<int8_t>({2, 7},
                          {-95, -117, -128, -116, -90, 127, -80, 39, 64, -68, -56, -17, -61, 121}),
       Tensor::scalar<int8_t>(3), Tensor::scalar<int8_t>(-128),
       Tensor::of<int8_t>({2, 7}, {-128, -128, -128, -128, -128, 126, -127, -111, -92, -127, -127,
                                   -125, -127, 70})}};
  for (const Case& c : cases) {
    Graph graph = new_graph();
    GraphBuilder b(graph);
    const ValueId x = b.input("x", c.x.dtype(), {2, 7});
    b.output(b.op("QLinearSoftmax",
                  {x, b.constant("xs", Tensor::scalar(0.03f)), b.constant("xz", c.x_zero),
                   b.constant("ys", Tensor::scalar(1.0f / 256)), b.constant("yz", c.y_zero)},
                  {{"axis", int64_t{-1}}, {"opset", int64_t{13}}}, "y", "com.microsoft"));
    Executor fast(graph);
    EXPECT_TRUE(fast.run({{"x", c.x}}).at("y").equals(c.y)) << dtype_name(c.x.dtype());
    bool found = false;
    for (const StepInfo& step : fast.steps()) found = found || step.kernel == "softmax_u8";
    EXPECT_TRUE(found);
  }
}

TEST(QuantizedSteps, PoolsAndConcatSameBits) {
  for (const DType type : kBoth) {
    {
      QdqNet net(type);
      const ValueId x = net.input("x", {2, 18, 7, 7});
      net.output(net.b.op(
          "AveragePool", {x},
          {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}}));
      net.expect("QLinearAveragePool", "pool");
    }
    {
      QdqNet net(type);
      net.output(net.b.op("GlobalAveragePool", {net.input("x", {2, 33, 7, 7})}), 0.01f);
      net.expect("QLinearGlobalAveragePool", "pool");
    }
    for (const int64_t axis : {1, 2, -1}) {
      QdqNet net(type);
      const ValueId x = net.input("x", {2, 18, 5, 5}), z = net.input("z", {2, 18, 5, 5}, 4);
      const ValueId scaled = net.quantized(net.b.op("LeakyRelu", {z}), 0.02f, 44);
      net.output(net.b.op("Concat", {x, scaled}, {{"axis", axis}}), 0.04f);
      net.expect("QLinearConcat", "eltwise_s8");
    }
    {
      // MaxPool keeps scale and zero point: it runs on the bytes.
      QdqNet net(type);
      const ValueId x = net.input("x", {1, 18, 6, 6});
      const ValueId pooled =
          net.b.op("MaxPool", {x}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
      net.output(pooled, 0.03f, 131);
      net.expect("MaxPool", "pool");
    }
  }
}

TEST(ByteFunctionStep, KnownValues) {
  // HardSwish of 0, 1, 2, 3, 4, 250 in steps of 1/6: x min(x + 3, 6), so 0, 4, 10, 18, 24, 255.
  QdqNet net(DType::kU8);
  const ValueId x = net.b.input("x", DType::kF32, {1, 6});
  net.graph.set_opset("", 14);
  const ValueId swish = net.b.op("HardSwish", {net.quantized(x, 1.0f, 0)});
  const ValueId sixth = net.b.constant("sixth", Tensor::scalar(1.0f / 6));
  net.b.output(
      net.b.op("QuantizeLinear", {swish, sixth, net.b.constant("z", net.zero(0))}, {}, "yq"));
  Executor fast(net.graph);
  const auto y = fast.run({{"x", Tensor::of<float>({1, 6}, {0, 1, 2, 3, 4, 250})}}).at("yq");
  EXPECT_TRUE(y.equals(Tensor::of<uint8_t>({1, 6}, {0, 4, 10, 18, 24, 255})));
  bool found = false;
  for (const StepInfo& step : fast.steps())
    found = found || step.op == "DequantizeLinear+HardSwish+QuantizeLinear";
  EXPECT_TRUE(found);
}

/// "DequantizeLinear+HardSwish+QuantizeLinear ..." of the fast plan.
std::string ops_of(const Graph& graph) {
  Executor fast(graph);
  std::string all;
  for (const StepInfo& step : fast.steps()) all += step.op + " ";
  return all;
}

TEST(ByteFunctionStep, ActivationsOfManyNodesAreOneTable) {
  struct Case {
    const char* name;
    std::function<ValueId(QdqNet&, ValueId)> body;
    const char* lowered;
    std::string ops;  ///< of the step, behind the convolution
  };
  const std::vector<Case> cases = {
      {"SiLU by two QLinear nodes",
       [](QdqNet& n, ValueId x) {
         return n.b.op("Mul", {x, n.quantized(n.b.op("Sigmoid", {x}), 1.0f / 256, 0)});
       },
       "QLinearMul", "QLinearSigmoid+QLinearMul"},
      {"SiLU in float",
       [](QdqNet& n, ValueId x) {
         return n.b.op("Mul", {n.b.op("Sigmoid", {x}), x});
       },
       "Sigmoid", "DequantizeLinear+Sigmoid+Mul+QuantizeLinear"},
      {"HardSwish", [](QdqNet& n, ValueId x) { return n.b.op("HardSwish", {x}); }, "HardSwish",
       "DequantizeLinear+HardSwish+QuantizeLinear"},
      {"Mish",
       [](QdqNet& n, ValueId x) {
         return n.b.op("Mul", {x, n.b.op("Tanh", {n.b.op("Softplus", {x})})});
       },
       "Softplus", "DequantizeLinear+Softplus+Tanh+Mul+QuantizeLinear"},
      {"a constant per tensor",
       [](QdqNet& n, ValueId x) {
         const ValueId three = n.b.constant("three", Tensor::of<float>({1}, {3}));
         return n.b.op("Abs", {n.b.op("Add", {x, three})});
       },
       "Abs", "DequantizeLinear+Add+Abs+QuantizeLinear"}};
  for (const DType type : kBoth)
    for (const Case& c : cases)
      for (const bool behind_conv : {false, true}) {
        SCOPED_TRACE(c.name);
        QdqNet net(type);
        net.graph.set_opset("", 14);
        ValueId x = net.input("x", {2, 18, 5, 4});
        if (behind_conv)
          x = net.quantized(net.b.op("Conv", {x, net.weights({20, 18, 1, 1}, 0), net.bias(20)}),
                            0.08f, 120);
        net.output(c.body(net, x), 0.04f, 20);
        net.expect(c.lowered, behind_conv ? "conv_s8" : "eltwise_s8");
        const std::string ops = ops_of(net.graph);
        EXPECT_NE(ops.find((behind_conv ? "QLinearConv+" : " ") + c.ops + " "), std::string::npos)
            << ops;
      }
}

TEST(ByteFunctionStep, ActivationsThatClampNeedNoTable) {
  // Symmetric files keep Relu and Clip between two pairs: of one scale they are limits, of another
  // a table of the upper half. Behind a sum, only limits join it.
  const std::string relu = "+DequantizeLinear+Relu+QuantizeLinear",
                    clip = "+DequantizeLinear+Clip+QuantizeLinear";
  for (const DType type : kBoth)
    for (const float scale : {0.08f, 0.05f})
      for (const bool clips : {false, true})
        for (const int64_t group : {1, 16}) {
          QdqNet net(type);
          const auto activated = [&](ValueId x) {
            const auto bound = [&](float v) { return net.b.constant("c", Tensor::scalar(v)); };
            return clips ? net.b.op("Clip", {x, bound(0), bound(3)}) : net.b.op("Relu", {x});
          };
          const ValueId x = net.input("x", {1, 16, 7, 6});
          const ValueId conv =
              net.b.op("Conv", {x, net.weights({16, 16 / group, 3, 3}, 0), net.bias(16)},
                       {{"pads", Ints{1, 1, 1, 1}}, {"group", group}});
          const ValueId y = net.quantized(activated(net.quantized(conv, 0.08f, 128)), scale, 128);
          const ValueId sum = net.quantized(net.b.op("Add", {y, x}), 0.08f, 128);
          net.output(activated(sum), scale, 128);
          net.expect("QLinearAdd", group == 1 ? "conv_s8" : "dw_s8");
          const std::string& activation = clips ? clip : relu;
          const std::string expected = "QLinearConv" + activation + "+QLinearAdd" +
                                       (scale == 0.08f ? activation + " " : " ");
          EXPECT_NE(ops_of(net.graph).find(expected), std::string::npos) << ops_of(net.graph);
        }
}

TEST(QuantizedSteps, ClampsOfSumsAndProducts) {
  for (const DType type : kBoth)
    for (const std::string op : {"Add", "Mul"}) {
      QdqNet net(type);
      const ValueId a = net.input("a", {2, 18, 5, 4}), c = net.input("c", {2, 18, 5, 4}, 3);
      const ValueId y = net.quantized(net.b.op(op, {a, c}), 0.06f, 128);
      net.output(net.b.op("Relu", {y}), 0.06f, 128);
      net.expect("QLinear" + op, "eltwise_s8");
      EXPECT_NE(ops_of(net.graph).find(" QLinear" + op + "+DequantizeLinear+Relu+QuantizeLinear "),
                std::string::npos)
          << ops_of(net.graph);
    }
}

TEST(QuantizedSteps, ShortcutsThatPadChannelsAreMovedAsBytes) {
  // Every second pixel, zero channels around; ends in the scale of the input or another.
  for (const DType type : kBoth)
    for (const float scale : {0.03f, 0.05f})
      for (const float around : {0.0f, 1.7f}) {
        QdqNet net(type);
        const ValueId x = net.input("x", {2, 6, 8, 6});
        const auto ints = [&](std::vector<int64_t> v) {
          return net.b.constant("i", Tensor::of<int64_t>({static_cast<int64_t>(v.size())}, v));
        };
        const ValueId half =
            net.b.op("Slice", {x, ints({0, 0}), ints({99, 99}), ints({2, 3}), ints({2, 2})});
        const ValueId sliced = net.quantized(half, 0.03f, 131);
        const ValueId padded = net.b.op("Pad", {sliced, ints({0, 3, 0, 0, 0, 3, 0, 0}),
                                                net.b.constant("v", Tensor::scalar(around))});
        const ValueId shortcut = net.quantized(padded, scale, 131);
        const ValueId conv = net.b.op("Conv", {x, net.weights({12, 6, 3, 3}, 0), net.bias(12)},
                                      {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}});
        net.output(net.b.op("Add", {net.quantized(conv, 0.08f, 120), shortcut}), 0.07f, 125);
        net.expect("QLinearAdd", "copy");
        const std::string ops = ops_of(net.graph);
        const std::string table = scale == 0.03f ? "" : "DequantizeLinear+QuantizeLinear ";
        EXPECT_NE(ops.find("Slice " + table + "Pad "), std::string::npos) << ops;
      }
}

TEST(ByteFunctionStep, LeavesToOthersWhatTheyRead) {
  for (const DType type : kBoth) {
    {
      // The sigmoid is read again: the product alone cannot be a function of x.
      QdqNet net(type);
      const ValueId x = net.input("x", {1, 8, 5, 4});
      const ValueId gate = net.quantized(net.b.op("Sigmoid", {x}), 1.0f / 256, 0, "gate");
      net.b.output(gate);
      net.output(net.b.op("Mul", {x, gate}), 0.02f, 10);
      net.expect("QLinearMul", "eltwise_s8");
    }
    {
      // A float reader of the same dequantized value, and a channel-wise constant.
      QdqNet net(type);
      net.graph.set_opset("", 14);
      const ValueId x = net.input("x", {1, 3, 5, 4});
      net.b.output(net.b.op("Sqrt", {net.b.op("Abs", {x})}, {}, "root"));
      const ValueId channels = net.b.constant("c", Tensor::of<float>({3, 1, 1}, {1, 2, 3}));
      net.b.output(net.quantized(net.b.op("Div", {x, channels}), 0.03f, 128, "shares"));
      net.output(net.b.op("HardSwish", {x}), 0.02f, 10);
      net.expect("HardSwish", "eltwise_s8");
      EXPECT_NE(ops_of(net.graph).find(" HardSwish+QuantizeLinear "), std::string::npos)
          << ops_of(net.graph);
    }
  }
}

TEST(ConcatInPlace, ConvolutionsAndPoolsWriteIntoTheResult) {
  // One input of the result's scale, one of another (a table more), one that is read again
  // (copied).
  for (const DType type : kBoth)
    for (const bool table : {false, true}) {
      QdqNet net(type);
      const ValueId x = net.input("x", {2, 18, 6, 5});
      const auto conv = [&](int64_t channels, float scale, int zero) {
        ValueId y = net.quantized(
            net.b.op("Conv",
                     {x, net.weights({channels, 18, 1, 1}, 0, 7 + channels), net.bias(channels)}),
            scale, zero);
        if (table) y = net.quantized(net.b.op("LeakyRelu", {y}), scale, zero);
        return y;
      };
      const ValueId same = conv(13, 0.07f, 125), other = conv(35, 0.05f, 99);
      const ValueId again = conv(6, 0.06f, 80);
      const ValueId pooled = net.quantized(
          net.b.op("MaxPool", {x}, {{"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}}),
          0.03f, 131);
      const ValueId all = net.b.op("Concat", {same, pooled, again, other}, {{"axis", int64_t{1}}});
      const ValueId joined = net.quantized(all, 0.07f, 125, "joined");
      net.b.output(joined);
      net.output(net.b.op("Conv", {net.quantized(net.b.op("Add", {again, again}), 0.1f, 128),
                                   net.weights({4, 6, 3, 3}, 0), net.bias(4)}));
      net.expect("QLinearConcat", "conv_s8");
    }
}

TEST(ConcatInPlace, SlicesOfTheInputAreMovedAsBytes) {
  // Every second line and column, joined: quantized before it is taken apart.
  for (const DType type : kBoth) {
    QdqNet net(type);
    net.inputs.emplace("x", random_floats({2, 3, 8, 6}, 1));
    const ValueId x = net.b.input("x", DType::kF32, {2, 3, 8, 6});
    const auto ints = [&](int64_t v) { return net.b.constant("i", Tensor::of<int64_t>({1}, {v})); };
    const auto every_second = [&](ValueId v, int64_t first, int64_t axis) {
      return net.b.op("Slice", {v, ints(first), ints(1000), ints(axis), ints(2)});
    };
    std::vector<ValueId> parts;
    for (const int64_t row : {0, 1}) {
      const ValueId lines = every_second(x, row, 2);
      for (const int64_t column : {0, 1}) parts.push_back(every_second(lines, column, 3));
    }
    const ValueId joined =
        net.quantized(net.b.op("Concat", parts, {{"axis", int64_t{1}}}), 0.03f, 131);
    net.output(net.b.op("Conv", {joined, net.weights({8, 12, 3, 3}, 0), net.bias(8)}), 0.3f);
    net.expect("QLinearConv", "conv_s8");
    const std::string ops = ops_of(net.graph);
    EXPECT_TRUE(ops.starts_with("QuantizeLinear Slice ")) << ops;
    EXPECT_EQ(ops.find("Concat"), std::string::npos) << ops;
  }
}

TEST(ConcatInPlace, LeavesNoStep) {
  for (const DType type : kBoth)
    for (const float other : {0.07f, 0.02f}) {
      QdqNet net(type);
      const ValueId x = net.input("x", {1, 16, 6, 5});
      std::vector<ValueId> halves;
      for (const float scale : {0.07f, other})
        halves.push_back(net.quantized(
            net.b.op("Conv", {x, net.weights({24, 16, 1, 1}, 0, 3 + halves.size()), net.bias(24)}),
            scale, 125));
      const ValueId joined =
          net.quantized(net.b.op("Concat", halves, {{"axis", int64_t{1}}}), 0.07f, 125);
      net.output(net.b.op("Conv", {joined, net.weights({8, 48, 1, 1}, 0), net.bias(8)}), 0.3f);
      net.expect("QLinearConcat", "conv_s8");
      EXPECT_EQ(ops_of(net.graph).find("Concat"), std::string::npos) << ops_of(net.graph);
    }
}

TEST(QuantizedSteps, MatrixProductsSameBits) {
  for (const DType type : kBoth) {
    for (const int64_t transposed : {0, 1}) {
      QdqNet net(type);
      const ValueId x = net.input("x", {5, 37});
      const ValueId w = transposed ? net.weights({22, 37}, 0) : net.weights({37, 22}, 1);
      net.output(net.b.op("Gemm", {x, w, net.bias(22)}, {{"transB", transposed}}), 0.2f);
      net.expect("QGemm", "conv_s8");
    }
    {
      QdqNet net(type);
      net.output(net.b.op("MatMul", {net.input("x", {2, 3, 37}), net.weights({37, 22}, 1)}), 0.2f);
      net.expect("QLinearMatMul", "conv_s8");
    }
    // Two computed matrices: more products than threads, and one and two with work for all.
    for (const auto& [left, right] :
         std::vector<std::pair<Shape, Shape>>{{{2, 3, 7, 20}, {1, 3, 20, 9}},
                                              {{1, 1, 97, 61}, {1, 1, 61, 83}},
                                              {{2, 97, 61}, {61, 83}}}) {
      QdqNet net(type);
      const ValueId a = net.input("a", left), c = net.input("c", right, 5);
      net.output(net.b.op("MatMul", {a, c}), 0.4f);
      net.expect("QLinearMatMul", "conv_s8");
    }
    {
      QdqNet net(type);
      net.b.output(
          net.b.op("MatMul", {net.input("x", {4, 37}), net.weights({37, 22}, 1)}, {}, "y"));
      net.expect("MatMulIntegerToFloat", "conv_s8");
    }
  }
}

TEST(IntegerProducts, GiveInt32) {
  for (const DType type : kBoth) {
    Graph graph = new_graph();
    GraphBuilder b(graph);
    const ValueId x = b.input("x", type, {2, 6, 5, 5});
    const ValueId zero = b.constant(
        "z", type == DType::kU8 ? Tensor::scalar<uint8_t>(7) : Tensor::scalar<int8_t>(-7));
    b.output(b.op("ConvInteger", {x, b.constant("w", random_bytes(type, {4, 6, 3, 3}, 3)), zero},
                  {}, "y"));
    const ValueId flat = b.op("Reshape", {x, b.constant("s", Tensor::of<int64_t>({2}, {2, 150}))});
    b.output(b.op("MatMulInteger", {flat, b.constant("w", random_bytes(type, {150, 9}, 4)), zero},
                  {}, "m"));
    under_each_isa([&] {
      expect_same(graph, {{"x", random_bytes(type, {2, 6, 5, 5}, 8)}}, "conv_s8", 0);
    });
  }
}

TEST(IntegerTaps, SeeTheQuantizedTensorNotTheFloatInside) {
  for (const DType type : kBoth) {
    QdqNet net(type);
    const ValueId x = net.input("x", {1, 8, 4, 4});
    net.output(net.b.op("Conv", {x, net.weights({8, 8, 1, 1}, 0), net.bias(8)}, {}, "inside"),
               0.1f);
    Executor plain(net.graph, {.keep_all_values = true});
    const Tensor expected = plain.run(net.inputs).at("yq");
    Executor fast(net.graph);
    int calls = 0;
    fast.tap({"yq"}, [&](const TapView& view) {
      ++calls;
      ASSERT_EQ(view.tensor.dtype, type);
      ASSERT_TRUE(view.channels_last);
      for (int64_t c = 0; c < 8; ++c)
        for (int64_t p = 0; p < 16; ++p)
          EXPECT_EQ(view.tensor.as<uint8_t>()[p * 8 + c],
                    static_cast<const uint8_t*>(expected.raw())[c * 16 + p]);
    });
    fast.run(net.inputs);
    EXPECT_EQ(calls, 1);
    EXPECT_THROW(fast.tap({"inside"}, [](const TapView&) {}), Error);
    fast.run(net.inputs);  // the taps are still the former ones
    EXPECT_EQ(calls, 2);
  }
}

TEST(QuantizedWeights, OfFloatLayersAreConstants) {
  // Weights quantized, activations float: a float convolution on dequantized weights.
  Graph graph = new_graph();
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {1, 6, 5, 5});
  const ValueId w =
      b.op("DequantizeLinear", {b.constant("w", random_bytes(DType::kI8, {4, 6, 3, 3}, 3)),
                                b.constant("s", Tensor::scalar(0.01f))});
  b.output(b.op("Conv", {x, w}, {}, "y"));
  expect_same(graph, {{"x", random_floats({1, 6, 5, 5}, 1)}}, "conv_f32");
}

}  // namespace
}  // namespace lapidary::exec
