#include <algorithm>

#include "src/ops/fake_quantize.h"
#include "src/ops/inline_functions.h"
#include "src/ops/packed_weights.h"
#include "test/exec/compare.h"

namespace lapidary::exec {
namespace {

using Ints = std::vector<int64_t>;

const std::string kDomain(kOwnDomain);

/// NaN, 0 and -0 among the elements.
Tensor random_signs(Shape shape, uint64_t seed) {
  Tensor out = random_floats(std::move(shape), seed);
  const auto values = out.mutable_data<float>();
  for (size_t i = 0; i < values.size(); i += 13)
    values[i] = i % 3 == 0 ? std::nanf("") : i % 3 == 1 ? -0.0f : 0.0f;
  return out;
}

struct BinaryNet {
  Graph graph = new_graph();
  GraphBuilder b{graph};
  Executor::Values inputs;

  BinaryNet() { graph.set_opset(kDomain, 1); }

  ValueId input(Shape shape) {
    inputs.emplace("x", random_signs(shape, 1));
    return b.input("x", DType::kF32, std::vector<Dim>(shape.begin(), shape.end()));
  }
  /// Of both signs and 0, so that sums around 0 are seen.
  ValueId scale(int64_t channels) {
    Tensor values(DType::kF32, {channels});
    for (int64_t c = 0; c < channels; ++c)
      values.mutable_data<float>()[static_cast<size_t>(c)] =
          c % 7 == 5 ? 0.0f : (c % 3 == 1 ? -0.1f : 0.1f) * static_cast<float>(1 + c % 5);
    return b.constant("scale", std::move(values));
  }
  /// Some are the product of the scale and a sum, rounded: what is left is 0.
  ValueId bias(int64_t channels) {
    Tensor values(DType::kF32, {channels});
    for (int64_t c = 0; c < channels; ++c)
      values.mutable_data<float>()[static_cast<size_t>(c)] =
          static_cast<float>(c % 9 - 4) * 0.1f * static_cast<float>(1 + c % 5);
    return b.constant("bias", std::move(values));
  }
  ValueId conv(ValueId x, Shape w, Ints strides, Ints dilations, Ints pads, float pad_value,
               const std::string& name) {
    const ValueId packed = b.constant("w", pack_binary_conv(random_floats(w, 3 + name.size())));
    return b.op("BinaryConv", {x, packed, scale(w[0]), bias(w[0])},
                {{"kernel_shape", Ints{w[2], w[3]}},
                 {"strides", strides},
                 {"dilations", dilations},
                 {"pads", pads},
                 {"in_channels", w[1]},
                 {"pad_value", pad_value}},
                name, kDomain);
  }
  /// 3x3, padded to the same size.
  ValueId conv3(ValueId x, int64_t in_c, int64_t out_c, const std::string& name,
                float pad_value = 0) {
    return conv(x, {out_c, in_c, 3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, pad_value, name);
  }
  ValueId matmul(ValueId x, int64_t k, int64_t n, const std::string& name) {
    const ValueId packed = b.constant("w", pack_binary(random_floats({n, k}, 5 + name.size())));
    return b.op("BinaryMatMul", {x, packed, scale(n), bias(n)}, {}, name, kDomain);
  }
};

/// But for changes of layout.
std::vector<std::string> ops_of(Executor& executor) {
  std::vector<std::string> out;
  for (const StepInfo& step : executor.steps())
    if (!step.op.starts_with("Layout of")) out.push_back(step.op);
  return out;
}

/// The bits of the reference on every ISA of this CPU and several numbers of threads; `steps`: what
/// runs. The same where every value is kept, so that nothing is left as signs, and by the body.
void expect_bits(const BinaryNet& net, const std::vector<std::string>& steps = {}) {
  Executor reference(net.graph, {.executor = ExecutorKind::kReference});
  const auto expected = reference.run(net.inputs);
  const auto expect_equal = [&](Executor& executor, const char* what) {
    const auto got = executor.run(net.inputs);
    for (const auto& [name, tensor] : expected)
      EXPECT_TRUE(got.at(name).equals(tensor)) << name << " " << what;
  };
  under_each_isa([&] {
    for (const int threads : {1, 3}) {
      Executor fast(net.graph, {.threads = threads});
      expect_equal(fast, "of kernels");
      if (!steps.empty()) {
        EXPECT_EQ(ops_of(fast), steps);
      }
      for (const StepInfo& step : fast.steps()) EXPECT_TRUE(step.kernel != "reference") << step.op;
    }
    Executor all(net.graph, {.threads = 1, .keep_all_values = true});
    expect_equal(all, "with every value kept");
  });
  Graph inlined = net.graph;
  inline_functions(inlined, {.own_ops = true});
  for (const NodeId id : inlined.nodes()) EXPECT_TRUE(inlined.node(id).domain.empty());
  for (const ExecutorKind kind : {ExecutorKind::kReference, ExecutorKind::kFast}) {
    Executor body(inlined, {.executor = kind, .threads = 2});
    expect_equal(body, "of the portable body");
  }
}

TEST(BinaryConvStep, KnownValues) {
  // Signs + - + (NaN is -, -0 is +), weights + + - and - - -: sums -1 and -1; y = sum s + b.
  BinaryNet net;
  const ValueId x = net.b.input("x", DType::kF32, {1, 3, 1, 1});
  net.inputs["x"] = Tensor::of<float>({1, 3, 1, 1}, {-0.0f, std::nanf(""), 5});
  const ValueId w = net.b.constant("w", Tensor::of<uint8_t>({2, 1}, {0b11111011, 0b11111000}));
  const ValueId scale = net.b.constant("scale", Tensor::of<float>({2}, {2, -0.5f}));
  const ValueId bias = net.b.constant("bias", Tensor::of<float>({2}, {0.25f, 1}));
  net.b.output(net.b.op("BinaryConv", {x, w, scale, bias},
                        {{"kernel_shape", Ints{1, 1}},
                         {"strides", Ints{1, 1}},
                         {"dilations", Ints{1, 1}},
                         {"pads", Ints{0, 0, 0, 0}},
                         {"in_channels", int64_t{3}},
                         {"pad_value", 0.0f}},
                        "y", kDomain));
  expect_bits(net, {"Signs of x", "BinaryConv"});
  Executor fast(net.graph);
  EXPECT_TRUE(fast.run(net.inputs).at("y").equals(Tensor::of<float>({1, 2, 1, 1}, {-1.75f, 1.5f})));
  EXPECT_TRUE(fast.steps()[1].kernel.starts_with("conv_b1")) << fast.steps()[1].kernel;
  EXPECT_EQ(fast.steps()[1].precision, "binary");
}

TEST(BinaryConvStep, SameBitsEverywhere) {
  struct Case {
    Shape x, w;
    Ints strides, dilations, pads;
  };
  for (const float pad_value : {0.0f, 1.0f})
    for (const Case& c : {Case{{2, 64, 9, 8}, {32, 64, 3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}},
                          Case{{1, 37, 7, 6}, {19, 37, 3, 3}, {2, 2}, {1, 1}, {1, 1, 0, 0}},
                          Case{{1, 5, 9, 9}, {67, 5, 3, 2}, {1, 2}, {2, 3}, {2, 0, 1, 3}},
                          Case{{3, 130, 5, 4}, {33, 130, 1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}},
                          Case{{1, 33, 6, 5}, {8, 33, 1, 1}, {2, 2}, {1, 1}, {0, 0, 0, 0}},
                          Case{{1, 3, 12, 12}, {4, 3, 5, 5}, {3, 1}, {1, 1}, {4, 4, 4, 4}}}) {
      SCOPED_TRACE(shape_text(c.x) + " " + shape_text(c.w));
      BinaryNet net;
      net.b.output(net.conv(net.input(c.x), c.w, c.strides, c.dilations, c.pads, pad_value, "y"));
      expect_bits(net, {"Signs of x", "BinaryConv"});
    }
}

TEST(BinaryConvStep, AChainHandsSignsOn) {
  BinaryNet net;
  const ValueId first = net.conv3(net.input({2, 40, 6, 7}), 40, 70, "first");
  const ValueId second = net.conv3(first, 70, 33, "second", /*pad_value=*/1);
  net.b.output(net.conv3(second, 33, 5, "y"));
  expect_bits(net, {"Signs of x", "BinaryConv", "BinaryConv", "BinaryConv"});
}

TEST(BinaryConvStep, SignsArePackedOnceForSeveralReaders) {
  BinaryNet net;
  const ValueId x = net.input({1, 32, 5, 5});
  const ValueId a = net.conv3(x, 32, 16, "a"), c = net.conv3(x, 32, 16, "c", 1);
  const ValueId shared = net.conv3(a, 16, 48, "shared");
  net.b.output(net.b.op("Add", {net.conv3(shared, 48, 16, "left"), c}, {}, "y"));
  net.b.output(net.conv3(shared, 48, 8, "z"));
  expect_bits(net, {"Signs of x", "BinaryConv", "BinaryConv", "BinaryConv", "BinaryConv", "Add",
                    "BinaryConv"});
}

TEST(BinaryConvStep, WhatOthersReadStaysFloat) {
  BinaryNet net;
  const ValueId first = net.conv3(net.input({1, 32, 5, 5}), 32, 32, "first");
  const ValueId second = net.conv3(first, 32, 32, "second");
  const ValueId sum = net.b.op("Add", {second, first}, {}, "sum");
  net.b.output(net.conv3(sum, 32, 8, "y"));
  net.b.output(first);
  expect_bits(net, {"Signs of x", "BinaryConv", "Signs of first", "BinaryConv", "Add",
                    "Signs of sum", "BinaryConv"});
}

TEST(BinaryConvStep, MixesWithFloatLayersAndConcat) {
  BinaryNet net;
  const ValueId x = net.input({1, 8, 6, 6});
  const ValueId stem = net.b.op(
      "Conv", {net.b.op("Relu", {x}), net.b.constant("f", random_floats({32, 8, 1, 1}, 9))});
  const ValueId left = net.conv3(stem, 32, 24, "left"), right = net.conv3(stem, 32, 40, "right");
  const ValueId joined = net.b.op("Concat", {left, right}, {{"axis", int64_t{1}}}, "joined");
  net.inputs["x"] = random_floats({1, 8, 6, 6}, 2);
  net.b.output(net.conv3(joined, 64, 10, "y"));
  expect_bits(net);
}

TEST(BinaryConvStep, SamplesOfABatchStayApart) {
  BinaryNet net;
  const ValueId first = net.conv3(net.input({8, 40, 6, 7}), 40, 70, "first");
  const ValueId second = net.conv3(first, 70, 33, "second");
  const ValueId pooled = net.b.op("GlobalAveragePool", {second});
  const ValueId flat = net.b.op("Flatten", {pooled});
  net.b.output(net.matmul(flat, 33, 10, "y"));
  Executor reference(net.graph, {.executor = ExecutorKind::kReference});
  Executor fast(net.graph, {.threads = 2});
  EXPECT_LE(relative_difference(fast.run(net.inputs).at("y"), reference.run(net.inputs).at("y")),
            1e-5);
  // Parts of the batch: a part's steps move less than those of the whole.
  Executor whole(net.graph, {.threads = 2, .profile = true});
  EXPECT_TRUE(whole.run(net.inputs).at("y").equals(fast.run(net.inputs).at("y")));
}

TEST(BinaryMatMulStep, SameBitsEverywhere) {
  for (const Shape& shape : {Shape{37}, Shape{5, 64}, Shape{2, 3, 129}, Shape{2, 2, 3, 8}}) {
    SCOPED_TRACE(shape_text(shape));
    BinaryNet net;
    net.b.output(net.matmul(net.input(shape), shape.back(), 35, "y"));
    expect_bits(net, {"Signs of x", "BinaryMatMul"});
  }
}

TEST(BinaryMatMulStep, AChainHandsSignsOn) {
  BinaryNet net;
  const ValueId hidden = net.matmul(net.input({4, 3, 50}), 50, 77, "hidden");
  net.b.output(net.matmul(hidden, 77, 6, "y"));
  expect_bits(net, {"Signs of x", "BinaryMatMul", "BinaryMatMul"});
}

/// Its channels are another axis than those of the convolution that made it.
TEST(BinaryMatMulStep, ReadsAConvolutionsResultAlongAnotherAxis) {
  BinaryNet net;
  const ValueId conv = net.conv3(net.input({1, 32, 5, 6}), 32, 16, "conv");
  net.b.output(net.matmul(conv, 6, 4, "y"));
  net.b.output(net.conv3(conv, 16, 4, "z"));
  expect_bits(net);
}

TEST(BinaryConvStep, WhatTheKernelCannotDoIsLeftToTheReference) {
  for (const bool infinite : {true, false}) {
    BinaryNet net;
    const ValueId first = net.conv3(net.input({1, 8, 4, 4}), 8, 8, "first");
    ValueId scale = net.scale(8);
    if (infinite) {
      Tensor values(DType::kF32, {8});
      values.mutable_data<float>()[3] = INFINITY;
      scale = net.b.constant("infinite", values);
    } else {
      scale = net.b.input("s", DType::kF32, {8});
      net.inputs["s"] = random_floats({8}, 4);
    }
    const ValueId w = net.b.constant("w", pack_binary_conv(random_floats({8, 8, 1, 1}, 7)));
    net.b.output(net.b.op("BinaryConv", {first, w, scale, net.bias(8)},
                          {{"kernel_shape", Ints{1, 1}},
                           {"strides", Ints{1, 1}},
                           {"dilations", Ints{1, 1}},
                           {"pads", Ints{0, 0, 0, 0}},
                           {"in_channels", int64_t{8}},
                           {"pad_value", 0.0f}},
                          "y", kDomain));
    Executor reference(net.graph, {.executor = ExecutorKind::kReference}), fast(net.graph);
    const Tensor y = fast.run(net.inputs).at("y"), expected = reference.run(net.inputs).at("y");
    EXPECT_EQ(relative_difference(y, expected), 0);
    EXPECT_EQ(fast.steps().back().kernel, "reference");
  }
}

// -- what unpacks weights

/// DQ(UnpackTernary) -> Conv between Q and DQ.
Graph ternary_conv(Shape x, Shape w, Ints pads) {
  Graph graph = new_graph();
  graph.set_opset(kDomain, 1);
  GraphBuilder b(graph);
  Tensor codes = random_bytes(DType::kI8, w, 3);
  for (int8_t& v : codes.mutable_data<int8_t>()) v = static_cast<int8_t>(v % 3 % 2);
  Tensor scales(DType::kF32, {w[0]});
  for (int64_t c = 0; c < w[0]; ++c)
    scales.mutable_data<float>()[static_cast<size_t>(c)] = 0.1f + 0.03f * static_cast<float>(c);
  const ValueId s = b.constant("s", Tensor::scalar(0.03f));
  const ValueId z = b.constant("z", Tensor::scalar<uint8_t>(131));
  const ValueId in = b.input("x", DType::kF32, std::vector<Dim>(x.begin(), x.end()));
  const ValueId q = b.op("DequantizeLinear", {b.op("QuantizeLinear", {in, s, z}), s, z});
  const ValueId packed = b.constant("w", pack_ternary(codes));
  const ValueId unpacked = b.op("UnpackTernary", {packed}, {{"shape", w}}, "unpack", kDomain);
  const ValueId weights =
      b.op("DequantizeLinear",
           {unpacked, b.constant("ws", scales), b.constant("wz", Tensor(DType::kI8, {w[0]}))},
           {{"axis", int64_t{0}}});
  const ValueId y = b.op("Conv", {q, weights}, {{"pads", pads}});
  const ValueId ys = b.constant("ys", Tensor::scalar(2.0f));
  b.output(b.op("DequantizeLinear", {b.op("QuantizeLinear", {y, ys, z}), ys, z}, {}, "y"));
  return graph;
}

TEST(UnpackTernaryStep, WeightsStayInTwoBitsWhereThereArePixelsEnough) {
  struct Case {
    Shape x, w;
    Ints pads;
    const char* kernel;
  };
  for (const Case& c : {Case{{1, 40, 7, 6}, {30, 40, 3, 3}, {1, 1, 1, 1}, "conv_t2"},
                        Case{{1, 64, 3, 3}, {30, 64, 3, 3}, {1, 1, 1, 1}, "conv_s8"}}) {
    const Graph graph = ternary_conv(c.x, c.w, c.pads);
    const Executor::Values inputs = {{"x", random_floats(c.x, 1)}};
    expect_same_bits(graph, inputs, "QLinearConv", c.kernel);
    Executor fast(graph);
    fast.run(inputs);
    EXPECT_EQ(std::ranges::count(fast.steps(), "ternary", &StepInfo::precision), 1);
    Graph inlined = graph;
    inline_functions(inlined, {.own_ops = true});
    Executor body(inlined);
    EXPECT_TRUE(body.run(inputs).at("y").equals(fast.run(inputs).at("y")));
  }
}

TEST(UnpackTernaryStep, TwoBitsTakeAQuarter) {
  const Graph graph = ternary_conv({1, 128, 8, 8}, {128, 128, 3, 3}, {1, 1, 1, 1});
  Graph inlined = graph;
  inline_functions(inlined, {.own_ops = true});
  Executor packed(graph), bytes(inlined);
  packed.run({{"x", random_floats({1, 128, 8, 8}, 1)}});
  bytes.run({{"x", random_floats({1, 128, 8, 8}, 1)}});
  EXPECT_LT(packed.packed_bytes(), bytes.packed_bytes() / 3);
}

TEST(UnpackBinaryStep, IsAConstantOfThePlan) {
  Graph graph = new_graph();
  graph.set_opset(kDomain, 1);
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {1, 5, 4, 4});
  const ValueId packed = b.constant("w", pack_binary(random_floats({7, 5, 3, 3}, 2)));
  const ValueId w = b.op("UnpackBinary", {packed}, {{"shape", Ints{7, 5, 3, 3}}}, "u", kDomain);
  b.output(b.op("Conv", {x, w}, {}, "y"));
  const Executor::Values inputs = {{"x", random_floats({1, 5, 4, 4}, 1)}};
  const auto got = expect_same(graph, inputs, "conv_", 0);
  Graph inlined = graph;
  inline_functions(inlined, {.own_ops = true});
  EXPECT_TRUE(expect_same(inlined, inputs, "conv_", 0).at("y").equals(got.at("y")));
}

}  // namespace
}  // namespace lapidary::exec
