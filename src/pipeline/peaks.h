#pragma once

#include <cstdint>
#include <functional>

#include "lapidary/bench.h"
#include "lapidary/runtime.h"

namespace lapidary {

/// Memory that measuring the peaks takes: more than the caches hold.
inline constexpr int64_t kPeaksMemoryBytes = int64_t{96} << 20;

/// measure_peaks with the best loops among the instruction sets that are `usable`.
MachinePeaks measure_peaks(int threads, const std::function<bool(Isa)>& usable);

}  // namespace lapidary
