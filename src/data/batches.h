#pragma once

#include <algorithm>
#include <utility>

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
