#pragma once

#include <functional>

#include "lapidary/bench.h"
#include "lapidary/runtime.h"

namespace lapidary {

/// measure_peaks with the best loops among the instruction sets that are `usable`.
MachinePeaks measure_peaks(int threads, const std::function<bool(Isa)>& usable);

}  // namespace lapidary
