#include "kernels/bench/bench.h"
#include "kernels/sign_b1/sign_b1.h"

namespace lapidary::kernels {

namespace {

BenchCase bench_case(const char* name, int64_t pixels, int64_t channels, bool planar) {
  const int64_t y_count = pixels * b1_words(channels);
  const auto prepare = [=](int) {
    const BenchArray<float> x(pixels * channels);
    const BenchArray<uint32_t> y(y_count);
    return each_row(sign_b1_kernels(), [=](const SignB1Kernel& kernel, int) {
      SignB1Args args;
      args.pixels = pixels;
      args.channels = channels;
      args.planar = planar;
      args.x = x.data();
      args.y = y.data();
      kernel.call->run(args);
    });
  };
  return {.shape = name,
          .bytes = 4 * (pixels * channels + y_count),
          .one_thread = true,
          .prepare = prepare};
}

}  // namespace

std::vector<BenchCase> sign_b1_bench() {
  return {bench_case("signs of 14x14x256", 14 * 14, 256, false),
          bench_case("signs of 256x14x14 -> NHWC", 14 * 14, 256, true)};
}

}  // namespace lapidary::kernels
