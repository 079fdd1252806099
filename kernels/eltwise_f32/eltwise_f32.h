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

enum class BinaryOp { kAdd, kSub, kMul, kDiv, kMin, kMax };

/// y = activation(a op b); min and max give NaN where either operand is NaN.
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

struct EltwiseF32Functions {
  void (*binary)(const BinaryF32Args&);
  void (*unary)(const UnaryF32Args&);
};
struct EltwiseF32Kernel {
  RowInfo row;
  const EltwiseF32Functions* call;
};

std::span<const EltwiseF32Kernel> eltwise_f32_kernels();
Choice<EltwiseF32Kernel> select_eltwise_f32();

}  // namespace lapidary::kernels
