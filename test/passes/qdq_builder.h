#pragma once

#include <string>
#include <utility>
#include <vector>

#include "src/passes/lower_qdq.h"
#include "test/passes/graphs.h"

namespace lapidary {

/// How a tensor is quantized in these tests.
struct Params {
  float scale = 0.5f;
  int zero = 3;
  DType dtype = DType::kU8;
};

inline Tensor integer_scalar(DType dtype, int value) {
  switch (dtype) {
    case DType::kU8:
      return Tensor::scalar(static_cast<uint8_t>(value));
    case DType::kI8:
      return Tensor::scalar(static_cast<int8_t>(value));
    case DType::kU16:
      return Tensor::scalar(static_cast<uint16_t>(value));
    default:
      return Tensor::scalar(static_cast<int32_t>(value));
  }
}

/// QDQ graphs by hand; every value keeps the name it is given.
class QdqBuilder {
 public:
  explicit QdqBuilder(int64_t opset = 13) : graph(empty_graph(opset)), build(graph) {}

  ValueId scale(float value) { return build.constant("s", Tensor::scalar(value)); }
  ValueId zero(const Params& p) { return build.constant("z", integer_scalar(p.dtype, p.zero)); }
  ValueId q(ValueId x, const Params& p, const std::string& name) {
    const ValueId out = build.op("QuantizeLinear", {x, scale(p.scale), zero(p)}, {}, name);
    graph.mutable_value(out).type = {p.dtype, graph.value(x).type.shape};
    return out;
  }
  ValueId dq(ValueId x, const Params& p, const std::string& name) {
    const ValueId out = build.op("DequantizeLinear", {x, scale(p.scale), zero(p)}, {}, name);
    graph.mutable_value(out).type = {DType::kF32, graph.value(x).type.shape};
    return out;
  }
  /// Graph input `name` -> Q -> DQ.
  ValueId input(const std::string& name, std::vector<Dim> shape, const Params& p = {}) {
    return dq(q(build.input(name, DType::kF32, std::move(shape)), p, name + "_q"), p, name + "_dq");
  }
  /// Constant integers -> DQ, one scale for each slice along `axis` (or one at all).
  ValueId weight(const std::string& name, Tensor integers, std::vector<float> scales = {0.25f},
                 int64_t axis = 0) {
    const DType dtype = integers.dtype();
    const TensorType real = {DType::kF32, tensor_type(integers).shape};
    const auto count = static_cast<int64_t>(scales.size());
    const Shape shape = count == 1 ? Shape{} : Shape{count};
    const ValueId out = build.op("DequantizeLinear",
                                 {build.constant(name, std::move(integers)),
                                  build.constant(name + "_s", Tensor::of<float>(shape, scales)),
                                  build.constant(name + "_z", Tensor(dtype, shape))},
                                 {{"axis", axis}}, name + "_dq");
    graph.mutable_value(out).type = real;
    return out;
  }
  /// value -> Q -> DQ -> graph output `name`.
  void output(ValueId value, const Params& p, const std::string& name = "y") {
    build.output(dq(q(value, p, name + "_q"), p, name));
  }
  ValueId op(const std::string& type, std::vector<ValueId> inputs, GraphBuilder::Attrs attrs = {}) {
    const ValueId out = build.op(type, std::move(inputs), std::move(attrs), type + "_node");
    graph.mutable_value(out).type.dtype = DType::kF32;
    return out;
  }

  LoweringReport lower(const LoweringOptions& options = {}) {
    LoweringReport report = lower_qdq(graph, options);
    graph.verify();
    return report;
  }
  /// Ops without the Q and DQ at the ends of the graph.
  std::vector<std::string> inner_ops() const {
    std::vector<std::string> ops;
    for (const std::string& op : op_list(graph))
      if (op != "QuantizeLinear" && op != "DequantizeLinear") ops.push_back(op);
    return ops;
  }

  Graph graph;
  GraphBuilder build;
};

}  // namespace lapidary
