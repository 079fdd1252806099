#include "calibrate/feeder.h"

#include <algorithm>
#include <cstring>

#include "src/base/fail.h"
#include "src/base/float_types.h"
#include "src/base/text.h"
#include "src/ops/infer.h"

namespace lapidary {

namespace {

constexpr double kBatchBytes = 16 << 20;
constexpr int64_t kMaxBatch = 32;

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

/// A copy of the graph whose types are those of `batch` samples.
Graph with_sizes(const Graph& graph, const Dataset& data, int64_t batch) {
  Graph copy = graph;
  const auto wanted = required_inputs(graph);
  InferOptions options{.replace_declared = true};
  for (const DatasetInput& input : data.inputs()) {
    Shape shape = input.shape;
    shape.insert(shape.begin(), batch);
    const std::string& name = input.name.empty() ? graph.value(wanted[0]).name : input.name;
    options.input_shapes.emplace(name, std::move(shape));
  }
  try {
    infer_types(copy, options);
  } catch (const Error&) {
    // One that this batch does not suit may run with another. What was inferred by then stands.
  }
  return copy;
}

}  // namespace

std::vector<ValueId> required_inputs(const Graph& graph) {
  std::vector<ValueId> ids;
  for (const ValueId id : graph.inputs())
    if (!graph.value(id).constant) ids.push_back(id);
  return ids;
}

Feeder::Feeder(const Graph& graph, const Dataset& data) {
  const auto wanted = required_inputs(graph);
  const auto brought = data.inputs();
  std::vector<std::string> graph_names, with_default;
  for (const ValueId id : wanted) graph_names.push_back(graph.value(id).name);
  for (const ValueId id : graph.inputs())
    if (graph.value(id).constant) with_default.push_back(graph.value(id).name);
  const auto refuse_count = [&] {
    fail_usage("the graph takes {} inputs ({}), the data bring {}", wanted.size(),
               printable(fmt::format("{}", fmt::join(graph_names, ", "))), brought.size());
  };
  if (brought.size() < wanted.size()) refuse_count();
  size_t met = 0;
  for (const DatasetInput& input : brought) {
    if (input.name.empty() && wanted.size() != 1)
      fail_usage("the graph has {} inputs ({}): the data must name theirs", wanted.size(),
                 printable(fmt::format("{}", fmt::join(graph_names, ", "))));
    const std::string name = input.name.empty() ? graph_names[0] : input.name;
    const ValueId id = graph.find_value(name);
    const bool needed =
        std::find(graph_names.begin(), graph_names.end(), name) != graph_names.end();
    if (!needed && std::find(with_default.begin(), with_default.end(), name) == with_default.end())
      fail_usage("the graph has no input '{}'{}", printable(name), did_you_mean(name, graph_names));
    met += needed;
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
  if (met < wanted.size()) refuse_count();
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

SampleSizes::SampleSizes(const Graph& graph, const Dataset& data) {
  const int64_t fixed = Feeder(graph, data).fixed_batch();
  const int64_t batch = fixed > 0 ? fixed : std::max<int64_t>(data.spec().batch, 1);
  const Graph sized = with_sizes(graph, data, batch);
  for (const ValueId id : sized.values()) {
    if (sized.constant(id)) continue;
    const TensorType& type = sized.value(id).type;
    double bytes = static_cast<double>(std::max<size_t>(dtype_size(type.dtype), 1));
    for (const Dim& dim : type.shape.value_or(std::vector<Dim>{}))
      bytes *= static_cast<double>(std::max<int64_t>(dim.value, 1));
    bytes /= static_cast<double>(batch);
    bytes_.emplace(id.index, bytes);
    largest_ = std::max(largest_, bytes);
  }
}

double SampleSizes::bytes(ValueId id) const {
  const auto found = bytes_.find(id.index);
  return found != bytes_.end() ? found->second : 0;
}

int64_t suitable_batch(std::span<const Graph* const> graphs, const Dataset& data, int64_t wanted) {
  int64_t smallest = 0;
  for (const Graph* graph : graphs)
    if (const int64_t fixed = Feeder(*graph, data).fixed_batch(); fixed > 0)
      smallest = smallest > 0 ? std::min(smallest, fixed) : fixed;
  if (smallest > 0) return smallest;
  if (wanted > 0) return wanted;
  if (data.spec().batch > 0) return data.spec().batch;
  double largest = 1;
  for (const Graph* graph : graphs)
    largest = std::max(largest, SampleSizes(*graph, data).largest());
  return std::clamp<int64_t>(static_cast<int64_t>(kBatchBytes / largest), 1, kMaxBatch);
}

int64_t suitable_batch(const Graph& graph, const Dataset& data, int64_t wanted) {
  const Graph* const one[] = {&graph};
  return suitable_batch(one, data, wanted);
}

}  // namespace lapidary
