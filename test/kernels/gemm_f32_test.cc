#include "kernels/gemm_f32/gemm_f32.h"

#include "test/kernels/support.h"

namespace lapidary::kernels {
namespace {

constexpr float kScalarTolerance =
    2e-6f;  // per unit of the sum of |terms|, against a sum in double

struct Problem {
  GemmF32Shape shape;
  Array<float> a, b, bias, residual;
  int64_t lda = 0, ldb = 0, ldy = 0, ldr = 0;
  bool transposed = false, packed = false;
  GemmF32Args args;

  float b_at(int64_t k, int64_t n) const { return transposed ? b[n * ldb + k] : b[k * ldb + n]; }
};

Problem draw_problem(Draw& draw) {
  Problem p;
  GemmF32Shape& s = p.shape;
  s = {.m = draw.one_in(3) ? 1 : draw.in(1, 40), .n = draw.in(1, 120), .k = draw.in(1, 90)};
  // More rows, on each of three threads, than stay in cache together.
  if (draw.one_in(20)) s = {.m = draw.in(600, 700), .n = draw.in(1, 20), .k = draw.in(300, 400)};
  p.packed = draw.one_in(2);
  p.transposed = p.packed && draw.one_in(2);
  p.lda = s.k + draw.in(0, 3);
  p.ldb = (p.transposed ? s.k : s.n) + draw.in(0, 3);
  p.ldy = s.n + draw.in(0, 3);
  p.ldr = s.n + draw.in(0, 3);
  p.a = draw.reals((s.m - 1) * p.lda + s.k, -1, 1);
  // No element after the last: a read past the slack would leave the allocation.
  p.b = draw.reals(((p.transposed ? s.n : s.k) - 1) * p.ldb + (p.transposed ? s.k : s.n), -1, 1);
  p.bias = draw.reals(s.n, -2, 2);
  p.residual = draw.reals((s.m - 1) * p.ldr + s.n, -2, 2);
  GemmF32Args& a = p.args;
  a.shape = s;
  a.lda = p.lda;
  a.ldy = p.ldy;
  a.ld_residual = p.ldr;
  if (draw.one_in(3)) a.activation.lo = 0.0f;
  return p;
}

Array<float> compute(const GemmF32Kernel& kernel, const Problem& p, bool bias, bool residual) {
  Array<uint8_t> packed(static_cast<int64_t>(kernel.call->packed_bytes(p.shape)));
  Array<float> y((p.shape.m - 1) * p.ldy + p.shape.n, 77.0f);
  GemmF32Args a = p.args;
  a.a = p.a.data();
  a.y = y.data();
  a.bias = bias ? p.bias.data() : nullptr;
  a.residual = residual ? p.residual.data() : nullptr;
  const GemmF32B b = {.data = p.b.data(), .ld = p.ldb, .transposed = p.transposed};
  if (p.packed) {
    kernel.call->pack(p.shape, b, packed.data());
    a.packed_b = packed.data();
  } else {
    a.b = b;
  }
  run_gemm_f32(kernel, a, 3);
  return y;
}

class GemmF32Row : public testing::TestWithParam<GemmF32Kernel> {};

TEST_P(GemmF32Row, EqualsTheFormulaOnRandomShapes) {
  LAPIDARY_SKIP_WITHOUT(GetParam().row.isa);
  Draw draw(11);
  for (int i = 0; i < 120 && !HasFailure(); ++i) {
    const Problem p = draw_problem(draw);
    const bool bias = draw.one_in(2), residual = draw.one_in(2);
    const Array<float> y = compute(GetParam(), p, bias, residual);
    const Array<float> by_scalar = compute(gemm_f32_kernels().back(), p, bias, residual);
    int64_t differing = 0;
    for (int64_t j = 0; j < y.size(); ++j) {
      const int64_t m = j / p.ldy, n = j % p.ldy;
      if (n >= p.shape.n) {
        differing += y[j] != 77.0f;
        continue;
      }
      double sum = bias ? p.bias[n] : 0, magnitude = std::abs(sum);
      if (residual)
        sum += p.residual[m * p.ldr + n], magnitude += std::abs(p.residual[m * p.ldr + n]);
      for (int64_t k = 0; k < p.shape.k; ++k) {
        const double term = double{p.a[m * p.lda + k]} * p.b_at(k, n);
        sum += term;
        magnitude += std::abs(term);
      }
      const double expected = std::max<double>(p.args.activation.lo, sum);
      differing += !(std::abs(by_scalar[j] - expected) <= kScalarTolerance * magnitude);
      differing += !(std::abs(y[j] - by_scalar[j]) <= GetParam().row.tolerance * magnitude);
    }
    EXPECT_EQ(differing, 0) << p.shape.m << "x" << p.shape.n << "x" << p.shape.k
                            << (p.packed ? " packed" : "") << (p.transposed ? " transposed" : "");
  }
}

LAPIDARY_EACH_ROW(GemmF32Row, gemm_f32_kernels());

}  // namespace
}  // namespace lapidary::kernels
