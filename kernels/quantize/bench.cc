#include "kernels/bench/bench.h"
#include "kernels/quantize/quantize.h"

namespace lapidary::kernels {

namespace {

/// Of one image.
struct Matrix {
  int64_t rows, cols;
  bool transpose;
  int64_t count() const { return rows * cols; }
};

/// quantize (X float, Y u8) or dequantize (X u8, Y float).
template <class X, class Y, class Args>
BenchCase bench_case(const char* name, const Matrix& m,
                     void (*QuantizeFunctions::*function)(const Args&)) {
  const auto prepare = [=](int) {
    const BenchArray<X> x(m.count());
    const BenchArray<Y> y(m.count());
    return each_row(quantize_kernels(), [=](const QuantizeKernel& kernel, int) {
      Args args;
      args.rows = m.rows;
      args.cols = m.cols;
      args.transpose = m.transpose;
      args.x = x.data();
      args.y = y.data();
      args.scale = 0.01f;
      args.zero = 128;
      (kernel.call->*function)(args);
    });
  };
  return {.shape = name, .bytes = 5 * m.count(), .one_thread = true, .prepare = prepare};
}

BenchCase quantize_case(const char* name, const Matrix& m) {
  return bench_case<float, uint8_t>(name, m, &QuantizeFunctions::quantize);
}
BenchCase dequantize_case(const char* name, const Matrix& m) {
  return bench_case<uint8_t, float>(name, m, &QuantizeFunctions::dequantize);
}

}  // namespace

std::vector<BenchCase> quantize_bench() {
  return {quantize_case("quantize 3x224x224 -> NHWC", {3, 224 * 224, true}),
          quantize_case("quantize 56x56x64", {1, 56 * 56 * 64, false}),
          dequantize_case("dequantize 56x56x64 -> NCHW", {56 * 56, 64, true}),
          dequantize_case("dequantize 56x56x64", {1, 56 * 56 * 64, false})};
}

}  // namespace lapidary::kernels
