#include "src/exec/strided.h"

#include <cstring>

#include "src/base/fail.h"
#include "src/base/parallel.h"

namespace lapidary::exec {

namespace {

// One run along the innermost axis.
template <class T>
void copy_run(const CopyAxis& axis, const char* x, char* y) {
  const T* from = reinterpret_cast<const T*>(x);
  T* to = reinterpret_cast<T*>(y);
  for (int64_t i = 0; i < axis.size; ++i) to[i * axis.y] = from[i * axis.x];
}

using CopyRun = void (*)(const CopyAxis&, const char*, char*);

CopyRun run_of(size_t element_bytes) {
  switch (element_bytes) {
    case 1:
      return copy_run<uint8_t>;
    case 2:
      return copy_run<uint16_t>;
    case 4:
      return copy_run<uint32_t>;
    case 8:
      return copy_run<uint64_t>;
    default:
      fail(ErrorCode::kInternal, "no copy of elements of {} bytes", element_bytes);
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
  const CopyAxis inner = copy.axes.empty() ? CopyAxis{1, 1, 1} : copy.axes.back();
  const std::span outer(copy.axes.data(), copy.axes.empty() ? 0 : copy.axes.size() - 1);
  int64_t runs = 1;
  for (const CopyAxis& axis : outer) runs *= axis.size;
  const bool contiguous = inner.x == 1 && inner.y == 1;
  const CopyRun run = run_of(copy.element_bytes);

  const auto body = [&](int64_t begin, int64_t end, int) {
    for (int64_t r = begin; r < end; ++r) {
      int64_t x_at = 0, y_at = 0, rest = r;
      for (size_t a = outer.size(); a-- > 0;) {
        const int64_t i = rest % outer[a].size;
        rest /= outer[a].size;
        x_at += i * outer[a].x;
        y_at += i * outer[a].y;
      }
      if (contiguous)
        std::memcpy(to + y_at * bytes, from + x_at * bytes,
                    static_cast<size_t>(inner.size * bytes));
      else
        run(inner, from + x_at * bytes, to + y_at * bytes);
    }
  };
  constexpr int64_t kGrainBytes = 32768;
  parallel_for(runs, 1 + kGrainBytes / (inner.size * bytes + 1), body, threads);
}

}  // namespace lapidary::exec
