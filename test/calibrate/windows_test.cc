#include "calibrate/windows.h"

#include "test/passes/run_graph.h"

namespace lapidary {
namespace {

struct Case {
  std::string name, op;
  Shape input, weight;
  GraphBuilder::Attrs attrs;
};

Graph graph_of(const Case& c) {
  Graph graph = empty_graph(17);
  GraphBuilder build(graph);
  const auto type = tensor_type(DType::kF32, c.input);
  const ValueId x = build.input("x", DType::kF32, *type.shape);
  build.output(build.op(c.op, {x, build.constant("w", ramp(c.weight, 5))}, c.attrs, "y"));
  infer_types(graph);
  return graph;
}

std::vector<Case> cases() {
  using Ints = std::vector<int64_t>;
  return {
      {"pointwise", "Conv", {1, 3, 5, 4}, {2, 3, 1, 1}, {}},
      {"padded", "Conv", {1, 2, 5, 7}, {3, 2, 3, 3}, {{"pads", Ints{1, 1, 1, 1}}}},
      {"strided",
       "Conv",
       {1, 2, 9, 8},
       {1, 2, 3, 2},
       {{"strides", Ints{2, 3}}, {"pads", Ints{1, 0, 0, 2}}}},
      {"dilated",
       "Conv",
       {1, 1, 8, 8},
       {2, 1, 2, 3},
       {{"dilations", Ints{3, 2}}, {"pads", Ints{2, 2, 2, 2}}}},
      {"depthwise", "Conv", {1, 4, 6, 6}, {4, 1, 3, 3}, {{"group", int64_t{4}}}},
      {"same_upper",
       "Conv",
       {1, 2, 6, 5},
       {2, 2, 3, 4},
       {{"auto_pad", std::string("SAME_UPPER")}, {"strides", Ints{2, 2}}}},
      {"same_lower",
       "Conv",
       {1, 2, 6, 5},
       {2, 2, 3, 4},
       {{"auto_pad", std::string("SAME_LOWER")}, {"strides", Ints{2, 2}}}},
      {"valid", "Conv", {1, 1, 5, 5}, {1, 1, 3, 3}, {{"auto_pad", std::string("VALID")}}},
      {"one_dim", "Conv", {1, 2, 9}, {3, 2, 3}, {{"pads", Ints{1, 1}}, {"strides", Ints{2}}}},
      {"kernel_beyond_input", "Conv", {1, 1, 2, 2}, {1, 1, 5, 5}, {{"pads", Ints{2, 2, 2, 2}}}},
      {"gemm", "Gemm", {1, 6}, {6, 4}, {}},
      {"gemm_transposed", "Gemm", {1, 6}, {4, 6}, {{"transB", int64_t{1}}}},
      {"matmul", "MatMul", {1, 5, 6}, {6, 4}, {}},
  };
}

/// Sum of output channel o over all positions, from window sums and weights.
double predicted(const Case& c, const Tensor& weight, const std::vector<double>& sums, int64_t o) {
  const auto w = weight.data<float>();
  const auto outputs =
      static_cast<int64_t>(c.op == "Conv" || !c.attrs.empty() ? weight.dim(0) : weight.dim(-1));
  const int64_t columns = weight.size() / outputs;
  const bool rows_first = c.op == "Conv" || !c.attrs.empty();
  const int64_t first = c.name == "depthwise" ? o * columns : 0;
  double sum = 0;
  for (int64_t k = 0; k < columns; ++k)
    sum += static_cast<double>(
               w[static_cast<size_t>(rows_first ? o * columns + k : k * outputs + o)]) *
           sums[static_cast<size_t>(first + k)];
  return sum;
}

/// sum_p y[o, p] by the reference evaluation.
std::vector<double> output_sums(const Tensor& y, bool conv) {
  const int64_t channels = conv ? y.dim(1) : y.dim(-1);
  const int64_t inner = conv ? y.size() / channels : 1;
  std::vector<double> sums(static_cast<size_t>(channels));
  for (int64_t i = 0; i < y.size(); ++i)
    sums[static_cast<size_t>(i / inner % channels)] +=
        static_cast<double>(y.data<float>()[static_cast<size_t>(i)]);
  return sums;
}

Tensor channels_last(const Tensor& x) {
  Tensor out(DType::kF32, x.shape());
  const int64_t channels = x.dim(1), inner = x.size() / channels;
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t i = 0; i < inner; ++i)
      out.mutable_data<float>()[static_cast<size_t>(i * channels + c)] =
          x.data<float>()[static_cast<size_t>(c * inner + i)];
  return out;
}

TEST(Windows, SumsGiveTheMeansOfTheOutputs) {
  for (const Case& c : cases()) {
    const Graph graph = graph_of(c);
    const NodeId id = graph.nodes()[0];
    const Tensor x = ramp(c.input), weight = ramp(c.weight, 5);
    const auto spec = window_spec(graph, id, c.input);
    ASSERT_TRUE(spec) << c.name;
    const Tensor y = run_graph(graph, {{"x", x}})[0];
    const bool conv = c.op == "Conv";
    const auto expected = output_sums(y, conv);
    EXPECT_EQ(spec->positions() * static_cast<int64_t>(expected.size()), y.size()) << c.name;
    std::vector<double> sums(static_cast<size_t>(spec->columns()));
    window_sums(x.data<float>().data(), false, *spec, sums.data());
    for (size_t o = 0; o < expected.size(); ++o)
      EXPECT_NEAR(predicted(c, weight, sums, static_cast<int64_t>(o)), expected[o], 1e-4)
          << c.name << " channel " << o;
    if (!conv || c.input.size() != 4) continue;
    std::vector<double> last(sums.size());
    const Tensor nhwc = channels_last(x);
    window_sums(nhwc.data<float>().data(), true, *spec, last.data());
    for (size_t k = 0; k < sums.size(); ++k) EXPECT_NEAR(last[k], sums[k], 1e-5) << c.name;
  }
}

TEST(Windows, OfIntegersSubtractTheZeroPointWhereThereIsInput) {
  // 2 x 2 input, 3 x 3 kernel padded by 1: every tap sees a different part of the picture.
  Case c{"tiny", "Conv", {1, 1, 2, 2}, {1, 1, 3, 3}, {{"pads", std::vector<int64_t>{1, 1, 1, 1}}}};
  const auto spec = window_spec(graph_of(c), NodeId{0}, c.input);
  ASSERT_TRUE(spec);
  const uint8_t x[] = {10, 20, 30, 40};
  int64_t sums[9] = {};
  window_sums(x, false, *spec, 3, sums);
  const int64_t expected[] = {7, 7 + 17, 17, 7 + 27, 7 + 17 + 27 + 37, 17 + 37, 27, 27 + 37, 37};
  for (int i = 0; i < 9; ++i) EXPECT_EQ(sums[i], expected[i]) << "tap " << i;
  const int8_t negative[] = {-10, -20, 30, 40};
  int64_t more[9] = {};
  window_sums(negative, false, *spec, -5, more);
  EXPECT_EQ(more[0], -10 + 5);
  EXPECT_EQ(more[4], -10 - 20 + 30 + 40 + 4 * 5);
}

TEST(Windows, OfIntegersGoBeyondInt32) {
  // 255 (2^23 + 2^16) = 2155806720 > 2^31: over a plane, over one row, over rows of channels.
  constexpr int64_t kCount = (int64_t{1} << 23) + (1 << 16);
  const std::vector<uint8_t> x(2 * kCount, 255);
  const auto sums_of = [&](const WindowSpec& spec) {
    std::vector<int64_t> sums(static_cast<size_t>(spec.columns()));
    window_sums(x.data(), false, spec, 5, sums.data());
    return sums;
  };
  WindowSpec plane{.channels = 1, .input = {1 << 7, kCount >> 7}, .output = {1 << 7, kCount >> 7}};
  EXPECT_EQ(sums_of(plane), (std::vector<int64_t>{250 * kCount}));
  WindowSpec row{.channels = 2, .input = {1, kCount}, .output = {1, kCount}};
  row.pad = {0, 1};  // the window at -1 is all padding
  row.output[1] += 1;
  EXPECT_EQ(sums_of(row), (std::vector<int64_t>{250 * kCount, 250 * kCount}));
  WindowSpec matrix{.channels = 2, .input = {1, kCount}, .output = {1, kCount}};
  matrix.matrix = true;
  EXPECT_EQ(sums_of(matrix), (std::vector<int64_t>{250 * kCount, 250 * kCount}));
  const std::vector<int8_t> low(kCount * 2, -128);
  int64_t sum[1] = {};
  plane.input = plane.output = {2, kCount};
  window_sums(low.data(), false, plane, 127, sum);
  EXPECT_EQ(sum[0], -255 * 2 * kCount);
}

TEST(Windows, PaddingSamplesDoNotCount) {
  EXPECT_EQ(counted_rows(4, 4, 3), 3);
  EXPECT_EQ(counted_rows(20, 4, 3), 15);           // batch and time folded into one axis
  EXPECT_EQ(counted_rows(7, 4, 4), 7);             // nothing is padding
  EXPECT_EQ(counted_rows(7, 4, 3), std::nullopt);  // another axis leads
}

TEST(Windows, RefusesWhatItCannotSum) {
  const Case transposed{"ta", "Gemm", {6, 1}, {6, 4}, {{"transA", int64_t{1}}}};
  EXPECT_FALSE(window_spec(graph_of(transposed), NodeId{0}, transposed.input));
  const Case cube{"3d", "Conv", {1, 1, 3, 3, 3}, {1, 1, 2, 2, 2}, {}};
  EXPECT_FALSE(window_spec(graph_of(cube), NodeId{0}, cube.input));
}

}  // namespace
}  // namespace lapidary
