#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "lapidary/data.h"

namespace lapidary {

/// see(batch, end) for samples [begin, end) of the data, up to `count` at a time; `end` of a call
/// is the first sample behind its batch. Batches whose samples were all skipped are left out.
template <class See>
void for_batches(const Dataset& data, int64_t begin, int64_t end, int64_t count, See&& see) {
  for (int64_t at = begin; at < end;) {
    Batch batch = data.batch(at, std::min(count, end - at));
    at = batch.next;
    if (batch.size() > 0) see(std::move(batch), at);
  }
}

/// Stretches [begin, end) of at most `count` samples each that hold `samples` together, spread over
/// `size` samples without overlap; all of them where there are no more.
inline std::vector<std::pair<int64_t, int64_t>> spread_stretches(int64_t size, int64_t samples,
                                                                 int64_t count) {
  samples = std::min(samples, size);
  const int64_t stretches = (samples + count - 1) / count, left_out = size - samples;
  std::vector<std::pair<int64_t, int64_t>> out;
  for (int64_t i = 0; i < stretches; ++i) {
    const int64_t gaps = i * left_out / stretches;
    out.emplace_back(gaps + i * samples / stretches, gaps + (i + 1) * samples / stretches);
  }
  return out;
}

/// see(batch) for about `samples` samples in batches of `count`, spread over the data: samples at
/// its start may be alike.
template <class See>
void for_spread_batches(const Dataset& data, int64_t samples, int64_t count, See&& see) {
  const int64_t batches = (samples + count - 1) / count;
  for (int64_t i = 0; i < batches; ++i)
    if (const Batch batch = data.batch(i * data.size() / batches, count); batch.size() > 0)
      see(batch);
}

}  // namespace lapidary
