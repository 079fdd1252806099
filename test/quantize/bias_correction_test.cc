#include "quantize/ptq/bias_correction.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "calibrate/statistics.h"
#include "quantize/ptq/skip_means.h"
#include "src/base/signal.h"
#include "src/passes/lower_qdq.h"
#include "test/quantize/nets.h"

namespace lapidary {
namespace {

/// The net and data of quantize_reference.py, "bias_correction": x -> Gemm -> Relu -> Gemm.
Graph two_layers() {
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 4});
  const ValueId a = net.op(
      "Gemm", {x, net.constant("w1", ramp({4, 3}, 5)), net.constant("b1", ramp({3}, 1))}, "a");
  const ValueId r = net.op("Relu", {a}, "r");
  return net.finish({net.op(
      "Gemm", {r, net.constant("w2", ramp({3, 2}, 2)), net.constant("b2", ramp({2}, 7))}, "y")});
}

Tensor two_layers_data() {
  Tensor x = ramp({16, 4});
  for (float& v : x.mutable_data<float>()) v *= 1.3f;
  return x;
}

/// The int32 constants of a graph, in order of their names.
std::map<std::string, std::vector<int32_t>> biases(const Graph& graph) {
  std::map<std::string, std::vector<int32_t>> out;
  for (const ValueId id : graph.values()) {
    const Tensor* t = graph.constant(id);
    if (t && t->dtype() == DType::kI32 && t->rank() == 1 &&
        graph.value(id).name.ends_with("_quantized"))
      out[graph.value(id).name] = {t->data<int32_t>().begin(), t->data<int32_t>().end()};
  }
  return out;
}

QuantizeOptions plain(bool correct) {
  QuantizeOptions options;
  options.calibrator = "minmax";
  options.equalize = false;
  options.bias_correction = correct;
  options.check_bias_correction = false;
  return options;
}

std::vector<double> channel_means(const Tensor& y) {
  const int64_t channels = y.dim(1), inner = y.size() / (y.dim(0) * channels);
  std::vector<double> means(static_cast<size_t>(channels));
  for (int64_t i = 0; i < y.size(); ++i)
    means[static_cast<size_t>(i / inner % channels)] +=
        static_cast<double>(y.data<float>()[static_cast<size_t>(i)]) /
        static_cast<double>(y.dim(0) * inner);
  return means;
}

using Values = std::vector<int32_t>;

TEST(BiasCorrection, GivesTheBiasesOfTheReference) {
  const Dataset data = dataset_of({{"x", two_layers_data()}});
  const Statistics stats = calibrate(two_layers(), data);
  const Graph before = quantize(two_layers(), stats, data, plain(false));
  EXPECT_EQ(biases(before), (std::map<std::string, Values>{{"b1_quantized", {3984, -2636, 5694}},
                                                           {"b2_quantized", {-7404, 3226}}}));
  QuantizeLog log;
  const Graph after = quantize(two_layers(), stats, data, plain(true), &log);
  EXPECT_EQ(biases(after), (std::map<std::string, Values>{{"b1_quantized", {3990, -2642, 5699}},
                                                          {"b2_quantized", {-7392, 3225}}}));
  EXPECT_EQ(log.corrected_biases, 2);
  EXPECT_EQ(log.correction_samples, 16);
}

TEST(BiasCorrection, BringsTheMeansBack) {
  const Tensor x = two_layers_data();
  const Dataset data = dataset_of({{"x", x}});
  const Statistics stats = calibrate(two_layers(), data);
  const auto wanted = channel_means(run_graph(two_layers(), {{"x", x}})[0]);
  const auto means = [&](bool correct) {
    const Graph quantized = quantize(two_layers(), stats, data, plain(correct));
    return channel_means(run_graph(quantized, {{"x", x}})[0]);
  };
  const auto before = means(false), after = means(true);
  for (size_t c = 0; c < 2; ++c) {
    EXPECT_GT(std::fabs(before[c] - wanted[c]), 4e-4) << c;
    EXPECT_LT(std::fabs(after[c] - wanted[c]), 1e-4) << c;  // half a unit of the bias
  }
}

TEST(BiasCorrection, OfConvolutionsBringsTheMeansBack) {
  // Padded, depthwise and dense layers; the first output read before its Relu's saturation.
  const Tensor x = tiny_samples(24);
  const Dataset data = dataset_of({{"x", x}});
  const Statistics stats = calibrate(tiny_net(), data);
  const auto wanted = channel_means(run_graph(tiny_net(), {{"x", x}})[0]);
  const auto distance = [&](bool correct) {
    const Graph quantized = quantize(tiny_net(), stats, data, plain(correct));
    const auto means = channel_means(run_graph(quantized, {{"x", x}})[0]);
    double sum = 0;
    for (size_t c = 0; c < means.size(); ++c) sum += std::fabs(means[c] - wanted[c]);
    return sum;
  };
  EXPECT_LT(distance(true), 0.05 * distance(false));
}

// In this net the second layer's error cancelled out the first's: its outputs are nearer without.
TEST(BiasCorrection, IsLeftOutWhereOutputsAreNearerWithout) {
  const Tensor x = two_layers_data();
  const Dataset data = dataset_of({{"x", x}});
  const Statistics stats = calibrate(two_layers(), data);
  const Tensor wanted = run_graph(two_layers(), {{"x", x}})[0];
  const auto mean_db = [&](const QuantizeOptions& options) {
    const Tensor made = run_graph(quantize(two_layers(), stats, data, options), {{"x", x}})[0];
    double sum = 0;
    for (size_t i = 0; i < 16; ++i)
      sum += sqnr_db(wanted.data<float>().subspan(2 * i, 2), made.data<float>().subspan(2 * i, 2));
    return sum / 16;
  };
  EXPECT_GT(mean_db(plain(false)), mean_db(plain(true)) + 0.5);
  QuantizeOptions checked = plain(true);
  checked.check_bias_correction = true;
  QuantizeLog log;
  const Graph made = quantize(two_layers(), stats, data, checked, &log);
  EXPECT_EQ(log.corrected_biases, 0);
  EXPECT_EQ(biases(made), biases(quantize(two_layers(), stats, data, plain(false))));
}

TEST(BiasCorrection, NeedsSamplesAndSaysSo) {
  const Dataset data = dataset_of({{"x", two_layers_data()}});
  const Statistics stats = calibrate(two_layers(), data);
  QuantizeLog log;
  const Graph without = quantize(two_layers(), stats, nullptr, plain(true), &log);
  EXPECT_EQ(log.corrected_biases, 0);
  EXPECT_THAT(log.warnings, testing::Contains(testing::HasSubstr("needs samples")));
  EXPECT_EQ(biases(without), biases(quantize(two_layers(), stats, data, plain(false))));
}

TEST(BiasCorrection, FloatBiasesOfTensorRt) {
  const Tensor x = two_layers_data();
  const Dataset data = dataset_of({{"x", x}});
  const Statistics stats = calibrate(two_layers(), data);
  QuantizeOptions options = plain(true);
  options.target = "tensorrt";
  const Graph quantized = quantize(two_layers(), stats, data, options);
  EXPECT_TRUE(biases(quantized).empty());
  const auto wanted = channel_means(run_graph(two_layers(), {{"x", x}})[0]);
  const auto means = channel_means(run_graph(quantized, {{"x", x}})[0]);
  for (size_t c = 0; c < 2; ++c) EXPECT_NEAR(means[c], wanted[c], 1e-5);
}

TEST(BiasCorrection, ALayerWithoutBiasGetsOne) {
  const auto graph = [] {
    Net net;
    const ValueId x = net.input("x", {Dim::named("N"), 4});
    return net.finish({net.op("Gemm", {x, net.constant("w", ramp({4, 3}, 5))}, "y")});
  };
  const Tensor x = two_layers_data();
  const Dataset data = dataset_of({{"x", x}});
  const Graph quantized = quantize(graph(), calibrate(graph(), data), data, plain(true));
  EXPECT_EQ(biases(quantized).size(), 1u);
  const auto wanted = channel_means(run_graph(graph(), {{"x", x}})[0]);
  const auto means = channel_means(run_graph(quantized, {{"x", x}})[0]);
  for (size_t c = 0; c < 3; ++c) EXPECT_NEAR(means[c], wanted[c], 1.6e-4);  // half a unit
}

/// x [N, 8] w [8, 5] + b [1, 1, 5] has an axis that no Gemm makes: the Add stays beside the layer.
TEST(BiasCorrection, AnAddThatAddsAnAxisIsNoBias) {
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 8});
  const ValueId product = net.op("MatMul", {x, net.constant("w", ramp({8, 5}, 3))}, "product");
  const Graph graph =
      net.finish({net.op("Add", {product, net.constant("b", ramp({1, 1, 5}, 2))}, "y")});
  const Dataset data = dataset_of({{"x", tiny_samples(16, 0, {8})}});
  const Graph made = quantize(graph, calibrate(graph, data), data, {});
  const Tensor some = tiny_samples(4, 3, {8});
  const Tensor y = run_graph(graph, {{"x", some}})[0], q = run_graph(made, {{"x", some}})[0];
  ASSERT_EQ(q.shape(), (Shape{1, 4, 5}));
  EXPECT_GT(sqnr_db(y, q), 25);
}

TEST(BiasCorrection, SaysWhereABiasDoesNotFit) {
  // |b| <= 2^31 s_x s_w = 2^31 (1/16) (w / 127): 1e4 for the first channel's w = 0.01, 0.001 for
  // the second one's 1e-9, whose bias is to take back the skip's error of 0.3 / 16.
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 2, 4, 4});
  const ValueId w = net.constant("w", Tensor::of<float>({2, 1, 1, 1}, {1e-2f, 1e-9f}));
  const ValueId c = net.op("Conv", {x, w}, "c", {{"group", int64_t{2}}});
  const Graph graph = net.finish({net.op("Add", {c, x}, "sum")});
  Tensor data(DType::kF32, {32, 2, 4, 4});
  const auto v = data.mutable_data<float>();
  for (size_t i = 0; i < v.size(); ++i) v[i] = (static_cast<float>(i * 37 % 250) + 0.3f) / 16;
  v[0] = 0;
  v[1] = 255.0f / 16;
  const Dataset samples = dataset_of({{"x", data}});
  const Statistics stats = calibrate(graph, samples);
  QuantizeLog log;
  const Graph quantized = quantize(graph, stats, samples, plain(true), &log);
  EXPECT_THAT(log.warnings, testing::Contains(testing::AllOf(testing::HasSubstr("'c'"),
                                                             testing::HasSubstr("1 of 2 channels"),
                                                             testing::HasSubstr("int32"))));
  EXPECT_EQ(biases(quantized).begin()->second[1], std::numeric_limits<int32_t>::max());
  QuantizeLog without;
  quantize(two_layers(), calibrate(two_layers(), dataset_of({{"x", two_layers_data()}})),
           dataset_of({{"x", two_layers_data()}}), plain(true), &without);
  EXPECT_TRUE(without.warnings.empty());
}

// -- held samples

TEST(HeldSamples, AreAsManyAsTheBytesAllow) {
  // tiny_net's frontier per sample: x, 2*6*6 bytes, then relu, 4*4*4, then the pool's 4: 72 at
  // most.
  const Dataset data = tiny_data(40);
  const Statistics stats = calibrate(tiny_net(), data);
  for (const auto& [bytes, held] :
       std::vector<std::pair<double, int64_t>>{{1.0, 1}, {300, 4}, {1440, 20}, {1e6, 40}}) {
    QuantizeOptions options = plain(true);
    options.hold_mb = bytes / 1e6;
    QuantizeLog log;
    quantize(tiny_net(), stats, data, options, &log);
    EXPECT_EQ(log.correction_samples, held) << bytes;
  }
}

/// x [N,2,8,8] -> three padded convolutions -> global average; `open`: x is [N,2,H,W].
Graph open_net(bool open) {
  Net net;
  const auto size = [&](const char* name) { return open ? Dim::named(name) : Dim(8); };
  ValueId x = net.input("x", {Dim::named("N"), 2, size("H"), size("W")});
  x = net.op("Relu", {net.conv(x, 2, 4, "a")}, "ra");
  x = net.op("Relu", {net.conv(x, 4, 4, "b")}, "rb");
  x = net.op("Relu", {net.conv(x, 4, 4, "c")}, "rc");
  return net.finish({net.op("GlobalAveragePool", {x}, "y")});
}

TEST(HeldSamples, OpenSizesAreTheSamples) {
  const Dataset data = dataset_of({{"x", tiny_samples(40, 0, {2, 8, 8})}});
  const Statistics stats = calibrate(open_net(false), data);
  // The frontier per sample: x, 2*8*8 bytes, then 4*8*8 behind each convolution.
  for (const auto& [bytes, held] :
       std::vector<std::pair<double, int64_t>>{{1.0, 1}, {1300, 5}, {1e6, 40}}) {
    QuantizeOptions options = plain(true);
    options.hold_mb = bytes / 1e6;
    for (const bool open : {false, true}) {
      QuantizeLog log;
      const Graph graph = open_net(open);
      quantize(graph, open ? calibrate(graph, data) : stats, data, options, &log);
      EXPECT_EQ(log.correction_samples, held) << bytes << (open ? " open" : " fixed");
    }
  }
}

TEST(HeldSamples, StayWithinTheirBytes) {
  const Dataset data = tiny_data(40);
  const Graph form = calibrated_form(tiny_net());
  Steps steps(form, calibrate(form, data));
  for (const double budget : {300.0, 1440.0, 4000.0}) {
    Lockstep lockstep(steps.qdq, data, 1);
    const int64_t samples = lockstep.fitting_samples(budget, 40);
    std::vector<std::string> visited;
    lockstep.run(samples, [&](QdqLayer& layer, const Lockstep::Batches& input) {
      visited.push_back(layer.key);
      int64_t count = 0;
      for (const Tensor& batch : input.tensors) {
        EXPECT_EQ(batch.dtype(), DType::kU8);
        count += batch.dim(0);
      }
      EXPECT_EQ(count, samples);
    });
    EXPECT_THAT(visited, testing::ElementsAre("conv", "depth", "logits"));
    EXPECT_LE(lockstep.peak_bytes(), static_cast<int64_t>(budget));
    EXPECT_GT(lockstep.peak_bytes(), 0);
  }
}

TEST(HeldSamples, AreWhatTheQuantizedGraphComputes) {
  const Dataset data = tiny_data(12);
  const Graph form = calibrated_form(tiny_net());
  Steps steps(form, calibrate(form, data));
  Graph all = steps.qdq.graph;
  std::vector<ValueId> inputs;
  for (const QdqLayer& layer : steps.qdq.layers) inputs.push_back(layer.input);
  all.set_outputs(inputs);
  lower_qdq(all);
  const auto expected = run_graph(all, {{"x", tiny_samples(12)}});
  Lockstep lockstep(steps.qdq, data, 2);
  size_t at = 0;
  lockstep.run(12, [&](QdqLayer&, const Lockstep::Batches& input) {
    ASSERT_EQ(input.tensors.size(), 1u);
    EXPECT_TRUE(input.tensors[0].equals(expected[at])) << "layer " << at;
    ++at;
  });
  EXPECT_EQ(at, 3u);
}

/// What Lockstep hands to every layer, against the quantized graph run as a whole.
void expect_whole_graphs_values(Graph graph, const std::map<std::string, Tensor>& inputs,
                                size_t layers) {
  const Dataset data = dataset_of(inputs);
  const int64_t samples = inputs.begin()->second.dim(0);
  const Graph form = calibrated_form(graph);
  Steps steps(form, calibrate(form, data));
  ASSERT_EQ(steps.qdq.layers.size(), layers);
  Graph all = steps.qdq.graph;
  std::vector<ValueId> wanted;
  for (const QdqLayer& layer : steps.qdq.layers) wanted.push_back(layer.input);
  all.set_outputs(wanted);
  lower_qdq(all);
  const auto expected = run_graph(all, inputs);
  Lockstep lockstep(steps.qdq, data, 1);
  size_t at = 0;
  lockstep.run(samples, [&](QdqLayer&, const Lockstep::Batches& input) {
    ASSERT_EQ(input.tensors.size(), 1u);
    EXPECT_TRUE(input.tensors[0].equals(expected[at])) << "layer " << at;
    ++at;
  });
  EXPECT_EQ(at, layers);
  QuantizeLog log;
  quantize(graph, calibrate(graph, data), data, plain(true), &log);
  EXPECT_EQ(log.corrected_biases, static_cast<int64_t>(layers));
}

ValueId gemm(Net& net, ValueId x, int64_t from, int64_t to, const std::string& name) {
  return net.op("Gemm",
                {x, net.constant(name + "_w", ramp({from, to}, to)),
                 net.constant(name + "_b", ramp({to}, from))},
                name);
}

TEST(HeldSamples, OfAnInputThatIsReadLate) {
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 4});
  const ValueId late = net.input("late", {Dim::named("N"), 3});
  const ValueId a = net.op("Relu", {gemm(net, x, 4, 3, "a")}, "ra");
  const ValueId b = gemm(net, a, 3, 3, "b");
  const ValueId sum = net.op("Concat", {b, late}, "joined", {{"axis", int64_t{1}}});
  const Graph graph = net.finish({gemm(net, sum, 6, 2, "y"), gemm(net, late, 3, 2, "z")});
  expect_whole_graphs_values(graph, {{"x", two_layers_data()}, {"late", ramp({16, 3}, 11)}}, 4);
}

TEST(HeldSamples, OfTheOnlyInputReadTwice) {
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 4});
  const ValueId a = gemm(net, net.op("Sin", {x}, "sine"), 4, 4, "a");
  const ValueId sum = net.op("Mul", {net.op("Cos", {x}, "cosine"), a}, "product");
  expect_whole_graphs_values(net.finish({gemm(net, sum, 4, 2, "y")}), {{"x", two_layers_data()}},
                             2);
}

TEST(HeldSamples, OfTwoHeadsBehindOneTrunk) {
  // The second head's input is made for the first one, which has more on its way.
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 2, 6, 6});
  const ValueId trunk = net.op("Relu", {net.conv(x, 2, 4, "trunk")}, "features");
  const ValueId pool =
      net.op("MaxPool", {trunk}, "pool", {{"kernel_shape", std::vector<int64_t>{2, 2}}});
  const Graph graph = net.finish({net.conv(pool, 4, 2, "one"), net.conv(trunk, 4, 2, "two")});
  expect_whole_graphs_values(graph, {{"x", tiny_samples(12)}}, 3);
}

// -- a batch size that the graph fixes

/// 1 x 1 convolution of pictures of one value each, so that a sample that is counted twice or not
/// at all moves every mean.
Graph pointwise(Dim batch) {
  Net net;
  const ValueId x = net.input("x", {batch, 1, 2, 2});
  return net.finish({net.op("Conv",
                            {x, net.constant("w", Tensor::of<float>({2, 1, 1, 1}, {1, 0.5f})),
                             net.constant("b", Tensor::of<float>({2}, {0, 0}))},
                            "c")});
}

TEST(FixedBatch, BiasesAreThoseOfAnyBatch) {
  for (const int64_t samples : {6, 8}) {
    Tensor x(DType::kF32, {samples, 1, 2, 2});
    for (int64_t i = 0; i < x.size(); ++i)
      x.mutable_data<float>()[static_cast<size_t>(i)] = i < 16 ? 0.1f : 0.9f;
    const Dataset data = dataset_of({{"x", x}});
    const auto corrected = [&](Dim batch, double hold_mb, QuantizeLog& log) {
      QuantizeOptions options = plain(true);
      options.hold_mb = hold_mb;
      const Graph graph = pointwise(batch);
      return biases(quantize(graph, calibrate(graph, data), data, options, &log));
    };
    QuantizeLog log;
    const auto wanted = corrected(Dim::named("N"), 1, log);
    for (const int32_t b : wanted.begin()->second) EXPECT_LT(std::abs(b), 100);  // of 0.9/255/127
    for (const int64_t batch : {1, 3, 4}) {
      EXPECT_EQ(corrected(Dim(batch), 1, log), wanted) << samples << " in batches of " << batch;
      EXPECT_EQ(log.correction_samples, samples);
      // Five samples of 4 bytes fit: as many batches as lie within, one at least.
      corrected(Dim(batch), 22e-6, log);
      EXPECT_EQ(log.correction_samples, 5 / batch * batch) << samples << " " << batch;
    }
  }
}

TEST(FixedBatch, ASkippedSampleDoesNotTakeItsBatchAlong) {
  const auto path = std::filesystem::path(testing::TempDir()) /
                    ("lapidary_skipped_" + std::to_string(getpid()) + ".raw");
  std::vector<float> values;
  for (int i = 0; i < 24; ++i) values.push_back(i < 16 ? 0.1f : 0.9f);
  values[5] = NAN;  // sample 1
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof values[0]));
  DatasetSpec spec{.kind = "raw", .path = path.string()};
  spec.shape = {1, 2, 2};
  spec.dtype = "f32";
  spec.nonfinite = "skip";
  const Dataset data = open_dataset(spec);
  const auto corrected = [&](Dim batch) {
    const Graph graph = pointwise(batch);
    return biases(quantize(graph, calibrate(graph, data), data, plain(true)));
  };
  const auto wanted = corrected(Dim::named("N"));
  for (const int32_t b : wanted.begin()->second) EXPECT_LT(std::abs(b), 100);
  for (const int64_t batch : {3, 4}) EXPECT_EQ(corrected(Dim(batch)), wanted) << batch;
  std::filesystem::remove(path);
}

// -- skip connections

TEST(SkipMeans, AreFloatMinusQuantized) {
  SkipInput skip;
  skip.params.scale = {0.5f};
  skip.params.zero_point = {10};
  TensorStats stats;
  stats.channel_axis = 1;
  stats.count = 16;  // 2 channels of 8 elements
  stats.channel_sums.resize(2);
  stats.channel_sums[0].add(9);    // mean 1.125
  stats.channel_sums[1].add(-20);  // mean -2.5
  // Two batches of one sample: channel means of q are 12 and 5.5.
  // The second one's last sample is padding.
  const Lockstep::Batches held = {
      {Tensor::of<uint8_t>({1, 2, 1, 2}, {11, 12, 5, 5}),
       Tensor::of<uint8_t>({2, 2, 1, 2}, {12, 13, 6, 6, 99, 99, 99, 99})},
      {{1, 1}, {2, 1}}};
  const auto error = skip_mean_error(skip, stats, held);
  ASSERT_EQ(error.size(), 2u);
  EXPECT_DOUBLE_EQ(error[0], 1.125 - (12 - 10) * 0.5);
  EXPECT_DOUBLE_EQ(error[1], -2.5 - (5.5 - 10) * 0.5);
  stats.channel_axis = 2;
  EXPECT_TRUE(skip_mean_error(skip, stats, held).empty());
}

TEST(SkipMeans, TheBiasTakesBackTheSkipsError) {
  // Values of x that all lie a third of a step above the grid: rounding shifts every mean by it.
  Net net;
  const ValueId x = net.input("x", {Dim::named("N"), 2, 4, 4});
  const ValueId w = net.constant("w", Tensor::of<float>({2, 1, 1, 1}, {0.25f, -0.5f}));
  const ValueId c = net.op("Conv", {x, w, net.constant("b", Tensor::of<float>({2}, {0.5f, 16}))},
                           "c", {{"group", int64_t{2}}});
  const Graph graph = net.finish({net.op("Add", {c, x}, "sum")});
  Tensor data(DType::kF32, {32, 2, 4, 4});
  const auto v = data.mutable_data<float>();
  for (size_t i = 0; i < v.size(); ++i) v[i] = (static_cast<float>(i * 37 % 250) + 0.3f) / 16;
  v[0] = 0;
  v[1] = 255.0f / 16;  // scale 1/16, zero point 0
  const Dataset samples = dataset_of({{"x", data}});
  const Statistics stats = calibrate(graph, samples);
  const auto wanted = channel_means(run_graph(graph, {{"x", data}})[0]);
  const auto means = [&](bool correct) {
    const Graph quantized = quantize(graph, stats, samples, plain(correct));
    return channel_means(run_graph(quantized, {{"x", data}})[0]);
  };
  const auto before = means(false), after = means(true);
  for (size_t i = 0; i < 2; ++i) {
    // 0.3 / 16 = 0.0188 is the skip's own error; rounding the sum leaves some thousandths.
    EXPECT_GT(wanted[i] - before[i], 0.008) << i;
    EXPECT_NEAR(after[i], wanted[i], 0.008) << i;
  }
}

}  // namespace
}  // namespace lapidary
