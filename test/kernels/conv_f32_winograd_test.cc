#include "kernels/conv_f32_winograd/conv_f32_winograd.h"

#include "kernels/conv_f32_winograd/pack.h"
#include "kernels/work.h"
#include "test/kernels/conv_f32_problem.h"

namespace lapidary::kernels {
namespace {

constexpr float kUntouched = 77.0f;

/// Tiles whole and cut off, at every padding; channels in whole vectors and not.
Problem draw_tiled_problem(Draw& draw) {
  ConvShape s;
  s.batch = draw.in(1, 2);
  s.kernel_h = s.kernel_w = 3;
  s.out_h = draw.in(1, 14);
  s.out_w = draw.in(1, 30);
  s.pad_top = draw.in(0, 2);
  s.pad_left = draw.in(0, 2);
  s.in_h = std::max<int64_t>(1, s.out_h + 2 - s.pad_top - draw.in(0, 2));
  s.in_w = std::max<int64_t>(1, s.out_w + 2 - s.pad_left - draw.in(0, 2));
  s.in_c = draw.one_in(3) ? 16 * draw.in(1, 16) : draw.in(1, 70);
  s.out_c = draw.one_in(3) ? 16 * draw.in(1, 5) : draw.in(1, 100);
  return draw_problem(draw, s);
}

/// Runs body(args) with the memory that a row needs on `threads` threads; what it made.
template <class Body>
Array<float> compute(const ConvF32Kernel& kernel, const Problem& p, int threads, const Body& body) {
  const ConvShape& s = p.shape;
  Array<uint8_t> packed(static_cast<int64_t>(kernel.call->packed_bytes(s)));
  Array<uint8_t> scratch(static_cast<int64_t>(scratch_bytes(kernel, s, threads)));
  kernel.call->pack(s, {.data = p.w.data(), .bias = p.bias.data()}, packed.data());
  ConvF32Args a = p.args;
  Array<float> y(s.batch * s.out_h * s.out_w * (a.y_stride > 0 ? a.y_stride : s.out_c), kUntouched);
  a.x = p.x.data();
  a.packed = packed.data();
  a.y = y.data();
  a.scratch = scratch.data();
  body(a);
  return y;
}

Array<float> compute_whole(const ConvF32Kernel& kernel, const Problem& p) {
  return compute(kernel, p, 1, [&](const ConvF32Args& a) { kernel.call->run(a); });
}

/// The exact sum in double, and what the contract's tolerance is a multiple of.
struct Expected {
  double value, bound;
};
Expected exact(const Problem& p, int64_t m, int64_t n, int64_t oy, int64_t ox, int64_t oc) {
  const ConvShape& s = p.shape;
  const auto input = [&](int64_t iy, int64_t ix, int64_t i) {
    const bool outside = iy < 0 || iy >= s.in_h || ix < 0 || ix >= s.in_w;
    return outside ? 0.0 : double{p.x[((n * s.in_h + iy) * s.in_w + ix) * s.in_c + i]};
  };
  Expected out{p.bias[oc], std::abs(p.bias[oc])};
  for (int64_t i = 0; i < s.in_c; ++i) {
    double filter = 0, most = 0;
    for (int64_t k = 0; k < 9; ++k) {
      const double w = p.w[(oc * s.in_c + i) * 9 + k];
      out.value += w * input(oy + k / 3 - s.pad_top, ox + k % 3 - s.pad_left, i);
      filter += std::abs(w);
    }
    for (int64_t iy = 0; iy < m + 2; ++iy)
      for (int64_t ix = 0; ix < m + 2; ++ix)
        most = std::max(
            most, std::abs(input(oy / m * m + iy - s.pad_top, ox / m * m + ix - s.pad_left, i)));
    out.bound += most * filter;
  }
  return out;
}

class Winograd : public testing::TestWithParam<ConvF32Kernel> {
 protected:
  int64_t m() const { return GetParam().row.family == "conv_f32_winograd2" ? 2 : 4; }
  const ConvF32Kernel& scalar() const {
    return m() == 2 ? conv_f32_winograd2_kernels().back() : conv_f32_winograd4_kernels().back();
  }
};

TEST_P(Winograd, GivesTheScalarBitsHoweverTheWorkIsSplit) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  const ConvF32Kernel& kernel = GetParam();
  Draw draw(21);
  for (int i = 0; i < 40 && !HasFailure(); ++i) {
    const Problem p = draw_tiled_problem(draw);
    const Array<float> expected = compute_whole(scalar(), p);
    const bool by_rows = draw.one_in(2);
    const int64_t count = by_rows ? work_rows(p.shape) : kernel.call->blocks(p.shape);
    const Array<float> y = compute(kernel, p, 1, [&](ConvF32Args a) {
      for (int64_t begin = 0; begin < count;) {
        const int64_t end = std::min(count, begin + draw.in(1, count));
        a.range = by_rows ? WorkRange{begin, end, 0, -1} : WorkRange{0, -1, begin, end};
        kernel.call->run(a);
        begin = end;
      }
    });
    EXPECT_EQ(y.vector(), expected.vector()) << shape_text(p.shape);
  }
}

TEST_P(Winograd, GivesTheSameBitsOnAnyNumberOfThreads) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  const ConvF32Kernel& kernel = GetParam();
  Draw draw(22);
  for (int i = 0; i < 15; ++i) {
    const Problem p = draw_tiled_problem(draw);
    const Array<float> whole = compute_whole(kernel, p);
    for (const int threads : {1, 2, 3, 8}) {
      const Array<float> y = compute(kernel, p, threads, [&](const ConvF32Args& a) {
        run_parts(kernel, a, threads, kernel.call->lines);
      });
      EXPECT_EQ(y.vector(), whole.vector()) << shape_text(p.shape) << " threads " << threads;
    }
  }
}

TEST_P(Winograd, AddsInPlace) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  const ConvF32Kernel& kernel = GetParam();
  Draw draw(23);
  Problem p = draw_tiled_problem(draw);
  p.args.y_stride = p.args.residual_stride = 0;
  p.args.residual = p.residual.data();
  const Array<float> expected = compute_whole(scalar(), p);
  const Array<float> y = compute(kernel, p, 1, [&](ConvF32Args a) {
    for (int64_t i = 0; i < expected.size(); ++i) a.y[i] = p.residual[i];
    a.residual = a.y;
    kernel.call->run(a);
  });
  EXPECT_EQ(y.vector(), expected.vector());
}

TEST_P(Winograd, KeepsItsToleranceToTheExactSum) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(24);
  double worst = 0;
  for (int i = 0; i < 40; ++i) {
    Problem p = draw_tiled_problem(draw);
    p.args.y_stride = 0;
    p.args.residual = nullptr;
    p.args.activation = {};
    const ConvShape& s = p.shape;
    const Array<float> y = compute_whole(GetParam(), p);
    for (int64_t at = 0; at < y.size(); at += draw.in(1, 20)) {
      const int64_t pixel = at / s.out_c;
      const Expected e = exact(p, m(), pixel / (s.out_w * s.out_h), pixel / s.out_w % s.out_h,
                               pixel % s.out_w, at % s.out_c);
      worst = std::max(worst, std::abs(y[at] - e.value) / e.bound);
    }
  }
  EXPECT_LE(worst, winograd_tolerance(m()));
}

/// One channel each way, filter {1 2 3; -4 5 0; 7 -1 2} times 576 = (4 * 6)^2, which makes every
/// step exact. Input (3 i + 5 j) % 7 - 3 of 5 x 7, padded by 1. Expected: numpy 1.26, sums of
/// products of slices, over 576.
TEST_P(Winograd, EqualsStoredValuesExactly) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Problem p;
  ConvShape& s = p.shape;
  s.in_h = s.out_h = 5;
  s.in_w = s.out_w = 7;
  s.kernel_h = s.kernel_w = 3;
  s.pad_top = s.pad_left = 1;
  p.args.shape = s;
  p.x = Array<float>(35);
  for (int64_t i = 0; i < 35; ++i) p.x[i] = static_cast<float>((3 * (i / 7) + 5 * (i % 7)) % 7 - 3);
  p.w = Array<float>(9);
  p.bias = Array<float>(1, 0.0f);
  const float filter[] = {1, 2, 3, -4, 5, 0, 7, -1, 2};
  for (int64_t i = 0; i < 9; ++i) p.w[i] = 576 * filter[i];
  const std::vector<float> expected = {-19, 30, -23, 8,   25,  -7, -32, -1,  9,  21, -2, -25,
                                       1,   23, 4,   -2,  -25, 1,  20,  -24, 11, 2,  1,  20,
                                       -24, 9,  21,  -15, -1,  -9, -9,  19,  -2, -2, -6};
  const Array<float> y = compute_whole(GetParam(), p);
  for (int64_t i = 0; i < 35; ++i) EXPECT_EQ(y[i], 576 * expected[static_cast<size_t>(i)]) << i;
}

LAPIDARY_EACH_ROW(Winograd, conv_f32_winograd2_kernels());
INSTANTIATE_TEST_SUITE_P(Rows4, Winograd,
                         testing::ValuesIn(conv_f32_winograd4_kernels().begin(),
                                           conv_f32_winograd4_kernels().end()),
                         [](const auto& info) { return std::string(info.param.row.name); });

/// Expected: numpy 1.26, G w G^T.
TEST(WinogradPack, TransformsTheFilter) {
  ConvShape s;
  s.kernel_h = s.kernel_w = 3;
  const float filter[] = {1, 2, 3, -4, 5, 0, 7, -1, 2}, bias[] = {0.5f};
  const std::vector<float> two = {1, 3, 1, 3, 2, 3.75, 0.75, 2.5, 6, 3.25, 5.25, 2.5, 7, 4, 5, 2};
  const std::vector<float> four = {36,   -144, -48,  102, 54,  432,  -96,  240,  48,  -144,
                                   -48,  -480, -288, 208, 336, -96,  -160, -480, 126, -160,
                                   -96,  81,   49,   264, 222, -144, -240, 57,   105, 264,
                                   1008, -768, -960, 312, 408, 1152};  // times 576
  for (const int64_t m : {2, 4}) {
    Array<float> packed(static_cast<int64_t>(packed_winograd_bytes(s, m, 2) / sizeof(float)));
    ASSERT_EQ(packed.size(), 2 + 2 * (m + 2) * (m + 2));
    float times[9];
    for (int i = 0; i < 9; ++i) times[i] = (m == 2 ? 1.0f : 576.0f) * filter[i];
    pack_winograd(s, {.data = times, .bias = bias}, m, 2, packed.data());
    EXPECT_EQ(packed[0], 0.5f);
    const std::vector<float>& expected = m == 2 ? two : four;
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(packed[2 + 2 * static_cast<int64_t>(i)], expected[i]) << m << ' ' << i;
      EXPECT_EQ(packed[3 + 2 * static_cast<int64_t>(i)], 0.0f) << m << ' ' << i;
    }
  }
}

ConvShape square(int64_t size, int64_t in_c, int64_t out_c) {
  ConvShape s;
  s.in_h = s.in_w = s.out_h = s.out_w = size;
  s.in_c = in_c;
  s.out_c = out_c;
  s.kernel_h = s.kernel_w = 3;
  s.pad_top = s.pad_left = 1;
  return s;
}

/// The rows of the table in docs/performance.md, as timed, and the first layer of a VGG.
TEST(WinogradChoice, IsTheFastestThatIsAllowed) {
  struct Row {
    int64_t size, in_c, out_c, tile;
  };
  for (const Row& row :
       {Row{112, 64, 64, 4}, Row{56, 64, 64, 4}, Row{28, 128, 128, 4}, Row{14, 256, 256, 2},
        Row{7, 512, 512, 0}, Row{55, 16, 64, 4}, Row{27, 32, 128, 4}, Row{13, 48, 192, 2},
        Row{13, 64, 256, 2}, Row{20, 96, 96, 4}, Row{32, 16, 16, 4}, Row{16, 32, 32, 2},
        Row{8, 64, 64, 0}})
    EXPECT_EQ(fastest_winograd(square(row.size, row.in_c, row.out_c), 4), row.tile) << row.size;
  EXPECT_EQ(fastest_winograd(square(56, 64, 64), 0), 0);
  EXPECT_EQ(fastest_winograd(square(56, 64, 64), 2), 2);
  EXPECT_EQ(fastest_winograd(square(55, 16, 64), 2), 0);  // transforms cost more
  EXPECT_EQ(fastest_winograd(square(224, 3, 64), 4), 0);
}

TEST(WinogradChoice, IsForThreeByThreeOfOneGroupOnly) {
  ConvShape s = square(56, 64, 64);
  EXPECT_TRUE(takes_winograd(s));
  s.stride_h = s.stride_w = 2;
  EXPECT_EQ(fastest_winograd(s, 4), 0);
  s = square(56, 64, 64);
  s.groups = 2;
  EXPECT_EQ(fastest_winograd(s, 4), 0);
  s = square(56, 64, 64);
  s.dilation_w = 2;
  EXPECT_EQ(fastest_winograd(s, 4), 0);
  s = square(56, 64, 64);
  s.kernel_w = 1;
  EXPECT_EQ(fastest_winograd(s, 4), 0);
}

}  // namespace
}  // namespace lapidary::kernels
