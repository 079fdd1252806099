#include "kernels/eltwise_f32/eltwise_f32.h"

#include "kernels/families.h"
#include "kernels/scalar.h"

namespace lapidary::kernels {

namespace {

template <class Value>
void map_grid(const BinaryF32Args& p, const Value& value) {
  const Grid& g = p.grid;
  for (int64_t r = 0; r < g.rows; ++r)
    for (int64_t c = 0; c < g.cols; ++c)
      p.y[r * g.y_row + c] = activate(
          value(p.a[r * g.a_row + c * g.a_step], p.b[r * g.b_row + c * g.b_step]), p.activation);
}

void binary(const BinaryF32Args& p) {
  switch (p.op) {
    case BinaryOp::kAdd:
      return map_grid(p, [](float a, float b) { return a + b; });
    case BinaryOp::kSub:
      return map_grid(p, [](float a, float b) { return a - b; });
    case BinaryOp::kMul:
      return map_grid(p, [](float a, float b) { return a * b; });
    case BinaryOp::kDiv:
      return map_grid(p, [](float a, float b) { return a / b; });
    case BinaryOp::kMin:
      return map_grid(p, [](float a, float b) { return a != a || a < b ? a : b; });
    case BinaryOp::kMax:
      return map_grid(p, [](float a, float b) { return a != a || a > b ? a : b; });
    case BinaryOp::kPRelu:
      return map_grid(p, [](float a, float b) { return a < 0 ? a * b : a; });
  }
}

void unary(const UnaryF32Args& p) {
  for (int64_t i = 0; i < p.count; ++i) p.y[i] = activate(p.x[i], p.activation);
}

void hard_sigmoid(const HardSigmoidF32Args& p) {
  for (int64_t i = 0; i < p.count; ++i) {
    const float h = activate(p.alpha * p.x[i] + p.beta, {.lo = 0, .hi = 1});
    p.y[i] = p.times_x ? h * p.x[i] : h;
  }
}

void affine(const AffineF32Args& p) {
  for (int64_t r = 0; r < p.rows; ++r)
    for (int64_t c = 0; c < p.cols; ++c)
      p.y[r * p.cols + c] =
          activate(p.a[c * p.a_step] * p.x[r * p.cols + c] + p.b[c * p.a_step], p.activation);
}

}  // namespace

#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) extern const EltwiseF32Functions name;
#include "kernels/eltwise_f32/kernels.def"
#undef LAPIDARY_KERNEL

const EltwiseF32Functions eltwise_f32_scalar = {binary, unary, hard_sigmoid, affine};

std::span<const EltwiseF32Kernel> eltwise_f32_kernels() {
  static const EltwiseF32Kernel kKernels[] = {
#define LAPIDARY_KERNEL(isa, name, types, tile, tolerance) \
  {{"eltwise_f32", #name, Isa::isa, types, tile, tolerance}, &name},
#include "kernels/eltwise_f32/kernels.def"
#undef LAPIDARY_KERNEL
  };
  return kKernels;
}
std::vector<RowInfo> eltwise_f32_rows() { return rows_of(eltwise_f32_kernels()); }

Choice<EltwiseF32Kernel> select_eltwise_f32() { return choose(eltwise_f32_kernels()); }

}  // namespace lapidary::kernels
