#include <algorithm>
#include <cmath>
#include <numbers>

#include "src/ops/axis_flow.h"
#include "src/ops/elements.h"

// Ops of one tensor that work element by element. float16 and bfloat16 are computed in float32.

namespace lapidary {

namespace {

template <class R>
R sigmoid(R x) {
  // exp of a positive number may overflow; of a negative one it cannot.
  if (x >= 0) return R(1) / (R(1) + std::exp(-x));
  const R e = std::exp(x);
  return e / (R(1) + e);
}

/// log(1 + exp(x))
template <class R>
R softplus(R x) {
  return std::max(x, R(0)) + std::log1p(std::exp(-std::abs(x)));
}

/// Two's complement negation, defined for the lowest integer too.
template <class T>
T negate(T x) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(0 - static_cast<std::make_unsigned_t<T>>(x));
  else
    return -x;
}

void infer_numeric(InferContext& context) {
  context.require_dtype(0, kNumericDTypes);
  context.set_type(0, context.type(0));
}

void infer_signed(InferContext& context) {
  context.require_dtype(0, kNumericDTypes);
  if (is_unsigned_int(context.dtype(0)))
    fail_invalid("the input is {}, expected a signed type", context.type(0).text());
  context.set_type(0, context.type(0));
}

/// `Make` gets the attributes and returns the function of one element.
template <auto Make, class List>
void evaluate_with(EvalContext& context) {
  const Tensor& x = context.input(0);
  const auto f = Make(context.attrs());
  dispatch<List>(x.dtype(), [&]<class T>() { context.set_output(0, map_elements<T>(x, f)); });
}

template <auto F>
constexpr auto kPlain = [](const AttrView&) { return F; };

/// A row for floating types, with attributes.
template <auto Make>
OpDef activation(std::string_view name, std::vector<int> versions, std::vector<AttrSpec> attrs) {
  return {.name = name,
          .versions = std::move(versions),
          .inputs = {1, 1},
          .outputs = {1, 1},
          .attrs = std::move(attrs),
          .infer = infer_same_float,
          .evaluate = evaluate_with<Make, FloatTypes>,
          .axes = tie_elementwise,
          .role = QuantRole::kCompute};
}
template <auto F>
OpDef activation(std::string_view name, std::vector<int> versions) {
  return activation<kPlain<F>>(name, std::move(versions), {});
}

/// A row for floating types, without a part in quantization.
template <auto F>
OpDef math(std::string_view name, std::vector<int> versions) {
  OpDef def = activation<F>(name, std::move(versions));
  def.role = QuantRole::kNone;
  return def;
}

/// A row for floating and integer types.
template <auto F>
OpDef numeric(std::string_view name, std::vector<int> versions) {
  OpDef def = math<F>(name, std::move(versions));
  def.infer = infer_numeric;
  def.evaluate = evaluate_with<kPlain<F>, NumericTypes>;
  return def;
}

constexpr AttrSpec kAlpha{"alpha", AttrKind::kFloat};
constexpr AttrSpec kGamma{"gamma", AttrKind::kFloat};
constexpr AttrSpec kBeta{"beta", AttrKind::kFloat};

}  // namespace

#define LAPIDARY_ROW(op, ...)            \
  const OpDef& op_##op() {               \
    static const OpDef def(__VA_ARGS__); \
    return def;                          \
  }

LAPIDARY_ROW(Abs, numeric<[](auto x) { return x < 0    ? negate(x)
                                              : x == 0 ? decltype(x)(0)
                                                       : x; }>(
                      "Abs", {6, 13}))
LAPIDARY_ROW(Sign, numeric<[](auto x) {
               using R = decltype(x);
               if constexpr (std::is_floating_point_v<R>)
                 if (std::isnan(x)) return x;
               return static_cast<R>((x > 0) - (x < 0));
             }>("Sign", {9, 13}))
const OpDef& op_Neg() {
  static const OpDef def = [] {
    OpDef row = numeric<[](auto x) { return negate(x); }>("Neg", {6, 13});
    row.infer = infer_signed;
    return row;
  }();
  return def;
}
LAPIDARY_ROW(Erf, numeric<[](auto x) {
               using R = decltype(x);
               return static_cast<R>(
                   std::erf(std::conditional_t<std::is_integral_v<R>, double, R>(x)));
             }>("Erf", {9, 13}))

LAPIDARY_ROW(Ceil, math<[](auto x) { return std::ceil(x); }>("Ceil", {6, 13}))
LAPIDARY_ROW(Floor, math<[](auto x) { return std::floor(x); }>("Floor", {6, 13}))
LAPIDARY_ROW(Round,
             math<[](auto x) { return std::nearbyint(x); }>("Round", {11, 22}))  // half to even
LAPIDARY_ROW(Reciprocal, math<[](auto x) { return 1 / x; }>("Reciprocal", {6, 13}))
LAPIDARY_ROW(Sqrt, math<[](auto x) { return std::sqrt(x); }>("Sqrt", {6, 13}))
LAPIDARY_ROW(Exp, math<[](auto x) { return std::exp(x); }>("Exp", {6, 13}))
LAPIDARY_ROW(Log, math<[](auto x) { return std::log(x); }>("Log", {6, 13}))
LAPIDARY_ROW(Sin, math<[](auto x) { return std::sin(x); }>("Sin", {7, 22}))
LAPIDARY_ROW(Cos, math<[](auto x) { return std::cos(x); }>("Cos", {7, 22}))
LAPIDARY_ROW(Tan, math<[](auto x) { return std::tan(x); }>("Tan", {7, 22}))
LAPIDARY_ROW(Asin, math<[](auto x) { return std::asin(x); }>("Asin", {7, 22}))
LAPIDARY_ROW(Acos, math<[](auto x) { return std::acos(x); }>("Acos", {7, 22}))
LAPIDARY_ROW(Atan, math<[](auto x) { return std::atan(x); }>("Atan", {7, 22}))
LAPIDARY_ROW(Sinh, math<[](auto x) { return std::sinh(x); }>("Sinh", {9, 22}))
LAPIDARY_ROW(Cosh, math<[](auto x) { return std::cosh(x); }>("Cosh", {9, 22}))
LAPIDARY_ROW(Asinh, math<[](auto x) { return std::asinh(x); }>("Asinh", {9, 22}))
LAPIDARY_ROW(Acosh, math<[](auto x) { return std::acosh(x); }>("Acosh", {9, 22}))
LAPIDARY_ROW(Atanh, math<[](auto x) { return std::atanh(x); }>("Atanh", {9, 22}))

LAPIDARY_ROW(Sigmoid, activation<[](auto x) { return sigmoid(x); }>("Sigmoid", {6, 13}))
LAPIDARY_ROW(Tanh, activation<[](auto x) { return std::tanh(x); }>("Tanh", {6, 13}))
LAPIDARY_ROW(Softplus, activation<[](auto x) { return softplus(x); }>("Softplus", {1, 22}))
LAPIDARY_ROW(Softsign,
             activation<[](auto x) { return x / (1 + std::abs(x)); }>("Softsign", {1, 22}))
LAPIDARY_ROW(Mish, activation<[](auto x) { return x * std::tanh(softplus(x)); }>("Mish", {18, 22}))
// x max(0, min(1, x / 6 + 1/2))
LAPIDARY_ROW(HardSwish, activation<[](auto x) {
               using R = decltype(x);
               return x * std::clamp(x / R(6) + R(0.5), R(0), R(1));
             }>("HardSwish", {14, 22}))

LAPIDARY_ROW(LeakyRelu, activation<[](const AttrView& a) {
               return [alpha = a.get_float("alpha", 0.01f)](auto x) {
                 return x < 0 ? static_cast<decltype(x)>(alpha) * x : x;
               };
             }>("LeakyRelu", {6, 16}, {kAlpha}))
LAPIDARY_ROW(Elu, activation<[](const AttrView& a) {
               return [alpha = a.get_float("alpha", 1.0f)](auto x) {
                 return x < 0 ? static_cast<decltype(x)>(alpha) * std::expm1(x) : x;
               };
             }>("Elu", {6, 22}, {kAlpha}))
// gamma (x > 0 ? x : alpha (exp(x) - 1))
LAPIDARY_ROW(Selu, activation<[](const AttrView& a) {
               return [alpha = a.get_float("alpha", 1.67326319217681884765625f),
                       gamma = a.get_float("gamma", 1.05070102214813232421875f)](auto x) {
                 using R = decltype(x);
                 return static_cast<R>(gamma) * (x > 0 ? x : static_cast<R>(alpha) * std::expm1(x));
               };
             }>("Selu", {6, 22}, {kAlpha, kGamma}))
// max(0, x) + min(0, alpha (exp(x / alpha) - 1))
LAPIDARY_ROW(Celu, with_later({28}, without_half_form(activation<[](const AttrView& a) {
                                return [alpha = a.get_float("alpha", 1.0f)](auto x) {
                                  using R = decltype(x);
                                  const R scale = static_cast<R>(alpha);
                                  return std::max(R(0), x) +
                                         std::min(R(0), scale * std::expm1(x / scale));
                                };
                              }>("Celu", {12}, {kAlpha}))))
LAPIDARY_ROW(ThresholdedRelu, activation<[](const AttrView& a) {
               return [alpha = a.get_float("alpha", 1.0f)](auto x) {
                 return static_cast<decltype(x)>(alpha) < x ? x : decltype(x)(0);
               };
             }>("ThresholdedRelu", {10, 22}, {kAlpha}))
LAPIDARY_ROW(HardSigmoid, activation<[](const AttrView& a) {
               return [alpha = a.get_float("alpha", 0.2f),
                       beta = a.get_float("beta", 0.5f)](auto x) {
                 using R = decltype(x);
                 return std::clamp(static_cast<R>(alpha) * x + static_cast<R>(beta), R(0), R(1));
               };
             }>("HardSigmoid", {6, 22}, {kAlpha, kBeta}))
// x sigmoid(alpha x)
LAPIDARY_ROW(Swish, activation<[](const AttrView& a) {
               return [alpha = a.get_float("alpha", 1.0f)](auto x) {
                 return x * sigmoid(static_cast<decltype(x)>(alpha) * x);
               };
             }>("Swish", {24}, {kAlpha}))
// x (1 + erf(x / sqrt 2)) / 2, or by tanh: Hendrycks and Gimpel 2016
LAPIDARY_ROW(Gelu, activation<[](const AttrView& a) {
               const std::string approximate = a.get_string("approximate", "none");
               if (approximate != "none" && approximate != "tanh")
                 fail_invalid("approximate is '{}', expected 'none' or 'tanh'", approximate);
               return [by_tanh = approximate == "tanh"](auto x) {
                 using R = decltype(x);
                 if (!by_tanh)
                   return R(0.5) * x * (1 + std::erf(x * static_cast<R>(1 / std::numbers::sqrt2)));
                 const R root = static_cast<R>(std::numbers::sqrt2 * std::numbers::inv_sqrtpi);
                 return R(0.5) * x * (1 + std::tanh(root * (x + R(0.044715) * x * x * x)));
               };
             }>("Gelu", {20}, {{"approximate", AttrKind::kString}}))
// x < -lambd ? x + bias : x > lambd ? x - bias : 0
const OpDef& op_Shrink() {
  static const OpDef def = [] {
    constexpr auto make = [](const AttrView& a) {
      return [bias = a.get_float("bias", 0), lambd = a.get_float("lambd", 0.5f)](auto x) {
        using R = decltype(x);
        if (static_cast<double>(x) < -static_cast<double>(lambd)) return static_cast<R>(x + bias);
        if (static_cast<double>(x) > static_cast<double>(lambd)) return static_cast<R>(x - bias);
        return R(0);
      };
    };
    OpDef row =
        activation<make>("Shrink", {9}, {{"bias", AttrKind::kFloat}, {"lambd", AttrKind::kFloat}});
    row.infer = infer_numeric;
    row.evaluate = evaluate_with<make, NumericTypes>;
    row.role = QuantRole::kNone;
    return row;
  }();
  return def;
}

#undef LAPIDARY_ROW

}  // namespace lapidary
