#include "src/ir/loss_fragment.h"

#include <utility>

namespace lapidary {

ValueId LossFragment::op(const std::string& type, std::vector<ValueId> inputs,
                         GraphBuilder::Attrs attrs) {
  return builder_.op(type, std::move(inputs), std::move(attrs), "lapidary.loss/" + type);
}

ValueId LossFragment::number(float value) {
  return builder_.constant("lapidary.loss/number", Tensor::scalar(value));
}

ValueId LossFragment::integers(std::vector<int64_t> values) {
  const Shape shape{std::ssize(values)};
  return builder_.constant("lapidary.loss/integers", Tensor::of<int64_t>(shape, values));
}

ValueId LossFragment::input(const std::string& name, const TensorType& type) {
  if (const ValueId found = graph_.find_value(name)) return found;
  const ValueId id = graph_.add_value(name, type);
  auto inputs = graph_.inputs();
  inputs.push_back(id);
  graph_.set_inputs(std::move(inputs));
  return id;
}

ValueId LossFragment::reduce(const std::string& type, ValueId x, std::vector<int64_t> axes,
                             bool keep) {
  GraphBuilder::Attrs attrs = {{"keepdims", int64_t{keep}}};
  if (axes.empty()) return op(type, {x}, attrs);
  if (graph_.opset() >= 18) return op(type, {x, integers(std::move(axes))}, attrs);
  attrs.emplace_back("axes", std::move(axes));
  return op(type, {x}, attrs);
}

ValueId LossFragment::mean(ValueId x, int64_t axis) {
  return reduce("ReduceMean", x, {axis}, true);
}

ValueId LossFragment::mean_of_samples(ValueId x) {
  return reduce("ReduceMean", op("Reshape", {x, integers({0, -1})}), {1}, false);
}

ValueId LossFragment::mean_of_all(ValueId x) { return reduce("ReduceMean", x, {}, false); }

}  // namespace lapidary
