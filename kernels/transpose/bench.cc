#include "kernels/bench/bench.h"
#include "kernels/transpose/transpose.h"

namespace lapidary::kernels {

namespace {

template <class T>
BenchCase bench_case(const char* name, int64_t rows, int64_t cols,
                     void (*TransposeFunctions::*function)(const TransposeArgs&)) {
  const auto prepare = [=](int) {
    const BenchArray<T> x(rows * cols), y(rows * cols);
    return each_row(transpose_kernels(), [=](const TransposeKernel& kernel, int) {
      TransposeArgs args;
      args.rows = rows;
      args.cols = cols;
      args.x = x.data();
      args.y = y.data();
      (kernel.call->*function)(args);
    });
  };
  return {.shape = name,
          .bytes = 2 * rows * cols * static_cast<int64_t>(sizeof(T)),
          .one_thread = true,
          .prepare = prepare};
}

}  // namespace

std::vector<BenchCase> transpose_bench() {
  return {
      bench_case<float>("3x224x224 -> NHWC f32", 3, 224 * 224, &TransposeFunctions::bytes4),
      bench_case<float>("56x56x64 -> NCHW f32", 56 * 56, 64, &TransposeFunctions::bytes4),
      bench_case<uint8_t>("3x224x224 -> NHWC s8", 3, 224 * 224, &TransposeFunctions::bytes1),
      bench_case<uint8_t>("56x56x64 -> NCHW s8", 56 * 56, 64, &TransposeFunctions::bytes1),
  };
}

}  // namespace lapidary::kernels
