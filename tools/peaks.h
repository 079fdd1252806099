#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "lapidary/bench.h"

namespace lapidary::cli {

nlohmann::ordered_json peaks_json(const MachinePeaks& peaks);
/// One line: "1 thread, avx512vnni: INT8 358 GOPS, ...".
std::string peaks_text(const MachinePeaks& peaks);

}  // namespace lapidary::cli
