#include "kernels/bench/conv.h"
#include "kernels/conv_sat_s8/conv_sat_s8.h"

namespace lapidary::kernels {

// One shape: what these rows cost a simulation, not what a CPU without VNNI reaches.
std::vector<BenchCase> conv_sat_s8_bench() {
  ConvShape s;
  s.in_h = s.in_w = s.out_h = s.out_w = 14;
  s.in_c = s.out_c = 64;
  s.kernel_h = s.kernel_w = 3;
  s.pad_top = s.pad_left = 1;
  const int64_t pixels = s.in_h * s.in_w, weights = s.out_c * s.in_c * 9;
  const auto prepare = [=](int threads) {
    const BenchArray<uint8_t> x(pixels * s.in_c), w(weights), y(pixels * s.out_c);
    std::vector<BenchRun> runs;
    for (const ConvSatS8Kernel& kernel : conv_sat_s8_kernels()) {
      if (!cpu_has(kernel.row.isa)) continue;
      const BenchArray<char> packed(static_cast<int64_t>(kernel.call->packed_bytes(s)));
      const BenchArray<char> scratch(static_cast<int64_t>(scratch_bytes(kernel, s, threads)));
      kernel.call->pack(s, {.data = w.data()}, packed.data());
      set_bias(packed.data(), nullptr, 128);
      runs.push_back({kernel.row, [=, &kernel](int count) {
                        ConvSatS8Args args;
                        args.shape = s;
                        args.x = x.data();
                        args.packed = packed.data();
                        args.y = y.data();
                        args.x_zero = args.y_zero = 128;
                        args.scratch = scratch.data();
                        run_conv_sat_s8(kernel, args, count);
                      }});
    }
    return runs;
  };
  return {{.shape = bench_conv_text(s) + " s8, saturating pairs",
           .macs = conv_macs(s),
           .bytes = pixels * (s.in_c + s.out_c) + weights,
           .limit = BenchLimit::kInt8,
           .prepare = prepare}};
}

}  // namespace lapidary::kernels
