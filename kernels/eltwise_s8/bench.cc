#include "kernels/bench/bench.h"
#include "kernels/eltwise_s8/eltwise_s8.h"

namespace lapidary::kernels {

namespace {

constexpr int64_t kRows = 56, kCols = 56 * 64, kCount = kRows * kCols;

Grid grid(int64_t rows) {
  return {.rows = rows, .cols = kCols, .a_row = kCols, .b_row = kCols, .y_row = kCols};
}

std::vector<BenchRun> add(int) {
  const BenchArray<uint8_t> a(kCount), b(kCount), y(kCount);
  const AddU8 formula = add_u8(0.02f, 120, 0.03f, 130, 0.04f, 128);
  return each_row(eltwise_s8_kernels(), [=](const EltwiseS8Kernel& kernel, int threads) {
    split_rows(kRows, threads, [&](int64_t begin, int64_t end) {
      const int64_t at = begin * kCols;
      kernel.call->add({grid(end - begin), a.data() + at, b.data() + at, y.data() + at, formula});
    });
  });
}

std::vector<BenchRun> mul(int) {
  const BenchArray<uint8_t> a(kCount), b(kCount), y(kCount);
  const MulU8 formula = mul_u8(0.02f, 120, 0.03f, 130, 0.04f, 128);
  return each_row(eltwise_s8_kernels(), [=](const EltwiseS8Kernel& kernel, int threads) {
    split_rows(kRows, threads, [&](int64_t begin, int64_t end) {
      const int64_t at = begin * kCols;
      kernel.call->mul({grid(end - begin), a.data() + at, b.data() + at, y.data() + at, formula});
    });
  });
}

std::vector<BenchRun> lut(int) {
  const BenchArray<uint8_t> x(kCount), y(kCount), table(256);
  return each_row(eltwise_s8_kernels(), [=](const EltwiseS8Kernel& kernel, int threads) {
    split_rows(kRows, threads, [&](int64_t begin, int64_t end) {
      LutArgs args;
      args.rows = end - begin;
      args.cols = args.x_row = args.y_row = kCols;
      args.x = x.data() + begin * kCols;
      args.y = y.data() + begin * kCols;
      args.table = table.data();
      kernel.call->lut(args);
    });
  });
}

}  // namespace

std::vector<BenchCase> eltwise_s8_bench() {
  return {{.shape = "add 56x56x64 s8", .bytes = 3 * kCount, .prepare = add},
          {.shape = "mul 56x56x64 s8", .bytes = 3 * kCount, .prepare = mul},
          {.shape = "table 56x56x64 s8", .bytes = 2 * kCount, .prepare = lut}};
}

}  // namespace lapidary::kernels
