#pragma once

#include <filesystem>
#include <string>

#include "lapidary/export.h"
#include "lapidary/graph.h"

namespace lapidary {

struct LoadOptions {
  /// Models beyond these are refused with Error{kResource} before memory is spent on them.
  int64_t max_nodes = 2'000'000;
  int64_t max_tensor_bytes = int64_t{1} << 40;
  /// Infer types of all values after loading; off only for looking at broken files.
  bool infer = true;
};

/// Reads an ONNX model with its external data (mapped, not copied). Nodes that do not stand in
/// topological order are put into it; parts that are not understood are kept for `save_onnx`.
/// Throws Error: kInvalid, kUnsupported, kIo, kResource; the context is the file, then the node or
/// tensor.
LAPIDARY_API Graph load_onnx(const std::filesystem::path& path, const LoadOptions& options = {});
/// The same from memory; external data is refused.
LAPIDARY_API Graph parse_onnx(const void* data, size_t size_bytes, const LoadOptions& options = {});

struct SaveOptions {
  /// Put initializers of at least 1 KiB into "<file name>.data" beside the model, each at a
  /// multiple of 64 bytes, from 1 MiB on of 4096. Where the model would pass protobuf's 2 GB this
  /// is needed: without it the save throws Error{kResource} that says so.
  bool external_data = false;
};

/// Writes a model: complete or not at all (temporary file, fsync, rename). Ops of Lapidary's own
/// bring a model-local function in standard ops, so that other engines run them; `load_onnx` sees
/// the op.
LAPIDARY_API void save_onnx(const Graph& graph, const std::filesystem::path& path,
                            const SaveOptions& options = {});
/// The bytes that `save_onnx` would write.
LAPIDARY_API std::string serialize_onnx(const Graph& graph);

/// A TensorProto file (.pb), as the ONNX backend tests store inputs and outputs. Sequences and
/// optionals throw Error{kUnsupported}.
LAPIDARY_API Tensor load_tensor_proto(const std::filesystem::path& path);

}  // namespace lapidary
