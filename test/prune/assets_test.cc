#include <gtest/gtest.h>

#include "lapidary/model_io.h"
#include "test/prune/net.h"
#include "test/support/assets.h"

namespace lapidary {
namespace {

struct Model {
  const char* name;
  size_t groups;  ///< at least
};

void PrintTo(const Model& model, std::ostream* os) { *os << model.name; }

/// Real models: a quarter of every group that is not lossy goes, and what is left computes what the
/// masked model does. How many groups there are was counted by hand where the model is small:
/// ResNet-20: three streams (16; 32 and 64 less what comes through the padded shortcuts) and nine
/// inner layers.
class TrainedModel : public testing::TestWithParam<Model> {};

TEST_P(TrainedModel, LosesAQuarterExactly) {
  LAPIDARY_SKIP_WITHOUT_ASSETS();
  const Model& model = GetParam();
  const PruningGraph graph(
      load_onnx(std::string(LAPIDARY_ASSETS_DIR) + "/models/" + model.name + ".onnx"));
  EXPECT_GE(graph.groups().size(), model.groups);
  const RemovedUnits removed = some_units(graph, 0.25, 1);
  const Graph pruned = graph.prune(removed);
  EXPECT_LT(graph.cost(removed).parameters, graph.cost(RemovedUnits(removed.size())).parameters);
  Executor::Values inputs = noise_for(graph.graph());
  EXPECT_LT(compare_with_masked(graph, removed, pruned, inputs), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(
    Assets, TrainedModel,
    testing::Values(Model{"resnet20_cifar10_fp32", 12}, Model{"resnet20_cifar10_fp32_bn", 12},
                    Model{"resnet56_cifar10_fp32_bn", 30},
                    Model{"resnet8_mlperftiny_cifar10_fp32", 6},
                    Model{"mobilenet_v2_1.0_224_imagenet_deq_fp32", 24},
                    Model{"mobilenet_v1_0.25_224_imagenet_fp32", 14},
                    Model{"squeezenet_imagenet_fp32", 17}, Model{"tiny_darknet_imagenet_fp32", 15},
                    Model{"vww_mobilenetv1_025_96_fp32", 14}, Model{"yolox_nano_coco_fp32", 40},
                    Model{"mnist_cntk_opset7", 2}, Model{"fmnist_dscnn_fp32", 5},
                    Model{"fmnist_dscnn_fp32_bn", 5}, Model{"fmnist_vit_fp32", 6}),
    [](const auto& info) {
      std::string name = info.param.name;
      for (char& c : name)
        if (c == '.') c = '_';
      return name;
    });

}  // namespace
}  // namespace lapidary
