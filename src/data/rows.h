#pragma once

#include <memory>
#include <string>

#include "lapidary/tensor.h"

namespace lapidary {

/// A file whose samples all have one shape and type.
class Rows {
 public:
  virtual ~Rows() = default;
  virtual int64_t count() const = 0;
  virtual DType dtype() const = 0;
  virtual Shape row_shape() const = 0;
  virtual Tensor row(int64_t index) const = 0;
  /// Rows from `count` on will not be asked for.
  virtual void prepare(int64_t /*count*/) {}
};

/// The idx format of MNIST: 0, 0, type, rank, rank big-endian sizes, big-endian data; gzipped or
/// not. Throws Error{kInvalid} where header and size disagree.
std::unique_ptr<Rows> open_idx(const std::string& path);
bool is_idx(std::string_view start);

}  // namespace lapidary
