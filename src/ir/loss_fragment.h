#pragma once

#include <string>
#include <vector>

#include "src/ir/builder.h"

namespace lapidary {

/// Appends the nodes of one loss; they are called "lapidary.loss/OP".
class LossFragment {
 public:
  explicit LossFragment(Graph& graph) : graph_(graph), builder_(graph) {}

  Graph& graph() { return graph_; }
  ValueId op(const std::string& type, std::vector<ValueId> inputs, GraphBuilder::Attrs attrs = {});
  ValueId number(float value);
  ValueId integers(std::vector<int64_t> values);
  /// The graph's value of that name, added as an input where it is not there yet.
  ValueId input(const std::string& name, const TensorType& type);
  /// Means over one axis, which stays with size 1.
  ValueId mean(ValueId x, int64_t axis);
  /// [N, ...] -> [N]
  ValueId mean_of_samples(ValueId x);
  /// The mean of all elements.
  ValueId mean_of_all(ValueId x);
  /// A reduction whose axes became an input with opset 18 (not ReduceSum); none: all.
  ValueId reduce(const std::string& type, ValueId x, std::vector<int64_t> axes, bool keep);

 private:
  Graph& graph_;
  GraphBuilder builder_;
};

}  // namespace lapidary
