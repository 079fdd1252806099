#include "src/pipeline/feed.h"

#include <algorithm>
#include <cstring>

#include "calibrate/feeder.h"
#include "src/base/fail.h"
#include "src/base/half.h"

namespace lapidary {

namespace {

/// [N,H,W,C] only where the last axis alone looks like channels.
Layout layout_of(const TensorType& type) {
  if (!type.shape || type.shape->size() != 4) return Layout::kNchw;
  const auto is_channels = [](const Dim& d) {
    return d.value == 1 || d.value == 3 || d.value == 4;
  };
  const auto& s = *type.shape;
  return is_channels(s[3]) && !is_channels(s[1]) ? Layout::kNhwc : Layout::kNchw;
}

}  // namespace

Dataset open_for(const DataRecord& record, const Graph& graph, uint64_t seed) {
  OpenOptions options;
  options.seed = seed;
  options.base_dir = record.base_dir;
  options.num_classes = classes_of(graph);
  const std::vector<ValueId> inputs = required_inputs(graph);
  for (ValueId id : inputs) {
    const Value& v = graph.value(id);
    const InputRequest request{v.type.dtype, layout_of(v.type)};
    options.requests[v.name] = request;
    if (inputs.size() == 1) options.requests[""] = request;
  }
  return open_dataset(record.spec, options);
}

int64_t classes_of(const Graph& graph) {
  if (graph.outputs().empty()) return 0;
  const TensorType& type = graph.value(graph.outputs()[0]).type;
  if (!type.shape || type.shape->size() < 2) return 0;
  for (size_t i = 2; i < type.shape->size(); ++i)
    if ((*type.shape)[i].value != 1) return 0;
  return std::max<int64_t>(0, (*type.shape)[1].value);
}

Tensor first_rows(const Tensor& tensor, int64_t count) {
  Shape shape = tensor.shape();
  shape.at(0) = count;
  Tensor out(tensor.dtype(), shape);
  std::memcpy(out.mutable_raw(), tensor.raw(), out.size_bytes());
  return out;
}

Tensor first_rows_f32(const Tensor& tensor, int64_t count) {
  Shape shape = tensor.shape();
  if (shape.empty()) shape = {1};
  const int64_t per_row = shape[0] == 0 ? 0 : tensor.size() / shape[0];
  shape[0] = std::min(count, shape[0]);
  if (tensor.dtype() == DType::kF32 && shape[0] == tensor.dim(0)) return tensor;
  Tensor out(DType::kF32, shape);
  auto to = out.mutable_data<float>();
  const size_t n = static_cast<size_t>(shape[0] * per_row);
  const auto convert = [&](const auto* from, auto&& as_float) {
    for (size_t i = 0; i < n; ++i) to[i] = as_float(from[i]);
  };
  const auto plain = [](auto v) { return static_cast<float>(v); };
  switch (tensor.dtype()) {
    case DType::kF32:
      convert(static_cast<const float*>(tensor.raw()), plain);
      break;
    case DType::kF64:
      convert(static_cast<const double*>(tensor.raw()), plain);
      break;
    case DType::kF16:
      convert(static_cast<const Half*>(tensor.raw()), from_half);
      break;
    case DType::kBF16:
      convert(static_cast<const BFloat16*>(tensor.raw()), from_bfloat16);
      break;
    case DType::kU8:
      convert(static_cast<const uint8_t*>(tensor.raw()), plain);
      break;
    case DType::kI8:
      convert(static_cast<const int8_t*>(tensor.raw()), plain);
      break;
    case DType::kI32:
      convert(static_cast<const int32_t*>(tensor.raw()), plain);
      break;
    case DType::kI64:
      convert(static_cast<const int64_t*>(tensor.raw()), plain);
      break;
    default:
      fail_unsupported("a {} output has no metrics", dtype_name(tensor.dtype()));
  }
  return out;
}

}  // namespace lapidary
