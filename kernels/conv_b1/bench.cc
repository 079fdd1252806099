#include "kernels/bench/conv.h"
#include "kernels/conv_b1/conv_b1.h"

namespace lapidary::kernels {

namespace {

BenchCase bench_case(const ConvShape& s) {
  const int64_t x_count = s.batch * s.in_h * s.in_w * b1_words(s.in_c);
  const int64_t y_count = s.batch * s.out_h * s.out_w * b1_words(s.out_c);
  const int64_t w_count = s.out_c * s.in_c * s.kernel_h * s.kernel_w;
  const auto prepare = [=](int threads) {
    const BenchArray<uint32_t> x(x_count), y(y_count);
    const BenchArray<float> w(w_count), scale(s.out_c), shift(s.out_c);
    std::vector<BenchRun> runs;
    for (const ConvB1Kernel& kernel : conv_b1_kernels()) {
      if (!cpu_has(kernel.row.isa)) continue;
      const BenchArray<char> packed(static_cast<int64_t>(kernel.call->packed_bytes(s)));
      const BenchArray<char> scratch(static_cast<int64_t>(scratch_bytes(kernel, s, threads)));
      kernel.call->pack(s, {.data = w.data()}, packed.data());
      set_affine(packed.data(), scale.data(), shift.data());
      runs.push_back({kernel.row, [=, &kernel](int count) {
                        ConvB1Args args;
                        args.shape = s;
                        args.x = x.data();
                        args.packed = packed.data();
                        args.y = y.data();
                        args.padding = ConvB1Padding::kZero;
                        args.scratch = scratch.data();
                        run_conv_b1(kernel, args, count);
                      }});
    }
    return runs;
  };
  return {.shape = bench_conv_text(s) + " b1",
          .macs = conv_macs(s),
          .bytes = 4 * (x_count + y_count) + w_count / 8,
          .limit = BenchLimit::kInt8,
          .prepare = prepare};
}

}  // namespace

/// The layers of whole words that have a place in binary networks: the first one, of images, has
/// not. Held against INT8: beyond 1 is what bits gain.
std::vector<BenchCase> conv_b1_bench() {
  std::vector<BenchCase> out;
  for (const ConvShape& s : bench_conv_shapes(false))
    if (s.groups == 1 && s.in_c >= 32) out.push_back(bench_case(s));
  return out;
}

}  // namespace lapidary::kernels
