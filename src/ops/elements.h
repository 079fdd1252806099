#pragma once

#include <array>
#include <span>
#include <type_traits>
#include <vector>

#include "src/base/fail.h"
#include "src/base/half.h"
#include "src/ops/evaluate.h"

// What the evaluations share: from dtype to C++ type, float16 and bfloat16 computed in float32, and
// loops over broadcast operands.

namespace lapidary {

template <class... T>
struct Types {};
using FloatTypes = Types<float, double, Half, BFloat16>;
using IntTypes = Types<int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t>;
using NumericTypes = Types<float, double, Half, BFloat16, int8_t, int16_t, int32_t, int64_t,
                           uint8_t, uint16_t, uint32_t, uint64_t>;
using NumericOrBoolTypes = Types<float, double, Half, BFloat16, int8_t, int16_t, int32_t, int64_t,
                                 uint8_t, uint16_t, uint32_t, uint64_t, bool>;
using AnyTypes = Types<float, double, Half, BFloat16, int8_t, int16_t, int32_t, int64_t, uint8_t,
                       uint16_t, uint32_t, uint64_t, bool, std::string>;

/// Calls `f.operator()<T>()` for the T of `dtype`; throws Error{kUnsupported} where it is not
/// listed.
template <class F, class... T>
void dispatch(DType dtype, Types<T...>, F&& f) {
  const bool done =
      ((dtype == DTypeOf<T>::value && (f.template operator()<T>(), true)) || ... || false);
  if (!done) fail_unsupported("elements of type {} are not computed here", dtype_name(dtype));
}
/// dispatch<FloatTypes>(x.dtype(), [&]<class T>() { ... });
template <class List, class F>
void dispatch(DType dtype, F&& f) {
  dispatch(dtype, List{}, std::forward<F>(f));
}

template <class... T>
constexpr std::array<DType, sizeof...(T)> dtypes_of(Types<T...>) {
  return {DTypeOf<T>::value...};
}
inline constexpr auto kFloatDTypes = dtypes_of(FloatTypes{});
inline constexpr auto kIntDTypes = dtypes_of(IntTypes{});
inline constexpr auto kNumericDTypes = dtypes_of(NumericTypes{});

/// The type in which elements of type T are computed.
template <class T>
using Real = std::conditional_t<std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>, float, T>;

template <class T>
constexpr Real<T> load(T v) {
  if constexpr (std::is_same_v<T, Half>) {
    return from_half(v);
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return from_bfloat16(v);
  } else {
    return v;
  }
}

template <class T>
constexpr T store(Real<T> v) {
  if constexpr (std::is_same_v<T, Half>) {
    return to_half(v);
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    return to_bfloat16(v);
  } else {
    return v;
  }
}

/// Elements of a floating or integer tensor as R, and a tensor made of such.
template <class R>
std::vector<R> read_as(const Tensor& tensor) {
  std::vector<R> out(static_cast<size_t>(tensor.size()));
  dispatch<NumericTypes>(tensor.dtype(), [&]<class T>() {
    const auto in = tensor.data<T>();
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<R>(load(in[i]));
  });
  return out;
}
template <class R>
Tensor make_from(DType dtype, Shape shape, const std::vector<R>& values) {
  Tensor out(dtype, std::move(shape));
  dispatch<FloatTypes>(dtype, [&]<class T>() {
    auto to = out.mutable_data<T>();
    for (size_t i = 0; i < to.size(); ++i) to[i] = store<T>(static_cast<Real<T>>(values[i]));
  });
  return out;
}

/// The shape that `shapes` broadcast to; throws Error{kInvalid}.
Shape broadcast_shape(std::span<const Shape> shapes);
/// Steps of an operand through the elements of `out`, 0 along axes over which it is repeated.
std::vector<int64_t> broadcast_strides(std::span<const int64_t> shape,
                                       std::span<const int64_t> out);
/// Elements between neighbours along each axis of a row-major array.
std::vector<int64_t> row_major_strides(std::span<const int64_t> shape);

/// f(i, offsets): `i` counts the elements of `out` in order, `offsets` are the operands' elements.
template <size_t N, class F>
void for_each_broadcast(std::span<const int64_t> out,
                        const std::array<std::vector<int64_t>, N>& strides, F&& f) {
  const int64_t count = element_count(out);
  std::vector<int64_t> index(out.size());
  std::array<int64_t, N> offsets{};
  for (int64_t i = 0; i < count; ++i) {
    f(i, offsets);
    for (size_t axis = out.size(); axis-- > 0;) {
      for (size_t k = 0; k < N; ++k) offsets[k] += strides[k][axis];
      if (++index[axis] < out[axis]) break;
      for (size_t k = 0; k < N; ++k) offsets[k] -= strides[k][axis] * out[axis];
      index[axis] = 0;
    }
  }
}

/// out[i] = f(a[...], b[...]) with NumPy's broadcasting; f on Real<T>, its result stored as R.
template <class T, class R, class F>
Tensor map_broadcast(const Tensor& a, const Tensor& b, F f) {
  const std::array shapes{a.shape(), b.shape()};
  Tensor out(DTypeOf<R>::value, broadcast_shape(shapes));
  const std::array<std::vector<int64_t>, 2> strides{broadcast_strides(a.shape(), out.shape()),
                                                    broadcast_strides(b.shape(), out.shape())};
  const auto x = a.data<T>(), y = b.data<T>();
  auto to = out.mutable_data<R>();
  for_each_broadcast(out.shape(), strides, [&](int64_t i, const std::array<int64_t, 2>& at) {
    to[static_cast<size_t>(i)] =
        store<R>(f(load(x[static_cast<size_t>(at[0])]), load(y[static_cast<size_t>(at[1])])));
  });
  return out;
}

/// out[i] = f(in[i]) on Real<T>.
template <class T, class F>
Tensor map_elements(const Tensor& in, F f) {
  Tensor out(in.dtype(), in.shape());
  const auto from = in.data<T>();
  auto to = out.mutable_data<T>();
  for (size_t i = 0; i < to.size(); ++i) to[i] = store<T>(static_cast<Real<T>>(f(load(from[i]))));
  return out;
}

// Inferences that many rows share.
/// Output 0 has the type of input 0, and its known elements.
void infer_same(InferContext& context);
/// As `infer_same`; the input must be floating.
void infer_same_float(InferContext& context);
/// Output 0 is all inputs broadcast against each other, with the dtype of input 0, or `dtype`.
void infer_broadcast(InferContext& context, DType dtype = DType::kUndefined);

}  // namespace lapidary
