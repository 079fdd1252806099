#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/export.h"

namespace lapidary {

/// Element types; the numbers are those of ONNX's TensorProto.DataType.
enum class DType : int32_t {
  kUndefined = 0,
  kF32 = 1,
  kU8 = 2,
  kI8 = 3,
  kU16 = 4,
  kI16 = 5,
  kI32 = 6,
  kI64 = 7,
  kString = 8,
  kBool = 9,
  kF16 = 10,
  kF64 = 11,
  kU32 = 12,
  kU64 = 13,
  kComplex64 = 14,
  kComplex128 = 15,
  kBF16 = 16,
  kF8E4M3FN = 17,
  kF8E4M3FNUZ = 18,
  kF8E5M2 = 19,
  kF8E5M2FNUZ = 20,
  kU4 = 21,
  kI4 = 22,
  kF4E2M1 = 23,
  kF8E8M0 = 24,
  kU2 = 25,
  kI2 = 26,
};

/// "float32", "int8", ...; "dtype 99" for a number that is none.
LAPIDARY_API std::string dtype_name(DType dtype);
/// True for the types listed above except kUndefined.
LAPIDARY_API bool dtype_known(DType dtype);
/// Bytes of one element in memory; sub-byte types take one byte each; 0 for strings.
LAPIDARY_API size_t dtype_size(DType dtype);
/// Bits of one element on disk (4 for int4); 0 for strings.
LAPIDARY_API size_t dtype_bits(DType dtype);

constexpr bool is_float(DType t) {
  return t == DType::kF32 || t == DType::kF64 || t == DType::kF16 || t == DType::kBF16;
}
constexpr bool is_signed_int(DType t) {
  return t == DType::kI8 || t == DType::kI16 || t == DType::kI32 || t == DType::kI64 ||
         t == DType::kI4 || t == DType::kI2;
}
constexpr bool is_unsigned_int(DType t) {
  return t == DType::kU8 || t == DType::kU16 || t == DType::kU32 || t == DType::kU64 ||
         t == DType::kU4 || t == DType::kU2;
}
constexpr bool is_int(DType t) { return is_signed_int(t) || is_unsigned_int(t); }

/// IEEE binary16 and bfloat16 storage: a bfloat16 is the upper half of a float32's bits.
struct Half {
  uint16_t bits = 0;
  bool operator==(const Half&) const = default;
};
struct BFloat16 {
  uint16_t bits = 0;
  bool operator==(const BFloat16&) const = default;
};

template <class T>
struct DTypeOf;
#define LAPIDARY_DTYPE(type, name)              \
  template <>                                   \
  struct DTypeOf<type> {                        \
    static constexpr DType value = DType::name; \
  };
LAPIDARY_DTYPE(float, kF32)
LAPIDARY_DTYPE(double, kF64)
LAPIDARY_DTYPE(Half, kF16)
LAPIDARY_DTYPE(BFloat16, kBF16)
LAPIDARY_DTYPE(uint8_t, kU8)
LAPIDARY_DTYPE(int8_t, kI8)
LAPIDARY_DTYPE(uint16_t, kU16)
LAPIDARY_DTYPE(int16_t, kI16)
LAPIDARY_DTYPE(uint32_t, kU32)
LAPIDARY_DTYPE(int32_t, kI32)
LAPIDARY_DTYPE(uint64_t, kU64)
LAPIDARY_DTYPE(int64_t, kI64)
LAPIDARY_DTYPE(bool, kBool)
LAPIDARY_DTYPE(std::string, kString)
#undef LAPIDARY_DTYPE

/// Sizes of the axes, outermost first; a scalar has none. Never negative.
using Shape = std::vector<int64_t>;

/// Product of the sizes; throws Error{kResource} where it leaves int64.
LAPIDARY_API int64_t element_count(std::span<const int64_t> shape);
/// "[1,3,224,224]".
LAPIDARY_API std::string shape_text(std::span<const int64_t> shape);

/// Elements that belong to somebody else: row-major, contiguous, alive while the view is used.
struct TensorView {
  DType dtype = DType::kUndefined;
  std::span<const int64_t> shape;
  const void* data = nullptr;

  template <class T>
  const T* as() const {
    return static_cast<const T*>(data);
  }
};

/// A row-major, contiguous array. Copies share the elements; writing copies them first where
/// shared. The buffer is 64-byte aligned and 64 readable bytes follow the last element.
class LAPIDARY_API Tensor {
 public:
  Tensor() = default;
  /// Elements are zero. Throws Error{kResource} where the byte count leaves int64 or memory.
  Tensor(DType dtype, Shape shape);

  template <class T>
  static Tensor of(Shape shape, std::span<const T> values);
  template <class T>
  static Tensor of(Shape shape, std::initializer_list<T> values) {
    return of<T>(std::move(shape), std::span<const T>(values.begin(), values.size()));
  }
  template <class T>
  static Tensor of(Shape shape, const std::vector<T>& values) {
    return of<T>(std::move(shape), std::span<const T>(values));
  }
  /// A rank-0 tensor.
  template <class T>
  static Tensor scalar(T value) {
    return of<T>(Shape{}, {value});
  }
  /// Elements kept alive by `owner` (a mapped file, a caller's buffer); never written in place.
  static Tensor borrow(DType dtype, Shape shape, const void* data,
                       std::shared_ptr<const void> owner);

  bool empty() const { return dtype_ == DType::kUndefined; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t rank() const { return static_cast<int64_t>(shape_.size()); }
  int64_t dim(int64_t axis) const {
    return shape_[static_cast<size_t>(axis < 0 ? axis + rank() : axis)];
  }
  int64_t size() const { return size_; }
  size_t size_bytes() const { return static_cast<size_t>(size_) * dtype_size(dtype_); }

  const void* raw() const { return data_; }
  /// True where `borrow` made it: alignment and what follows the last element are then the owner's.
  bool borrowed() const { return borrowed_; }
  void* mutable_raw();

  /// Elements as T; throws Error{kInternal} where T is not the dtype (int8_t/uint8_t also read the
  /// one-byte storage of sub-byte and float8 types).
  template <class T>
  std::span<const T> data() const;
  template <class T>
  std::span<T> mutable_data();

  TensorView view() const { return {dtype_, shape_, data_}; }
  /// The same elements under another shape of equal count.
  Tensor reshaped(Shape shape) const;
  /// Same dtype, shape and bytes (strings compared as strings).
  bool equals(const Tensor& other) const;

 private:
  void check_type(DType asked) const;

  DType dtype_ = DType::kUndefined;
  Shape shape_;
  int64_t size_ = 0;
  std::shared_ptr<const void> owner_;
  const void* data_ = nullptr;
  bool borrowed_ = false;
};

template <class T>
std::span<const T> Tensor::data() const {
  check_type(DTypeOf<T>::value);
  return {static_cast<const T*>(data_), static_cast<size_t>(size_)};
}

template <class T>
std::span<T> Tensor::mutable_data() {
  check_type(DTypeOf<T>::value);
  return {static_cast<T*>(mutable_raw()), static_cast<size_t>(size_)};
}

template <class T>
Tensor Tensor::of(Shape shape, std::span<const T> values) {
  Tensor t(DTypeOf<T>::value, std::move(shape));
  auto out = t.mutable_data<T>();
  for (size_t i = 0; i < out.size() && i < values.size(); ++i) out[i] = values[i];
  return t;
}

}  // namespace lapidary
