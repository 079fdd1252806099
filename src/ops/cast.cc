#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "src/base/float8.h"
#include "src/base/text.h"
#include "src/ops/axis_flow.h"
#include "src/ops/elements.h"

// Cast, CastLike: elements converted one by one. Floats are truncated on their way to integers
// (outside the range the standard leaves the result open: here the nearest end), integers drop
// their high bits, anything but zero is true. float4 is not computed.

namespace lapidary {

namespace {

/// A two- or four-bit integer as it lies in memory, one byte each.
template <int kBits, bool kSigned>
struct SubByte {
  static constexpr int8_t kMin = kSigned ? -(1 << (kBits - 1)) : 0;
  static constexpr int8_t kMax = (1 << (kBits - kSigned)) - 1;
  int8_t value = 0;
};
using Int4 = SubByte<4, true>;
using UInt4 = SubByte<4, false>;
using Int2 = SubByte<2, true>;
using UInt2 = SubByte<2, false>;

template <class T>
constexpr bool kIsSubByte = false;
template <int kBits, bool kSigned>
constexpr bool kIsSubByte<SubByte<kBits, kSigned>> = true;

/// Keeps the low bits.
template <int kBits, bool kSigned>
SubByte<kBits, kSigned> wrap(SubByte<kBits, kSigned>, int64_t v) {
  const auto low = static_cast<int>(v & ((1 << kBits) - 1));
  const bool negative = kSigned && low >= (1 << (kBits - 1));
  return {static_cast<int8_t>(negative ? low - (1 << kBits) : low)};
}

/// Calls `f.operator()<T>()` with the type that stands for `dtype`.
template <class F>
void dispatch_any(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kI4:
      return f.template operator()<Int4>();
    case DType::kU4:
      return f.template operator()<UInt4>();
    case DType::kI2:
      return f.template operator()<Int2>();
    case DType::kU2:
      return f.template operator()<UInt2>();
    default:
      return dispatch<AnyTypes>(dtype, std::forward<F>(f));
  }
}

/// Toward zero, into [min, max]; NaN gives 0.
template <class To>
To truncate(double v, To min, To max) {
  if (std::isnan(v)) return 0;
  // max may round up to a power of two as a double: then >= is the end of the range, not past it.
  if (v >= static_cast<double>(max)) return max;
  return v <= static_cast<double>(min) ? min : static_cast<To>(v);
}

std::string number_text(double v, bool single) {
  if (std::isnan(v)) return "NaN";
  if (std::isinf(v)) return v > 0 ? "INF" : "-INF";
  return single ? fmt::format("{}", static_cast<float>(v)) : fmt::format("{}", v);
}

double parse_number_text(const std::string& text) {
  const char* first = text.data();
  const char* last = first + text.size();
  if (first != last && *first == '+') ++first;
  double value = 0;
  const auto [end, error] = std::from_chars(first, last, value);
  if (error == std::errc::invalid_argument || end != last || first == last)
    fail_invalid("'{}' is no number", printable(text, 60));
  if (error == std::errc::result_out_of_range)
    return text.find("e-") == std::string::npos && text.find("E-") == std::string::npos ? INFINITY
                                                                                        : 0.0;
  return value;
}

template <class To>
To from_integer(int64_t v) {
  if constexpr (kIsSubByte<To>)
    return wrap(To{}, v);
  else if constexpr (std::is_same_v<To, bool>)
    return v != 0;
  else
    return store<To>(static_cast<Real<To>>(v));
}

template <class To>
To from_floating(double v, bool single) {
  if constexpr (std::is_same_v<To, std::string>) {
    return number_text(v, single);
  } else if constexpr (std::is_same_v<To, bool>) {
    return v != 0;
  } else if constexpr (kIsSubByte<To>) {
    return {truncate<int8_t>(v, To::kMin, To::kMax)};
  } else if constexpr (std::is_floating_point_v<Real<To>>) {
    return store<To>(static_cast<Real<To>>(v));
  } else {
    return truncate<To>(v, std::numeric_limits<To>::min(), std::numeric_limits<To>::max());
  }
}

template <class To, class From>
To convert(const From& v) {
  if constexpr (std::is_same_v<From, std::string>) {
    if constexpr (std::is_same_v<To, std::string>)
      return v;
    else
      return from_floating<To>(parse_number_text(v), false);
  } else if constexpr (kIsSubByte<From>) {
    if constexpr (std::is_same_v<To, std::string>)
      return fmt::format("{}", v.value);
    else
      return from_integer<To>(v.value);
  } else if constexpr (std::is_floating_point_v<Real<From>>) {
    return from_floating<To>(static_cast<double>(load(v)), !std::is_same_v<From, double>);
  } else if constexpr (std::is_same_v<To, std::string>) {
    return fmt::format("{}", v);
  } else if constexpr (std::is_same_v<From, uint64_t> && !kIsSubByte<To> &&
                       !std::is_same_v<To, bool>) {
    return store<To>(static_cast<Real<To>>(v));
  } else {
    return from_integer<To>(static_cast<int64_t>(v));
  }
}

Tensor cast(const Tensor& x, DType to, bool saturate);

Tensor decoded(const Tensor& x) {
  Tensor out(DType::kF32, x.shape());
  const auto* from = static_cast<const uint8_t*>(x.raw());
  for (float& v : out.mutable_data<float>()) v = from_float8(*from++, x.dtype());
  return out;
}

Tensor encoded(const Tensor& x, DType to, bool saturate) {
  const Tensor values = cast(x, DType::kF64, saturate);
  Tensor out(to, x.shape());
  auto* into = static_cast<uint8_t*>(out.mutable_raw());
  for (const double v : values.data<double>()) *into++ = to_float8(v, to, saturate);
  return out;
}

Tensor cast(const Tensor& x, DType to, bool saturate) {
  if (to == x.dtype()) return x;
  if (is_float8(x.dtype())) return cast(decoded(x), to, saturate);
  if (is_float8(to)) return encoded(x, to, saturate);
  Tensor out(to, x.shape());
  dispatch_any(x.dtype(), [&]<class From>() {
    dispatch_any(to, [&]<class To>() {
      const auto* from = static_cast<const From*>(x.raw());
      auto* into = static_cast<To*>(out.mutable_raw());
      for (int64_t i = 0; i < x.size(); ++i) into[i] = convert<To>(from[i]);
    });
  });
  return out;
}

DType target_type(const AttrView& attrs) {
  const auto to = static_cast<DType>(attrs.get_int("to", 0));
  if (!dtype_known(to) || to == DType::kComplex64 || to == DType::kComplex128)
    fail_invalid("to is {}, expected an element type", attrs.get_int("to", 0));
  return to;
}

void infer_to(InferContext& context, DType to) {
  TensorType out = context.type(0);
  out.dtype = to;
  context.set_type(0, std::move(out));
  if (to != DType::kI64 && to != DType::kI32) return;
  if (auto value = context.shape_value(0)) context.set_shape_value(0, std::move(*value));
}

void infer_cast(InferContext& context) { infer_to(context, target_type(context.attrs())); }
void infer_cast_like(InferContext& context) { infer_to(context, context.dtype(1)); }

bool saturates(const EvalContext& context) { return context.attrs().get_int("saturate", 1) != 0; }

void evaluate_cast(EvalContext& context) {
  context.set_output(0, cast(context.input(0), target_type(context.attrs()), saturates(context)));
}
void evaluate_cast_like(EvalContext& context) {
  context.set_output(0, cast(context.input(0), context.input(1).dtype(), saturates(context)));
}

/// Of the second input only the type is read.
void cast_like_axes(AxisFlow& flow) {
  tie_same(flow, 0, 0);
  for (int64_t i = 0; i < flow.input_rank(1); ++i) flow.leave(flow.input(1, i));
}

}  // namespace

const OpDef& op_Cast() {
  static const OpDef def{.name = "Cast",
                         .versions = {6, 9, 13, 19, 21, 23, 24, 25, 28},
                         .inputs = {1, 1},
                         .outputs = {1, 1},
                         .attrs = {{"to", AttrKind::kInt, true},
                                   {.name = "saturate", .kind = AttrKind::kInt, .since = 19},
                                   {.name = "round_mode", .kind = AttrKind::kString, .since = 24}},
                         .infer = infer_cast,
                         .evaluate = evaluate_cast,
                         .axes = tie_elementwise,
                         .half_since = kNoHalfForm};
  return def;
}

const OpDef& op_CastLike() {
  static const OpDef def{.name = "CastLike",
                         .versions = {15, 19, 21, 23, 24, 25},
                         .inputs = {2, 2},
                         .outputs = {1, 1},
                         .attrs = {{.name = "saturate", .kind = AttrKind::kInt, .since = 19},
                                   {.name = "round_mode", .kind = AttrKind::kString, .since = 24}},
                         .infer = infer_cast_like,
                         .evaluate = evaluate_cast_like,
                         .axes = cast_like_axes};
  return def;
}

}  // namespace lapidary
