#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "lapidary/exec.h"
#include "src/base/isa.h"
#include "src/base/rng.h"
#include "src/ir/builder.h"
#include "src/passes/lower_qdq.h"

namespace lapidary::exec {

inline Graph new_graph() {
  Graph graph;
  graph.set_opset("", 13);
  graph.set_opset("com.microsoft", 1);
  return graph;
}

/// Multiples of 1/8 in [-4, 4): products and short sums of them are exact in float32.
inline Tensor random_floats(Shape shape, uint64_t seed) {
  Rng rng(seed);
  Tensor out(DType::kF32, std::move(shape));
  for (float& v : out.mutable_data<float>()) v = (static_cast<float>(rng.below(64)) - 32.0f) / 8.0f;
  return out;
}

/// The same, each times 1 + 2^-12: no FP16 values, which have kernels of their own.
inline Tensor random_weights(Shape shape, uint64_t seed) {
  Tensor out = random_floats(std::move(shape), seed);
  for (float& v : out.mutable_data<float>()) v *= 1.0f + 1.0f / 4096;
  return out;
}

inline Tensor random_bytes(DType dtype, Shape shape, uint64_t seed) {
  Rng rng(seed);
  Tensor out(dtype, std::move(shape));
  auto* bytes = static_cast<uint8_t*>(out.mutable_raw());
  for (int64_t i = 0; i < out.size(); ++i) bytes[i] = static_cast<uint8_t>(rng.below(256));
  return out;
}

/// Largest |a - b| over largest |b|; infinite where types differ.
inline double relative_difference(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return INFINITY;
  if (a.dtype() != DType::kF32) return a.equals(b) ? 0 : INFINITY;
  double difference = 0, largest = 1e-30;
  for (size_t i = 0; i < a.data<float>().size(); ++i) {
    const double x = a.data<float>()[i], y = b.data<float>()[i];
    if (std::isnan(x) != std::isnan(y)) return INFINITY;
    if (std::isnan(x) || x == y) continue;
    difference = std::max(difference, std::fabs(x - y));
    largest = std::max(largest, std::fabs(y));
  }
  return difference / largest;
}

/// Runs the graph on both executors; every output must agree. `kernel`: a step of that kernel must
/// have run (a prefix), and none on the reference. Returns the fast outputs.
inline Executor::Values expect_same(const Graph& graph, const Executor::Values& inputs,
                                    const std::string& kernel = {}, double tolerance = 1e-5,
                                    int threads = 2) {
  Executor fast(graph, {.threads = threads});
  Executor reference(graph, {.executor = ExecutorKind::kReference});
  const auto got = fast.run(inputs), expected = reference.run(inputs);
  EXPECT_EQ(got.size(), expected.size());
  for (const auto& [name, tensor] : expected)
    EXPECT_LE(relative_difference(got.at(name), tensor), tolerance) << name;
  bool found = kernel.empty();
  for (const StepInfo& step : fast.steps()) {
    found = found || step.kernel.starts_with(kernel);
    EXPECT_TRUE(kernel.empty() || step.kernel != "reference") << step.op;
  }
  EXPECT_TRUE(found) << "no step of " << kernel;
  return got;
}

/// What `body` does under every ISA of this CPU.
template <class Body>
void under_each_isa(Body&& body) {
  const Isa before = isa_cap();
  for (const Isa isa : all_isas()) {
    if (!cpu_has(isa)) continue;
    SCOPED_TRACE(std::string(isa_name(isa)));
    set_isa_cap(isa);
    body();
  }
  set_isa_cap(before);
}

/// A QDQ graph: the fast executor must give the bits of the reference of the lowered graph, on
/// every ISA and on 1, 2, 3 and 8 threads, as far as the work is worth them: the kernels' own tests
/// cut smaller shapes as well. `kernel` as in expect_same.
inline void expect_same_bits(const Graph& graph, const Executor::Values& inputs,
                             const std::string& lowered_op, const std::string& kernel) {
  Graph lowered = graph;
  lower_qdq(lowered);
  bool lowers = false;
  for (const NodeId id : lowered.nodes()) lowers = lowers || lowered.node(id).op == lowered_op;
  EXPECT_TRUE(lowers) << "nothing was lowered to " << lowered_op;
  Executor reference(lowered, {.executor = ExecutorKind::kReference});
  const auto expected = reference.run(inputs);
  under_each_isa([&] {
    for (const int threads : {1, 2, 3, 8}) {
      Executor fast(graph, {.threads = threads});
      const auto got = fast.run(inputs);
      for (const auto& [name, tensor] : expected)
        EXPECT_TRUE(got.at(name).equals(tensor)) << name << " on " << threads << " threads";
      bool found = false;
      for (const StepInfo& step : fast.steps()) {
        found = found || step.kernel.starts_with(kernel);
        EXPECT_NE(step.kernel, "reference") << step.op;
      }
      EXPECT_TRUE(found) << "no step of " << kernel;
    }
  });
}

}  // namespace lapidary::exec
