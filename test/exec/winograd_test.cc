#include "lapidary/error.h"
#include "test/exec/compare.h"

namespace lapidary::exec {
namespace {

/// x [2,32,28,28] -> Conv 3x3 -> Add of a 1x1 Conv of x -> Relu.
struct Residual {
  Graph graph = new_graph();
  Executor::Values inputs = {{"x", random_floats({2, 32, 28, 28}, 1)}};

  explicit Residual(int64_t stride) {
    GraphBuilder b(graph);
    const ValueId x = b.input("x", DType::kF32, {2, 32, 28, 28});
    const ValueId w = b.constant("w", random_weights({48, 32, 3, 3}, 2));
    const ValueId u = b.constant("u", random_weights({48, 32, 1, 1}, 3));
    const std::vector<int64_t> strides = {stride, stride};
    const ValueId side = b.op("Conv", {x, u}, {{"strides", strides}});
    const ValueId c =
        b.op("Conv", {x, w}, {{"pads", std::vector<int64_t>{1, 1, 1, 1}}, {"strides", strides}});
    b.output(b.op("Relu", {b.op("Add", {c, side})}, {}, "y"));
  }
};

bool ran(Executor& executor, const std::string& kernel) {
  for (const StepInfo& step : executor.steps())
    if (step.kernel.starts_with(kernel)) return true;
  return false;
}

TEST(WinogradSteps, RunWhereAllowedWithinTheirTolerance) {
  const Residual net(1);
  const auto expected =
      Executor(net.graph, {.executor = ExecutorKind::kReference}).run(net.inputs).at("y");
  for (const int m : {2, 4}) {
    Executor one(net.graph, {.threads = 1, .winograd = m});
    const Tensor y = one.run(net.inputs).at("y");
    EXPECT_TRUE(ran(one, "conv_f32_winograd" + std::to_string(m))) << m;
    EXPECT_LE(relative_difference(y, expected), 1e-5) << m;
    for (const int threads : {2, 3, 8}) {
      Executor more(net.graph, {.threads = threads, .winograd = m});
      EXPECT_TRUE(more.run(net.inputs).at("y").equals(y)) << m << " on " << threads << " threads";
    }
  }
}

TEST(WinogradSteps, DoNotRunUnasked) {
  const Residual net(1);
  Executor executor(net.graph);
  executor.run(net.inputs);
  EXPECT_FALSE(ran(executor, "conv_f32_winograd"));
}

TEST(WinogradSteps, LeaveStridesToTheImplicitGemm) {
  const Residual net(2);
  Executor executor(net.graph, {.winograd = 4});
  executor.run(net.inputs);
  EXPECT_FALSE(ran(executor, "conv_f32_winograd"));
  EXPECT_TRUE(ran(executor, "conv_f32_"));
}

TEST(WinogradSteps, RefuseOtherTiles) {
  for (const int m : {-2, 1, 3, 6}) {
    EXPECT_THROW(Executor(Residual(1).graph, {.winograd = m}), Error) << m;
  }
}

}  // namespace
}  // namespace lapidary::exec
