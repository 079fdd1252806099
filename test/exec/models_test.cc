#include <filesystem>

#include "lapidary/model_io.h"
#include "test/exec/compare.h"
#include "test/support/assets.h"

namespace lapidary::exec {
namespace {

// Float models as they are trained: fast against reference, on noise of the inputs' scale.
class Models : public testing::TestWithParam<const char*> {};

TEST_P(Models, FastAgreesWithTheReference) {
  const auto path =
      std::filesystem::path(LAPIDARY_ASSETS_DIR) / "models" / (std::string(GetParam()) + ".onnx");
  LAPIDARY_SKIP_WITHOUT_ASSETS();
  const Graph graph = load_onnx(path);
  Executor::Values inputs;
  Rng rng(3);
  for (const ValueId id : graph.inputs()) {
    const Value& value = graph.value(id);
    if (value.constant) continue;
    Shape shape;
    for (const Dim& dim : *value.type.shape)
      shape.push_back(dim.known() ? dim.value : shape.empty() ? 1 : 9);
    Tensor tensor(value.type.dtype, shape);
    if (tensor.dtype() == DType::kI64)
      for (int64_t& v : tensor.mutable_data<int64_t>()) v = static_cast<int64_t>(rng.below(512));
    else
      for (float& v : tensor.mutable_data<float>()) v = static_cast<float>(4 * rng.uniform() - 2);
    inputs.emplace(value.name, std::move(tensor));
  }
  expect_same(graph, inputs, "", 1e-4);
}

INSTANTIATE_TEST_SUITE_P(
    Assets, Models,
    testing::Values("resnet20_cifar10_fp32_bn", "resnet8_mlperftiny_cifar10_fp32",
                    "fmnist_dscnn_fp32", "fmnist_vit_fp32", "mnist_cntk_opset7",
                    "mobilenet_v1_0.25_224_imagenet_fp32", "squeezenet_imagenet_fp32",
                    "mobilenet_v2_1.0_224_imagenet_deq_fp32", "vww_mobilenetv1_025_96_fp32",
                    "stories260K_llama_fp32", "tiny_darknet_imagenet_fp32", "yolox_nano_coco_fp32"),
    [](const auto& info) {
      std::string name = info.param;
      for (char& c : name) c = c == '.' ? '_' : c;
      return name;
    });

/// (i a mod b - c) / d for i = 0, 1, ...
Tensor pattern(Shape shape, int a, int b, int c, float d) {
  Tensor out(DType::kF32, std::move(shape));
  auto data = out.mutable_data<float>();
  for (size_t i = 0; i < data.size(); ++i)
    data[i] = static_cast<float>(static_cast<int>(i) * a % b - c) / d;
  return out;
}

// A model of nested Ifs, one branch a sampling rate. Values of ONNX Runtime 1.31.1, not optimized.
TEST(SileroVad, BothBranchesMatchOnnxRuntime) {
  const auto path = std::filesystem::path(LAPIDARY_ASSETS_DIR) / "models/silero_vad_v5.onnx";
  LAPIDARY_SKIP_WITHOUT_ASSETS();
  const Graph graph = load_onnx(path);
  struct Row {
    int64_t rate, samples;
    float output, state_100;
  };
  for (const ExecutorKind kind : {ExecutorKind::kFast, ExecutorKind::kReference})
    for (const Row& row :
         {Row{16000, 512, 0.08571938f, 0.36031747f}, Row{8000, 256, 0.18338072f, 0.6022259f}}) {
      const auto got = Executor(graph, {.executor = kind})
                           .run({{"input", pattern({1, row.samples}, 37, 101, 50, 100)},
                                 {"state", pattern({2, 1, 128}, 29, 63, 31, 64)},
                                 {"sr", Tensor::scalar(row.rate)}});
      EXPECT_NEAR(got.at("output").data<float>()[0], row.output, 1e-6);
      const Tensor& state = got.at("stateN");
      ASSERT_EQ(state.shape(), (Shape{2, 1, 128}));
      EXPECT_NEAR(state.data<float>()[100], row.state_100, 1e-5);
    }
}

}  // namespace
}  // namespace lapidary::exec
