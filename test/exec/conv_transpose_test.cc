#include "test/exec/compare.h"

namespace lapidary::exec {
namespace {

using Ints = std::vector<int64_t>;

struct Case {
  const char* name;
  Shape x, w;  ///< [N, C, ...], [C, M/group, ...]
  Ints strides;
  Ints pads = {}, output_padding = {}, dilations = {}, output_shape = {};
  int64_t group = 1;
  std::string auto_pad = "NOTSET";
};

GraphBuilder::Attrs attributes_of(const Case& c) {
  GraphBuilder::Attrs attrs = {{"strides", c.strides}, {"group", c.group}};
  if (!c.pads.empty()) attrs.emplace_back("pads", c.pads);
  if (!c.output_padding.empty()) attrs.emplace_back("output_padding", c.output_padding);
  if (!c.dilations.empty()) attrs.emplace_back("dilations", c.dilations);
  if (!c.output_shape.empty()) attrs.emplace_back("output_shape", c.output_shape);
  if (c.auto_pad != "NOTSET") attrs.emplace_back("auto_pad", c.auto_pad);
  return attrs;
}

ValueId add_input(GraphBuilder& b, Executor::Values& inputs, const Shape& shape) {
  inputs.emplace("x", random_floats(shape, 1));
  return b.input("x", DType::kF32, std::vector<Dim>(shape.begin(), shape.end()));
}

TEST(ConvTransposeStep, KnownValues) {
  // 1 2 / 3 4 spread by 2 under the 2 x 2 filter 1 10 / 100 1000, plus 5: nothing overlaps.
  Graph graph = new_graph();
  GraphBuilder b(graph);
  const ValueId x = b.input("x", DType::kF32, {1, 1, 2, 2});
  const ValueId w = b.constant("w", Tensor::of<float>({1, 1, 2, 2}, {1, 10, 100, 1000}));
  const ValueId bias = b.constant("bias", Tensor::of<float>({1}, {5}));
  b.output(b.op("ConvTranspose", {x, w, bias}, {{"strides", Ints{2, 2}}}, "y"));
  const auto got =
      expect_same(graph, {{"x", Tensor::of<float>({1, 1, 2, 2}, {1, 2, 3, 4})}}, "dw_f32", 0);
  EXPECT_TRUE(
      got.at("y").equals(Tensor::of<float>({1, 1, 4, 4}, {6, 15, 7, 25, 105, 1005, 205, 2005,  //
                                                          8, 35, 9, 45, 305, 3005, 405, 4005})));
}

class ConvTransposeSteps : public testing::TestWithParam<Case> {};

TEST_P(ConvTransposeSteps, AgreeWithTheReference) {
  const Case& c = GetParam();
  under_each_isa([&] {
    for (const int threads : {1, 3}) {
      Graph graph = new_graph();
      GraphBuilder b(graph);
      Executor::Values inputs;
      const ValueId x = add_input(b, inputs, c.x);
      const ValueId bias = b.constant("bias", random_floats({c.w[1] * c.group}, 5));
      b.output(b.op("ConvTranspose", {x, b.constant("w", random_weights(c.w, 2)), bias},
                    attributes_of(c), "y"));
      const bool depthwise = c.group == c.x[1] && c.w[1] == 1;
      const std::string kernel = depthwise ? "dw_f32" : "conv_f32";
      expect_same(graph, inputs, kernel, 1e-5, threads);
      inputs.at("x").mutable_data<float>()[0] = INFINITY;  // it reaches what its taps reach
      expect_same(graph, inputs, kernel, 1e-5, threads);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, ConvTransposeSteps,
    testing::Values(
        Case{"Stride1", {2, 5, 6, 7}, {5, 9, 3, 3}, {1, 1}, {1, 1, 1, 1}},
        Case{"Doubling", {2, 20, 6, 7}, {20, 17, 4, 4}, {2, 2}, {1, 1, 1, 1}},
        Case{"NoOverlap", {1, 20, 6, 7}, {20, 33, 2, 2}, {2, 2}},
        Case{"OutputPadding", {1, 6, 5, 4}, {6, 8, 3, 3}, {2, 2}, {1, 1, 1, 1}, {1, 1}},
        Case{"UnevenPads", {1, 6, 5, 8}, {6, 8, 5, 3}, {3, 2}, {0, 2, 3, 1}, {2, 1}},
        Case{"StrideBeyondTheKernel", {1, 3, 4, 5}, {3, 4, 2, 1}, {4, 3}, {1, 0, 0, 0}, {2, 1}},
        Case{"PaddedBeyondTheKernel", {1, 3, 9, 9}, {3, 4, 2, 3}, {2, 1}, {5, 4, 3, 4}},
        Case{"Dilated", {1, 4, 6, 6}, {4, 5, 3, 3}, {1, 1}, {2, 1, 2, 1}, {}, {2, 3}},
        Case{"DilatedAndStrided", {2, 4, 6, 5}, {4, 5, 3, 4}, {2, 4}, {2, 1, 0, 3}, {}, {4, 6}},
        Case{"CoprimeDilation", {1, 4, 6, 5}, {4, 5, 4, 3}, {2, 3}, {1, 1, 1, 1}, {}, {3, 2}},
        Case{"Grouped", {1, 8, 5, 5}, {8, 3, 3, 3}, {2, 2}, {1, 1, 1, 1}, {}, {}, {}, 4},
        Case{"Depthwise", {2, 19, 5, 6}, {19, 1, 4, 4}, {2, 2}, {1, 1, 1, 1}, {}, {}, {}, 19},
        Case{"OutputShape", {1, 3, 5, 5}, {3, 4, 3, 3}, {3, 2}, {}, {}, {}, {14, 10}},
        Case{"SameUpper", {1, 3, 5, 5}, {3, 4, 3, 3}, {2, 2}, {}, {}, {}, {}, 1, "SAME_UPPER"},
        Case{"SameLower", {1, 3, 5, 5}, {3, 4, 4, 3}, {1, 2}, {}, {}, {}, {}, 1, "SAME_LOWER"},
        Case{"OneAxis", {2, 6, 11}, {6, 7, 5}, {3}, {1, 2}, {1}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(ConvTransposeStep, MultipliesInWhatThePlanAsksFor) {
  const auto run = [](const Tensor& weights, FloatArithmetic arithmetic, int64_t group,
                      const std::string& kernel, const std::string& precision) {
    Graph graph = new_graph();
    GraphBuilder b(graph);
    Executor::Values inputs;
    const ValueId x = add_input(b, inputs, {1, 6, 5, 4});
    b.output(b.op("ConvTranspose", {x, b.constant("w", weights)},
                  {{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}, {"group", group}}, "y"));
    Executor fast(graph, {.threads = 2, .float_arithmetic = arithmetic});
    const Tensor y = fast.run(inputs).at("y");
    for (const StepInfo& step : fast.steps())
      if (step.op == "ConvTranspose") {
        EXPECT_TRUE(step.kernel.starts_with(kernel)) << step.kernel;
        EXPECT_EQ(step.precision, precision);
      }
    return y;
  };
  // Multiples of 1/8 below 4 are BF16 and FP16: times 1 + 2^-12, as the test's weights are, both
  // round to them again, and short sums of their products are exact.
  const Tensor exact = random_floats({6, 5, 3, 3}, 2), other = random_weights({6, 5, 3, 3}, 2);
  using enum FloatArithmetic;
  under_each_isa([&] {
    const Tensor expected = run(exact, kF32, 1, "conv_f16w", "float32");
    EXPECT_FALSE(run(other, kF32, 1, "conv_f32", "float32").equals(expected));
    EXPECT_TRUE(run(other, kBf16, 1, "conv_bf16", "bfloat16").equals(expected));
    EXPECT_TRUE(run(other, kF16Storage, 1, "conv_f16w", "float32").equals(expected));
    run(random_weights({6, 1, 3, 3}, 2), kBf16, 6, "dw_f32", "float32");
    run(random_weights({6, 2, 3, 3}, 2), kBf16, 2, "conv_f32", "float32");  // groups of 3 channels
  });
}

TEST(ConvTransposeStep, TakesActivationAndResidualAlong) {
  Graph graph = new_graph();
  GraphBuilder b(graph);
  Executor::Values inputs;
  const ValueId x = add_input(b, inputs, {2, 16, 4, 3});
  const ValueId wide = b.op("Resize",
                            {x, b.constant("roi", Tensor(DType::kF32, {0})),
                             b.constant("s", Tensor::of<float>({4}, {1, 1, 2, 2}))},
                            {{"coordinate_transformation_mode", std::string("asymmetric")},
                             {"nearest_mode", std::string("floor")}});
  const ValueId up = b.op("ConvTranspose", {x, b.constant("w", random_weights({16, 16, 2, 2}, 2))},
                          {{"strides", Ints{2, 2}}});
  b.output(b.op("Relu", {b.op("Add", {wide, up})}, {}, "y"));
  expect_same(graph, inputs, "conv_f32");
  Executor fast(graph);
  bool found = false;
  for (const StepInfo& step : fast.steps()) found = found || step.op == "ConvTranspose+Add+Relu";
  EXPECT_TRUE(found);
}

}  // namespace
}  // namespace lapidary::exec
