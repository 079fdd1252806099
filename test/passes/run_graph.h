#pragma once

#include <map>
#include <string>
#include <vector>

#include "src/ops/evaluate.h"
#include "src/ops/infer.h"
#include "test/passes/graphs.h"

namespace lapidary {

/// The graph's outputs by reference evaluation, node by node; inputs by name.
inline std::vector<Tensor> run_graph(const Graph& graph,
                                     const std::map<std::string, Tensor>& inputs) {
  std::map<ValueId, Tensor> known;
  for (ValueId v : graph.inputs()) known[v] = inputs.at(graph.value(v).name);
  for (ValueId v : graph.values())
    if (graph.constant(v)) known[v] = *graph.constant(v);
  for (NodeId id : graph.nodes()) {
    std::vector<const Tensor*> in;
    for (ValueId v : graph.node(id).inputs) in.push_back(v ? &known.at(v) : nullptr);
    std::vector<Tensor> made = evaluate_node(graph, id, in);
    for (size_t i = 0; i < made.size(); ++i)
      if (graph.node(id).outputs[i]) known[graph.node(id).outputs[i]] = made[i];
  }
  std::vector<Tensor> outputs;
  for (ValueId v : graph.outputs()) outputs.push_back(known.at(v));
  return outputs;
}

/// Small numbers of both signs, the same on every run: x[i] = ((37 i + 11) mod 64 - 31) / 16.
inline Tensor ramp(Shape shape, int64_t offset = 0) {
  Tensor t(DType::kF32, std::move(shape));
  int64_t i = offset;
  for (float& v : t.mutable_data<float>()) v = static_cast<float>((37 * i++ + 11) % 64 - 31) / 16;
  return t;
}

inline void expect_near(const Tensor& a, const Tensor& b, float tolerance) {
  ASSERT_EQ(a.shape(), b.shape());
  for (size_t i = 0; i < static_cast<size_t>(a.size()); ++i)
    ASSERT_NEAR(a.data<float>()[i], b.data<float>()[i],
                tolerance * (1 + std::abs(b.data<float>()[i])))
        << "element " << i;
}

}  // namespace lapidary
