#include "kernels/conv_b1/conv_b1.h"

#include "kernels/work.h"
#include "test/kernels/problems.h"
#include "test/kernels/support.h"

namespace lapidary::kernels {
namespace {

/// One convolution, its values as floats and as bits.
struct Problem {
  ConvShape shape;
  Array<float> w;   ///< OIHW
  Array<int8_t> x;  ///< +1 and -1, NHWC
  Array<uint32_t> bits;
  Array<float> scale, shift;
  ConvB1Args args;
};

/// NHWC values, C channels each, as the contract packs them.
Array<uint32_t> packed_bits(const Array<int8_t>& values, int64_t channels) {
  const int64_t words = (channels + 31) / 32;
  Array<uint32_t> bits(values.size() / channels * words, ~uint32_t{0});
  for (int64_t i = 0; i < values.size(); ++i) {
    const int64_t c = i % channels;
    if (values[i] < 0) bits[i / channels * words + c / 32] -= uint32_t{1} << c % 32;
  }
  return bits;
}

ConvShape draw_b1_shape(Draw& draw) {
  ConvShape s = draw.one_in(3) ? draw_tile_shape(draw) : draw_shape(draw);
  s.groups = 1;
  // Whole words and not; more than a byte's worth of counts in a line of the filter.
  if (draw.one_in(3)) s.in_c = 32 * draw.in(1, 6);
  if (draw.one_in(8)) s.in_c = draw.in(900, 1300), s.out_c = draw.in(1, 5);
  if (draw.one_in(4)) s.out_c = 32 * draw.in(1, 5);
  if (draw.one_in(8)) s.out_c = 1;
  if (s.in_w >= 300)
    s.in_c = std::min<int64_t>(s.in_c, 40), s.out_c = std::min<int64_t>(s.out_c, 2);
  return s;
}

Problem draw_problem(Draw& draw, const ConvShape& s) {
  Problem p;
  p.shape = s;
  p.w = draw.reals(s.out_c * s.in_c * s.kernel_h * s.kernel_w, -1, 1);
  for (float& w : p.w)
    if (draw.one_in(50)) w = draw.one_in(2) ? 0.0f : -0.0f;
  p.x = draw.integers<int8_t>(s.batch * s.in_h * s.in_w * s.in_c, 0, 1);
  const bool same = draw.one_in(6);  // the greatest counts: all of x unlike all of w
  for (int8_t& x : p.x) x = same || x == 0 ? -1 : 1;
  if (same)
    for (float& w : p.w) w = 1;
  p.bits = packed_bits(p.x, s.in_c);
  const float reach = 2 * std::sqrt(static_cast<float>(s.in_c * s.kernel_h * s.kernel_w));
  p.scale = draw.reals(s.out_c, -1, 1);
  p.shift = draw.reals(s.out_c, -reach, reach);
  for (int64_t c = 0; c < s.out_c; ++c) {
    if (draw.one_in(3)) p.scale[c] = draw.one_in(2) ? 1.0f : -1.0f;
    if (draw.one_in(3)) p.shift[c] = std::round(p.shift[c]);  // values of exactly 0
    // 0 after two roundings, where one would leave the product's error.
    if (draw.one_in(3)) p.shift[c] = -p.scale[c] * std::round(p.shift[c]);
    if (draw.one_in(10)) p.scale[c] = 0;
    if (draw.one_in(10)) p.shift[c] *= 1e6f;  // one bit for every sum
  }
  p.args.shape = s;
  p.args.padding = draw.one_in(2) ? ConvB1Padding::kZero : ConvB1Padding::kOne;
  return p;
}

/// The sum of products of +1 and -1, one at a time.
int32_t naive(const Problem& p, int64_t n, int64_t oy, int64_t ox, int64_t oc) {
  const ConvShape& s = p.shape;
  int32_t acc = 0;
  for (int64_t ic = 0; ic < s.in_c; ++ic)
    for (int64_t ky = 0; ky < s.kernel_h; ++ky)
      for (int64_t kx = 0; kx < s.kernel_w; ++kx) {
        const int64_t iy = oy * s.stride_h + ky * s.dilation_h - s.pad_top;
        const int64_t ix = ox * s.stride_w + kx * s.dilation_w - s.pad_left;
        const bool inside = iy >= 0 && iy < s.in_h && ix >= 0 && ix < s.in_w;
        int x = p.args.padding == ConvB1Padding::kOne ? 1 : 0;
        if (inside) x = p.x[((n * s.in_h + iy) * s.in_w + ix) * s.in_c + ic];
        const float w = p.w[((oc * s.in_c + ic) * s.kernel_h + ky) * s.kernel_w + kx];
        acc += w >= 0 ? x : -x;
      }
  return acc;
}

Array<int32_t> naive_all(const Problem& p) {
  const ConvShape& s = p.shape;
  Array<int32_t> acc(s.batch * s.out_h * s.out_w * s.out_c);
  for (int64_t i = 0; i < acc.size(); ++i) {
    const int64_t pixel = i / s.out_c;
    acc[i] = naive(p, pixel / (s.out_w * s.out_h), pixel / s.out_w % s.out_h, pixel % s.out_w,
                   i % s.out_c);
  }
  return acc;
}

Array<uint8_t> pack(const ConvB1Kernel& kernel, const Problem& p) {
  Array<uint8_t> packed(static_cast<int64_t>(kernel.call->packed_bytes(p.shape)));
  kernel.call->pack(p.shape, {.data = p.w.data()}, packed.data());
  set_affine(packed.data(), p.scale.data(), p.shift.data());
  return packed;
}

/// y by `kernel` in several calls over rows or blocks, `columns` elements a pixel.
template <class T>
Array<T> compute(const ConvB1Kernel& kernel, const Problem& p, ConvB1Output output, int64_t stride,
                 Draw& draw) {
  const ConvShape& s = p.shape;
  const Array<uint8_t> packed = pack(kernel, p);
  Array<uint8_t> scratch(static_cast<int64_t>(kernel.call->scratch_bytes(s)));
  Array<T> y(s.batch * s.out_h * s.out_w * stride, T{77});
  ConvB1Args a = p.args;
  a.x = p.bits.data();
  a.packed = packed.data();
  a.y = y.data();
  a.y_stride = stride;
  a.output = output;
  a.scratch = scratch.data();
  const bool by_rows = draw.one_in(2);
  const int64_t count = by_rows ? work_rows(s) : kernel.call->blocks(s);
  for (int64_t begin = 0; begin < count;) {
    const int64_t end = std::min(count, begin + draw.in(1, count));
    a.range = by_rows ? WorkRange{begin, end, 0, -1} : WorkRange{0, -1, begin, end};
    kernel.call->run(a);
    begin = end;
  }
  return y;
}

class ConvB1Row : public testing::TestWithParam<ConvB1Kernel> {};

TEST_P(ConvB1Row, EqualsSumsOfSingleProducts) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(71);
  for (int i = 0; i < problems(80) && !HasFailure(); ++i) {
    const Problem p = draw_problem(draw, draw_b1_shape(draw));
    const ConvShape& s = p.shape;
    const Array<int32_t> acc = naive_all(p);
    const int64_t gap = draw.one_in(3) ? draw.in(1, 9) : 0, stride = s.out_c + gap;
    const auto value = [&](int64_t i) {
      const int64_t c = i % s.out_c;
      return static_cast<float>(acc[i]) * p.scale[c] + p.shift[c];
    };
    int64_t differing = 0;
    const auto sums = compute<int32_t>(GetParam(), p, ConvB1Output::kI32, stride, draw);
    const auto floats = compute<float>(GetParam(), p, ConvB1Output::kF32, stride, draw);
    for (int64_t j = 0; j < sums.size(); ++j) {
      const int64_t c = j % stride, at = j / stride * s.out_c + c;
      differing += sums[j] != (c < s.out_c ? acc[at] : 77);
      differing += floats[j] != (c < s.out_c ? value(at) : 77.0f);
    }
    EXPECT_EQ(differing, 0) << shape_text(s);
    const int64_t words = (s.out_c + 31) / 32, bit_stride = words + gap;
    const auto bits = compute<uint32_t>(GetParam(), p, ConvB1Output::kBits, bit_stride, draw);
    Array<int8_t> signs(acc.size());
    for (int64_t j = 0; j < acc.size(); ++j) signs[j] = value(j) >= 0 ? 1 : -1;
    const Array<uint32_t> expected = packed_bits(signs, s.out_c);
    for (int64_t j = 0; j < bits.size(); ++j) {
      const int64_t w = j % bit_stride;
      differing += bits[j] != (w < words ? expected[j / bit_stride * words + w] : 77u);
    }
    EXPECT_EQ(differing, 0) << "bits of " << shape_text(s);
  }
}

TEST_P(ConvB1Row, GivesTheSameBitsOnAnyNumberOfThreads) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(72);
  for (int i = 0; i < problems(30); ++i) {
    const Problem p = draw_problem(draw, draw_b1_shape(draw));
    const ConvShape& s = p.shape;
    const Array<uint8_t> packed = pack(GetParam(), p);
    const auto on = [&](int threads, bool whole) {
      ConvB1Args a = p.args;
      Array<uint32_t> y(s.batch * s.out_h * s.out_w * b1_words(s.out_c), 77);
      Array<uint8_t> scratch(static_cast<int64_t>(scratch_bytes(GetParam(), s, threads)));
      a.x = p.bits.data();
      a.packed = packed.data();
      a.y = y.data();
      a.scratch = scratch.data();
      if (whole)
        GetParam().call->run(a);
      else
        run_parts(GetParam(), a, threads);
      return y.vector();
    };
    const std::vector<uint32_t> expected = on(1, /*whole=*/true);
    for (const int threads : {1, 2, 3, 8})
      EXPECT_EQ(on(threads, /*whole=*/false), expected) << shape_text(s) << " threads " << threads;
  }
}

/// A GEMM's B of [K, N]: 3 x 40 by 40 x 2, all of column 1 negative.
TEST_P(ConvB1Row, TakesWeightsByStrides) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  const ConvShape s = gemm_shape(3, 40, 2);
  Array<float> b(40 * 2);
  for (int64_t i = 0; i < b.size(); ++i) b[i] = i % 2 == 0 ? 0.5f : -0.5f;
  Array<int8_t> x(3 * 40, 1);
  x[40] = x[41] = -1;  // of row 1
  const Array<uint32_t> bits = packed_bits(x, 40);
  Array<uint8_t> packed(static_cast<int64_t>(GetParam().call->packed_bytes(s)));
  GetParam().call->pack(s, {.data = b.data(), .oc_stride = 1, .ic_stride = 2}, packed.data());
  Array<uint8_t> scratch(static_cast<int64_t>(scratch_bytes(GetParam(), s)));
  Array<int32_t> y(6);
  ConvB1Args a;
  a.shape = s;
  a.x = bits.data();
  a.packed = packed.data();
  a.y = y.data();
  a.output = ConvB1Output::kI32;
  a.scratch = scratch.data();
  run_conv_b1(GetParam(), a);
  EXPECT_THAT(y.vector(), testing::ElementsAre(40, -40, 36, -36, 40, -40));
}

LAPIDARY_EACH_ROW(ConvB1Row, conv_b1_kernels());

}  // namespace
}  // namespace lapidary::kernels
