#include <algorithm>
#include <cstring>

#include "calibrate/run.h"
#include "src/base/checked.h"
#include "src/base/fail.h"
#include "src/base/float_types.h"
#include "src/base/text.h"

namespace lapidary {

namespace {

constexpr int64_t kBatchBytes = int64_t{16} << 20;
constexpr int64_t kMaxBatch = 32;

/// Inputs that the caller must give: those without a default among the initializers.
std::vector<ValueId> required_inputs(const Graph& graph) {
  std::vector<ValueId> ids;
  for (const ValueId id : graph.inputs())
    if (!graph.value(id).constant) ids.push_back(id);
  return ids;
}

void check_sample(const DatasetInput& sample, const std::string& name, const TensorType& type) {
  const bool converts = is_float(type.dtype) && is_float(sample.dtype);
  if (type.dtype != DType::kUndefined && type.dtype != sample.dtype && !converts)
    fail_invalid("input '{}' takes {}, the data bring {}", name, dtype_name(type.dtype),
                 dtype_name(sample.dtype));
  if (!type.shape) return;
  const auto& dims = *type.shape;
  if (dims.empty())
    fail_unsupported(
        "input '{}' is a scalar ({}): samples are stacked along a first axis, which it lacks; make "
        "it a constant of the model first",
        name, type.text());
  bool same = dims.size() == sample.shape.size() + 1;
  for (size_t i = 0; same && i < sample.shape.size(); ++i)
    same = !dims[i + 1].known() || dims[i + 1].value == sample.shape[i];
  if (!same)
    fail_invalid("input '{}' is {}, a sample of the data is {} (without the batch axis)", name,
                 type.text(), shape_text(sample.shape));
}

/// [n, ...] -> [wanted, ...], the last sample repeated.
Tensor padded(const Tensor& tensor, int64_t wanted) {
  Shape shape = tensor.shape();
  const int64_t have = shape[0];
  if (have >= wanted || have == 0) return tensor;
  shape[0] = wanted;
  Tensor out(tensor.dtype(), shape);
  const size_t one = tensor.size_bytes() / static_cast<size_t>(have);
  auto* to = static_cast<char*>(out.mutable_raw());
  std::memcpy(to, tensor.raw(), tensor.size_bytes());
  const char* last = static_cast<const char*>(tensor.raw()) + one * static_cast<size_t>(have - 1);
  for (int64_t i = have; i < wanted; ++i) std::memcpy(to + one * static_cast<size_t>(i), last, one);
  return out;
}

}  // namespace

Feeder::Feeder(const Graph& graph, const Dataset& data) {
  const auto wanted = required_inputs(graph);
  const auto brought = data.inputs();
  std::vector<std::string> graph_names;
  for (const ValueId id : wanted) graph_names.push_back(graph.value(id).name);
  if (brought.size() != wanted.size())
    fail_usage("the graph takes {} inputs ({}), the data bring {}", wanted.size(),
               fmt::join(graph_names, ", "), brought.size());
  for (const DatasetInput& input : brought) {
    if (input.name.empty() && wanted.size() != 1)
      fail_usage("the graph has {} inputs ({}): the data must name theirs", wanted.size(),
                 fmt::join(graph_names, ", "));
    const std::string name = input.name.empty() ? graph_names[0] : input.name;
    const ValueId id = graph.find_value(name);
    if (std::find(graph_names.begin(), graph_names.end(), name) == graph_names.end())
      fail_usage("the graph has no input '{}'{}", printable(name), did_you_mean(name, graph_names));
    const TensorType& type = graph.value(id).type;
    check_sample(input, name, type);
    if (type.shape && !type.shape->empty() && (*type.shape)[0].known()) {
      const int64_t fixed = (*type.shape)[0].value;
      if (fixed_batch_ != 0 && fixed != fixed_batch_)
        fail_unsupported("input '{}' fixes the batch at {}, another input at {}", name, fixed,
                         fixed_batch_);
      fixed_batch_ = fixed;
    }
    names_.push_back({input.name, name, type.dtype});
  }
}

std::map<std::string, Tensor> Feeder::inputs(const Batch& batch) const {
  std::map<std::string, Tensor> out;
  for (const Name& name : names_) {
    const auto at = batch.inputs.find(name.in_data);
    LAPIDARY_CHECK(at != batch.inputs.end());
    const Tensor wanted = as_wanted(at->second, name.dtype);
    out[name.in_graph] = fixed_batch_ > 0 ? padded(wanted, fixed_batch_) : wanted;
  }
  return out;
}

int64_t suitable_batch(const Graph& graph, const Dataset& data) {
  const Feeder feeder(graph, data);
  if (feeder.fixed_batch() > 0) return feeder.fixed_batch();
  if (data.spec().batch > 0) return data.spec().batch;
  int64_t largest = 1;
  for (const DatasetInput& input : data.inputs())
    largest = std::max(largest, element_count(input.shape));
  for (const ValueId id : graph.values()) {
    const Value& value = graph.value(id);
    if (!value.type.shape || value.type.shape->empty() || graph.constant(id)) continue;
    int64_t one = 1;
    for (size_t i = 1; i < value.type.shape->size(); ++i)
      if ((*value.type.shape)[i].known()) one = checked_mul(one, (*value.type.shape)[i].value);
    largest = std::max(largest, one);
  }
  const int64_t fitting = kBatchBytes / (4 * largest);
  return std::clamp<int64_t>(fitting, 1, kMaxBatch);
}

}  // namespace lapidary
