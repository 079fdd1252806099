#pragma once

#include "lapidary/report.h"

namespace lapidary {

/// What is masked in `last`, and how small that makes its constants beside those of `before`.
MaskedRecord measure_masked(const Graph& before, const Graph& last);

}  // namespace lapidary
