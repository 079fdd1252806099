#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "lapidary/exec.h"
#include "lapidary/graph.h"
#include "lapidary/prune.h"
#include "src/base/rng.h"
#include "src/ir/builder.h"
#include "src/ops/infer.h"

namespace lapidary {

/// Small networks with random weights, [1, 3, 8, 8] in unless said otherwise.
class PruneNet {
 public:
  explicit PruneNet(int64_t opset = 17) : builder_(graph_) { graph_.set_opset("", opset); }

  ValueId image(Shape shape = {1, 3, 8, 8}) {
    std::vector<Dim> dims(shape.begin(), shape.end());
    return builder_.input("x" + std::to_string(graph_.inputs().size()), DType::kF32, dims);
  }
  ValueId weight(const std::string& name, const Shape& shape) {
    return builder_.constant(name, noise(shape));
  }
  ValueId ints(const std::string& name, const std::vector<int64_t>& values) {
    return builder_.constant(name, Tensor::of<int64_t>({std::ssize(values)}, values));
  }
  ValueId conv(const std::string& name, ValueId x, int64_t in, int64_t out, int64_t kernel = 3,
               int64_t group = 1) {
    const int64_t pad = kernel / 2;
    return builder_.op(
        "Conv",
        {x, weight(name + ".w", {out, in / group, kernel, kernel}), weight(name + ".b", {out})},
        {{"group", group}, {"pads", std::vector<int64_t>{pad, pad, pad, pad}}}, name);
  }
  ValueId norm(const std::string& name, ValueId x, int64_t channels) {
    Tensor variance(DType::kF32, {channels});
    for (float& v : variance.mutable_data<float>()) v = 1.5f;
    return builder_.op("BatchNormalization",
                       {x, weight(name + ".gain", {channels}), weight(name + ".shift", {channels}),
                        weight(name + ".mean", {channels}),
                        builder_.constant(name + ".variance", std::move(variance))},
                       {}, name);
  }
  ValueId relu(ValueId x) { return builder_.op("Relu", {x}); }
  ValueId gemm(const std::string& name, ValueId x, int64_t in, int64_t out) {
    return builder_.op("Gemm", {x, weight(name + ".w", {out, in}), weight(name + ".b", {out})},
                       {{"transB", int64_t{1}}}, name);
  }
  ValueId op(const std::string& type, std::vector<ValueId> inputs, GraphBuilder::Attrs attrs = {},
             const std::string& name = {}) {
    return builder_.op(type, std::move(inputs), std::move(attrs), name);
  }
  GraphBuilder& builder() { return builder_; }

  Graph take(std::vector<ValueId> outputs) {
    graph_.set_outputs(std::move(outputs));
    infer_types(graph_);
    return graph_;
  }

 private:
  Tensor noise(const Shape& shape) {
    Tensor t(DType::kF32, shape);
    for (float& v : t.mutable_data<float>()) v = static_cast<float>(rng_.uniform() - 0.5);
    return t;
  }

  Graph graph_;
  GraphBuilder builder_;
  Rng rng_{7};
};

/// A share of every group's units that are not lossy, picked by `seed`; always one where there are
/// two.
inline RemovedUnits some_units(const PruningGraph& graph, double share, uint64_t seed,
                               bool lossy = false) {
  RemovedUnits removed;
  Rng rng(seed);
  for (const PruneGroup& group : graph.groups()) {
    std::vector<int64_t> order = rng.permutation(group.units);
    const auto wanted =
        std::max<int64_t>(1, static_cast<int64_t>(share * static_cast<double>(group.units)));
    order.resize(
        static_cast<size_t>(group.lossy.empty() || lossy ? std::min(group.units - 1, wanted) : 0));
    std::ranges::sort(order);
    removed.push_back(std::move(order));
  }
  return removed;
}

/// Random numbers for the graph's inputs; open sizes are `open`.
inline Executor::Values noise_for(const Graph& graph, int64_t open = 2) {
  Executor::Values values;
  Rng rng(11);
  for (ValueId v : graph.inputs()) {
    if (graph.constant(v) != nullptr) continue;
    Shape shape;
    for (const Dim& d : *graph.value(v).type.shape) shape.push_back(d.known() ? d.value : open);
    Tensor t(DType::kF32, shape);
    for (float& x : t.mutable_data<float>()) x = static_cast<float>(2 * rng.uniform() - 1);
    values[graph.value(v).name] = std::move(t);
  }
  return values;
}

}  // namespace lapidary
