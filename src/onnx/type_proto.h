#pragma once

#include "lapidary/graph.h"
#include "src/onnx/proto.h"

namespace lapidary {

/// Throws Error{kInvalid} unless `text` is well-formed UTF-8; `what` names it.
const std::string& checked_name(const std::string& text, std::string_view what);

/// A tensor's type; dims that are absent, or -1 as some exporters write, are unknown. Throws
/// Error: kInvalid for other negative sizes and unknown element types.
TensorType read_type(const pb::TypeProto::Tensor& proto);
/// The plainest message that `read_type` reads as `type`.
void write_type(const TensorType& type, pb::TypeProto::Tensor* proto);

/// True where one of the two is right for a tensor of the other: no known part contradicts.
bool compatible(const TensorType& a, const TensorType& b);

}  // namespace lapidary
