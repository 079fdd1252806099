#pragma once

// The message classes of libonnx: the one place where they enter, and nothing outside src/onnx may.
#include <onnx/onnx_pb.h>

namespace lapidary::pb {
using namespace ::onnx;  // NOLINT(google-build-using-namespace)
}  // namespace lapidary::pb
