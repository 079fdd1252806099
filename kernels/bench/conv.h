#pragma once

#include "kernels/bench/bench.h"
#include "kernels/conv_f32/conv_f32.h"
#include "kernels/conv_s8/conv_s8.h"

// The shapes on which every family of convolutions is timed, so that ways to compute one stand side
// by side: layers of ResNet-50, MobileNetV2, ResNet-20, EfficientNet, SqueezeNet and ViT-B.
namespace lapidary::kernels {

/// All, or only those with is_depthwise(shape).
std::vector<ConvShape> bench_conv_shapes(bool depthwise_only);
/// "3x3/2 dw 56x56x144 -> 144", "gemm 197x768x768" (M x K x N).
std::string bench_conv_text(const ConvShape& shape);
int64_t conv_macs(const ConvShape& shape);

/// Cases of the families with conv_f32's contract over those of `shapes` for which
/// `takes(kernel, shape)`; what multiplies BF16 (kBf16) stands apart from what multiplies FP32.
std::vector<BenchCase> conv_f32_cases(std::span<const ConvF32Kernel> kernels,
                                      const std::vector<ConvShape>& shapes,
                                      bool (*takes)(const ConvF32Kernel&,
                                                    const ConvShape&) = nullptr,
                                      BenchLimit limit = BenchLimit::kF32);
/// u8 results, requantized.
std::vector<BenchCase> conv_s8_cases(std::span<const ConvS8Kernel> kernels,
                                     const std::vector<ConvShape>& shapes);

}  // namespace lapidary::kernels
