#include "test/kernels/conv_f32_problem.h"

#include "kernels/conv_f32_im2col/conv_f32_im2col.h"
#include "kernels/dw_f32/dw_f32.h"
#include "kernels/work.h"
#include "test/kernels/problems.h"

namespace lapidary::kernels {
namespace {

/// run_parts however small the shape: run_conv_f32 would not cut most of them.
void check_threads(const ConvF32Kernel& kernel, bool depthwise) {
  Draw draw(9);
  for (int i = 0; i < problems(20); ++i) {
    const Problem p = draw_problem(draw, draw_shape(draw, depthwise));
    const Array<float> whole = compute(kernel, p, draw);
    Array<uint8_t> packed(static_cast<int64_t>(kernel.call->packed_bytes(p.shape)));
    kernel.call->pack(p.shape, {.data = p.w.data(), .bias = p.bias.data()}, packed.data());
    for (const int threads : {1, 2, 3, 8}) {
      Array<uint8_t> scratch(static_cast<int64_t>(scratch_bytes(kernel, p.shape, threads)));
      Array<float> y(whole.size(), 77.0f);
      ConvF32Args a = p.args;
      a.x = p.x.data();
      a.packed = packed.data();
      a.y = y.data();
      a.scratch = scratch.data();
      run_parts(kernel, a, threads);
      EXPECT_EQ(y.vector(), whole.vector()) << shape_text(p.shape) << " threads " << threads;
    }
  }
}

class ConvF32Row : public testing::TestWithParam<ConvF32Kernel> {};

TEST_P(ConvF32Row, EqualsTheFormulaOnRandomShapes) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(7);
  for (int i = 0; i < problems(100) && !HasFailure(); ++i)
    check(GetParam(), conv_f32_kernels().back(), draw_problem(draw, draw_shape(draw, false)), draw);
}

TEST_P(ConvF32Row, EqualsTheFormulaWhereItsTilesChange) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(11);
  for (int i = 0; i < problems(60) && !HasFailure(); ++i)
    check(GetParam(), conv_f32_kernels().back(), draw_problem(draw, draw_tile_shape(draw)), draw);
}

class DwF32Row : public testing::TestWithParam<ConvF32Kernel> {};

TEST_P(DwF32Row, EqualsTheFormulaOnRandomShapes) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(8);
  for (int i = 0; i < problems(150) && !HasFailure(); ++i)
    check(GetParam(), dw_f32_kernels().back(), draw_problem(draw, draw_shape(draw, true)), draw);
}

TEST_P(ConvF32Row, GivesTheSameBitsOnAnyNumberOfThreads) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  check_threads(GetParam(), /*depthwise=*/false);
}

TEST_P(DwF32Row, EqualsTheFormulaWhereItsTilesChange) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(12);
  for (int i = 0; i < problems(60) && !HasFailure(); ++i)
    check(GetParam(), dw_f32_kernels().back(), draw_problem(draw, draw_dw_tile_shape(draw)), draw);
}

TEST_P(DwF32Row, GivesTheSameBitsOnAnyNumberOfThreads) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  check_threads(GetParam(), /*depthwise=*/true);
}

/// The same contract, tolerance included.
class ConvF32Im2colRow : public testing::TestWithParam<ConvF32Kernel> {};

TEST_P(ConvF32Im2colRow, EqualsTheFormulaOnRandomShapes) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(10);
  for (int i = 0; i < problems(100) && !HasFailure(); ++i)
    check(GetParam(), conv_f32_kernels().back(), draw_problem(draw, draw_shape(draw, false)), draw);
}

LAPIDARY_EACH_ROW(ConvF32Row, conv_f32_kernels());
LAPIDARY_EACH_ROW(ConvF32Im2colRow, conv_f32_im2col_kernels());
LAPIDARY_EACH_ROW(DwF32Row, dw_f32_kernels());

}  // namespace
}  // namespace lapidary::kernels
