#include "kernels/bench/conv.h"

namespace lapidary::kernels {

namespace {

/// k x k over a square image, padded to keep its size (over the stride).
ConvShape square(int64_t size, int64_t in_c, int64_t out_c, int64_t k, int64_t stride,
                 bool depthwise = false) {
  ConvShape s;
  s.in_h = s.in_w = size;
  s.out_h = s.out_w = size / stride;
  s.in_c = in_c;
  s.out_c = out_c;
  s.kernel_h = s.kernel_w = k;
  s.stride_h = s.stride_w = stride;
  s.pad_top = s.pad_left = (k - stride + 1) / 2;
  s.groups = depthwise ? in_c : 1;
  return s;
}

int64_t x_count(const ConvShape& s) { return s.batch * s.in_h * s.in_w * s.in_c; }
int64_t y_count(const ConvShape& s) { return s.batch * s.out_h * s.out_w * s.out_c; }
int64_t w_count(const ConvShape& s) {
  return s.out_c * (s.in_c / s.groups) * s.kernel_h * s.kernel_w;
}

}  // namespace

std::vector<ConvShape> bench_conv_shapes(bool depthwise_only) {
  std::vector<ConvShape> shapes = {
      square(112, 32, 32, 3, 1, true),  square(112, 96, 96, 3, 2, true),
      square(28, 192, 192, 3, 1, true), square(14, 576, 576, 3, 1, true),
      square(14, 576, 576, 3, 2, true), square(7, 960, 960, 3, 1, true),
      square(28, 240, 240, 5, 1, true),
  };
  if (depthwise_only) return shapes;
  const ConvShape others[] = {
      square(224, 3, 64, 7, 2),   square(56, 64, 64, 3, 1),    square(28, 128, 128, 3, 1),
      square(14, 256, 256, 3, 1), square(7, 512, 512, 3, 1),   square(56, 64, 256, 1, 1),
      square(56, 256, 64, 1, 1),  square(14, 1024, 256, 1, 1), square(7, 512, 2048, 1, 1),
      square(56, 256, 512, 1, 2), square(224, 3, 32, 3, 2),    square(112, 16, 96, 1, 1),
      square(28, 192, 32, 1, 1),  square(14, 96, 576, 1, 1),   square(7, 320, 1280, 1, 1),
      square(32, 16, 16, 3, 1),   square(16, 32, 32, 3, 1),    square(8, 64, 64, 3, 1),
      square(55, 16, 64, 3, 1),   square(27, 32, 128, 3, 1),   square(13, 48, 192, 3, 1),
      square(13, 64, 256, 3, 1),  gemm_shape(197, 768, 768),   gemm_shape(50, 64, 256),
      gemm_shape(1, 2048, 1000),
  };
  shapes.insert(shapes.end(), std::begin(others), std::end(others));
  return shapes;
}

std::string bench_conv_text(const ConvShape& s) {
  const auto n = [](int64_t v) { return std::to_string(v); };
  if (s == gemm_shape(s.in_w, s.in_c, s.out_c))
    return "gemm " + n(s.in_w) + "x" + n(s.in_c) + "x" + n(s.out_c);
  std::string text = n(s.kernel_h) + "x" + n(s.kernel_w);
  if (s.stride_h > 1) text += "/" + n(s.stride_h);
  if (is_depthwise(s)) text += " dw";
  return text + " " + n(s.in_h) + "x" + n(s.in_w) + "x" + n(s.in_c) + " -> " + n(s.out_c);
}

int64_t conv_macs(const ConvShape& s) {
  return y_count(s) * (s.in_c / s.groups) * s.kernel_h * s.kernel_w;
}

std::vector<BenchCase> conv_f32_cases(std::span<const ConvF32Kernel> kernels,
                                      const std::vector<ConvShape>& shapes,
                                      bool (*takes)(const ConvF32Kernel&, const ConvShape&),
                                      BenchLimit limit) {
  const char* const multiplied = limit == BenchLimit::kBf16 ? " bf16" : " f32";
  std::vector<BenchCase> out;
  for (const ConvShape& s : shapes) {
    const auto prepare = [=](int threads) {
      const BenchArray<float> x(x_count(s)), w(w_count(s)), bias(s.out_c), y(y_count(s));
      std::vector<BenchRun> runs;
      for (const ConvF32Kernel& kernel : kernels) {
        if (!cpu_has(kernel.row.isa) || (takes != nullptr && !takes(kernel, s))) continue;
        const BenchArray<char> packed(static_cast<int64_t>(kernel.call->packed_bytes(s)));
        const BenchArray<char> scratch(static_cast<int64_t>(scratch_bytes(kernel, s, threads)));
        kernel.call->pack(s, {.data = w.data(), .bias = bias.data()}, packed.data());
        runs.push_back({kernel.row, [=, &kernel](int count) {
                          ConvF32Args args;
                          args.shape = s;
                          args.x = x.data();
                          args.packed = packed.data();
                          args.y = y.data();
                          args.activation.lo = 0;
                          args.scratch = scratch.data();
                          run_conv_f32(kernel, args, count);
                        }});
      }
      return runs;
    };
    out.push_back({.shape = bench_conv_text(s) + multiplied,
                   .macs = conv_macs(s),
                   .bytes = 4 * (x_count(s) + w_count(s) + y_count(s)),
                   .limit = limit,
                   .prepare = prepare});
  }
  return out;
}

std::vector<BenchCase> conv_s8_cases(std::span<const ConvS8Kernel> kernels,
                                     const std::vector<ConvShape>& shapes) {
  std::vector<BenchCase> out;
  for (const ConvShape& s : shapes) {
    const auto prepare = [=](int threads) {
      const BenchArray<uint8_t> x(x_count(s)), w(w_count(s)), y(y_count(s));
      const std::vector<float> multipliers(static_cast<size_t>(s.out_c), 1e-3f);
      const std::vector<int32_t> bias(static_cast<size_t>(s.out_c), 1000);
      std::vector<BenchRun> runs;
      for (const ConvS8Kernel& kernel : kernels) {
        if (!cpu_has(kernel.row.isa)) continue;
        const BenchArray<char> packed(static_cast<int64_t>(kernel.call->packed_bytes(s)));
        const BenchArray<char> scratch(static_cast<int64_t>(scratch_bytes(kernel, s, threads)));
        kernel.call->pack(s, {.data = w.data()}, packed.data());
        set_bias(packed.data(), bias.data(), 128);
        set_multipliers(packed.data(), multipliers.data(), s.out_c);
        runs.push_back({kernel.row, [=, &kernel](int count) {
                          ConvS8Args args;
                          args.shape = s;
                          args.x = x.data();
                          args.packed = packed.data();
                          args.y = y.data();
                          args.x_zero = args.y_zero = 128;
                          args.scratch = scratch.data();
                          run_conv_s8(kernel, args, count);
                        }});
      }
      return runs;
    };
    out.push_back({.shape = bench_conv_text(s) + " s8",
                   .macs = conv_macs(s),
                   .bytes = x_count(s) + w_count(s) + y_count(s),
                   .limit = BenchLimit::kInt8,
                   .prepare = prepare});
  }
  return out;
}

}  // namespace lapidary::kernels
