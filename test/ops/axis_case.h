#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/ir/builder.h"
#include "src/ops/axis_flow.h"
#include "src/ops/infer.h"

namespace lapidary {

/// Writes down what a rule says. x0.1: axis 1 of input 0; y0.1: of output 0; a:2, b:3: local axes
/// by size; #x0.1[0,3): how many of its elements 0 to 2 are kept.
class RecordedFlow : public AxisFlow {
 public:
  struct Axis {
    char kind;  ///< x, y or l
    size_t tensor;
    int64_t axis, size;
    bool named = false, frozen = false, sums = false, lossy = false;
  };
  struct Tie {
    AxisRef a, b;
    std::vector<int64_t> at_a, at_b;
  };
  struct Product {
    AxisRef whole;
    std::vector<AxisRef> factors;
  };
  struct Number {
    std::string attr;  ///< or, where empty, `input`
    size_t input;
    int64_t index;
    KeptCount count;
  };

  /// Types were inferred.
  RecordedFlow(std::shared_ptr<const Graph> graph, NodeId id, int version);

  size_t input_count() const override { return inputs_.size(); }
  size_t output_count() const override { return outputs_.size(); }
  bool has_input(size_t i) const override { return i < inputs_.size() && inputs_[i]; }
  bool has_output(size_t i) const override { return i < outputs_.size() && outputs_[i]; }
  const Shape& input_shape(size_t i) const override { return inputs_.at(i).value(); }
  const Shape& output_shape(size_t i) const override { return outputs_.at(i).value(); }
  std::optional<std::vector<int64_t>> ints(size_t input) const override { return ints_.at(input); }

  AxisRef input(size_t i, int64_t axis) override { return tensor_axis('x', i, axis); }
  AxisRef output(size_t i, int64_t axis) override { return tensor_axis('y', i, axis); }
  AxisRef local(int64_t size) override;
  int64_t size(AxisRef axis) const override { return axes.at(axis.id).size; }

  void tie(AxisRef a, AxisRef b) override;
  void tie(AxisRef a, std::span<const int64_t> at_a, AxisRef b,
           std::span<const int64_t> at_b) override;
  void multiply(AxisRef whole, std::span<const AxisRef> factors) override;
  void leave(AxisRef axis) override;
  void sums(AxisRef axis) override;
  void freeze(AxisRef axis, std::string_view reason) override;
  void lossy(AxisRef axis, std::string_view reason) override;
  void attr_is(std::string_view name, int64_t index, KeptCount count) override;
  void input_is(size_t input, int64_t index, KeptCount count) override;
  void output_tells(size_t output, int64_t index, AxisRef axis) override;

  std::string name(AxisRef axis) const;

  std::vector<Axis> axes;
  std::vector<Tie> ties;
  std::vector<Product> products;
  std::vector<Number> numbers;
  std::vector<std::string> said;

 private:
  AxisRef tensor_axis(char kind, size_t tensor, int64_t axis);
  std::string name(const KeptCount& count) const;
  Axis& named(AxisRef axis);

  std::shared_ptr<const Graph> graph_;
  std::vector<std::optional<Shape>> inputs_, outputs_;
  std::vector<std::optional<std::vector<int64_t>>> ints_;
};

/// One node and what its row says of its axes.
class AxisCase {
 public:
  explicit AxisCase(std::string op, int64_t opset = 21, std::string domain = {})
      : op_(std::move(op)), opset_(opset), domain_(std::move(domain)) {}

  /// float32 elements that differ, all above 0. Sizes of -1 are not known.
  AxisCase& in(const Shape& shape);
  AxisCase& in(Tensor tensor);
  /// A constant list of int64.
  AxisCase& list(const std::vector<int64_t>& values) {
    return in(Tensor::of<int64_t>({std::ssize(values)}, values));
  }
  /// Integers of which only the shape is known.
  AxisCase& unknown_ints(const Shape& shape);
  AxisCase& absent();
  AxisCase& attr(const std::string& name, Attr value) {
    attrs_.emplace_back(name, std::move(value));
    return *this;
  }
  AxisCase& ints(const std::string& name, std::vector<int64_t> values) {
    return attr(name, std::move(values));
  }
  AxisCase& outputs(size_t count) {
    outputs_ = count;
    return *this;
  }
  /// The shape that a file declares for output 0.
  AxisCase& declared(const Shape& shape);
  AxisCase& without_output(size_t i) {
    dropped_.insert(i);
    return *this;
  }

  /// What the rule says, one string an equation.
  std::vector<std::string> said() const { return record()->said; }
  /// Removes each element of each axis in turn with all that follows from it, writes the numbers
  /// that follow, and evaluates: what is left of the outputs must be what it was (with zeros in
  /// place of what is removed from axes that are summed). Of lossy axes only shapes are compared.
  /// Returns how many removals were allowed.
  int check_removals() const;

 private:
  using Tensors = std::vector<std::optional<Tensor>>;
  std::unique_ptr<RecordedFlow> record() const;
  std::pair<Graph, NodeId> build(const Tensors& tensors, const GraphBuilder::Attrs& attrs) const;
  std::vector<Tensor> run(const Tensors& tensors, const GraphBuilder::Attrs& attrs) const;
  void check_removal(RecordedFlow& flow, const std::vector<std::vector<bool>>& keep) const;

  std::string op_;
  int64_t opset_;
  std::string domain_;
  Tensors tensors_;
  std::vector<TensorType> types_;
  GraphBuilder::Attrs attrs_;
  size_t outputs_ = 1;
  TensorType declared_;
  std::set<size_t> dropped_;
};

}  // namespace lapidary
