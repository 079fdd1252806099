#include "src/base/float_types.h"

#include "src/base/fail.h"
#include "src/base/half.h"

namespace lapidary {

namespace {

/// visit(n): a value of the C++ type that holds a floating type's elements.
template <class Visit>
void with_type(DType dtype, Visit&& visit) {
  switch (dtype) {
    case DType::kF32:
      return visit(float{});
    case DType::kF64:
      return visit(double{});
    case DType::kF16:
      return visit(Half{});
    case DType::kBF16:
      return visit(BFloat16{});
    default:
      fail(ErrorCode::kInternal, "{} is no floating type", dtype_name(dtype));
  }
}

float load(float v) { return v; }
float load(double v) { return static_cast<float>(v); }
float load(Half v) { return from_half(v); }
float load(BFloat16 v) { return from_bfloat16(v); }

void store(float v, float& to) { to = v; }
void store(float v, double& to) { to = static_cast<double>(v); }
void store(float v, Half& to) { to = to_half(v); }
void store(float v, BFloat16& to) { to = to_bfloat16(v); }

}  // namespace

Tensor to_float_type(const Tensor& tensor, DType dtype) {
  if (tensor.dtype() == dtype) return tensor;
  Tensor out(dtype, tensor.shape());
  with_type(tensor.dtype(), [&]<class From>(From) {
    with_type(dtype, [&]<class To>(To) {
      const auto from = tensor.data<From>();
      auto to = out.mutable_data<To>();
      for (size_t i = 0; i < to.size(); ++i) store(load(from[i]), to[i]);
    });
  });
  return out;
}

Tensor as_wanted(const Tensor& tensor, DType dtype) {
  return is_float(tensor.dtype()) && is_float(dtype) ? to_float_type(tensor, dtype) : tensor;
}

}  // namespace lapidary
