#pragma once

#include "lapidary/model_io.h"
#include "lapidary/tensor.h"
#include "src/onnx/external_data.h"
#include "src/onnx/proto.h"

namespace lapidary {

/// Largest rank of a tensor or type.
inline constexpr int kMaxRank = 64;

/// A known element type other than "undefined". Throws Error{kInvalid}.
DType read_dtype(int32_t number);

/// The elements of a tensor; what was read (type, shape, elements, where they lie) is cleared in
/// `proto`, and what remains (name, documentation, newer fields) is the caller's. `external` null:
/// external data is refused. Throws Error: kInvalid, kUnsupported, kResource, kIo.
Tensor read_tensor(pb::TensorProto& proto, ExternalData* external, const LoadOptions& options);

/// Bytes of the elements as a file stores them: little endian, 4-bit elements two to a byte with
/// the first in the low half. Not for strings.
uint64_t stored_bytes(DType dtype, int64_t count);
/// Appends them.
void append_stored(const Tensor& tensor, std::string& out);
/// Type, shape and elements; one form for every type: raw_data, or string_data.
void write_tensor(const Tensor& tensor, pb::TensorProto* proto);

}  // namespace lapidary
