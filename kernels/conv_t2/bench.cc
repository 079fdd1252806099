#include "kernels/bench/conv.h"
#include "kernels/conv_t2/conv_t2.h"

namespace lapidary::kernels {

namespace {

/// Named as the cases of conv_s8: timed in turn with it.
BenchCase bench_case(const ConvShape& s) {
  const int64_t x_count = s.batch * s.in_h * s.in_w * s.in_c;
  const int64_t y_count = s.batch * s.out_h * s.out_w * s.out_c;
  const int64_t w_count = s.out_c * s.in_c * s.kernel_h * s.kernel_w;
  const auto prepare = [=](int threads) {
    const BenchArray<uint8_t> x(x_count), y(y_count);
    const BenchArray<int8_t> w(w_count);
    for (int64_t i = 0; i < w_count; ++i) w.data()[i] = static_cast<int8_t>(w.data()[i] % 2);
    const std::vector<float> multipliers(static_cast<size_t>(s.out_c), 1e-2f);
    std::vector<BenchRun> runs;
    for (const ConvT2Kernel& kernel : conv_t2_kernels()) {
      if (!cpu_has(kernel.row.isa)) continue;
      const BenchArray<char> packed(static_cast<int64_t>(kernel.call->packed_bytes(s)));
      const BenchArray<char> scratch(static_cast<int64_t>(scratch_bytes(kernel, s, threads)));
      kernel.call->pack(s, {.data = w.data()}, packed.data());
      set_bias_t2(packed.data(), nullptr, 128);
      set_multipliers_t2(packed.data(), multipliers.data(), s.out_c);
      runs.push_back({kernel.row, [=, &kernel](int count) {
                        ConvT2Args args;
                        args.shape = s;
                        args.x = x.data();
                        args.packed = packed.data();
                        args.y = y.data();
                        args.x_zero = args.y_zero = 128;
                        args.scratch = scratch.data();
                        run_conv_t2(kernel, args, count);
                      }});
    }
    return runs;
  };
  return {.shape = bench_conv_text(s) + " s8",
          .macs = conv_macs(s),
          .bytes = x_count + w_count / 4 + y_count,
          .limit = BenchLimit::kInt8,
          .prepare = prepare};
}

}  // namespace

std::vector<BenchCase> conv_t2_bench() {
  std::vector<BenchCase> out;
  for (const ConvShape& s : bench_conv_shapes(false))
    if (s.groups == 1 && s.in_c >= 32) out.push_back(bench_case(s));
  return out;
}

}  // namespace lapidary::kernels
