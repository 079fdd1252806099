#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "lapidary/calibrate.h"
#include "lapidary/error.h"
#include "test/passes/run_graph.h"

namespace lapidary {

/// What a call threw.
struct Caught {
  std::optional<ErrorCode> code;
  std::string text;
};
template <class Body>
Caught error_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {};
}

/// x [N,2,6,6] -> conv (3x3, 4 channels) -> Relu "relu" -> depthwise 3x3 "depth" -> global average
/// -> Gemm "logits" [N,3]. `gain` multiplies the first weights.
inline Graph tiny_net(float gain = 1) {
  Graph graph = empty_graph(17);
  GraphBuilder build(graph);
  Tensor first = ramp({4, 2, 3, 3});
  for (float& w : first.mutable_data<float>()) w *= gain / 4;
  const ValueId x = build.input("x", DType::kF32, {Dim::named("N"), 2, 6, 6});
  const ValueId conv = build.op(
      "Conv", {x, build.constant("w1", first), build.constant("b1", ramp({4}, 3))}, {}, "conv");
  const ValueId relu = build.op("Relu", {conv}, {}, "relu");
  const ValueId depth = build.op("Conv", {relu, build.constant("w2", ramp({4, 1, 3, 3}, 9))},
                                 {{"group", int64_t{4}}}, "depth");
  const ValueId pool = build.op("GlobalAveragePool", {depth}, {}, "pool");
  const ValueId flat = build.op("Flatten", {pool}, {}, "flat");
  build.output(build.op(
      "Gemm", {flat, build.constant("w3", ramp({4, 3}, 1)), build.constant("b3", ramp({3}))}, {},
      "logits"));
  infer_types(graph);
  return graph;
}

/// Samples [first, first + count) of an endless set: sample i is a ramp of its own times
/// 1 + (7 i mod 16) / 8.
inline Tensor tiny_samples(int64_t count, int64_t first = 0, Shape one = {2, 6, 6}) {
  Shape shape = one;
  shape.insert(shape.begin(), count);
  Tensor all(DType::kF32, shape);
  const int64_t each = element_count(one);
  for (int64_t i = 0; i < count; ++i) {
    const Tensor sample = ramp(one, (first + i) * 29);
    for (int64_t j = 0; j < each; ++j)
      all.mutable_data<float>()[static_cast<size_t>(i * each + j)] =
          sample.data<float>()[static_cast<size_t>(j)] *
          (1 + static_cast<float>((first + i) * 7 % 16) / 8);
  }
  return all;
}
inline Dataset tiny_data(int64_t count, int64_t first = 0) {
  return dataset_of({{"x", tiny_samples(count, first)}});
}

}  // namespace lapidary
