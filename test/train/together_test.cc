#include <gmock/gmock.h>

#include "src/train/together.h"
#include "test/train/net.h"

// Which nodes one autograd function computes: a chain that is computed node by node gives the same
// numbers, only slower, and no other test sees it.

namespace lapidary {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Lists = std::vector<std::vector<std::string>>;

struct Block : Net {
  ValueId conv(ValueId x, int64_t from, int64_t to, const std::string& name) {
    return builder.op("Conv", {x, param({to, from, 3, 3})}, {{"pads", Ints{1, 1, 1, 1}}}, name);
  }
  ValueId norm(ValueId x, int64_t channels, const std::string& name) {
    return builder.op("BatchNormalization",
                      {x, param({channels}, .5, 2), param({channels}),
                       fixed(uniform({channels}, -1, 1)), fixed(uniform({channels}, .5, 2))},
                      {}, name);
  }
  ValueId relu(ValueId x, const std::string& name) { return builder.op("Relu", {x}, {}, name); }
  ValueId clip(ValueId x, const std::string& name) {
    return builder.op("Clip", {x, fixed(Tensor::scalar(0.f)), fixed(Tensor::scalar(1.f))}, {},
                      name);
  }
  ValueId fake_quantize(ValueId x, const std::string& name) {
    return builder.op("FakeQuantize", {x, param(Tensor::scalar(.02f))},
                      {{"qmin", int64_t{-128}}, {"qmax", int64_t{127}}}, name, "ai.lapidary");
  }
  /// What the trainer computed together in a step.
  Lists trained(ValueId y, bool batch_statistics = true) {
    finish(y);
    graph.rename_value(op("ReduceMean", {op("Mul", {y, y})}, {{"keepdims", int64_t{0}}}), "loss");
    const auto trainer = open_trainer(graph, options());
    trainer->step({}, {.lr = 0, .batch_statistics = batch_statistics});
    return train::computed_together(*trainer);
  }
};

/// relu(norm(conv(relu(norm(conv(x))))) + x)
ValueId residual_block(Block& block) {
  const ValueId x = block.fixed(block.uniform({2, 4, 6, 6}, -1, 1));
  ValueId y = block.relu(block.norm(block.conv(x, 4, 4, "conv1"), 4, "norm1"), "relu1");
  y = block.norm(block.conv(y, 4, 4, "conv2"), 4, "norm2");
  return block.relu(block.builder.op("Add", {y, x}, {}, "add"), "relu2");
}

TEST(ComputedTogether, AResidualBlock) {
  for (const bool batch_statistics : {true, false}) {
    Block block;
    EXPECT_THAT(block.trained(residual_block(block), batch_statistics),
                ElementsAre(ElementsAre("norm1", "relu1"), ElementsAre("add", "relu2")));
  }
}

TEST(ComputedTogether, ClampsBehindBatchNormalization) {
  Block block;
  const ValueId x = block.fixed(block.uniform({2, 3, 4, 4}, -1, 1));
  ValueId y = block.clip(block.norm(block.conv(x, 3, 4, "conv1"), 4, "norm1"), "clip1");
  y = block.norm(block.conv(y, 4, 5, "conv2"), 5, "norm2");
  EXPECT_THAT(block.trained(block.clip(block.relu(y, "relu2"), "clip2")),
              ElementsAre(ElementsAre("norm1", "clip1"), ElementsAre("norm2", "relu2", "clip2")));
}

TEST(ComputedTogether, FakeQuantizeBehindBatchNormalization) {
  Block block;
  const ValueId x = block.fixed(block.uniform({2, 3, 4, 4}, -1, 1));
  const ValueId y = block.norm(block.conv(x, 3, 4, "conv"), 4, "norm");
  EXPECT_THAT(block.trained(block.fake_quantize(y, "fake")),
              ElementsAre(ElementsAre("norm", "fake")));
}

TEST(ComputedTogether, NotWhereOthersReadBetween) {
  Block block;
  const ValueId x = block.fixed(block.uniform({2, 3, 4, 4}, -1, 1));
  const ValueId y = block.norm(block.conv(x, 3, 4, "conv"), 4, "norm");
  EXPECT_THAT(block.trained(block.op("Mul", {block.relu(y, "relu"), y})), IsEmpty());
}

}  // namespace
}  // namespace lapidary
