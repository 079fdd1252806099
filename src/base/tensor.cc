#include "lapidary/tensor.h"

#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

#include "src/base/checked.h"

namespace lapidary {

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kSlack = 64;  // kernels may read a vector past the end

std::shared_ptr<void> allocate(size_t bytes) {
  const size_t rounded = (bytes + kSlack + kAlignment - 1) / kAlignment * kAlignment;
  void* memory = std::aligned_alloc(kAlignment, rounded);
  if (memory == nullptr)
    fail(ErrorCode::kResource, "out of memory: a tensor needs {} bytes", bytes);
  std::memset(memory, 0, rounded);
  return std::shared_ptr<void>(memory, [](void* p) { std::free(p); });
}

std::shared_ptr<void> allocate_strings(size_t count) {
  auto strings = std::make_shared<std::vector<std::string>>(count);
  return std::shared_ptr<void>(strings, strings->data());
}

}  // namespace

int64_t element_count(std::span<const int64_t> shape) {
  for (int64_t d : shape)
    if (d == 0) return 0;
  int64_t count = 1;
  for (int64_t d : shape) {
    if (d < 0) fail_invalid("negative size in shape {}", shape_text(shape));
    count = checked_mul(count, d);
  }
  return count;
}

std::string shape_text(std::span<const int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ","));
}

Tensor::Tensor(DType dtype, Shape shape) : dtype_(dtype), shape_(std::move(shape)) {
  size_ = element_count(shape_);
  if (dtype == DType::kString) {
    // A declared shape must not be able to ask for unbounded memory: 2^27 empty strings are 4 GB.
    if (size_ > (int64_t{1} << 27)) fail(ErrorCode::kResource, "{} strings in one tensor", size_);
    owner_ = allocate_strings(static_cast<size_t>(size_));
  } else {
    const int64_t bytes = checked_mul(size_, static_cast<int64_t>(dtype_size(dtype)));
    constexpr int64_t kMaxBytes = int64_t{1} << 46;
    if (bytes > kMaxBytes) fail(ErrorCode::kResource, "a tensor of {} bytes", bytes);
    owner_ = allocate(static_cast<size_t>(bytes));
  }
  data_ = owner_.get();
}

Tensor Tensor::borrow(DType dtype, Shape shape, const void* data,
                      std::shared_ptr<const void> owner) {
  Tensor t;
  t.dtype_ = dtype;
  t.size_ = element_count(shape);
  t.shape_ = std::move(shape);
  t.owner_ = std::move(owner);
  t.data_ = data;
  t.borrowed_ = true;
  return t;
}

void* Tensor::mutable_raw() {
  if (borrowed_ || owner_.use_count() > 1) {
    std::shared_ptr<void> copy;
    if (dtype_ == DType::kString) {
      copy = allocate_strings(static_cast<size_t>(size_));
      const auto* from = static_cast<const std::string*>(data_);
      std::copy(from, from + size_, static_cast<std::string*>(copy.get()));
    } else {
      copy = allocate(size_bytes());
      if (size_bytes() > 0) std::memcpy(copy.get(), data_, size_bytes());
    }
    owner_ = copy;
    data_ = copy.get();
    borrowed_ = false;
  }
  return const_cast<void*>(data_);
}

Tensor Tensor::reshaped(Shape shape) const {
  LAPIDARY_CHECK(element_count(shape) == size_);
  Tensor t = *this;
  t.shape_ = std::move(shape);
  return t;
}

bool Tensor::equals(const Tensor& other) const {
  if (dtype_ != other.dtype_ || shape_ != other.shape_) return false;
  if (dtype_ == DType::kString) {
    const auto* a = static_cast<const std::string*>(data_);
    const auto* b = static_cast<const std::string*>(other.data_);
    return std::equal(a, a + size_, b);
  }
  return size_bytes() == 0 || std::memcmp(data_, other.data_, size_bytes()) == 0;
}

void Tensor::check_type(DType asked) const {
  const bool byte_storage = dtype_size(dtype_) == 1 && dtype_bits(dtype_) <= 8 &&
                            (asked == DType::kU8 || asked == DType::kI8);
  if (asked != dtype_ && !byte_storage)
    fail(ErrorCode::kInternal, "a {} tensor read as {}", dtype_name(dtype_), dtype_name(asked));
}

}  // namespace lapidary
