#pragma once

#include <map>
#include <string>

#include "lapidary/tensor.h"
#include "src/base/file.h"

namespace lapidary {

/// The safetensors format: u64 length of the header (little-endian), the header (JSON, padded with
/// spaces), the data.
///   {"__metadata__": {TEXT: TEXT}, NAME: {"dtype": "F32", "shape": [...], "data_offsets": [a, b]}}
/// Offsets count from the data's start; tensors lie one behind another without gaps, wider element
/// types first, so that each is aligned. float32/64/16, bfloat16, int8 to 64, uint8 to 64, bool.
struct Safetensors {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Metadata entry of files that are written here: SHA-256 over the header without this entry (keys
/// sorted, no spaces) and the data.
inline constexpr const char* kSafetensorsDigest = "sha256";

/// Writes the whole file; the caller commits it. Throws Error{kInvalid} for names and types that
/// the format cannot hold.
void write_safetensors(const Safetensors& content, AtomicFile& file);

/// Throws Error{kInvalid} where a size, an offset, a name or the digest (where there is one) is
/// wrong; sizes are checked before memory is taken. Headers of more than 16 MiB are refused.
Safetensors read_safetensors(const std::string& path);

}  // namespace lapidary
