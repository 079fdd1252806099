#include "kernels/bench/bench.h"
#include "kernels/pool/pool.h"

namespace lapidary::kernels {

namespace {

/// ResNet-50's two pools.
constexpr ConvShape kMax = {.in_h = 112,
                            .in_w = 112,
                            .in_c = 64,
                            .out_h = 56,
                            .out_w = 56,
                            .out_c = 64,
                            .kernel_h = 3,
                            .kernel_w = 3,
                            .stride_h = 2,
                            .stride_w = 2,
                            .pad_top = 1,
                            .pad_left = 1};
constexpr ConvShape kGlobal = {.in_h = 7,
                               .in_w = 7,
                               .in_c = 2048,
                               .out_h = 1,
                               .out_w = 1,
                               .out_c = 2048,
                               .kernel_h = 7,
                               .kernel_w = 7};

template <class T>
BenchCase bench_case(const std::string& name, const ConvShape& s,
                     void (*PoolFunctions::*function)(const PoolArgs&)) {
  const int64_t inputs = s.in_h * s.in_w * s.in_c, outputs = s.out_h * s.out_w * s.out_c;
  const auto prepare = [=](int) {
    const BenchArray<T> x(inputs), y(outputs);
    return each_row(pool_kernels(), [=](const PoolKernel& kernel, int threads) {
      split_rows(s.out_h, threads, [&](int64_t begin, int64_t end) {
        PoolArgs args;
        args.shape = s;
        args.row_begin = begin;
        args.row_end = end;
        args.x = x.data();
        args.y = y.data();
        args.x_zero = args.y_zero = 128;
        (kernel.call->*function)(args);
      });
    });
  };
  return {.shape = name,
          .bytes = (inputs + outputs) * static_cast<int64_t>(sizeof(T)),
          .prepare = prepare};
}

}  // namespace

std::vector<BenchCase> pool_bench() {
  return {
      bench_case<uint8_t>("max pool 3x3/2 112x112x64 s8", kMax, &PoolFunctions::max_u8),
      bench_case<float>("max pool 3x3/2 112x112x64 f32", kMax, &PoolFunctions::max_f32),
      bench_case<uint8_t>("global average 7x7x2048 s8", kGlobal, &PoolFunctions::average_u8),
      bench_case<float>("global average 7x7x2048 f32", kGlobal, &PoolFunctions::average_f32),
  };
}

}  // namespace lapidary::kernels
