#include <cmath>

#include "src/ops/axis_flow.h"
#include "src/ops/before_7.h"
#include "src/ops/elements.h"

// Ops of two tensors with NumPy's broadcasting. Integers wrap.

namespace lapidary {

namespace {

/// Integer arithmetic modulo 2^bits, without undefined overflow.
template <auto Op, class T>
T arithmetic(T a, T b) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(Op(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
  else
    return Op(a, b);
}

template <class T>
T divide(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    if (b == 0) fail_invalid("integer division by zero");
    if constexpr (std::is_signed_v<T>)
      if (b == -1) return static_cast<T>(0 - static_cast<uint64_t>(a));
    return static_cast<T>(a / b);
  } else {
    return a / b;
  }
}

/// Sign of the divisor (Python's %), or of the dividend (C's fmod).
template <class T>
T modulo(T a, T b, bool fmod) {
  if constexpr (std::is_integral_v<T>) {
    if (b == 0) fail_invalid("integer modulo by zero");
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return 0;
      const auto rest = static_cast<T>(a % b);
      return !fmod && rest != 0 && (rest < 0) != (b < 0) ? static_cast<T>(rest + b) : rest;
    } else {
      return static_cast<T>(a % b);
    }
  } else {
    return std::fmod(a, b);
  }
}

template <class A, class B>
A power(A base, B exponent) {
  if constexpr (std::is_integral_v<A> && std::is_integral_v<B>) {
    if (exponent < 0) return base == 1 ? 1 : base == A(-1) ? (exponent % 2 == 0 ? 1 : A(-1)) : A(0);
    uint64_t result = 1, square = static_cast<uint64_t>(base);
    for (auto e = static_cast<uint64_t>(exponent); e > 0; e >>= 1, square *= square)
      if (e & 1) result *= square;
    return static_cast<A>(result);
  } else if constexpr (std::is_same_v<A, float> && std::is_same_v<B, float>) {
    return std::pow(base, exponent);
  } else {
    const double value = std::pow(static_cast<double>(base), static_cast<double>(exponent));
    if constexpr (std::is_integral_v<A>) {
      // Outside the type there is no right answer; the nearest one is defined.
      if (!(value > static_cast<double>(std::numeric_limits<A>::lowest())))
        return std::numeric_limits<A>::lowest();
      if (value >= static_cast<double>(std::numeric_limits<A>::max()))
        return std::numeric_limits<A>::max();
    }
    return static_cast<A>(value);
  }
}

// -- elements of shapes: symbols survive x + 0, x - 0, 1 * x and x / 1

using DimOp = Dim (*)(const Dim&, const Dim&);

Dim known_or_unknown(bool overflow, int64_t value) {
  return overflow || value < 0 ? Dim() : Dim(value);
}
Dim add_dims(const Dim& a, const Dim& b) {
  int64_t out = 0;
  if (a.known() && b.known())
    return known_or_unknown(__builtin_add_overflow(a.value, b.value, &out), out);
  return a == Dim(0) ? b : b == Dim(0) ? a : Dim();
}
Dim subtract_dims(const Dim& a, const Dim& b) {
  if (a.known() && b.known()) return known_or_unknown(false, a.value - b.value);
  return b == Dim(0) ? a : Dim();
}
Dim multiply_dims(const Dim& a, const Dim& b) {
  int64_t out = 0;
  if (a.known() && b.known())
    return known_or_unknown(__builtin_mul_overflow(a.value, b.value, &out), out);
  return a == Dim(1) ? b : b == Dim(1) ? a : Dim();
}
Dim divide_dims(const Dim& a, const Dim& b) {
  if (a.known() && b.known() && b.value != 0) return Dim(a.value / b.value);
  return b == Dim(1) ? a : Dim();
}

void infer_shape_arithmetic(InferContext& context, DimOp op) {
  const auto a = context.shape_value(0), b = context.shape_value(1);
  if (!a || !b || (a->size() != b->size() && a->size() != 1 && b->size() != 1)) return;
  ShapeValue out;
  const size_t count = a->size() == 1 ? b->size() : a->size();
  for (size_t i = 0; i < count; ++i)
    out.push_back(op((*a)[a->size() == 1 ? 0 : i], (*b)[b->size() == 1 ? 0 : i]));
  context.set_shape_value(0, std::move(out));
}

template <DimOp Op>
void infer_arithmetic(InferContext& context) {
  context.require_dtype(0, kNumericDTypes);
  infer_broadcast(context);
  infer_shape_arithmetic(context, Op);
}

void infer_numeric(InferContext& context) {
  context.require_dtype(0, kNumericDTypes);
  infer_broadcast(context);
}

template <auto F>
void evaluate_numeric(EvalContext& context) {
  dispatch<NumericTypes>(context.input(0).dtype(), [&]<class T>() {
    context.set_output(0, map_broadcast<T, T>(context.input(0), context.input(1), F));
  });
}

OpDef binary(std::string_view name, std::vector<int> versions, void (*infer)(InferContext&),
             void (*evaluate)(EvalContext&), QuantRole role = QuantRole::kNone) {
  const bool older = versions.front() == 7;  // these began in opset 1, aligned by an attribute
  OpDef def{.name = name,
            .versions = std::move(versions),
            .inputs = {2, 2},
            .outputs = {1, 1},
            .infer = infer,
            .evaluate = evaluate,
            .axes = tie_elementwise,
            .role = role};
  if (older) def.upgrades = {{7, align_second_input}};
  return def;
}

constexpr auto kAdd = [](auto a, auto b) { return arithmetic<std::plus<>{}>(a, b); };
constexpr auto kSub = [](auto a, auto b) { return arithmetic<std::minus<>{}>(a, b); };
constexpr auto kMul = [](auto a, auto b) { return arithmetic<std::multiplies<>{}>(a, b); };
constexpr auto kDiv = [](auto a, auto b) { return divide(a, b); };

}  // namespace

const OpDef& op_Add() {
  static const OpDef def = binary("Add", {7, 13, 14}, infer_arithmetic<add_dims>,
                                  evaluate_numeric<kAdd>, QuantRole::kCompute);
  return def;
}

const OpDef& op_Sub() {
  static const OpDef def = binary("Sub", {7, 13, 14}, infer_arithmetic<subtract_dims>,
                                  evaluate_numeric<kSub>, QuantRole::kCompute);
  return def;
}

const OpDef& op_Mul() {
  static const OpDef def = binary("Mul", {7, 13, 14}, infer_arithmetic<multiply_dims>,
                                  evaluate_numeric<kMul>, QuantRole::kCompute);
  return def;
}

const OpDef& op_Div() {
  static const OpDef def = binary("Div", {7, 13, 14}, infer_arithmetic<divide_dims>,
                                  evaluate_numeric<kDiv>, QuantRole::kCompute);
  return def;
}

// -- Pow: base and exponent may differ in type since version 12; the result has the base's

namespace {

void infer_pow(InferContext& context) {
  context.require_dtype(0, kNumericDTypes);
  context.require_dtype(1, kNumericDTypes);
  if (context.version() < 12) context.require_same_dtype(0, 1);
  context.set_type(
      0, TensorType{context.dtype(0), broadcast_shapes(context.shape(0), context.shape(1))});
}

void evaluate_pow(EvalContext& context) {
  const Tensor &base = context.input(0), &exponent = context.input(1);
  const std::array shapes{base.shape(), exponent.shape()};
  Tensor out(base.dtype(), broadcast_shape(shapes));
  const std::array<std::vector<int64_t>, 2> strides{
      broadcast_strides(base.shape(), out.shape()),
      broadcast_strides(exponent.shape(), out.shape())};
  dispatch<NumericTypes>(base.dtype(), [&]<class A>() {
    dispatch<NumericTypes>(exponent.dtype(), [&]<class B>() {
      const auto x = base.data<A>();
      const auto y = exponent.data<B>();
      auto to = out.mutable_data<A>();
      for_each_broadcast(out.shape(), strides, [&](int64_t i, const std::array<int64_t, 2>& at) {
        to[static_cast<size_t>(i)] = store<A>(
            power(load(x[static_cast<size_t>(at[0])]), load(y[static_cast<size_t>(at[1])])));
      });
    });
  });
  context.set_output(0, std::move(out));
}

void infer_mod(InferContext& context) {
  infer_numeric(context);
  if (is_float(context.dtype(0)) && context.attrs().get_int("fmod", 0) != 1)
    fail_invalid("inputs are {}: floating types need fmod = 1", dtype_name(context.dtype(0)));
}

void evaluate_mod(EvalContext& context) {
  const bool fmod = context.attrs().get_int("fmod", 0) != 0;
  dispatch<NumericTypes>(context.input(0).dtype(), [&]<class T>() {
    context.set_output(0, map_broadcast<T, T>(context.input(0), context.input(1),
                                              [&](auto a, auto b) { return modulo(a, b, fmod); }));
  });
}

// -- logic and bits

void infer_logical(InferContext& context) {
  constexpr std::array kBool{DType::kBool};
  context.require_dtype(0, kBool);
  infer_broadcast(context);
}

template <auto F>
void evaluate_logical(EvalContext& context) {
  context.set_output(0, map_broadcast<bool, bool>(context.input(0), context.input(1), F));
}

void infer_bits(InferContext& context) {
  context.require_dtype(0, kIntDTypes);
  infer_broadcast(context);
}

template <auto F>
void evaluate_bits(EvalContext& context) {
  dispatch<IntTypes>(context.input(0).dtype(), [&]<class T>() {
    context.set_output(0, map_broadcast<T, T>(context.input(0), context.input(1),
                                              [](T a, T b) { return static_cast<T>(F(a, b)); }));
  });
}

void infer_shift(InferContext& context) {
  infer_bits(context);
  if (is_signed_int(context.dtype(0)))
    fail_invalid("inputs are {}, expected unsigned integers", dtype_name(context.dtype(0)));
  const std::string direction = context.attrs().get_string("direction", "");
  if (direction != "LEFT" && direction != "RIGHT")
    fail_invalid("direction is '{}', expected LEFT or RIGHT", direction);
}

void evaluate_shift(EvalContext& context) {
  const bool left = context.attrs().get_string("direction", "") == "LEFT";
  dispatch<Types<uint8_t, uint16_t, uint32_t, uint64_t>>(context.input(0).dtype(), [&]<class T>() {
    const auto shift = [&](T a, T b) {
      if (b >= 8 * sizeof(T)) return T(0);
      return left ? static_cast<T>(static_cast<uint64_t>(a) << b) : static_cast<T>(a >> b);
    };
    context.set_output(0, map_broadcast<T, T>(context.input(0), context.input(1), shift));
  });
}

// -- comparisons

void infer_compare(InferContext& context) {
  context.require_dtype(0, kNumericDTypes);
  infer_broadcast(context, DType::kBool);
}

void infer_equal(InferContext& context) { infer_broadcast(context, DType::kBool); }

template <class List, auto F>
void evaluate_compare(EvalContext& context) {
  dispatch<List>(context.input(0).dtype(), [&]<class T>() {
    context.set_output(0, map_broadcast<T, bool>(context.input(0), context.input(1), F));
  });
}

template <auto F>
OpDef comparison(std::string_view name, std::vector<int> versions) {
  return binary(name, std::move(versions), infer_compare, evaluate_compare<NumericTypes, F>);
}

}  // namespace

#define LAPIDARY_ROW(op, ...)            \
  const OpDef& op_##op() {               \
    static const OpDef def(__VA_ARGS__); \
    return def;                          \
  }

LAPIDARY_ROW(Pow, without_half_form(binary("Pow", {7, 12, 13, 15}, infer_pow, evaluate_pow)))
LAPIDARY_ROW(And, binary("And", {7}, infer_logical, evaluate_logical<std::logical_and<>{}>))
LAPIDARY_ROW(Or, binary("Or", {7}, infer_logical, evaluate_logical<std::logical_or<>{}>))
LAPIDARY_ROW(Xor, binary("Xor", {7}, infer_logical, evaluate_logical<std::not_equal_to<>{}>))
LAPIDARY_ROW(BitwiseAnd, binary("BitwiseAnd", {18}, infer_bits, evaluate_bits<std::bit_and<>{}>))
LAPIDARY_ROW(BitwiseOr, binary("BitwiseOr", {18}, infer_bits, evaluate_bits<std::bit_or<>{}>))
LAPIDARY_ROW(BitwiseXor, binary("BitwiseXor", {18}, infer_bits, evaluate_bits<std::bit_xor<>{}>))
LAPIDARY_ROW(
    Equal, binary("Equal", {7, 11, 13, 19}, infer_equal,
                  evaluate_compare<AnyTypes, [](const auto& a, const auto& b) { return a == b; }>))
LAPIDARY_ROW(Less, comparison<std::less<>{}>("Less", {7, 9, 13}))
LAPIDARY_ROW(Greater, comparison<std::greater<>{}>("Greater", {7, 9, 13}))
LAPIDARY_ROW(LessOrEqual, comparison<std::less_equal<>{}>("LessOrEqual", {12, 16}))
LAPIDARY_ROW(GreaterOrEqual, comparison<std::greater_equal<>{}>("GreaterOrEqual", {12, 16}))

#undef LAPIDARY_ROW

const OpDef& op_Mod() {
  static const OpDef def = [] {
    OpDef row = binary("Mod", {10, 13}, infer_mod, evaluate_mod);
    row.later = {28};  // the integer modulus of floats
    row.attrs = {{"fmod", AttrKind::kInt}};
    return row;
  }();
  return def;
}

const OpDef& op_BitShift() {
  static const OpDef def = [] {
    OpDef row = binary("BitShift", {11}, infer_shift, evaluate_shift);
    row.later = {28};  // signed types
    row.attrs = {{"direction", AttrKind::kString, true}};
    return row;
  }();
  return def;
}

}  // namespace lapidary
