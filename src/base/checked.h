#pragma once

#include <cstdint>

#include "src/base/fail.h"

namespace lapidary {

/// a * b, a + b, a - b in int64; Error{kResource} where the result does not fit.
inline int64_t checked_mul(int64_t a, int64_t b) {
  int64_t out;
  if (__builtin_mul_overflow(a, b, &out))
    fail(ErrorCode::kResource, "size {} x {} does not fit 64 bits", a, b);
  return out;
}
inline int64_t checked_add(int64_t a, int64_t b) {
  int64_t out;
  if (__builtin_add_overflow(a, b, &out))
    fail(ErrorCode::kResource, "size {} + {} does not fit 64 bits", a, b);
  return out;
}
inline int64_t checked_sub(int64_t a, int64_t b) {
  int64_t out;
  if (__builtin_sub_overflow(a, b, &out))
    fail(ErrorCode::kResource, "size {} - {} does not fit 64 bits", a, b);
  return out;
}

}  // namespace lapidary
