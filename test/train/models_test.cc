#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "lapidary/model_io.h"
#include "test/support/assets.h"
#include "test/train/net.h"

// The trainer's forward of real models is the executor's.

namespace lapidary {
namespace {

/// Weights that a Conv, Gemm, MatMul or Gather multiplies by or reads.
std::vector<TrainedParameter> weights_of(const Graph& graph) {
  std::set<std::string> names;
  for (const NodeId id : graph.nodes()) {
    const Node& node = graph.node(id);
    for (const ValueId input : node.inputs)
      if (input && graph.value(input).constant &&
          graph.value(input).constant->dtype() == DType::kF32 &&
          (node.is("Conv") || node.is("Gemm") || node.is("MatMul")))
        names.insert(graph.value(input).name);
  }
  std::vector<TrainedParameter> out;
  for (const std::string& name : names) out.push_back({.name = name});
  return out;
}

/// Uniform floats in [0, 1), tokens below 500; unknown sizes are 2.
std::map<std::string, Tensor> some_inputs(const Graph& graph) {
  Rng rng(11);
  std::map<std::string, Tensor> out;
  for (const ValueId id : graph.inputs()) {
    const Value& value = graph.value(id);
    if (value.constant) continue;
    Shape shape;
    for (const Dim& dim : *value.type.shape) shape.push_back(dim.known() ? dim.value : 2);
    Tensor elements(value.type.dtype, shape);
    if (value.type.dtype == DType::kI64)
      for (int64_t& v : elements.mutable_data<int64_t>()) v = static_cast<int64_t>(rng.below(500));
    else
      for (float& v : elements.mutable_data<float>()) v = static_cast<float>(rng.uniform());
    out[value.name] = elements;
  }
  return out;
}

class TrainableModel : public testing::TestWithParam<const char*> {};

TEST_P(TrainableModel, ForwardIsTheExecutors) {
  LAPIDARY_SKIP_WITHOUT_ASSETS();
  Graph graph = load_onnx(std::string(LAPIDARY_ASSETS_DIR) + "/models/" + GetParam() + ".onnx");
  const auto inputs = some_inputs(graph);
  const std::string output = graph.value(graph.outputs()[0]).name;
  const Tensor want = Executor(graph).run(inputs).at(output);
  GraphBuilder builder(graph);
  const ValueId y = graph.outputs()[0];
  graph.rename_value(builder.op("ReduceMean", {builder.op("Mul", {y, y})}), "lapidary.loss");
  const auto trainer = open_trainer(
      graph, {.loss = "lapidary.loss", .outputs = {}, .parameters = weights_of(graph)});
  const Tensor found = trainer->forward(inputs, {output}, false).at(output);
  ASSERT_EQ(found.shape(), want.shape());
  float largest = 1;
  for (const float v : want.data<float>()) largest = std::max(largest, std::abs(v));
  float worst = 0;
  for (size_t i = 0; i < want.data<float>().size(); ++i)
    worst = std::max(worst, std::abs(found.data<float>()[i] - want.data<float>()[i]));
  EXPECT_LE(worst, 1e-4f * largest);
  const StepResult step = trainer->step(inputs, {.lr = 1e-6, .batch_statistics = false});
  EXPECT_TRUE(std::isfinite(step.loss));
  EXPECT_GT(step.gradient_norm, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Assets, TrainableModel,
    testing::Values("resnet20_cifar10_fp32", "resnet20_cifar10_fp32_bn", "resnet56_cifar10_fp32_bn",
                    "resnet8_mlperftiny_cifar10_fp32", "mobilenet_v2_1.0_224_imagenet_deq_fp32",
                    "mobilenet_v1_0.25_224_imagenet_fp32", "squeezenet_imagenet_fp32",
                    "tiny_darknet_imagenet_fp32", "vww_mobilenetv1_025_96_fp32",
                    "yolox_nano_coco_fp32", "mnist_cntk_opset7", "fmnist_dscnn_fp32",
                    "fmnist_dscnn_fp32_bn", "fmnist_vit_fp32", "stories260K_llama_fp32"),
    [](const auto& info) {
      std::string name = info.param;
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    });

}  // namespace
}  // namespace lapidary
