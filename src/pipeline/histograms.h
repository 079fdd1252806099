#pragma once

#include "lapidary/calibrate.h"
#include "lapidary/report.h"

namespace lapidary {

/// Histograms of the activations whose range was cut most (up to 24), thinned to 128 bins, for the
/// plots; instead of those of an earlier step.
void collect_histograms(const Statistics& statistics, const QuantizeLog& log, Report& report);

}  // namespace lapidary
