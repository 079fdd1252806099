#include "kernels/transpose/transpose.h"

#include "kernels/families.h"

namespace lapidary::kernels {

namespace {

template <class T>
void transpose(const TransposeArgs& p) {
  const int64_t size = p.rows * p.cols;
  const int64_t end = p.batch_end < 0 ? p.batch : p.batch_end;
  const int64_t x_row = p.x_row > 0 ? p.x_row : p.cols, y_row = p.y_row > 0 ? p.y_row : p.rows;
  for (int64_t b = p.batch_begin; b < end; ++b) {
    const T* x = static_cast<const T*>(p.x) + b * size;
    T* y = static_cast<T*>(p.y) + b * size;
    for (int64_t c = 0; c < p.cols; ++c)
      for (int64_t r = 0; r < p.rows; ++r) y[c * y_row + r] = x[r * x_row + c];
  }
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const TransposeFunctions name;
#include "kernels/transpose/kernels.def"
#undef LAPIDARY_KERNEL

const TransposeFunctions transpose_scalar = {transpose<uint8_t>, transpose<uint32_t>};

std::span<const TransposeKernel> transpose_kernels() {
  static const TransposeKernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"transpose", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/transpose/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> transpose_rows() { return rows_of(transpose_kernels()); }

Choice<TransposeKernel> select_transpose() { return choose(transpose_kernels()); }

}  // namespace lapidary::kernels
