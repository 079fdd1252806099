#include "calibrate/moments.h"

#include <algorithm>
#include <cmath>

#include "calibrate/windows.h"
#include "src/base/fail.h"
#include "src/base/parallel.h"

namespace lapidary {

void Moments::Sums::add(const float* x, int64_t size) {
  if (count == 0 && size > 0) first = x[0];
  for (int64_t i = 0; i < size; ++i) {
    const double d = x[i] - first;
    sum += d;
    squares += d * d;
  }
  count += size;
}

double Moments::Sums::variance() const {
  const double shift = sum / static_cast<double>(count);
  return std::max(0.0, squares / static_cast<double>(count) - shift * shift);
}

void Moments::see(const Tensor& x, const BatchRows& batch, int threads) {
  if (x.dtype() != DType::kF32) fail_unsupported("its input is {}", tensor_type(x).text());
  const int64_t channels = x.rank() > 1 ? x.dim(1) : 1;
  const auto rows = counted_rows(x.dim(0), batch.ran, batch.counted);
  if (!rows) fail_unsupported("samples that fill up a batch cannot be told apart here");
  sums_.resize(static_cast<size_t>(channels));
  const int64_t area = x.size() / std::max<int64_t>(1, x.dim(0) * channels);
  parallel_for(
      channels, 1,
      [&](int64_t begin, int64_t end, int) {
        for (int64_t c = begin; c < end; ++c)
          for (int64_t n = 0; n < *rows; ++n)
            sums_[static_cast<size_t>(c)].add(x.data<float>().data() + (n * channels + c) * area,
                                              area);
      },
      threads);
}

Tensor Moments::take(double (Sums::*what)() const, const Shape& shape) const {
  Tensor out(DType::kF32, shape);
  const auto to = out.mutable_data<float>();
  LAPIDARY_CHECK(to.size() == sums_.size());
  for (size_t c = 0; c < to.size(); ++c) {
    to[c] = static_cast<float>((sums_[c].*what)());
    if (!std::isfinite(to[c])) fail_invalid("channel {} is not finite over the samples", c);
  }
  return out;
}

}  // namespace lapidary
