#pragma once

#include <limits>

#include "kernels/eltwise_s8/eltwise_s8.h"
#include "kernels/row.h"

namespace lapidary::kernels {

/// t = v >= 0 ? v : slope * v;  y = min(hi, max(lo, t)); NaN stays NaN. The default is the
/// identity.
struct ActivationF32 {
  float slope = 1.0f;
  float lo = -std::numeric_limits<float>::infinity();
  float hi = std::numeric_limits<float>::infinity();
};

enum class BinaryOp { kAdd, kSub, kMul, kDiv, kMin, kMax, kPRelu };

/// y = activation(a op b); min and max give NaN where either operand is NaN; PRelu: a < 0 ? a b :
/// a.
struct BinaryF32Args {
  BinaryOp op = BinaryOp::kAdd;
  Grid grid;
  const float* a = nullptr;
  const float* b = nullptr;
  float* y = nullptr;  ///< may be a or b where the distances agree
  ActivationF32 activation;
};
/// y[i] = activation(x[i])
struct UnaryF32Args {
  int64_t count = 0;
  const float* x = nullptr;
  float* y = nullptr;  ///< may be x
  ActivationF32 activation;
};

/// y[i] = h(x[i]), or h(x[i]) x[i] where `times_x`; h(x) = min(1, max(0, alpha x + beta)), each
/// step rounded to float32, NaN stays NaN: HardSigmoid, and HardSwish with 1/6, 1/2.
struct HardSigmoidF32Args {
  int64_t count = 0;
  const float* x = nullptr;
  float* y = nullptr;  ///< may be x
  float alpha = 0.2f, beta = 0.5f;
  bool times_x = false;
};
/// y[r, c] = activation(a[c] x[r, c] + b[c]), product and sum each rounded to float32; rows of
/// `cols` elements, one after the other. a_step 0: a[0] and b[0] for all.
struct AffineF32Args {
  int64_t rows = 1, cols = 0;
  int64_t a_step = 1;  ///< of a and b: 0 or 1
  const float* x = nullptr;
  const float* a = nullptr;
  const float* b = nullptr;
  float* y = nullptr;  ///< may be x
  ActivationF32 activation;
};

struct EltwiseF32Functions {
  void (*binary)(const BinaryF32Args&);
  void (*unary)(const UnaryF32Args&);
  void (*hard_sigmoid)(const HardSigmoidF32Args&);
  void (*affine)(const AffineF32Args&);
};
struct EltwiseF32Kernel {
  RowInfo row;
  const EltwiseF32Functions* call;
};

std::span<const EltwiseF32Kernel> eltwise_f32_kernels();
Choice<EltwiseF32Kernel> select_eltwise_f32();

}  // namespace lapidary::kernels
