#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lapidary/error.h"
#include "lapidary/train.h"
#include "test/train/net.h"

// Against mean_gradients_reference.py: the same network in float64 with numpy.

namespace lapidary {
namespace {

/// BatchNormalization over two features, then Gemm to three classes.
Graph net() {
  Net net;
  const auto constant = [&](const char* name, const Shape& shape, std::vector<float> values) {
    return net.builder.constant(name, Tensor::of<float>(shape, values));
  };
  const ValueId x = net.builder.input("x", DType::kF32, {Dim::named("N"), Dim(2)});
  const ValueId hidden =
      net.op("BatchNormalization",
             {x, constant("gain", {2}, {2, .5f}), constant("shift", {2}, {.25f, -1}),
              constant("mean", {2}, {1, -1}), constant("variance", {2}, {3, .75f})},
             {{"epsilon", 1e-5f}});
  net.finish(net.op("Gemm", {hidden, constant("w", {2, 3}, {1, -.5f, .25f, -1, .75f, 2}),
                             constant("b", {3}, {.5f, 0, -.25f})}));
  return net.graph;
}

Dataset data() {
  const std::vector<float> x = {1, 2, -1, .5f, 0, -2, 3, 1, -.5f, -.5f, 2, -1};
  return dataset_of({{"", Tensor::of<float>({6, 2}, x)}}, {0, 2, 1, 1, 0, 2});
}

void expect_near(const Tensor& found, const Tensor& expected) {
  ASSERT_EQ(found.shape(), expected.shape());
  for (size_t i = 0; i < static_cast<size_t>(found.size()); ++i)
    EXPECT_NEAR(found.data<float>()[i], expected.data<float>()[i], 2e-6) << i;
}

TEST(MeanGradients, AreThoseOfTheMeanLossWithRunningStatistics) {
  const std::map<std::string, Tensor> expected = {
      {"gain", Tensor::of<float>({2}, {.4525695f, .7599768f})},
      {"shift", Tensor::of<float>({2}, {.1922454f, -.6236550f})},
      {"w", Tensor::of<float>(
                {2, 3}, {.5745393f, -.6963946f, .1218554f, -.3950319f, .1451618f, .2498701f})},
      {"b", Tensor::of<float>({3}, {.2221327f, -.0341945f, -.1879382f})}};
  for (const int64_t batch : {1, 2, 3, 6, 50}) {
    const Gradients found = mean_gradients(net(), data(), {}, {.batch = batch});
    ASSERT_EQ(found.size(), expected.size());
    for (const auto& [name, gradient] : expected) {
      SCOPED_TRACE(name + " in batches of " + std::to_string(batch));
      expect_near(found.at(name), gradient);
    }
  }
}

TEST(MeanGradients, WeighLossesAndDrawSamples) {
  const Gradients one = mean_gradients(net(), data()),
                  half = mean_gradients(net(), data(), {LossSpec{.weight = 0.5}});
  Tensor doubled = half.at("w");
  for (float& v : doubled.mutable_data<float>()) v *= 2;
  expect_near(doubled, one.at("w"));
  // Three samples of six, in one order by seed 1: the same again, others than all.
  const GradientOptions some{.samples = 3, .seed = 1};
  const Gradients three = mean_gradients(net(), data(), {}, some);
  EXPECT_TRUE(three.at("w").equals(mean_gradients(net(), data(), {}, some).at("w")));
  EXPECT_GT(std::abs(three.at("b").data<float>()[0] - one.at("b").data<float>()[0]), 1e-3);
}

TEST(MeanGradients, RefuseWhatHasNone) {
  const auto code_of = [](const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kInternal;
  };
  const Dataset unlabelled = dataset_of({{"", Tensor::of<float>({1, 2}, {1, 2})}});
  EXPECT_EQ(code_of([&] { mean_gradients(net(), unlabelled); }), ErrorCode::kUsage);
  EXPECT_EQ(code_of([&] { mean_gradients(net(), data(), {}, {.batch = 0}); }), ErrorCode::kUsage);
  Graph broken = net();
  broken.mutable_value(broken.find_value("w")).constant->mutable_data<float>()[0] = 1e38f;
  broken.mutable_value(broken.find_value("gain")).constant->mutable_data<float>()[0] = 1e38f;
  EXPECT_EQ(code_of([&] { mean_gradients(broken, data()); }), ErrorCode::kInvalid);
}

}  // namespace
}  // namespace lapidary
