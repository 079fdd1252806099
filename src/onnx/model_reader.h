#pragma once

#include "lapidary/graph.h"
#include "lapidary/model_io.h"
#include "src/onnx/external_data.h"
#include "src/onnx/proto.h"

namespace lapidary {

/// The newest IR version whose parts are all understood or kept (ONNX 1.20).
inline constexpr int64_t kNewestIrVersion = 13;

/// Consumes the message; what the Graph does not hold stays as bytes in its `extra` strings.
/// Models of an opset before 7 (before it, broadcasting had other rules) are upgraded to 7. Throws
/// Error as load_onnx does, without the file as context.
Graph read_model(pb::ModelProto& proto, ExternalData* external, const LoadOptions& options);

}  // namespace lapidary
