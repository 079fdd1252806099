#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "src/base/fail.h"
#include "src/ops/elements.h"

namespace lapidary {

/// Calls f(T{}) with a type that moves an element of `dtype`: 1, 2, 4, 8 or 16 plain bytes, or a
/// string. Arithmetic on T means nothing.
template <class F>
decltype(auto) with_storage(DType dtype, F&& f) {
  struct Bytes16 {
    uint64_t low = 0, high = 0;
  };
  if (dtype == DType::kString) return f(std::string{});
  switch (dtype_size(dtype)) {
    case 1:
      return f(uint8_t{});
    case 2:
      return f(uint16_t{});
    case 4:
      return f(uint32_t{});
    case 8:
      return f(uint64_t{});
    case 16:
      return f(Bytes16{});
    default:
      fail(ErrorCode::kInternal, "cannot move elements of {}", dtype_name(dtype));
  }
}

/// Counts an index of `shape` up, last axis fastest; false after the last one.
bool next_index(std::vector<int64_t>& index, std::span<const int64_t> shape);

/// One table of source positions per axis: out[i, j, ...] = from[t0[i], t1[j], ...], or `fill` (one
/// element of from's dtype; zero where null) where any position is negative.
using AxisTables = std::vector<std::vector<int64_t>>;
Tensor take_axes(const Tensor& from, const AxisTables& tables, const Tensor* fill = nullptr);
/// 0, 1, ..., count - 1. Throws Error{kResource} for an axis that could not be held.
std::vector<int64_t> iota_table(int64_t count);
/// The tables of a copy of `shape`: the start of most uses of take_axes.
AxisTables identity_tables(std::span<const int64_t> shape);

/// out[i] = from[positions[i]] in flat, row-major positions; positions lie in from.
Tensor take_flat(const Tensor& from, Shape shape, std::span<const int64_t> positions);

/// out has axis perm[i] of `from` as its axis i.
Tensor transposed(const Tensor& from, std::span<const int64_t> perm);

/// a < b as a total order: NaN comes after every number and equals itself.
template <class R>
bool total_less(const R& a, const R& b) {
  if constexpr (std::is_floating_point_v<R>)
    return b != b ? a == a : a < b;
  else
    return a < b;
}

/// Elements of a known axis as one number: an index in [-size, size), made non-negative; throws
/// Error{kInvalid} naming `what` where it is outside.
int64_t normalize_index(int64_t index, int64_t size, std::string_view what);

/// `axes` made non-negative; throws Error{kInvalid} where one is outside [-rank, rank) or named
/// twice.
std::vector<int64_t> normalize_axes(std::span<const int64_t> axes, int64_t rank);

// -- dims that may be symbols

/// a * b, a + b where they can be said: numbers, or one side neutral; throws Error{kResource} where
/// the number leaves int64.
Dim mul_dims(const Dim& a, const Dim& b);
Dim add_dims(const Dim& a, const Dim& b);
/// The product of all, checked.
Dim product(std::span<const Dim> dims);
/// The sizes as a shape; absent where one is not known.
std::optional<Shape> known_shape(std::span<const Dim> dims);
/// "[N,3,?]".
std::string dims_text(std::span<const Dim> dims);
std::vector<Dim> to_dims(std::span<const int64_t> shape);

/// Types of index tensors.
inline constexpr DType kIndexTypes[] = {DType::kI32, DType::kI64};
inline constexpr DType kI64Only[] = {DType::kI64};

/// Where versions of an op differ in their number of inputs: all of [0, min) present, none from
/// `max` on. Throws Error{kInvalid}.
void require_arity(const InferContext& ctx, size_t min, size_t max);

/// Upgrades: the ints of attribute `attr`, where given, become a constant i64 input at `slot`.
void attr_to_input(Graph& graph, NodeId id, std::string_view attr, size_t slot);

/// Input `i` must be a one-dimensional tensor (or, where allowed, a scalar); its length where
/// known.
std::optional<int64_t> list_length(const InferContext& ctx, size_t i, bool scalar_allowed = false);

/// The attribute `output_datatype`, float32 where absent; throws Error{kInvalid} for other than
/// numbers.
DType output_datatype(const AttrView& attrs);

}  // namespace lapidary
