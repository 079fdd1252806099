#include "kernels/bench/bench.h"
#include "kernels/eltwise_f32/eltwise_f32.h"

namespace lapidary::kernels {

namespace {

constexpr int64_t kRows = 56, kCols = 56 * 64, kCount = kRows * kCols;

std::vector<BenchRun> binary(int) {
  const BenchArray<float> a(kCount), b(kCount), y(kCount);
  return each_row(eltwise_f32_kernels(), [=](const EltwiseF32Kernel& kernel, int threads) {
    split_rows(kRows, threads, [&](int64_t begin, int64_t end) {
      BinaryF32Args args;
      args.grid = {
          .rows = end - begin, .cols = kCols, .a_row = kCols, .b_row = kCols, .y_row = kCols};
      args.a = a.data() + begin * kCols;
      args.b = b.data() + begin * kCols;
      args.y = y.data() + begin * kCols;
      args.activation.lo = 0;
      kernel.call->binary(args);
    });
  });
}

std::vector<BenchRun> unary(int) {
  const BenchArray<float> x(kCount), y(kCount);
  return each_row(eltwise_f32_kernels(), [=](const EltwiseF32Kernel& kernel, int threads) {
    split_rows(kRows, threads, [&](int64_t begin, int64_t end) {
      UnaryF32Args args;
      args.count = (end - begin) * kCols;
      args.x = x.data() + begin * kCols;
      args.y = y.data() + begin * kCols;
      args.activation = {.slope = 0.1f};
      kernel.call->unary(args);
    });
  });
}

std::vector<BenchRun> hard_swish(int) {
  const BenchArray<float> x(kCount), y(kCount);
  return each_row(eltwise_f32_kernels(), [=](const EltwiseF32Kernel& kernel, int threads) {
    split_rows(kRows, threads, [&](int64_t begin, int64_t end) {
      kernel.call->hard_sigmoid({.count = (end - begin) * kCols,
                                 .x = x.data() + begin * kCols,
                                 .y = y.data() + begin * kCols,
                                 .alpha = 1.0f / 6,
                                 .beta = 0.5f,
                                 .times_x = true});
    });
  });
}

std::vector<BenchRun> affine(int) {
  constexpr int64_t kChannels = 64, kPixels = kCols / kChannels;
  const BenchArray<float> x(kCount), y(kCount), a(kChannels), b(kChannels);
  return each_row(eltwise_f32_kernels(), [=](const EltwiseF32Kernel& kernel, int threads) {
    split_rows(kRows, threads, [&](int64_t begin, int64_t end) {
      AffineF32Args args;
      args.rows = (end - begin) * kPixels;
      args.cols = kChannels;
      args.x = x.data() + begin * kCols;
      args.a = a.data();
      args.b = b.data();
      args.y = y.data() + begin * kCols;
      args.activation.lo = 0;
      kernel.call->affine(args);
    });
  });
}

}  // namespace

std::vector<BenchCase> eltwise_f32_bench() {
  return {{.shape = "add, relu 56x56x64 f32", .bytes = 12 * kCount, .prepare = binary},
          {.shape = "leaky relu 56x56x64 f32", .bytes = 8 * kCount, .prepare = unary},
          {.shape = "hard swish 56x56x64 f32", .bytes = 8 * kCount, .prepare = hard_swish},
          {.shape = "a x + b, relu 56x56x64 f32", .bytes = 8 * kCount, .prepare = affine}};
}

}  // namespace lapidary::kernels
