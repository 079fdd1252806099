#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "lapidary/export.h"
#include "lapidary/model_io.h"
#include "src/onnx/mapped_file.h"

namespace lapidary {

/// A model and the files that it came from: its own, then those of its external data by location.
struct LAPIDARY_API LoadedModel {
  Graph graph;
  std::vector<std::shared_ptr<const MappedFile>> files;

  int64_t size_bytes() const;
  /// Their names, for a model that was loaded from `path`.
  std::vector<std::string> file_names(const std::filesystem::path& path) const;
  /// Of all files' bytes one after the other: `cat MODEL DATA... | sha256sum`.
  std::string sha256() const;
};

/// As `load_onnx`.
LAPIDARY_API LoadedModel load_with_files(const std::filesystem::path& path,
                                         const LoadOptions& options = {});

/// True where the constants leave a model file of `limit_bytes` too little room: protobuf writes no
/// more than 2^31 - 1 bytes, of which nodes, names and types need some.
bool needs_external_data(const Graph& graph, uint64_t limit_bytes = 2'000'000'000);

}  // namespace lapidary
