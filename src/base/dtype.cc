#include <algorithm>
#include <array>

#include "lapidary/tensor.h"

namespace lapidary {

namespace {

struct Row {
  DType dtype;
  std::string_view name;
  uint8_t bytes;  // in memory
  uint8_t bits;   // on disk
};

constexpr std::array kRows = {
    Row{DType::kF32, "float32", 4, 32},
    Row{DType::kU8, "uint8", 1, 8},
    Row{DType::kI8, "int8", 1, 8},
    Row{DType::kU16, "uint16", 2, 16},
    Row{DType::kI16, "int16", 2, 16},
    Row{DType::kI32, "int32", 4, 32},
    Row{DType::kI64, "int64", 8, 64},
    Row{DType::kString, "string", 0, 0},
    Row{DType::kBool, "bool", 1, 8},
    Row{DType::kF16, "float16", 2, 16},
    Row{DType::kF64, "float64", 8, 64},
    Row{DType::kU32, "uint32", 4, 32},
    Row{DType::kU64, "uint64", 8, 64},
    Row{DType::kComplex64, "complex64", 8, 64},
    Row{DType::kComplex128, "complex128", 16, 128},
    Row{DType::kBF16, "bfloat16", 2, 16},
    Row{DType::kF8E4M3FN, "float8e4m3fn", 1, 8},
    Row{DType::kF8E4M3FNUZ, "float8e4m3fnuz", 1, 8},
    Row{DType::kF8E5M2, "float8e5m2", 1, 8},
    Row{DType::kF8E5M2FNUZ, "float8e5m2fnuz", 1, 8},
    Row{DType::kU4, "uint4", 1, 4},
    Row{DType::kI4, "int4", 1, 4},
    Row{DType::kF4E2M1, "float4e2m1", 1, 4},
    Row{DType::kF8E8M0, "float8e8m0", 1, 8},
    Row{DType::kU2, "uint2", 1, 2},
    Row{DType::kI2, "int2", 1, 2},
};

const Row* find(DType dtype) {
  const auto row =
      std::find_if(kRows.begin(), kRows.end(), [&](const Row& r) { return r.dtype == dtype; });
  return row == kRows.end() ? nullptr : &*row;
}

}  // namespace

std::string dtype_name(DType dtype) {
  const Row* row = find(dtype);
  return row ? std::string(row->name) : "dtype " + std::to_string(static_cast<int32_t>(dtype));
}

bool dtype_known(DType dtype) { return find(dtype) != nullptr; }

size_t dtype_size(DType dtype) {
  const Row* row = find(dtype);
  return row ? row->bytes : 0;
}

size_t dtype_bits(DType dtype) {
  const Row* row = find(dtype);
  return row ? row->bits : 0;
}

}  // namespace lapidary
