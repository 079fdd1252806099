#include "src/onnx/type_proto.h"

#include "src/base/fail.h"
#include "src/base/text.h"
#include "src/onnx/tensor_proto.h"

namespace lapidary {

const std::string& checked_name(const std::string& text, std::string_view what) {
  if (!valid_utf8(text)) fail_invalid("{} '{}' is not valid UTF-8", what, printable(text, 200));
  return text;
}

TensorType read_type(const pb::TypeProto::Tensor& proto) {
  TensorType type;
  if (proto.elem_type() != 0) type.dtype = read_dtype(proto.elem_type());
  if (!proto.has_shape()) return type;
  if (proto.shape().dim_size() > kMaxRank)
    fail(ErrorCode::kResource, "rank {}; at most {} are read", proto.shape().dim_size(), kMaxRank);
  std::vector<Dim> dims;
  for (const auto& dim : proto.shape().dim()) {
    if (dim.has_dim_param()) {
      dims.push_back(Dim::named(checked_name(dim.dim_param(), "dimension")));
    } else if (dim.has_dim_value() && dim.dim_value() >= 0) {
      dims.emplace_back(dim.dim_value());
    } else if (dim.has_dim_value() && dim.dim_value() != -1) {
      fail_invalid("negative size {} in axis {} of its type", dim.dim_value(), dims.size());
    } else {
      dims.emplace_back();
    }
  }
  type.shape = std::move(dims);
  return type;
}

void write_type(const TensorType& type, pb::TypeProto::Tensor* proto) {
  if (type.dtype != DType::kUndefined) proto->set_elem_type(static_cast<int32_t>(type.dtype));
  if (!type.shape) return;
  auto* shape = proto->mutable_shape();
  for (const Dim& dim : *type.shape) {
    auto* out = shape->add_dim();
    if (dim.known()) {
      out->set_dim_value(dim.value);
    } else if (!dim.symbol.empty()) {
      out->set_dim_param(dim.symbol);
    }
  }
}

bool compatible(const TensorType& a, const TensorType& b) {
  if (a.dtype != DType::kUndefined && b.dtype != DType::kUndefined && a.dtype != b.dtype)
    return false;
  if (!a.shape || !b.shape) return true;
  if (a.shape->size() != b.shape->size()) return false;
  for (size_t i = 0; i < a.shape->size(); ++i) {
    const Dim &x = (*a.shape)[i], &y = (*b.shape)[i];
    if (x.known() && y.known() && x.value != y.value) return false;
  }
  return true;
}

}  // namespace lapidary
