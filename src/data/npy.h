#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "lapidary/arrays.h"
#include "lapidary/tensor.h"
#include "src/base/file.h"

namespace lapidary {

/// What the header of a NumPy array file says.
struct NpyHeader {
  DType dtype = DType::kUndefined;
  Shape shape;
  bool fortran_order = false;
  bool big_endian = false;
  int64_t data_offset = 0;  ///< bytes before the first element

  int64_t data_bytes() const;
};

/// Reads versions 1.0, 2.0 and 3.0 from the first bytes of a file of `file_bytes` bytes. Throws
/// Error{kInvalid} for anything else than plain numbers (object arrays hold pickles, which are
/// never loaded), headers over 64 KiB, and shapes whose data the file does not hold.
NpyHeader parse_npy_header(std::string_view start, int64_t file_bytes);

/// As `read_npy` and `read_npz`, of a file's bytes.
Tensor parse_npy(std::string_view file);
std::map<std::string, Tensor> parse_npz(std::string_view file);

/// The rows (axis 0) of an array file; row-major files are read row by row, others at once.
class NpyRows {
 public:
  explicit NpyRows(const std::string& path);
  DType dtype() const { return header_.dtype; }
  int64_t count() const { return header_.shape[0]; }
  Shape row_shape() const { return {header_.shape.begin() + 1, header_.shape.end()}; }
  /// One row, [shape 1...]. Throws Error{kInternal} outside 0..count()-1.
  Tensor row(int64_t index) const;

 private:
  RandomAccessFile file_;
  NpyHeader header_;
  Tensor whole_;
};

/// Row `index` of axis 0.
Tensor tensor_row(const Tensor& tensor, int64_t index);

}  // namespace lapidary
