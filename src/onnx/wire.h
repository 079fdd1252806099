#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "lapidary/model_io.h"

namespace lapidary {

/// What a file that is no ONNX model is: "a gzip archive", "an HTML page"; empty where nothing is
/// recognised.
std::string foreign_format(std::span<const uint8_t> bytes);

enum class RootMessage { kModel, kTensor };

/// Walks the protobuf wire format of a whole file before anything is parsed, without touching the
/// elements of tensors: throws Error{kInvalid} where it is truncated, malformed or nested too
/// deeply, Error{kResource} where it declares more nodes, tensors or other parts than `options`
/// allow (an empty message costs two bytes on disk and some hundred in memory).
void scan_wire(std::span<const uint8_t> bytes, RootMessage root, const LoadOptions& options);

}  // namespace lapidary
