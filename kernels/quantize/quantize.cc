#include "kernels/quantize/quantize.h"

#include "kernels/families.h"
#include "kernels/scalar.h"

namespace lapidary::kernels {

namespace {

/// store(output index, input index) over every element of the asked batches, `x_row` elements
/// between rows of the input.
template <class Args, class Store>
void each_element(const Args& p, int64_t x_row, const Store& store) {
  const int64_t size = p.rows * p.cols;
  const int64_t end = p.batch_end < 0 ? p.batch : p.batch_end;
  for (int64_t b = p.batch_begin; b < end; ++b)
    for (int64_t r = 0; r < p.rows; ++r)
      for (int64_t c = 0; c < p.cols; ++c)
        store(b * size + (p.transpose ? c * p.rows + r : r * p.cols + c), b * size + r * x_row + c);
}

void quantize(const QuantizeArgs& p) {
  uint8_t* y = static_cast<uint8_t*>(p.y);
  each_element(p, p.x_row > 0 ? p.x_row : p.cols, [&](int64_t to, int64_t from) {
    y[to] = static_cast<uint8_t>(saturate_rint(p.x[from] / p.scale, p.zero, p.lo, p.hi));
  });
}

void dequantize(const DequantizeArgs& p) {
  const uint8_t* x = static_cast<const uint8_t*>(p.x);
  each_element(p, p.cols, [&](int64_t to, int64_t from) {
    const int q = p.is_signed ? static_cast<int8_t>(x[from]) : x[from];
    p.y[to] = static_cast<float>(q - p.zero) * p.scale;
  });
}

void requantize(const RequantizeArgs& p) {
  for (int64_t i = 0; i < p.count; ++i)
    p.y[i] = static_cast<uint8_t>(saturate_rint(p.x[i] * p.multiplier, p.zero, 0, 255));
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const QuantizeFunctions name;
#include "kernels/quantize/kernels.def"
#undef LAPIDARY_KERNEL

const QuantizeFunctions quantize_scalar = {quantize, dequantize, requantize};

std::span<const QuantizeKernel> quantize_kernels() {
  static const QuantizeKernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"quantize", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/quantize/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> quantize_rows() { return rows_of(quantize_kernels()); }

Choice<QuantizeKernel> select_quantize() { return choose(quantize_kernels()); }

}  // namespace lapidary::kernels
