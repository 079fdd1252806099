#include "src/exec/strided.h"

#include <algorithm>
#include <cstring>

#include "src/base/fail.h"
#include "src/base/parallel.h"

namespace lapidary::exec {

namespace {

// Runs of the innermost axis, `middle` of them.
using CopyRuns = void (*)(int64_t bytes, const CopyAxis& inner, const CopyAxis& middle,
                          const char* x, char* y);

// Element by element.
template <class T>
void copy_elements(int64_t, const CopyAxis& inner, const CopyAxis& middle, const char* x, char* y) {
  constexpr int64_t kBytes = sizeof(T);
  for (int64_t m = 0; m < middle.size; ++m, x += middle.x * kBytes, y += middle.y * kBytes) {
    const T* from = reinterpret_cast<const T*>(x);
    T* to = reinterpret_cast<T*>(y);
    for (int64_t i = 0; i < inner.size; ++i) to[i * inner.y] = from[i * inner.x];
  }
}

// Contiguous runs of kBytes, or of any size where that is 0.
template <int64_t kBytes>
void copy_whole(int64_t bytes, const CopyAxis& inner, const CopyAxis& middle, const char* x,
                char* y) {
  const auto run = static_cast<size_t>(kBytes > 0 ? kBytes : inner.size * bytes);
  for (int64_t m = 0; m < middle.size; ++m)
    std::memcpy(y + m * middle.y * bytes, x + m * middle.x * bytes, run);
}

CopyRuns runs_of(int64_t bytes, const CopyAxis& inner) {
  if (inner.x == 1 && inner.y == 1) {
    switch (inner.size * bytes) {
      case 1:
        return copy_whole<1>;
      case 3:
        return copy_whole<3>;
      case 4:
        return copy_whole<4>;
      case 8:
        return copy_whole<8>;
      case 12:
        return copy_whole<12>;
      case 16:
        return copy_whole<16>;
      case 32:
        return copy_whole<32>;
      default:
        return copy_whole<0>;
    }
  }
  switch (bytes) {
    case 1:
      return copy_elements<uint8_t>;
    case 2:
      return copy_elements<uint16_t>;
    case 4:
      return copy_elements<uint32_t>;
    case 8:
      return copy_elements<uint64_t>;
    default:
      fail(ErrorCode::kInternal, "no copy of elements of {} bytes", bytes);
  }
}

}  // namespace

std::vector<int64_t> strides_of(std::span<const int64_t> shape) {
  std::vector<int64_t> out(shape.size());
  int64_t step = 1;
  for (size_t axis = shape.size(); axis-- > 0;) {
    out[axis] = step;
    step *= shape[axis];
  }
  return out;
}

void StridedCopy::simplify() {
  std::vector<CopyAxis> kept;
  for (const CopyAxis& axis : axes) {
    if (axis.size == 1) continue;
    if (!kept.empty() && kept.back().x == axis.x * axis.size && kept.back().y == axis.y * axis.size)
      kept.back() = {kept.back().size * axis.size, axis.x, axis.y};
    else
      kept.push_back(axis);
  }
  axes = std::move(kept);
}

void copy_strided(const StridedCopy& copy, const void* x, void* y, int threads) {
  const auto bytes = static_cast<int64_t>(copy.element_bytes);
  const char* from = static_cast<const char*>(x) + copy.x_offset * bytes;
  char* to = static_cast<char*>(y) + copy.y_offset * bytes;
  std::vector<CopyAxis> outer = copy.axes;
  const auto take = [&] {
    if (outer.empty()) return CopyAxis{1, 1, 1};
    const CopyAxis axis = outer.back();
    outer.pop_back();
    return axis;
  };
  const CopyAxis inner = take(), middle = take();
  int64_t runs = middle.size;
  for (const CopyAxis& axis : outer) runs *= axis.size;
  const CopyRuns copy_runs = runs_of(bytes, inner);

  const auto body = [&](int64_t begin, int64_t end, int) {
    while (begin < end) {
      const int64_t first = begin % middle.size;
      int64_t rest = begin / middle.size;
      int64_t x_at = first * middle.x, y_at = first * middle.y;
      for (size_t a = outer.size(); a-- > 0;) {
        const int64_t i = rest % outer[a].size;
        rest /= outer[a].size;
        x_at += i * outer[a].x;
        y_at += i * outer[a].y;
      }
      const int64_t count = std::min(middle.size - first, end - begin);
      copy_runs(bytes, inner, {count, middle.x, middle.y}, from + x_at * bytes, to + y_at * bytes);
      begin += count;
    }
  };
  constexpr int64_t kGrainBytes = 32768;
  parallel_for(runs, 1 + kGrainBytes / (inner.size * bytes + 1), body, threads);
}

}  // namespace lapidary::exec
