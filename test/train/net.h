#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lapidary/exec.h"
#include "lapidary/train.h"
#include "src/base/rng.h"
#include "src/ir/builder.h"

namespace lapidary {

using Ints = std::vector<int64_t>;

/// A small graph whose floats are all trained constants p0, p1, ...
struct Net {
  Graph graph;
  GraphBuilder builder{graph};
  std::vector<std::string> parameters;
  Rng rng{17};

  Net() {
    graph.set_opset("", 21);
    graph.set_opset("ai.lapidary", 1);
  }
  Tensor uniform(const Shape& shape, double low, double high) {
    Tensor out(DType::kF32, shape);
    for (float& v : out.mutable_data<float>())
      v = static_cast<float>(low + (high - low) * rng.uniform());
    return out;
  }
  /// A trained constant, uniform in [low, high).
  ValueId param(const Shape& shape, double low = -1, double high = 1) {
    return param(uniform(shape, low, high));
  }
  ValueId param(Tensor elements) {
    parameters.push_back("p" + std::to_string(parameters.size()));
    return builder.constant(parameters.back(), std::move(elements));
  }
  /// A constant that is not trained.
  ValueId fixed(const Tensor& elements) { return builder.constant("c", elements); }
  ValueId ints(const Ints& elements) {
    return fixed(Tensor::of<int64_t>({static_cast<int64_t>(elements.size())}, elements));
  }
  ValueId op(const std::string& type, std::vector<ValueId> inputs, GraphBuilder::Attrs attrs = {},
             const std::string& domain = "") {
    return builder.op(type, std::move(inputs), std::move(attrs), "", domain);
  }
  /// Makes `y` and the loss sum(y w), w random; returns the graph's loss.
  void finish(ValueId y) {
    graph.rename_value(y, "y");
    graph.set_outputs({y});
  }
  TrainerOptions options() const {
    TrainerOptions out{.loss = "loss", .outputs = {}};
    for (const std::string& name : parameters) out.parameters.push_back({.name = name});
    return out;
  }
};

}  // namespace lapidary
