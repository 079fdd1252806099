#pragma once

#include <string>

#include "lapidary/bench.h"

namespace lapidary::cli {

/// One line: "1 thread, avx512vnni: INT8 358 GOPS, ...".
std::string peaks_text(const MachinePeaks& peaks);

}  // namespace lapidary::cli
