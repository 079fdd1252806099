#pragma once

#include <nlohmann/json.hpp>

#include "lapidary/bench.h"
#include "lapidary/report.h"

namespace lapidary {

// What both reports and commands print.

inline nlohmann::ordered_json latency_json(const Latency& l) {
  return {{"threads", l.threads},  {"isa", l.isa},    {"batch", l.batch}, {"runs", l.runs},
          {"median", l.median_ms}, {"p90", l.p90_ms}, {"p99", l.p99_ms}};
}

inline nlohmann::ordered_json peaks_json(const MachinePeaks& p) {
  using Json = nlohmann::ordered_json;
  return {{"threads", p.threads},
          {"isa", p.isa},
          {"int8_gops", p.int8_gops},
          {"f32_gops", p.f32_gops},
          {"bf16_gops", p.bf16_gops > 0 ? Json(p.bf16_gops) : Json(nullptr)},
          {"cache_gb_s", p.cache_gb_s},
          {"memory_gb_s", p.memory_gb_s}};
}

}  // namespace lapidary
