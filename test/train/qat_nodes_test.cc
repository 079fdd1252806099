#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "lapidary/model_io.h"
#include "lapidary/qat.h"
#include "test/support/assets.h"
#include "test/train/net.h"

// Trained, then lowered: each layer of the integer graph, given the integers that training computed
// before it, makes the integers that training computed behind it. Training's are libtorch's.

namespace lapidary {
namespace {

const std::string kFaked = "_fake_quantized";
/// Share of a tensor's integers that may differ, each by one step: those beside the middle of two.
constexpr double kRate = 0.0005;

/// A FakeQuantize of the trained graph on a tensor that is no weight.
struct Activation {
  std::string value;  ///< what it makes
  std::string stem;   ///< what the lowered graph names its integers after
  float scale, zero_point;
};

std::vector<Activation> activations(const Graph& trained) {
  std::vector<Activation> out;
  for (const NodeId id : trained.nodes()) {
    const Node& node = trained.node(id);
    if (!node.is("FakeQuantize", "ai.lapidary")) continue;
    const auto number = [&](size_t slot) {
      return node.inputs.size() > slot && node.inputs[slot]
                 ? trained.constant(node.inputs[slot])->data<float>()
                 : std::span<const float>();
    };
    const std::string name = trained.value(node.outputs[0]).name;
    const std::string stem =
        name.ends_with(kFaked) ? name.substr(0, name.size() - kFaked.size()) : name;
    if (number(1).size() != 1) continue;  // a scale per channel is a weight's
    out.push_back({name, stem, number(1)[0], number(2).empty() ? 0 : std::rint(number(2)[0])});
  }
  return out;
}

/// The integers of real values on a grid.
Tensor codes(const Tensor& real, const Activation& on, DType storage) {
  Tensor out(storage, real.shape());
  const auto v = real.data<float>();
  for (size_t i = 0; i < v.size(); ++i) {
    const float q = std::rint(v[i] / on.scale) + on.zero_point;
    if (storage == DType::kU8)
      out.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(q);
    else
      out.mutable_data<int8_t>()[i] = static_cast<int8_t>(q);
  }
  return out;
}

int code(const Tensor& t, size_t i) {
  return t.dtype() == DType::kU8 ? t.data<uint8_t>()[i] : t.data<int8_t>()[i];
}

/// `name` becomes an output, and what reads it reads a new input "<name>_fed" of `like`'s shape.
void cut(Graph& graph, const std::string& name, const Tensor& like) {
  const ValueId made = graph.find_value(name);
  const ValueId fed = graph.add_value(name + "_fed", tensor_type(like));
  graph.replace_uses(made, fed);
  auto inputs = graph.inputs(), outputs = graph.outputs();
  inputs.push_back(fed);
  outputs.push_back(made);
  graph.set_inputs(inputs);
  graph.set_outputs(outputs);
}

struct Difference {
  int tensors = 0;
  int most = 0;       ///< of an integer, in steps
  double rate = 0;    ///< share of integers that differ, of all
  double worst = 0;   ///< of the tensor with most of them
  std::string where;  ///< that tensor
};

/// `real`: training's values by name; `x` fed to `input`.
Difference by_layer(const std::vector<Activation>& all, const Graph& lowered,
                    const Trainer::Values& real, const std::string& input, const Tensor& x) {
  const auto types = Executor(lowered, {.keep_all_values = true}).run({{input, x}});
  Graph layers = lowered;
  std::map<std::string, Tensor> feeds{{input, x}}, want;
  for (const Activation& each : all) {
    std::string name = each.stem + "_clipped";
    if (!types.contains(name)) name = each.stem + "_quantized";
    if (!types.contains(name) || lowered.constant(lowered.find_value(name))) continue;
    want[name] = codes(real.at(each.value), each, types.at(name).dtype());
    cut(layers, name, want[name]);
    feeds[name + "_fed"] = want[name];
  }
  const auto found = Executor(layers).run(feeds);
  Difference out;
  double differ_in_all = 0, integers = 0;
  for (const auto& [name, codes] : want) {
    const auto count = static_cast<size_t>(element_count(codes.shape()));
    int differ = 0;
    for (size_t i = 0; i < count; ++i) {
      const int d = std::abs(code(found.at(name), i) - code(codes, i));
      out.most = std::max(out.most, d);
      differ += d != 0;
    }
    const double rate = differ / static_cast<double>(count);
    if (rate > out.worst) out.worst = rate, out.where = name;
    differ_in_all += differ;
    integers += static_cast<double>(count);
    ++out.tensors;
  }
  out.rate = differ_in_all / integers;
  return out;
}

/// Every place that a bias may have. x [N,3,8,8] -> Conv with bias, BatchNormalization, Relu ->
/// Conv, BatchNormalization, + skip, Relu -> depthwise, BatchNormalization, Clip to 6 -> MaxPool ->
/// Conv with bias, Relu -> average -> MatMul + bias [1,6], Relu -> MatMul, BatchNormalization that
/// is not folded, Relu -> Gemm [N,4].
Net residual_net() {
  Net net;
  const auto norm = [&](ValueId x, int64_t c) {
    return net.op(
        "BatchNormalization",
        {x, net.param({c}, .5, 1.5), net.param({c}),
         net.builder.constant("mean", Tensor(DType::kF32, {c})),
         net.builder.constant(
             "variance", Tensor::of<float>({c}, std::vector<float>(static_cast<size_t>(c), 1)))});
  };
  const auto relu = [&](ValueId x) { return net.op("Relu", {x}); };
  const GraphBuilder::Attrs same{{"pads", Ints{1, 1, 1, 1}}};
  const ValueId x = net.builder.input("x", DType::kF32, {Dim::named("N"), Dim(3), Dim(8), Dim(8)});
  const ValueId one =
      relu(norm(net.op("Conv", {x, net.param({8, 3, 3, 3}), net.param({8})}, same), 8));
  const ValueId two = norm(net.op("Conv", {one, net.param({8, 8, 3, 3}, -.3, .3)}, same), 8);
  const ValueId sum = relu(net.op("Add", {two, one}));
  const ValueId dw = net.op("Conv", {sum, net.param({8, 1, 3, 3})},
                            {{"pads", Ints{1, 1, 1, 1}}, {"group", int64_t{8}}});
  const ValueId clip =
      net.op("Clip", {norm(dw, 8), net.fixed(Tensor::scalar(0.f)), net.fixed(Tensor::scalar(6.f))});
  const ValueId pool =
      net.op("MaxPool", {clip}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}});
  const ValueId biased = relu(net.op("Conv", {pool, net.param({8, 8, 1, 1}), net.param({8})}));
  const ValueId flat = net.op("Flatten", {net.op("GlobalAveragePool", {biased})});
  const ValueId added =
      relu(net.op("Add", {net.op("MatMul", {flat, net.param({8, 6})}), net.param({1, 6})}));
  const ValueId kept = relu(norm(net.op("MatMul", {added, net.param({6, 6})}), 6));
  net.finish(net.op("Gemm", {kept, net.param({6, 4}), net.param({1, 4})}));
  return net;
}

struct Trained {
  QatOptions options;
  std::vector<Activation> activations;
  Graph graph, lowered;
  Trainer::Values values;  ///< of the batch `x`, in inference
  std::string input;
  Tensor x;
};

/// Some steps of `graph` on one batch.
Trained train(const Graph& graph, const Dataset& data, QatOptions options, int steps, double lr) {
  Trained out;
  out.options = options;
  out.options.samples = data.size();
  QatGraph qat = make_qat_graph(graph, nullptr, &data, out.options);
  Graph with_loss = qat.graph;
  TrainerOptions trained{.loss = add_loss(with_loss, {LossSpec{}}), .outputs = {}};
  trained.parameters = qat.parameters;
  const auto trainer = open_trainer(with_loss, trained);
  const auto batch = data.batch(0, data.size());
  out.input = graph.value(graph.inputs()[0]).name;
  out.x = batch.inputs.begin()->second;
  const Trainer::Values fed{
      {out.input, out.x},
      {std::string(kLabelInput), Tensor::of<int64_t>({batch.size()}, batch.labels)}};
  for (int i = 0; i < steps; ++i) trainer->step(fed, {.lr = lr});
  out.graph = without_loss(trainer->graph(), qat.graph);
  out.lowered = lower_qat(out.graph, out.options);
  out.activations = activations(out.graph);
  std::vector<std::string> names;
  for (const Activation& each : out.activations) names.push_back(each.value);
  out.values = trainer->forward(fed, names, false);
  return out;
}

Difference by_layer(const Trained& t) {
  return by_layer(t.activations, t.lowered, t.values, t.input, t.x);
}

Dataset small_data() {
  constexpr int64_t kCount = 32;
  Rng rng(5);
  Tensor x(DType::kF32, {kCount, 3, 8, 8});
  std::vector<int64_t> labels;
  for (float& v : x.mutable_data<float>()) v = static_cast<float>(2 * rng.uniform() - 1);
  for (int64_t i = 0; i < kCount; ++i) labels.push_back(static_cast<int64_t>(rng.below(4)));
  return dataset_of({{"x", x}}, labels);
}

struct Form {
  const char* method;
  int bits;
  bool per_channel = true;
};
void PrintTo(const Form& form, std::ostream* out) { *out << form.method << form.bits; }
class QatNodes : public testing::TestWithParam<Form> {};

TEST_P(QatNodes, IntegersAreThoseOfTraining) {
  const Form form = GetParam();
  const Net net = residual_net();
  const Trained trained = train(net.graph, small_data(),
                                {.method = form.method,
                                 .bits = {.weights = form.bits, .activations = form.bits},
                                 .per_channel = form.per_channel},
                                20, 0.003);
  const Difference found = by_layer(trained);
  EXPECT_GE(found.tensors, 11);
  EXPECT_LE(found.most, 1) << found.where;
  EXPECT_LE(found.worst, kRate) << found.where;

  // Five percent of a scale are seen.
  Trained other = trained;
  for (const Activation& each : trained.activations) {
    const ValueId scale = other.graph.find_value(each.stem + "_scale");
    if (!scale || each.stem == "x") continue;
    for (float& s : other.graph.mutable_value(scale).constant->mutable_data<float>()) s *= 1.05f;
    break;
  }
  other.lowered = lower_qat(other.graph, other.options);
  EXPECT_GT(by_layer(other).worst, 10 * kRate);
}

INSTANTIATE_TEST_SUITE_P(Forms, QatNodes,
                         testing::Values(Form{"lsq", 8}, Form{"lsq", 4}, Form{"lsq+", 4},
                                         Form{"pact", 4}, Form{"dorefa", 3}, Form{"lsq", 2},
                                         Form{"fixed", 8}, Form{"lsq", 4, false},
                                         Form{"dorefa", 2, false}),
                         [](const auto& info) {
                           std::string name = info.param.method;
                           std::replace(name.begin(), name.end(), '+', 'P');
                           name += std::to_string(info.param.bits);
                           return info.param.per_channel ? name : name + "PerTensor";
                         });

class QatNodesAssets : public testing::TestWithParam<int> {};

TEST_P(QatNodesAssets, IntegersAreThoseOfTraining) {
  LAPIDARY_SKIP_WITHOUT_ASSETS();
  const std::string assets = LAPIDARY_ASSETS_DIR;
  DatasetSpec spec{.kind = "cifar10", .path = assets + "/data/cifar10/data_batch_1.bin"};
  spec.scale = 1 / 255.;
  spec.mean = {.485, .456, .406};
  spec.std = {.229, .224, .225};
  spec.limit = 32;
  const Trained trained =
      train(load_onnx(assets + "/models/resnet20_cifar10_fp32_bn.onnx"), open_dataset(spec),
            {.bits = {.weights = GetParam(), .activations = GetParam()}}, 5, 0.01);
  const Difference found = by_layer(trained);
  EXPECT_GE(found.tensors, 30);
  EXPECT_LE(found.most, 1) << found.where;
  EXPECT_LE(found.worst, kRate) << found.where;
}

INSTANTIATE_TEST_SUITE_P(Assets, QatNodesAssets, testing::Values(8, 4, 2));

}  // namespace
}  // namespace lapidary
