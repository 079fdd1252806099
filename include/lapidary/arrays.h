#pragma once

#include <map>
#include <string>

#include "lapidary/export.h"
#include "lapidary/tensor.h"

namespace lapidary {

// NumPy's array files: .npy holds one array, .npz (a zip archive of them) several by name.

/// An array of any shape, in row-major order and this machine's byte order, whatever the file's.
/// Throws Error{kIo} where the file cannot be read; Error{kInvalid} where it is damaged or holds
/// anything else than plain numbers (object arrays hold pickles, which are never loaded).
LAPIDARY_API Tensor read_npy(const std::string& path);
/// Little-endian, written atomically: a failure leaves what was there. Sub-byte types are stored
/// one to a byte. Throws Error{kUnsupported} for types that NumPy lacks (bfloat16, float8,
/// strings), Error{kIo}.
LAPIDARY_API void write_npy(const std::string& path, const Tensor& tensor);

/// Every array of an archive, stored or deflated, by name without ".npy". Throws as `read_npy`.
LAPIDARY_API std::map<std::string, Tensor> read_npz(const std::string& path);
/// An uncompressed archive as numpy.savez writes it; the same tensors give the same bytes. Throws
/// as `write_npy`.
LAPIDARY_API void write_npz(const std::string& path, const std::map<std::string, Tensor>& arrays);

}  // namespace lapidary
