#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "lapidary/error.h"
#include "src/ir/builder.h"
#include "src/ops/evaluate.h"
#include "src/ops/infer.h"

namespace lapidary {

/// One node in a graph of its own: evaluated on tensors, or inferred on types.
class OpCase {
 public:
  explicit OpCase(std::string op, int64_t opset = 21, std::string domain = {})
      : op_(std::move(op)), domain_(std::move(domain)) {
    graph_.set_opset("", domain_.empty() ? opset : kWorkingOpset);
    if (!domain_.empty()) graph_.set_opset(domain_, opset);
  }

  OpCase& in(Tensor tensor) {
    tensors_.push_back(std::move(tensor));
    types_.push_back(tensor_type(*tensors_.back()));
    return *this;
  }
  /// As many values as the shape has elements.
  template <class T>
  OpCase& in(Shape shape, const std::vector<T>& values) {
    Tensor tensor(DTypeOf<T>::value, std::move(shape));
    std::copy_n(values.begin(), tensor.size(), tensor.mutable_data<T>().begin());
    return in(std::move(tensor));
  }
  /// An absent optional input.
  OpCase& absent() {
    tensors_.emplace_back();
    types_.emplace_back();
    return *this;
  }
  /// An input of which only the type is known: for `infer`.
  OpCase& in_type(DType dtype, std::vector<Dim> shape) {
    tensors_.emplace_back();
    types_.push_back(TensorType{dtype, std::move(shape)});
    return *this;
  }
  OpCase& in_type(TensorType type) {
    tensors_.emplace_back();
    types_.push_back(std::move(type));
    return *this;
  }
  OpCase& attr(const std::string& name, Attr value) {
    attrs_.emplace_back(name, std::move(value));
    return *this;
  }
  OpCase& ints(const std::string& name, std::vector<int64_t> values) {
    return attr(name, std::move(values));
  }
  OpCase& outputs(size_t count) {
    outputs_ = count;
    return *this;
  }

  /// Outputs by the reference evaluation.
  std::vector<Tensor> run_all() const {
    Graph graph = graph_;
    const NodeId node = build(graph);
    std::vector<const Tensor*> inputs;
    for (const auto& t : tensors_) inputs.push_back(t ? &*t : nullptr);
    return evaluate_node(graph, node, inputs);
  }
  Tensor run() const { return run_all().at(0); }

  /// Output types by `infer_types`; tensors are constants of the graph.
  std::vector<TensorType> infer_all() const {
    Graph graph = graph_;
    const NodeId node = build(graph);
    infer_types(graph);
    std::vector<TensorType> out;
    for (ValueId v : graph.node(node).outputs) out.push_back(graph.value(v).type);
    return out;
  }
  /// "float32[N,4]".
  std::string infer() const { return infer_all().at(0).text(); }

  /// The error of `infer` (types alone decide) or empty.
  std::optional<Error> infer_error() const {
    return error_of([&] { infer_all(); });
  }
  std::optional<Error> run_error() const {
    return error_of([&] { run_all(); });
  }

 private:
  template <class F>
  static std::optional<Error> error_of(F&& f) {
    try {
      f();
    } catch (const Error& error) {
      return error;
    }
    return std::nullopt;
  }

  NodeId build(Graph& graph) const {
    GraphBuilder builder(graph);
    std::vector<ValueId> inputs;
    for (size_t i = 0; i < types_.size(); ++i) {
      const std::string name = "in" + std::to_string(i);
      if (tensors_[i])
        inputs.push_back(builder.constant(name, *tensors_[i]));
      else if (types_[i] == TensorType{})
        inputs.emplace_back();
      else if (types_[i].shape)
        inputs.push_back(builder.input(name, types_[i].dtype, *types_[i].shape));
      else
        inputs.push_back(graph.add_value(name, types_[i]));
    }
    const auto made = builder.ops(op_, outputs_, std::move(inputs), attrs_, "node", domain_);
    return graph.value(made.at(0)).producer;
  }

  Graph graph_;
  std::string op_, domain_;
  std::vector<std::optional<Tensor>> tensors_;
  std::vector<TensorType> types_;
  GraphBuilder::Attrs attrs_;
  size_t outputs_ = 1;
};

/// 0, 1, 2, ...
inline std::vector<float> ramp(int count) {
  std::vector<float> out;
  for (int i = 0; i < count; ++i) out.push_back(static_cast<float>(i));
  return out;
}

/// Same dtype and shape; every element within atol + rtol |expected|, NaN equal to NaN.
template <class T>
void expect_tensor(const Tensor& found, const Shape& shape, const std::vector<T>& expected,
                   double rtol = 1e-5, double atol = 1e-6) {
  ASSERT_EQ(dtype_name(found.dtype()), dtype_name(DTypeOf<T>::value));
  ASSERT_EQ(shape_text(found.shape()), shape_text(shape));
  ASSERT_EQ(static_cast<size_t>(found.size()), expected.size());
  const auto data = found.data<T>();
  for (size_t i = 0; i < expected.size(); ++i) {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(expected[i]) || std::isinf(expected[i])) {
        EXPECT_TRUE(std::isnan(expected[i]) ? std::isnan(data[i]) : data[i] == expected[i])
            << "element " << i << " is " << data[i] << ", expected " << expected[i];
        continue;
      }
      EXPECT_NEAR(data[i], expected[i], atol + rtol * std::abs(expected[i])) << "element " << i;
    } else {
      EXPECT_EQ(data[i], expected[i]) << "element " << i;
    }
  }
}

/// The error is there, has that code, and its text says `text`.
inline void expect_error(const std::optional<Error>& error, ErrorCode code,
                         const std::string& text) {
  ASSERT_TRUE(error.has_value()) << "no error; expected '" << text << "'";
  EXPECT_EQ(static_cast<int>(error->code()), static_cast<int>(code)) << error->what();
  EXPECT_THAT(error->what(), testing::HasSubstr(text));
}

}  // namespace lapidary
