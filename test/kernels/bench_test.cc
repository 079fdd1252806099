#include "kernels/bench/bench.h"

#include <set>

#include "kernels/bench/conv.h"
#include "test/kernels/support.h"

namespace lapidary::kernels {
namespace {

TEST(KernelBench, CoversEveryRowThatThisCpuHas) {
  std::set<std::string_view> missing;
  for (const RowInfo& row : all_rows())
    if (cpu_has(row.isa)) missing.insert(row.name);
  for (const BenchFamily& family : bench_families()) {
    std::set<std::string_view> own;
    for (const RowInfo& row : all_rows())
      if (row.family == family.name && cpu_has(row.isa)) own.insert(row.name);
    EXPECT_FALSE(own.empty()) << family.name << " is no family of kernels";
    for (const BenchCase& each : family.cases()) {
      if (own.empty()) break;
      if (each.limit == BenchLimit::kMemory) continue;  // large
      for (const BenchRun& run : each.prepare(1)) {
        EXPECT_EQ(run.row.family, family.name);
        own.erase(run.row.name);
        missing.erase(run.row.name);
      }
    }
  }
  EXPECT_THAT(missing, testing::IsEmpty());
}

TEST(KernelBench, EveryCaseStatesItsWorkAndRunsOnSeveralThreads) {
  for (const BenchFamily& family : bench_families())
    for (const BenchCase& each : family.cases()) {
      EXPECT_GT(each.macs + each.bytes, 0) << each.shape;
      EXPECT_EQ(each.limit == BenchLimit::kCache || each.limit == BenchLimit::kMemory,
                each.macs == 0)
          << each.shape;
      if (each.macs > 3'000'000 || each.limit == BenchLimit::kMemory) continue;  // slow
      for (const BenchRun& run : each.prepare(2)) {
        run.run(1);
        run.run(2);
      }
    }
}

TEST(KernelBench, ConvolutionsAreCountedAndNamed) {
  ConvShape s;  // ResNet-50's first: 112 * 112 * 64 outputs of 3 * 7 * 7 products each
  s.in_h = s.in_w = 224;
  s.in_c = 3;
  s.out_h = s.out_w = 112;
  s.out_c = 64;
  s.kernel_h = s.kernel_w = 7;
  s.stride_h = s.stride_w = 2;
  EXPECT_EQ(conv_macs(s), 118'013'952);
  EXPECT_EQ(bench_conv_text(s), "7x7/2 224x224x3 -> 64");
  EXPECT_EQ(conv_macs(gemm_shape(197, 768, 3072)), 464'781'312);
  EXPECT_EQ(bench_conv_text(gemm_shape(197, 768, 3072)), "gemm 197x768x3072");
  for (const ConvShape& each : bench_conv_shapes(true)) {
    EXPECT_TRUE(is_depthwise(each)) << bench_conv_text(each);
    EXPECT_EQ(conv_macs(each),
              each.out_h * each.out_w * each.out_c * each.kernel_h * each.kernel_w);
  }
}

TEST(KernelBench, ShapesAreConvolutionsOfWholeImages) {
  for (const ConvShape& s : bench_conv_shapes(false)) {
    // the last window ends inside the image or its padding, which is less than the window
    EXPECT_LE(span_h(s) - s.pad_top, s.in_h + s.kernel_h - 1) << bench_conv_text(s);
    EXPECT_GT(span_h(s) - s.pad_top, s.in_h - s.stride_h) << bench_conv_text(s);
    EXPECT_LT(s.pad_top, s.kernel_h);
  }
}

}  // namespace
}  // namespace lapidary::kernels
