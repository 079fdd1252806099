#include "src/train/convert.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <array>
#include <cstring>

#include "src/base/fail.h"

namespace lapidary::train {

namespace {

struct Pair {
  DType dtype;
  at::ScalarType type;
};
constexpr std::array kPairs = {
    Pair{DType::kF32, at::kFloat},     Pair{DType::kF64, at::kDouble}, Pair{DType::kF16, at::kHalf},
    Pair{DType::kBF16, at::kBFloat16}, Pair{DType::kU8, at::kByte},    Pair{DType::kI8, at::kChar},
    Pair{DType::kI16, at::kShort},     Pair{DType::kI32, at::kInt},    Pair{DType::kI64, at::kLong},
    Pair{DType::kBool, at::kBool},
};

bool is_aligned(const Tensor& tensor) {
  return reinterpret_cast<uintptr_t>(tensor.raw()) % dtype_size(tensor.dtype()) == 0;
}

}  // namespace

std::optional<at::ScalarType> scalar_type(DType dtype) {
  for (const Pair& pair : kPairs)
    if (pair.dtype == dtype) return pair.type;
  return std::nullopt;
}

DType dtype_of(at::ScalarType type) {
  for (const Pair& pair : kPairs)
    if (pair.type == type) return pair.dtype;
  fail(ErrorCode::kInternal, "no dtype for {}", at::toString(type));
}

at::Tensor to_aten(const Tensor& tensor, at::Device device) {
  const auto type = scalar_type(tensor.dtype());
  if (!type) fail_unsupported("training does not compute with {}", dtype_name(tensor.dtype()));
  if (tensor.size() == 0 || !is_aligned(tensor)) {
    at::Tensor copy = at::empty(tensor.shape(), at::TensorOptions(*type));
    if (tensor.size() > 0) std::memcpy(copy.data_ptr(), tensor.raw(), tensor.size_bytes());
    return copy.to(device);
  }
  const at::Tensor shared = at::from_blob(
      const_cast<void*>(tensor.raw()), tensor.shape(), [keep = tensor](void*) {},
      at::TensorOptions(*type));
  return shared.to(device);
}

Tensor to_host(const at::Tensor& tensor) {
  const at::Tensor rows = tensor.detach().to(at::kCPU).contiguous();
  Tensor out(dtype_of(rows.scalar_type()), rows.sizes().vec());
  if (out.size() > 0) std::memcpy(out.mutable_raw(), rows.data_ptr(), out.size_bytes());
  return out;
}

void copy_into(const at::Tensor& to, const Tensor& from) {
  to.detach().copy_(to_aten(from, at::kCPU));
}

}  // namespace lapidary::train
