#include "quantize/ptq/output_error.h"

#include <gtest/gtest.h>

#include <cmath>

#include "test/quantize/nets.h"

namespace lapidary {
namespace {

/// y = x * factor, x [N, 4].
Graph scaled(float factor, Dim batch = Dim::named("N")) {
  Net net;
  const ValueId x = net.input("x", {batch, 4});
  const ValueId f = net.constant("f", Tensor::of<float>({1}, {factor}));
  return net.finish({net.op("Mul", {x, f}, "y")});
}

// The error is an eighth of x: 10 log10(8^2) dB in every sample.
TEST(OutputError, IsTheMeanSqnrOfTheOutputs) {
  Tensor x(DType::kF32, {9, 4});
  for (size_t i = 0; i < 36; ++i) x.mutable_data<float>()[i] = static_cast<float>(i) - 17.25f;
  const Dataset data = dataset_of({{"x", x}});
  const Graph eighth = scaled(1.125f), same = scaled(1);
  const Graph* const models[] = {&eighth, &same};
  const auto db = output_sqnr(scaled(1), models, data, 32, 1);
  ASSERT_EQ(db.size(), 2u);
  EXPECT_NEAR(db[0], 20 * std::log10(8.0), 1e-6);
  EXPECT_EQ(db[1], 150);  // equal: the most that is told
}

// Batches of four, which the graph fixes, begin at samples 0, 3 and 6 of nine: eleven count, and
// the last one's padding does not. Sample 8 alone is wrong, the others are zero.
TEST(OutputError, PaddingDoesNotCount) {
  Tensor x(DType::kF32, {9, 4});
  x.mutable_data<float>()[35] = 1;
  const Dataset data = dataset_of({{"x", x}});
  const Graph wrong = scaled(1.125f, Dim(4));
  const Graph* const models[] = {&wrong};
  const auto db = output_sqnr(scaled(1, Dim(4)), models, data, 9, 1);
  EXPECT_NEAR(db[0], (10 * 150 + 20 * std::log10(8.0)) / 11, 1e-6);
}

}  // namespace
}  // namespace lapidary
